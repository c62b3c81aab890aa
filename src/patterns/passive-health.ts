/** Health by what came of real calls: no probe, no ping. */
import type { Health } from "../core/agent.ts";

export interface PassiveHealthOptions {
  /** Outcomes looked back on, at least 1. */
  readonly window: number;
  /** Fewer outcomes than this say nothing about a share. */
  readonly minimum: number;
  /** Outcomes older than this are forgotten. Milliseconds. */
  readonly maxAgeMs: number;
  /** Share of failures from which it is degraded. */
  readonly degraded: number;
  /** Share of failures from which it is unhealthy. */
  readonly unhealthy: number;
  /** Failures in a row that make it unhealthy, whatever the share. Undefined = no such rule. */
  readonly consecutive?: number | undefined;
}

/** Ten calls before judging: one failure of a newcomer is a share of 100 % and means nothing. */
export const PASSIVE_HEALTH_DEFAULTS: PassiveHealthOptions = {
  window: 20,
  minimum: 10,
  maxAgeMs: 300_000,
  degraded: 0.3,
  unhealthy: 0.7,
};

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
export function recentCalls(calls: readonly PastCall[], nowMs: number, options: PassiveHealthOptions): PastCall[] {
  return calls.slice(-options.window).filter(({ atMs }) => nowMs - atMs <= options.maxAgeMs);
}

/** Judges outcomes that all count; bounds are inclusive. */
export function judge(calls: readonly PastCall[], options: PassiveHealthOptions): HealthVerdict {
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
