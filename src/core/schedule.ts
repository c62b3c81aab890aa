/** A schedule: a task that is submitted again and again, when a cron pattern is met. */
import type { PoolId, TaskId } from "../base/ids.ts";
import type { Json } from "../base/json.ts";
import type { CronRule } from "../policies/cron.ts";
import type { Failure } from "./outcome.ts";

/** Schedules that a namespace may have. */
export const SCHEDULE_LIMIT = 1_000;

export interface Schedule extends CronRule {
  readonly id: string;
  /** Where its tasks go; undefined when `route` says how to find out. */
  readonly pool?: PoolId | undefined;
  readonly route?: { readonly [name: string]: Json } | undefined;
  /** The task as its caller has handed it in. */
  readonly task: Json;
  /** `skip`: nothing is submitted while the task before is open. */
  readonly overlap: "allow" | "skip";
  readonly paused: boolean;
  readonly createdAtMs: number;
  /** The instant it waits for; undefined when its pattern is met no more. */
  readonly nextAtMs?: number | undefined;
  /** The instant that was served last. */
  readonly lastAtMs?: number | undefined;
  readonly lastTaskId?: TaskId | undefined;
  /** Why its last submission was refused; undefined when it was taken. */
  readonly lastError?: Failure | undefined;
  /** Tasks it has submitted. */
  readonly fired: number;
  /** Instants that passed while nobody was there to serve them, the ones made up for excepted. */
  readonly missed: number;
}
