/** Schedules: made, shown, paused, deleted; and their tasks submitted when the core says that it is time. */
import { isPoolError, messageOf } from "../base/errors.ts";
import { asTaskId } from "../base/ids.ts";
import type { Schedule } from "../core/schedule.ts";
import { scheduleOf } from "../core/scheduling.ts";
import type { Frame } from "./frame.ts";
import { iso } from "./instant.ts";
import { resolveSchedule, type ScheduleInput } from "./options/schedule.ts";
import type { TaskInput } from "./options/task.ts";
import type { RouteOptions } from "./routing.ts";
import type { Submitted } from "./troupe.ts";
import type { ScheduleView } from "./view.ts";

/** How the tasks of schedules get into a pool. */
export interface Submitting {
  submit(pool: string, task: TaskInput): Promise<Submitted>;
  route(task: TaskInput, options: RouteOptions): Promise<Submitted>;
}

/** Whoever hears one of these does not know what became of it: the instant is served again, under the same key. */
const UNKNOWN_OUTCOMES = ["shutting_down", "unavailable", "store_failed"] as const;

export class ScheduleDesk {
  readonly #frame: Frame;
  readonly #submitting: Submitting;

  constructor(frame: Frame, submitting: Submitting) {
    this.#frame = frame;
    this.#submitting = submitting;
  }

  async create(input: ScheduleInput): Promise<ScheduleView> {
    const { entropy, loop, turnClock } = this.#frame;
    const makeId = (): string => `schedule-${entropy.hex(8)}`;
    const schedule = resolveSchedule(input, { nowMs: turnClock.now(), makeId });
    await loop.ask({ type: "create_schedule", schedule });
    return this.get(schedule.id);
  }

  list(): ScheduleView[] {
    return [...this.#frame.state.schedules.values()].map(scheduleView);
  }

  get(id: string): ScheduleView {
    return scheduleView(scheduleOf(this.#frame.state, id));
  }

  async pause(id: string, paused: boolean): Promise<ScheduleView> {
    await this.#frame.loop.ask({ type: "pause_schedule", id, paused });
    return this.get(id);
  }

  async delete(id: string): Promise<void> {
    await this.#frame.loop.ask({ type: "delete_schedule", id });
  }

  /** Submits the task of an instant, and tells the core what came of it. */
  async serve(id: string, atMs: number): Promise<void> {
    const { loop, log, state } = this.#frame;
    const { epoch } = state;
    const schedule = state.schedules.get(id);
    if (schedule?.nextAtMs !== atMs) return;
    try {
      const { task } = await this.#submit(schedule, atMs);
      loop.tell({ type: "schedule_served", id, atMs, result: { taskId: asTaskId(task.id) } });
    } catch (error) {
      if (UNKNOWN_OUTCOMES.some((code) => isPoolError(error, code))) return;
      const failure = { code: isPoolError(error) ? error.code : "internal", message: messageOf(error) };
      log({ level: "warn", event: "schedule.refused", schedule: id, ...failure });
      loop.tell({ type: "schedule_served", id, atMs, result: { error: failure, epoch } });
    }
  }

  #submit({ id, pool, route, task, createdAtMs }: Schedule, atMs: number): Promise<Submitted> {
    // One made anew under an old id has instants of its own.
    const idempotencyKey = `schedule:${id}:${createdAtMs}:${atMs}`;
    const input = { ...(task as TaskInput), idempotencyKey };
    if (pool !== undefined) return this.#submitting.submit(pool, input);
    return this.#submitting.route(input, route as RouteOptions);
  }
}

function scheduleView(schedule: Schedule): ScheduleView {
  const { id, pool, route, cron, timezone, task, overlap, paused, fired, missed } = schedule;
  const { createdAtMs, nextAtMs, lastAtMs, lastTaskId, lastError } = schedule;
  return {
    id,
    ...(pool === undefined ? {} : { pool }),
    ...route,
    cron,
    timezone,
    task,
    overlap,
    paused,
    fired,
    missed,
    createdAt: iso(createdAtMs),
    ...(nextAtMs === undefined ? {} : { nextAt: iso(nextAtMs) }),
    ...(lastAtMs === undefined ? {} : { lastAt: iso(lastAtMs) }),
    ...(lastTaskId === undefined ? {} : { lastTaskId }),
    ...(lastError === undefined ? {} : { lastError: { code: lastError.code, message: lastError.message } }),
  };
}
