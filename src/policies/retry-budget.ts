/** How many retries a pool may afford: a share of the work that comes in, so that failures can't multiply the load. */

export interface RetryBudgetOptions {
  /** Retries per first attempt. 0 = none but the floor. */
  readonly ratio: number;
  /** Length of the window that is looked back on. Milliseconds. */
  readonly windowMs: number;
  /** Retries that are always affordable within a window. */
  readonly floor: number;
}

/** One retry per five first attempts, and ten a minute for pools with little work. */
export const RETRY_BUDGET_DEFAULTS: RetryBudgetOptions = { ratio: 0.2, windowMs: 60_000, floor: 10 };

/** Parts of a window: what is counted together ends its time together, with the last of it. */
const PARTS = 60;

/** Allows max(floor, ratio × first attempts) retries in any window. Its work does not grow with what it counts. */
export class RetryBudget {
  readonly options: RetryBudgetOptions;
  readonly #firsts: WindowCount;
  readonly #retries: WindowCount;

  constructor(options: RetryBudgetOptions) {
    this.options = options;
    this.#firsts = new WindowCount(options.windowMs);
    this.#retries = new WindowCount(options.windowMs);
  }

  /** A first attempt has begun. */
  began(nowMs: number): void {
    this.#firsts.add(nowMs);
  }

  /** A retry was paid for. */
  drew(nowMs: number): void {
    this.#retries.add(nowMs);
  }

  /** One more retry is affordable. */
  allows(nowMs: number): boolean {
    const { floor, ratio } = this.options;
    return this.#retries.count(nowMs) + 1 <= Math.max(floor, ratio * this.#firsts.count(nowMs));
  }

  /** Pays for one retry; false, and nothing is paid, when it is not affordable. */
  take(nowMs: number): boolean {
    if (!this.allows(nowMs)) return false;
    this.drew(nowMs);
    return true;
  }

  /** When to look again after a refusal: a retry leaves the window, or first attempts may have come meanwhile. */
  nextAtMs(nowMs: number): number {
    return Math.min(this.#retries.nextEndMs(nowMs), nowMs + partMs(this.options.windowMs));
  }
}

const partMs = (windowMs: number): number => Math.max(1, Math.ceil(windowMs / PARTS));

interface Part {
  readonly fromMs: number;
  lastMs: number;
  count: number;
}

/** Counts what happened in the last `windowMs`. What happened at one instant leaves at one instant, never early. */
class WindowCount {
  readonly #windowMs: number;
  /** Oldest first; at most `PARTS` and one. */
  #parts: Part[] = [];
  #total = 0;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  add(nowMs: number): void {
    this.#drop(nowMs);
    this.#total += 1;
    const last = this.#parts[this.#parts.length - 1];
    if (last !== undefined && nowMs - last.fromMs < partMs(this.#windowMs)) {
      last.count += 1;
      last.lastMs = Math.max(last.lastMs, nowMs);
    } else this.#parts.push({ fromMs: nowMs, lastMs: nowMs, count: 1 });
  }

  count(nowMs: number): number {
    this.#drop(nowMs);
    return this.#total;
  }

  /** When the oldest leave; infinity when there is nothing. */
  nextEndMs(nowMs: number): number {
    this.#drop(nowMs);
    const [oldest] = this.#parts;
    return oldest === undefined ? Number.POSITIVE_INFINITY : oldest.lastMs + this.#windowMs;
  }

  #drop(nowMs: number): void {
    let gone = 0;
    for (const part of this.#parts) {
      if (part.lastMs + this.#windowMs > nowMs) break;
      this.#total -= part.count;
      gone += 1;
    }
    if (gone > 0) this.#parts = this.#parts.slice(gone);
  }
}
