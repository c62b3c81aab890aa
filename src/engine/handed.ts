/** A task that is handed in by a caller who waits for its end in this process. */
import { isPoolError, PoolError } from "../base/errors.ts";
import type { PoolId, TaskId } from "../base/ids.ts";
import type { TaskSpec } from "../core/task.ts";
import type { SettledRow } from "../stores/store.ts";
import type { Frame } from "./frame.ts";
import type { Asker } from "./loop.ts";
import type { SettlementListener } from "./waiters.ts";

/** What somebody hears of a task that he hands in and waits for: `settled` or `refused`, once. */
export interface Ends {
  admitted(id: TaskId): void;
  settled(row: SettledRow): void;
  /** It was not taken, or nobody will hear of its end. */
  refused(error: unknown): void;
}

/** A task from its submission to its end, for one who waits for it: an object rather than a chain of promises. */
export class Handed implements Asker, SettlementListener {
  readonly #frame: Frame;
  readonly #spec: TaskSpec;
  readonly #ends: Ends;

  constructor(frame: Frame, spec: TaskSpec, ends: Ends) {
    this.#frame = frame;
    this.#spec = spec;
    this.#ends = ends;
  }

  /** It is stored, and has not been told as settled yet. */
  answered(): void {
    this.#frame.waiters.listen(this.#spec.id, this);
    this.#ends.admitted(this.#spec.id);
  }

  refused(error: unknown): void {
    countRefusal(this.#frame, this.#spec.pool, error);
    this.#ends.refused(error);
  }

  told(row: SettledRow | PoolError): void {
    if (row instanceof PoolError) this.#ends.refused(row);
    else this.#ends.settled(row);
  }
}

/** How often a full queue refuses somebody is told with the pool's figures. */
export function countRefusal({ refusals }: Frame, pool: PoolId | undefined, error: unknown): void {
  if (pool === undefined || !isPoolError(error, "queue_full")) return;
  refusals.set(pool, (refusals.get(pool) ?? 0) + 1);
}
