/**
 * Slow start: an agent that is new, or back from a failure, takes a growing share of its slots while others can take
 * the rest. It keeps nobody waiting: where only such agents are free, they are given work like any other.
 *
 * One slot is always its own, so agents of one slot know no slow start: a half-open breaker tries them one by one
 * anyway, and `peak_ewma` gives whom it does not know one attempt.
 *
 * @see "Slow start mode", Envoy proxy documentation, 2021
 */

/** Since when the agent is back, and what it has done since. */
export interface Warming {
  /** Epoch milliseconds. */
  readonly sinceMs: number;
  readonly successes: number;
}

/** After this long it is like any other. Milliseconds. */
export const SLOW_START_MS = 30_000;
/** So it is after so many successes. */
export const SLOW_START_SUCCESSES = 5;
/** The share it begins with. */
export const SLOW_START_SHARE = 0.1;

export const begin = (nowMs: number): Warming => ({ sinceMs: nowMs, successes: 0 });

/** One more success; undefined once it has shown enough. */
export function afterSuccess({ sinceMs, successes }: Warming): Warming | undefined {
  return successes + 1 >= SLOW_START_SUCCESSES ? undefined : { sinceMs, successes: successes + 1 };
}

/** What is asked of a candidate. */
interface Starter {
  readonly warming: Warming | undefined;
  readonly inFlight: number;
  readonly capacity: number;
}

/** It runs what it may by now; more only when nobody else can take it. */
export function isPastShare({ warming, inFlight, capacity }: Starter, nowMs: number): boolean {
  return warming !== undefined && inFlight >= slotsOf(warming, capacity, nowMs);
}

/** Attempts at a time, 1 to `capacity`. */
function slotsOf({ sinceMs, successes }: Warming, capacity: number, nowMs: number): number {
  const share = Math.max(SLOW_START_SHARE, (nowMs - sinceMs) / SLOW_START_MS, successes / SLOW_START_SUCCESSES);
  return Math.min(capacity, Math.max(1, Math.floor(capacity * share)));
}
