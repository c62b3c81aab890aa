/** Passive health: what the last outcomes of an agent say about it. */
import type { Outcomes } from "./outcomes.ts";

export interface HealthOptions {
  /** Outcomes that are looked back on, at least 1. */
  readonly window: number;
  /** Fewer outcomes than this say nothing about a share. */
  readonly minimum: number;
  /** Older outcomes are forgotten, also while nothing happens. Milliseconds. */
  readonly maxAgeMs: number;
  /** Share of failures from which on an agent is degraded; the bound itself counts. 0 to 1. */
  readonly degraded: number;
  /** Share of failures from which on it is unhealthy; the bound itself counts. 0 to 1. */
  readonly unhealthy: number;
  /** Failures in a row that make it unhealthy, whatever the share. Undefined = any number. */
  readonly consecutive?: number | undefined;
}

/** Counts, so that one failure of a fresh agent says nothing. */
export const HEALTH_DEFAULTS: HealthOptions = {
  window: 20,
  minimum: 10,
  maxAgeMs: 300_000,
  degraded: 0.3,
  unhealthy: 0.7,
};

/** How often an agent that is unhealthy by its outcomes alone is tried when no breaker hands out permits. */
export const TRIAL_MS = 30_000;

export type Judgement =
  | { readonly health: "healthy"; readonly reason: "" }
  | {
      readonly health: "degraded" | "unhealthy";
      readonly reason: string;
      /** What spoke against it. */
      readonly by: "row" | "share";
    };

const HEALTHY: Judgement = { health: "healthy", reason: "" };

/** What fresh outcomes say. Bounds are inclusive. */
export function judge({ length, failures, inARow }: Outcomes, options: HealthOptions): Judgement {
  const { consecutive, minimum } = options;
  if (consecutive !== undefined && inARow >= consecutive) {
    return { health: "unhealthy", reason: `${consecutive} failures in a row`, by: "row" };
  }
  if (length < Math.max(1, minimum)) return HEALTHY;
  const share = failures / length;
  if (share < options.degraded) return HEALTHY;
  const reason = `${failures} of its last ${length} attempts failed`;
  return { health: share >= options.unhealthy ? "unhealthy" : "degraded", reason, by: "share" };
}
