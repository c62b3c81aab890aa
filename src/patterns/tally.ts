/** What an agent has done since it was added or reset, in numbers. */
import type { Health } from "../core/agent.ts";
import type { BreakerReason, BreakerState } from "../policies/breaker/breaker.ts";

/** Figures of one agent. Shares are in [0, 1]; without samples successRate is 1 and all others are 0. */
export interface CallStats {
  readonly succeeded: number;
  readonly failed: number;
  /** Calls that hold a slot. */
  readonly inFlight: number;
  readonly successRate: number;
  readonly errorShare: number;
  /** Over successes. */
  readonly meanLatencyMs: number;
  /** Over the last 100 successes. */
  readonly p95LatencyMs: number;
  readonly consecutiveFailures: number;
  /** succeeded + failed. */
  readonly samples: number;
  /** Calls that were given up while their function went on. */
  readonly abandoned: number;
  /** ISO-8601, absent before the first. */
  readonly lastActivityAt?: string;
  readonly lastSuccessAt?: string;
  readonly lastFailureAt?: string;
  readonly health: Health;
  readonly breaker: BreakerView;
  /** Left alone until then because it was throttled. ISO-8601. */
  readonly cooldownUntil?: string;
}

export interface BreakerView {
  readonly state: BreakerState;
  /** End of the open time, ISO-8601; only while open. */
  readonly until?: string;
  /** Why it opened; only while open. */
  readonly reason?: BreakerReason;
}

/** Successes that p95 looks back on. */
const LATENCIES_KEPT = 100;

export class Tally {
  #succeeded = 0;
  #failed = 0;
  #abandoned = 0;
  #consecutiveFailures = 0;
  #latencySumMs = 0;
  readonly #latencies: number[] = [];
  #lastSuccessAtMs: number | undefined;
  #lastFailureAtMs: number | undefined;

  succeeded(tookMs: number, atMs: number): void {
    this.#latencies[this.#succeeded % LATENCIES_KEPT] = tookMs;
    this.#succeeded += 1;
    this.#latencySumMs += tookMs;
    this.#consecutiveFailures = 0;
    this.#lastSuccessAtMs = atMs;
  }

  failed(atMs: number): void {
    this.#failed += 1;
    this.#consecutiveFailures += 1;
    this.#lastFailureAtMs = atMs;
  }

  abandoned(): void {
    this.#abandoned += 1;
  }

  stats(): Omit<CallStats, "inFlight" | "health" | "breaker" | "cooldownUntil"> {
    const samples = this.#succeeded + this.#failed;
    const lastActivityAtMs = latest(this.#lastSuccessAtMs, this.#lastFailureAtMs);
    return {
      succeeded: this.#succeeded,
      failed: this.#failed,
      successRate: samples === 0 ? 1 : this.#succeeded / samples,
      errorShare: samples === 0 ? 0 : this.#failed / samples,
      meanLatencyMs: this.#succeeded === 0 ? 0 : this.#latencySumMs / this.#succeeded,
      p95LatencyMs: percentile95(this.#latencies),
      consecutiveFailures: this.#consecutiveFailures,
      samples,
      abandoned: this.#abandoned,
      ...(lastActivityAtMs !== undefined && { lastActivityAt: iso(lastActivityAtMs) }),
      ...(this.#lastSuccessAtMs !== undefined && { lastSuccessAt: iso(this.#lastSuccessAtMs) }),
      ...(this.#lastFailureAtMs !== undefined && { lastFailureAt: iso(this.#lastFailureAtMs) }),
    };
  }
}

/** Nearest rank: the smallest value that 95 of 100 do not exceed; 0 without any. */
function percentile95(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * 0.95) - 1] ?? 0;
}

function latest(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.max(a, b);
}

export const iso = (atMs: number): string => new Date(atMs).toISOString();
