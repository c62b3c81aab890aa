/** Health of a client by what came of real calls: no probe, no ping. */
import type { Health } from "../core/agent.ts";
import { type HealthOptions, judge } from "../policies/health.ts";
import type { Outcomes } from "../policies/outcomes.ts";

export interface HealthVerdict {
  readonly health: Health;
  /** Unhealthy by the share alone. */
  readonly byRatio: boolean;
  /** Of the outcomes in the window, 0 without any. */
  readonly errorShare: number;
}

/** What outcomes say that all count. */
export function verdictOf(outcomes: Outcomes, options: HealthOptions): HealthVerdict {
  const { length, failures } = outcomes;
  const judgement = judge(outcomes, options);
  return {
    health: judgement.health,
    byRatio: judgement.health === "unhealthy" && judgement.by === "share",
    errorShare: length === 0 ? 0 : failures / length,
  };
}
