/** Keeps retries a small share of the traffic, so that an outage is not multiplied by those who try again. */

export interface RetryBudgetOptions {
  /** Retries per first attempt, 0 or more. */
  readonly ratio: number;
  /** How far back both are counted. Milliseconds. */
  readonly windowMs: number;
  /** Retries that are always allowed in a window, however few the first attempts. */
  readonly floor: number;
}

/** A fifth more load at most, but ten a minute for those who call rarely. */
export const RETRY_BUDGET_DEFAULTS: RetryBudgetOptions = { ratio: 0.2, windowMs: 60_000, floor: 10 };

/** @see "Retry budgets", Finagle */
export class RetryBudget {
  readonly #options: RetryBudgetOptions;
  readonly #firsts: SlidingCount;
  readonly #retries: SlidingCount;

  constructor(options: RetryBudgetOptions) {
    this.#options = options;
    this.#firsts = new SlidingCount(options.windowMs);
    this.#retries = new SlidingCount(options.windowMs);
  }

  /** A call has begun its first attempt. */
  first(nowMs: number): void {
    this.#firsts.add(nowMs);
  }

  /** Takes one retry; false when the budget is spent. */
  take(nowMs: number): boolean {
    const { ratio, floor } = this.#options;
    const allowed = Math.max(floor, ratio * this.#firsts.total(nowMs));
    if (this.#retries.total(nowMs) + 1 > allowed) return false;
    this.#retries.add(nowMs);
    return true;
  }
}

/** Slices of the window in which a time is rounded down. */
const SLICES = 1_000;

/** How many fell into the last `windowMs`. */
class SlidingCount {
  readonly #windowMs: number;
  readonly #sliceMs: number;
  /** By the beginning of the slice, oldest first. */
  readonly #slices = new Map<number, number>();
  #total = 0;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
    this.#sliceMs = windowMs / SLICES;
  }

  add(nowMs: number): void {
    const atMs = Math.floor(nowMs / this.#sliceMs) * this.#sliceMs;
    this.#slices.set(atMs, (this.#slices.get(atMs) ?? 0) + 1);
    this.#total += 1;
  }

  total(nowMs: number): number {
    for (const [atMs, count] of this.#slices) {
      if (nowMs - atMs < this.#windowMs) break;
      this.#slices.delete(atMs);
      this.#total -= count;
    }
    return this.#total;
  }
}
