/** A payload that a pool does not take. */
import type { PoolId, TaskId } from "../base/ids.ts";
import type { TaskBody, TaskSpec } from "./task.ts";

export interface Quarantined {
  readonly pool: PoolId;
  /** SHA-256 of what it consists of; made by the engine. */
  readonly fingerprint: string;
  /** The task that was found to be poison. */
  readonly by: TaskId;
  readonly atMs: number;
}

/** The fingerprint of what a task consists of. Called only where something is in quarantine. */
export type FingerprintOf = (spec: TaskSpec, body: TaskBody) => string;
