/** Options of the call-through forms: what may be said, the defaults, the bounds. */
import { z } from "zod";
import type { Clock } from "../base/clock.ts";
import { systemClock } from "../base/clock.ts";
import { invalid } from "../base/errors.ts";
import { createSystemRandom, type Random } from "../base/random.ts";
import { given as known, parseWith } from "../engine/options/parse.ts";
import {
  backoffSchema,
  breakerSchema,
  resolveBreaker as completeBreaker,
  resolveHealth as completeHealth,
  healthSchema,
  retryBudgetSchema,
} from "../engine/options/record.ts";
import { count, duration, LONGEST_MS, share } from "../engine/options/words.ts";
import type { BackoffOptions } from "../policies/backoff.ts";
import type { BreakerOptions } from "../policies/breaker/options.ts";
import type { HealthOptions } from "../policies/health.ts";
import { RETRY_BUDGET_DEFAULTS, type RetryBudgetOptions } from "../policies/retry-budget.ts";
import type { CallLimits } from "./call.ts";

/** What waits or draws can be told how. */
export interface Surroundings {
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

/** Every field may be left out, or be undefined. */
export type Given<T> = { readonly [K in keyof T]?: T[K] | undefined };

export interface CallRetryOptions {
  /** Calls in total, the first included; at least 1. */
  readonly maxAttempts: number;
  /** `immediate`: on an agent not tried yet at once; `backoff`: always after a delay. */
  readonly failover: "immediate" | "backoff";
  readonly backoff: BackoffOptions;
  /** False = every call may retry. */
  readonly budget: RetryBudgetOptions | false;
}

/** 100, 200 and 400 ms: the caller waits, so the delays are short and he can count on them. */
const CALL_BACKOFF: BackoffOptions = { baseMs: 100, factor: 2, capMs: 20_000, jitter: "none" };
const MAX_ATTEMPTS = 4;
const MOST_RETRIES = 1_000;
/** A function that ignores its signal keeps its slot for a minute. */
const ABANDON_MS = 60_000;

const retrySchema = z.strictObject({
  maxAttempts: count(1, MOST_RETRIES + 1).default(MAX_ATTEMPTS),
  failover: z.enum(["immediate", "backoff"]).default("immediate"),
  // Parsed on their own, so that a problem in them is named by its path.
  backoff: z.unknown().optional(),
  budget: z.unknown().optional(),
});

/** @throws PoolError `invalid` with the path of the first problem */
export function resolveBreaker(given: Given<BreakerOptions> | undefined, path: string): BreakerOptions {
  return completeBreaker(parseWith(breakerSchema, given ?? {}, path), path);
}

/** @throws PoolError `invalid` with the path of the first problem */
export function resolveHealth(given: Given<HealthOptions> | undefined): HealthOptions {
  return completeHealth(parseWith(healthSchema, given ?? {}, "health"));
}

export interface GivenRetry {
  readonly maxAttempts?: number | undefined;
  readonly failover?: "immediate" | "backoff" | undefined;
  readonly backoff?: Given<BackoffOptions> | undefined;
  readonly budget?: Given<RetryBudgetOptions> | false | undefined;
}

export function resolveRetry(given: GivenRetry | undefined): CallRetryOptions {
  const { backoff, budget, ...rest } = parseWith(retrySchema, given ?? {}, "retry");
  return {
    ...rest,
    backoff: { ...CALL_BACKOFF, ...known(parseWith(backoffSchema, backoff ?? {}, "retry.backoff")) },
    budget:
      budget === false
        ? false
        : { ...RETRY_BUDGET_DEFAULTS, ...known(parseWith(retryBudgetSchema, budget ?? {}, "retry.budget")) },
  };
}

export function resolveAbandonMs(given: number | undefined): number {
  return parseWith(duration(0).default(ABANDON_MS), given, "abandonMs");
}

export function resolvePanicBelow(given: number | undefined): number {
  return parseWith(share.default(0), given, "panicBelow");
}

/** The limits of one call: its own, else those of the pool. Asked for every call, so without a schema. */
export function resolveLimits(given: CallLimits, defaults: CallLimits = {}): CallLimits {
  const { timeoutMs = defaults.timeoutMs, deadlineMs = defaults.deadlineMs, signal } = given;
  checkDuration("timeoutMs", timeoutMs);
  checkDuration("deadlineMs", deadlineMs);
  return { timeoutMs, deadlineMs, signal };
}

function checkDuration(path: string, ms: number | undefined): void {
  if (ms === undefined || (ms >= 1 && ms <= LONGEST_MS)) return;
  throw invalid(path, `expected 1 to ${LONGEST_MS} milliseconds, got ${String(ms)}`);
}

/** How often a call may be repeated; 0 = called once. */
export function resolveRetries(given: number | undefined, { maxAttempts }: CallRetryOptions): number {
  const retries = given ?? maxAttempts - 1;
  if (Number.isInteger(retries) && retries >= 0 && retries <= MOST_RETRIES) return retries;
  throw invalid("retries", `expected an integer from 0 to ${MOST_RETRIES}, got ${String(retries)}`);
}

export function resolveSurroundings({ clock, random }: Surroundings): { clock: Clock; random: Random } {
  return { clock: clock ?? systemClock, random: random ?? createSystemRandom() };
}

/** @throws PoolError `invalid` for what can't be called */
export function checkFunction(fn: unknown): void {
  if (typeof fn !== "function") throw invalid("fn", `expected a function, got ${typeof fn}`);
}

/** Refuses fields nobody knows: a misspelt option would else be a default in silence. */
export function checkKnown(given: object, known: readonly string[]): void {
  for (const key of Object.keys(given)) {
    if (!known.includes(key)) throw invalid(key, "this field is not known");
  }
}
