/**
 * Circuit breaker: stops giving calls to what fails, and tries it again with a few.
 *
 * Plain data and functions over it. Time is any clock that never goes back; the caller brings it, and the draw for
 * the jitter. An outcome counts only in the state and generation in which its call began.
 *
 * @see "Release It!", Michael Nygard, 2007
 */
import type { Random } from "../../base/random.ts";
import { backoffMs } from "../backoff.ts";
import { NO_OUTCOMES, type Outcomes } from "../outcomes.ts";
import { type BreakerOptions, LONGEST_RETRY_AFTER_MS } from "./options.ts";

export type BreakerState = "closed" | "open" | "half_open";

/** Why it changed its state. */
export type BreakerReason = OpenReason | HalfOpenReason | CloseReason;
/** Too many failures in a row, too large a share of them, or one by a permit. */
export type OpenReason = "consecutive" | "ratio" | "permit_failed";
/** The open time is over, or a good probe ended it early. */
export type HalfOpenReason = "time" | "probe";
export type CloseReason = "successes" | "reset";

interface Common {
  /** Grows with every change of state. */
  readonly generation: number;
  /** Openings without a spell of `maxAgeMs` in which it stayed closed. */
  readonly times: number;
}

export interface Closed extends Common {
  readonly name: "closed";
  /** Failures since the last success. */
  readonly consecutive: number;
  /** What `ratio` looks back on; at most `window`. */
  readonly outcomes: Outcomes;
  /** When it closed. Undefined = it has never been open. */
  readonly sinceMs: number | undefined;
}

export interface Open extends Common {
  readonly name: "open";
  /** Fixed when it opened; nothing prolongs it. */
  readonly untilMs: number;
  readonly reason: OpenReason;
}

export interface HalfOpen extends Common {
  readonly name: "half_open";
  /** Permits not settled yet, oldest first; those whose time is over make room for others but may still be settled. */
  readonly leases: readonly PermitLease[];
  /** Number for the next permit. */
  readonly nextNumber: number;
  readonly successes: number;
}

export type Breaker = Closed | Open | HalfOpen;

export interface PermitLease {
  readonly number: number;
  readonly expiresAtMs: number;
}

/** Right to one call. Held by the caller until the call has ended. */
export interface Permit {
  readonly generation: number;
  /** Distinguishes the permits of a half-open generation; 0 while closed, where nobody counts them. */
  readonly number: number;
}

/** How a permitted call ended. `ignored` says nothing about the agent: cancelled, the caller's fault, throttled. */
export type BreakerOutcome =
  | { readonly name: "succeeded" }
  | { readonly name: "failed"; readonly retryAfterMs?: number | undefined }
  | { readonly name: "ignored" };

export interface Transition {
  readonly from: BreakerState;
  readonly to: BreakerState;
  readonly reason: BreakerReason;
  readonly atMs: number;
}

/** The breaker afterwards, and the change of state if there was one. */
export interface Step {
  readonly breaker: Breaker;
  readonly transition?: Transition;
}

export interface Acquired extends Step {
  /** Undefined when the call is refused. */
  readonly permit?: Permit;
}

/** What an outcome is judged by. */
export interface BreakerFacts {
  readonly nowMs: number;
  readonly random: Random;
  readonly options: BreakerOptions;
}

/** Permits of one generation that are remembered after their time is over; outcomes of older ones don't count. */
export const LAPSED_LIMIT = 1_000;

export const NEW_BREAKER: Closed = {
  name: "closed",
  generation: 0,
  times: 0,
  consecutive: 0,
  outcomes: NO_OUTCOMES,
  sinceMs: undefined,
};

/** The state as it is now: open ends by the time alone, without any call. */
export function stateOf(breaker: Breaker, nowMs: number): BreakerState {
  return breaker.name === "open" && nowMs >= breaker.untilMs ? "half_open" : breaker.name;
}

/**
 * When it would let a call through: `nowMs` itself if it would now, else the instant at which its open time or the
 * oldest permit that is out ends.
 */
export function admitsAtMs(breaker: Breaker, nowMs: number, options: BreakerOptions): number {
  if (breaker.name === "closed") return nowMs;
  if (breaker.name === "open") return Math.max(nowMs, breaker.untilMs);
  const out = takenAt(breaker, nowMs);
  if (out.length < options.permits) return nowMs;
  return (out[out.length - options.permits] as PermitLease).expiresAtMs;
}

/** Makes an open breaker half-open when its time is over; else changes nothing. */
export function ripen(breaker: Breaker, nowMs: number): Step {
  if (breaker.name !== "open" || nowMs < breaker.untilMs) return { breaker };
  return halfOpen(breaker, "time", nowMs);
}

/** Asks for one call. Refused while open, and while half-open with all permits out. */
export function acquire(breaker: Breaker, nowMs: number, options: BreakerOptions): Acquired {
  const step = ripen(breaker, nowMs);
  const now = step.breaker;
  if (now.name === "open") return step;
  if (now.name === "closed") return { ...step, permit: { generation: now.generation, number: 0 } };
  if (takenAt(now, nowMs).length >= options.permits) return step;
  const number = now.nextNumber;
  const leases = [...now.leases, { number, expiresAtMs: nowMs + options.permitMs }];
  return {
    ...step,
    breaker: { ...now, leases: leases.slice(-(LAPSED_LIMIT + options.permits)), nextNumber: number + 1 },
    permit: { generation: now.generation, number },
  };
}

/**
 * Tells how a permitted call ended. While half-open a permit counts once; while closed permits are not remembered, so
 * that the caller must not tell twice. An outcome of another generation changes nothing.
 */
