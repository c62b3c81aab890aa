/** When a breaker opens, for how long, and how it finds its way back. */
import type { Jitter } from "../backoff.ts";

export interface BreakerOptions {
  /** Failures in a row that open it, at least 1. */
  readonly consecutive: number;
  /** Share of failures among the last `window` outcomes that opens it, in (0, 1]. Null = only `consecutive` counts. */
  readonly ratio: number | null;
  /** Outcomes that `ratio` looks back on, at least 1. */
  readonly window: number;
  /** `ratio` says nothing about fewer outcomes than this. */
  readonly minimum: number;
  /** Outcomes older than this are forgotten, also while nothing happens; so are earlier openings once it stayed closed for as long. Milliseconds. */
  readonly maxAgeMs: number;
  /** Open time of the first opening. Milliseconds. */
  readonly openMs: number;
  /** Growth of the open time per further opening, at least 1. */
  readonly factor: number;
  /** Ceiling of the open time; only a longer Retry-After passes it. Milliseconds. */
  readonly capMs: number;
  /** `equal` draws from half of the open time to all of it, so that breakers that opened together don't try together. */
  readonly jitter: Jitter;
  /** Calls it lets through at a time while half-open, at least 1. */
  readonly permits: number;
  /** A permit not given back for this long is handed out again. Milliseconds. */
  readonly permitMs: number;
  /** Successes while half-open that close it, at least 1. */
  readonly successes: number;
  /** A good probe ends the open time early. It never closes the breaker: only work does. */
  readonly probeHalfOpens: boolean;
}

/** Counts, not rates per second: agents are few and their tasks take minutes. */
export const BREAKER_DEFAULTS: BreakerOptions = {
  consecutive: 5,
  ratio: 0.5,
  window: 20,
  minimum: 5,
  maxAgeMs: 300_000,
  openMs: 5_000,
  factor: 2,
  capMs: 300_000,
  jitter: "equal",
  permits: 1,
  permitMs: 60_000,
  successes: 2,
  probeHalfOpens: false,
};

/** A longer Retry-After is taken for this: no agent may ask to be left alone for ever. 30 days. */
export const LONGEST_RETRY_AFTER_MS = 30 * 24 * 3_600_000;
