/** When a supervised child is started again, and when it is left alone. */
import type { Random } from "../base/random.ts";
import { type BackoffOptions, backoffMs, type Jitter } from "./backoff.ts";

export interface RestartOptions {
  /** Ceiling of the first delay. Milliseconds; 0 restarts at once. */
  readonly delayMs: number;
  readonly factor: number;
  readonly capMs: number;
  readonly jitter: Jitter;
  /** Restarts allowed inside `windowMs`; one more death quarantines. 0 = never restarted. */
  readonly max: number;
  readonly windowMs: number;
  /** After this long without a crash, earlier restarts are forgotten. */
  readonly stableMs: number;
  /** A quarantined child is tried once every so often. 0 = never. */
  readonly quarantineMs: number;
  /** `min`: whoever dies is left alone as long as `size.min` others can work. */
  readonly upTo: "size" | "min";
}

/** Five in a minute is a crash loop; ten good minutes are forgiven. */
export const RESTART_DEFAULTS: RestartOptions = {
  delayMs: 1_000,
  factor: 2,
  capMs: 60_000,
  jitter: "full",
  max: 5,
  windowMs: 60_000,
  stableMs: 600_000,
  quarantineMs: 300_000,
  upTo: "size",
};

export interface RestartHistory {
  /** Instants of earlier restarts, oldest first. */
  readonly restartsAtMs: readonly number[];
  /** When it last became ready, if it is up. */
  readonly readyAtMs: number | undefined;
  /** It was let out of its quarantine to be tried once. */
  readonly onTrial: boolean;
}

export type RestartDecision =
  | { readonly name: "restart"; readonly delayMs: number; readonly counted: readonly number[] }
  | { readonly name: "quarantine"; readonly retryAfterMs: number | undefined };

/**
 * What to do about a child that died at `nowMs`.
 *
 * @returns the delay and the earlier restarts that still count, or the quarantine
 * @see "supervisor", Erlang/OTP (restart intensity)
 */
export function afterDeath(
  history: RestartHistory,
  nowMs: number,
  random: Random,
  options: RestartOptions,
): RestartDecision {
  const stable = history.readyAtMs !== undefined && nowMs - history.readyAtMs >= options.stableMs;
  const counted = stable ? [] : history.restartsAtMs.filter((atMs) => nowMs - atMs < options.windowMs);
  if (counted.length >= options.max || (history.onTrial && !stable)) {
    return { name: "quarantine", retryAfterMs: options.quarantineMs > 0 ? options.quarantineMs : undefined };
  }
  const backoff: BackoffOptions = {
    baseMs: options.delayMs,
    factor: options.factor,
    capMs: options.capMs,
    jitter: options.jitter,
  };
  return { name: "restart", delayMs: backoffMs(counted.length + 1, random, backoff), counted };
}
