/**
 * How fast a queue drains, from what it did lately: two sums that fade with the time in which somebody waited. Time in
 * which nobody waits tells nothing, and neither do those who left in the instant in which the queue began.
 */

/** One minute: what happened longer ago hardly counts, and nobody is told to stay away for longer. */
const FADE_MS = 60_000;

/** Bounds of every advice to come back. Milliseconds. */
export const RETRY_AFTER_MIN_MS = 1_000;
export const RETRY_AFTER_MAX_MS = 60_000;

export class DrainRate {
  /** Who left the queue, faded. */
  #left = 0;
  /** Time in which somebody waited, faded. Milliseconds. */
  #waitedMs = 0;
  /** Since when somebody waits; undefined while nobody does. */
  #beganMs: number | undefined;
  /** Up to here the time has been counted. */
  #countedMs = 0;

  /** The queue holds `depth` after somebody came. */
  joined(depth: number, nowMs: number): void {
    if (depth !== 1) return;
    this.#beganMs = nowMs;
    this.#countedMs = nowMs;
  }

  /** The queue holds `depth` after somebody left. */
  departed(depth: number, nowMs: number): void {
    if (this.#beganMs !== nowMs) {
      this.#count(nowMs);
      this.#left += 1;
    }
    if (depth === 0) this.#beganMs = undefined;
  }

  /**
   * When `places` of the queue are likely to have become free.
   *
   * @returns milliseconds, a whole number in [1,000, 60,000]; 1,000 while nobody has been kept waiting yet
   */
  retryAfterMs(places: number, nowMs: number): number {
    this.#count(nowMs);
    const eachMs = this.#waitedMs / Math.max(1, this.#left);
    return Math.ceil(Math.min(RETRY_AFTER_MAX_MS, Math.max(RETRY_AFTER_MIN_MS, eachMs * places)));
  }

  #count(nowMs: number): void {
    if (this.#beganMs === undefined || nowMs <= this.#countedMs) return;
    const passedMs = nowMs - this.#countedMs;
    const kept = Math.exp(-passedMs / FADE_MS);
    this.#left *= kept;
    this.#waitedMs = this.#waitedMs * kept + passedMs;
    this.#countedMs = nowMs;
  }
}
