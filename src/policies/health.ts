/** Passive health: what the last outcomes of an agent say about it. */

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

export interface PastOutcome {
  readonly atMs: number;
  readonly failed: boolean;
}

/** Oldest first, at most `window` of them. */
export type Outcomes = readonly PastOutcome[];

export interface Judgement {
  readonly health: "healthy" | "degraded" | "unhealthy";
  readonly reason: string;
}

const HEALTHY: Judgement = { health: "healthy", reason: "" };

export function withOutcome(outcomes: Outcomes, outcome: PastOutcome, options: HealthOptions): Outcomes {
  return fresh([...outcomes, outcome], outcome.atMs, options).slice(-options.window);
}

/** Without what is too old to say anything. */
export function fresh(outcomes: Outcomes, nowMs: number, { maxAgeMs }: HealthOptions): Outcomes {
  const first = outcomes.findIndex(({ atMs }) => nowMs - atMs <= maxAgeMs);
  return first === -1 ? [] : outcomes.slice(first);
}

/** What fresh outcomes say. Bounds are inclusive. */
export function judge(outcomes: Outcomes, options: HealthOptions): Judgement {
  const { consecutive, minimum } = options;
  if (consecutive !== undefined && outcomes.length >= consecutive) {
    if (outcomes.slice(-consecutive).every(({ failed }) => failed)) {
      return { health: "unhealthy", reason: `${consecutive} failures in a row` };
    }
  }
  if (outcomes.length < Math.max(1, minimum)) return HEALTHY;
  const failures = outcomes.filter(({ failed }) => failed).length;
  const share = failures / outcomes.length;
  const reason = `${failures} of its last ${outcomes.length} attempts failed`;
  if (share >= options.unhealthy) return { health: "unhealthy", reason };
  return share >= options.degraded ? { health: "degraded", reason } : HEALTHY;
}
