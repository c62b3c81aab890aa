/**
 * Schedules: made, paused, deleted, and what becomes of an instant that has come. The core says that a task is to be
 * submitted; the engine submits it under a key of schedule and instant, and tells what came of it. Only then the
 * schedule goes on, so an instant is neither lost by a crash between the two nor served twice.
 */
import { PoolError } from "../base/errors.ts";
import { missedRuns, nextRunMs } from "../policies/cron.ts";
import { type Command, DONE, type Reply } from "./command.ts";
import { SCHEDULE_LIMIT, type Schedule } from "./schedule.ts";
import type { NamespaceState } from "./state.ts";
import type { Turn } from "./turn.ts";

export function createSchedule(
  state: NamespaceState,
  { schedule }: Extract<Command, { type: "create_schedule" }>,
  turn: Turn,
): Reply {
  const { id, pool, paused } = schedule;
  if (state.draining !== undefined) throw new PoolError("shutting_down", "the engine takes no more schedules");
  if (state.schedules.has(id)) {
    throw new PoolError("conflict", `a schedule ${id} is already there`, { details: { path: "id", id } });
  }
  if (pool !== undefined && !state.pools.has(pool)) {
    throw new PoolError("not_found", `no pool ${pool}`, { details: { path: "pool", pool } });
  }
  if (state.schedules.size >= SCHEDULE_LIMIT) {
    throw new PoolError("queue_full", `there are ${SCHEDULE_LIMIT} schedules, and there may be no more`, {
      details: { limit: "schedules", depth: state.schedules.size, bound: SCHEDULE_LIMIT },
    });
  }
  const nextAtMs = paused ? undefined : nextRunMs(schedule, turn.nowMs);
  turn.record({
    type: "schedule.created",
    schedule: { ...schedule, createdAtMs: turn.nowMs, nextAtMs, fired: 0, missed: 0 },
  });
  return DONE;
}

/** A paused one lets its instants pass; resumed, it goes on with the next. */
export function pauseSchedule(
  state: NamespaceState,
  { id, paused }: Extract<Command, { type: "pause_schedule" }>,
  turn: Turn,
): Reply {
  const schedule = scheduleOf(state, id);
  if (schedule.paused === paused) return DONE;
  const nextAtMs = paused ? undefined : nextRunMs(schedule, turn.nowMs);
  turn.record({ type: "schedule.paused", scheduleId: id, paused, nextAtMs });
  return DONE;
}

export function deleteSchedule(state: NamespaceState, id: string, turn: Turn): Reply {
  scheduleOf(state, id);
  turn.record({ type: "schedule.deleted", scheduleId: id });
  return DONE;
}

/** A schedule goes with its pool. */
export function deleteSchedulesOf(state: NamespaceState, pool: Schedule["pool"], turn: Turn): void {
  for (const schedule of [...state.schedules.values()]) {
    if (schedule.pool === pool) turn.record({ type: "schedule.deleted", scheduleId: schedule.id });
  }
}

/** @throws PoolError `not_found` */
export function scheduleOf(state: Pick<NamespaceState, "schedules">, id: string): Schedule {
  const schedule = state.schedules.get(id);
  if (schedule === undefined) throw new PoolError("not_found", `no schedule ${id}`, { details: { schedule: id } });
  return schedule;
}

/** Its instant has come. What is not served because the engine closes is served by the next one. */
export function scheduleDue(state: NamespaceState, id: string, atMs: number, turn: Turn): void {
  const schedule = state.schedules.get(id);
  if (schedule?.nextAtMs !== atMs || state.draining !== undefined) return;
  const before = schedule.lastTaskId === undefined ? undefined : state.tasks.get(schedule.lastTaskId);
  const isOpen = before !== undefined && before.state.name !== "settled";
  if (schedule.overlap === "skip" && isOpen) {
    turn.record({ type: "schedule.skipped", scheduleId: id, ...goOn(schedule, turn) });
    return;
  }
  turn.request({ type: "submit_scheduled", scheduleId: id, atMs });
}

/** What came of the submission. Only the instant that the schedule waits for counts. */
export function scheduleServed(
  state: NamespaceState,
  { id, atMs, result }: Extract<Command, { type: "schedule_served" }>,
  turn: Turn,
): Reply {
  const schedule = state.schedules.get(id);
  if (schedule?.nextAtMs !== atMs) return DONE;
  // What a term has refused as it ended, the next one serves anew.
  if ("error" in result && result.epoch !== state.epoch) return DONE;
  const on = goOn(schedule, turn);
  if ("error" in result) turn.record({ type: "schedule.refused", scheduleId: id, ...on, error: result.error });
  else turn.record({ type: "schedule.fired", scheduleId: id, ...on, submitted: result.taskId });
  return DONE;
}

/** However many instants have passed meanwhile: this one has stood for them, and the next one is still to come. */
function goOn(schedule: Schedule, turn: Turn): { dueAtMs: number; nextAtMs: number | undefined } {
  const dueAtMs = schedule.nextAtMs ?? turn.nowMs;
  const missed = missedRuns(schedule, dueAtMs, turn.nowMs);
  if (missed > 0) turn.record({ type: "schedule.missed", scheduleId: schedule.id, dueAtMs, missed });
  return { dueAtMs, nextAtMs: nextRunMs(schedule, Math.max(dueAtMs, turn.nowMs)) };
}
