/** Whether an agent's own work lets it be given more. */
import { admitsAtMs, stateOf } from "../policies/breaker/breaker.ts";
import type { Agent } from "./agent.ts";
import type { Pool } from "./pool.ts";

/** Undefined when its breaker would let a call through and its outcomes don't speak against it more than a trial allows. */
export function againstWork({ options }: Pool, agent: Agent, nowMs: number): "breaker" | "health" | undefined {
  const { breaker } = options;
  if (breaker !== false && admitsAtMs(agent.breaker, nowMs, breaker) > nowMs) return "breaker";
  if (agent.health !== "unhealthy") return undefined;
  const mayBeTried = isUnhealthyByWorkAlone(agent) && (isHalfOpen(agent, nowMs) || agent.trialAtMs <= nowMs);
  return mayBeTried ? undefined : "health";
}

/** Nobody but its own outcomes says that it is unhealthy. */
function isUnhealthyByWorkAlone({ findings }: Agent): boolean {
  for (const [source, { health }] of findings) if (health === "unhealthy" && source !== "passive") return false;
  return true;
}

export const isHalfOpen = (agent: Agent, nowMs: number): boolean => stateOf(agent.breaker, nowMs) === "half_open";