export function settle(breaker: Breaker, permit: Permit, outcome: BreakerOutcome, facts: BreakerFacts): Step {
  if (permit.generation !== breaker.generation || breaker.name === "open") return { breaker };
  if (breaker.name === "closed") return count(breaker, outcome, facts);
  const leases = breaker.leases.filter(({ number }) => number !== permit.number);
  if (leases.length === breaker.leases.length) return { breaker };
  const { nowMs, options } = facts;
  switch (outcome.name) {
    case "ignored":
      return { breaker: { ...breaker, leases } };
    case "failed":
      return open(breaker, { reason: "permit_failed", times: breaker.times + 1 }, outcome, facts);
    case "succeeded": {
      const successes = breaker.successes + 1;
      if (successes >= options.successes) return close(breaker, "successes", nowMs);
      return { breaker: { ...breaker, leases, successes } };
    }
  }
}

/** The oldest permit of a half-open breaker that is not settled, for callers who did not keep theirs. */
export function oldestPermit(breaker: Breaker): Permit | undefined {
  const oldest = breaker.name === "half_open" ? breaker.leases[0] : undefined;
  return oldest && { generation: breaker.generation, number: oldest.number };
}

/** A good probe: may end the open time early, and never does more. */
export function probe(breaker: Breaker, nowMs: number, options: BreakerOptions): Step {
  if (breaker.name !== "open" || nowMs >= breaker.untilMs) return ripen(breaker, nowMs);
  return options.probeHalfOpens ? halfOpen(breaker, "probe", nowMs) : { breaker };
}

/** Closes it and forgets everything; calls that are under way don't count any more. */
export function reset(breaker: Breaker, nowMs: number): Step {
  const fresh: Closed = { ...NEW_BREAKER, generation: breaker.generation + 1 };
  if (breaker.name === "closed") return { breaker: fresh };
  return { breaker: fresh, transition: { from: breaker.name, to: "closed", reason: "reset", atMs: nowMs } };
}

/**
 * Takes back a failure that turned out not to be the agent's, if the breaker is still in the closed generation in
 * which it counted. One that opened it meanwhile is not undone.
 */
export function retract(breaker: Breaker, generation: number, failedAtMs: number): Breaker {
  if (breaker.name !== "closed" || breaker.generation !== generation) return breaker;
  const { length, inARow } = breaker.outcomes;
  const outcomes = breaker.outcomes.withoutFailure(failedAtMs);
  if (outcomes.length === length) return breaker;
  return { ...breaker, outcomes, consecutive: breaker.consecutive - (inARow - outcomes.inARow) };
}

/** Permits whose time is not over. */
function takenAt({ leases }: HalfOpen, nowMs: number): readonly PermitLease[] {
  return leases.filter(({ expiresAtMs }) => expiresAtMs > nowMs);
}

/** Counts an outcome while closed. Only a failure may open it. */
function count(breaker: Closed, outcome: BreakerOutcome, facts: BreakerFacts): Step {
  if (outcome.name === "ignored") return { breaker };
  const failed = outcome.name === "failed";
  const { nowMs, options } = facts;
  const outcomes = breaker.outcomes.with({ atMs: nowMs, failed }, options);
  const consecutive = failed ? breaker.consecutive + 1 : 0;
  const reason = failed ? reasonToOpen(consecutive, outcomes, options) : undefined;
  if (!failed || reason === undefined) return { breaker: { ...breaker, outcomes, consecutive } };
  return open(breaker, { reason, times: timesBefore(breaker, facts) + 1 }, outcome, facts);
}

function reasonToOpen(
  consecutive: number,
  { length, failures }: Outcomes,
  options: BreakerOptions,
): "consecutive" | "ratio" | undefined {
  if (consecutive >= options.consecutive) return "consecutive";
  if (options.ratio === null || length < options.minimum) return undefined;
  return failures / length >= options.ratio ? "ratio" : undefined;
}

/** Earlier openings are forgiven once it stayed closed for as long as its memory reaches. */
function timesBefore({ sinceMs, times }: Closed, { nowMs, options }: BreakerFacts): number {
  return sinceMs === undefined || nowMs - sinceMs >= options.maxAgeMs ? 0 : times;
}

function open(
  breaker: Breaker,
  { reason, times }: { reason: OpenReason; times: number },
  { retryAfterMs = 0 }: { readonly retryAfterMs?: number | undefined },
  { nowMs, random, options }: BreakerFacts,
): Step {
  const { openMs: baseMs, factor, capMs, jitter } = options;
  const drawnMs = backoffMs(times, random, { baseMs, factor, capMs, jitter });
  // Written so that what is no number changes nothing.
  const openMs = retryAfterMs > drawnMs ? Math.min(retryAfterMs, LONGEST_RETRY_AFTER_MS) : drawnMs;
  return {
    breaker: { name: "open", generation: breaker.generation + 1, times, untilMs: nowMs + openMs, reason },
    transition: { from: breaker.name, to: "open", reason, atMs: nowMs },
  };
}

function halfOpen({ generation, times }: Open, reason: HalfOpenReason, nowMs: number): Step {
  return {
    breaker: { name: "half_open", generation: generation + 1, times, leases: [], nextNumber: 1, successes: 0 },
    transition: { from: "open", to: "half_open", reason, atMs: nowMs },
  };
}

function close({ generation, times }: HalfOpen, reason: CloseReason, nowMs: number): Step {
  return {
    breaker: { ...NEW_BREAKER, generation: generation + 1, times, sinceMs: nowMs },
    transition: { from: "half_open", to: "closed", reason, atMs: nowMs },
  };
}
