/** Health by what came of real calls: no probe, no ping. */
import type { Health } from "../core/agent.ts";
import type { HealthOptions } from "../policies/health.ts";

export interface PastCall {
  readonly atMs: number;
  readonly failed: boolean;
}

export interface HealthVerdict {
  readonly health: Health;
  /** Unhealthy by the share alone. */
  readonly byRatio: boolean;
  /** Of the outcomes in the window, 0 without any. */
  readonly errorShare: number;
}

/** The outcomes that still count, oldest first. */
export function recentCalls(calls: readonly PastCall[], nowMs: number, options: HealthOptions): PastCall[] {
  return calls.slice(-options.window).filter(({ atMs }) => nowMs - atMs <= options.maxAgeMs);
}

/** Judges outcomes that all count; bounds are inclusive. */
export function judge(calls: readonly PastCall[], options: HealthOptions): HealthVerdict {
  const failures = calls.filter(({ failed }) => failed).length;
  const errorShare = calls.length === 0 ? 0 : failures / calls.length;
  const { consecutive, minimum, degraded, unhealthy } = options;
  if (consecutive !== undefined && failuresInARow(calls) >= consecutive) {
    return { health: "unhealthy", byRatio: false, errorShare };
  }
  if (calls.length < minimum || errorShare < degraded) return { health: "healthy", byRatio: false, errorShare };
  if (errorShare < unhealthy) return { health: "degraded", byRatio: false, errorShare };
  return { health: "unhealthy", byRatio: true, errorShare };
}

function failuresInARow(calls: readonly PastCall[]): number {
  return calls.length - 1 - calls.findLastIndex(({ failed }) => !failed);
}
