/** Submissions leave the store a reserve, so that what is running can still be brought to its end. */
import type { Clock } from "../base/clock.ts";
import { PoolError } from "../base/errors.ts";
import type { Store } from "../stores/store.ts";

/** While there is room the store is asked for it this seldom. Milliseconds. */
const LOOK_MS = 1_000;

/** When a refused caller may come back. Milliseconds. */
const RETRY_AFTER_MS = 5_000;

export class Reserve {
  readonly #store: Store;
  readonly #clock: Clock;
  #goodUntilMs = Number.NEGATIVE_INFINITY;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** @throws PoolError `store_full` when only the reserve is left */
  assertRoom(): void {
    const refusal = this.refusal();
    if (refusal !== undefined) throw refusal;
  }

  /** Why no new task is taken; undefined while there is room. */
  refusal(): PoolError | undefined {
    if (this.#store.room === undefined) return undefined;
    const nowMs = this.#clock.monotonic();
    if (nowMs < this.#goodUntilMs) return undefined;
    const bytes = this.#store.room();
    if (bytes === undefined || bytes > 0) {
      this.#goodUntilMs = nowMs + LOOK_MS;
      return undefined;
    }
    const message = "the store has no room for more tasks; what it has left is for ending those it has";
    return new PoolError("store_full", message, { retryable: true, details: { retryAfterMs: RETRY_AFTER_MS } });
  }
}
