/** Delay before an attempt is repeated. */
import type { Random } from "../base/random.ts";

export type Jitter = "full" | "equal" | "none";

export interface BackoffOptions {
  /** Ceiling of the first delay. Milliseconds. */
  readonly baseMs: number;
  /** Growth per further attempt, at least 1. */
  readonly factor: number;
  /** Ceiling of every delay. Milliseconds. */
  readonly capMs: number;
  /** `full` draws from 0 to the ceiling, `equal` from half of it, `none` takes it. */
  readonly jitter: Jitter;
}

/** 200 ms doubling to 20 s under full jitter: a second try soon, no crowd later. */
export const BACKOFF_DEFAULTS: BackoffOptions = { baseMs: 200, factor: 2, capMs: 20_000, jitter: "full" };

/**
 * Delay before the next attempt: jitter under an exponential ceiling.
 *
 * @param attempt - the attempt that just failed, from 1
 * @returns milliseconds, an integer in [0, capMs]
 * @see "Exponential Backoff And Jitter", AWS Architecture Blog, 2015
 */
export function backoffMs(attempt: number, random: Random, options: BackoffOptions): number {
  const ceilingMs = ceilingOf(attempt, options);
  switch (options.jitter) {
    case "none":
      return Math.floor(ceilingMs);
    case "equal":
      return Math.floor(ceilingMs / 2 + (random.next() * ceilingMs) / 2);
    case "full":
      return Math.floor(random.next() * ceilingMs);
  }
}

/** By multiplication, so that every machine computes the same number. */
function ceilingOf(attempt: number, { baseMs, factor, capMs }: BackoffOptions): number {
  let ceilingMs = baseMs;
  for (let n = 1; n < attempt && ceilingMs < capMs && factor > 1; n++) ceilingMs *= factor;
  return Math.min(capMs, ceilingMs);
}
