/** What is made of an agent's outcomes: breaker, health, and how often a failure may be tried again. */
import { z } from "zod";
import { BREAKER_DEFAULTS, type BreakerOptions } from "../../policies/breaker/options.ts";
import { HEALTH_DEFAULTS, type HealthOptions } from "../../policies/health.ts";
import { RETRY_BUDGET_DEFAULTS, type RetryBudgetOptions } from "../../policies/retry-budget.ts";
import { check, given } from "./parse.ts";
import { count, duration, jitter, share } from "./words.ts";

export const backoffSchema = z.strictObject({
  baseMs: duration(0).optional(),
  factor: z.number().min(1).max(100).optional(),
  capMs: duration(0).optional(),
  jitter: jitter.optional(),
});

export const retryBudgetSchema = z.strictObject({
  ratio: z.number().min(0).max(1_000).optional(),
  windowMs: duration(1).optional(),
  floor: count(0, 1_000_000).optional(),
});

export const breakerSchema = z.strictObject({
  consecutive: count(1, 1_000_000).optional(),
  ratio: z.union([z.null(), z.number().gt(0).max(1)]).optional(),
  window: count(1, 10_000).optional(),
  minimum: count(1, 10_000).optional(),
  maxAgeMs: duration(1).optional(),
  openMs: duration(0).optional(),
  factor: z.number().min(1).max(100).optional(),
  capMs: duration(0).optional(),
  jitter: jitter.optional(),
  permits: count(1, 1_000).optional(),
  permitMs: duration(1).optional(),
  successes: count(1, 1_000).optional(),
  probeHalfOpens: z.boolean().optional(),
});

export const healthSchema = z.strictObject({
  window: count(1, 10_000).optional(),
  minimum: count(1, 10_000).optional(),
  maxAgeMs: duration(1).optional(),
  degraded: share.optional(),
  unhealthy: share.optional(),
  consecutive: count(1, 1_000_000).optional(),
});

/** A pool has none unless it is asked for. */
export function resolveBudget(
  budget: z.output<typeof retryBudgetSchema> | false | undefined,
): RetryBudgetOptions | false {
  return budget === undefined || budget === false ? false : { ...RETRY_BUDGET_DEFAULTS, ...given(budget) };
}

/**
 * @param path - where the options stand, for the error
 * @throws PoolError `invalid` for a `minimum` that the window can't hold; one that was not given gives way
 */
export function resolveBreaker(input: z.output<typeof breakerSchema> | undefined, path = "breaker"): BreakerOptions {
  const options = { ...BREAKER_DEFAULTS, ...given(input) };
  const { minimum, window } = options;
  const under = (field: string): string => (path === "" ? field : `${path}.${field}`);
  check(
    minimum <= window || input?.minimum === undefined,
    under("minimum"),
    `expected at most ${under("window")} (${window})`,
  );
  return { ...options, minimum: Math.min(minimum, window) };
}

/** @throws PoolError `invalid` for bounds that contradict each other; one that was not given gives way */
export function resolveHealth(input: z.output<typeof healthSchema> | undefined): HealthOptions {
  const options = { ...HEALTH_DEFAULTS, ...given(input) };
  const { minimum, window, degraded, unhealthy, consecutive } = options;
  check(
    minimum <= window || input?.minimum === undefined,
    "health.minimum",
    `expected at most health.window (${window})`,
  );
  check(
    degraded <= unhealthy || input?.degraded === undefined,
    "health.degraded",
    `expected at most health.unhealthy (${unhealthy})`,
  );
  check(consecutive === undefined || consecutive <= window, "health.consecutive", `expected at most ${window}`);
  return { ...options, minimum: Math.min(minimum, window), degraded: Math.min(degraded, unhealthy) };
}
