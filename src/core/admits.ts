/** Whether an agent's own work lets it be given more. */
import { admitsAtMs, stateOf } from "../policies/breaker/breaker.ts";
import type { Agent } from "./agent.ts";
import type { Pool } from "./pool.ts";

/** Its breaker would let a call through, and its outcomes don't speak against it more than a trial allows. */
export function admitsWork({ options }: Pool, agent: Agent, nowMs: number): boolean {
  const { breaker } = options;
  if (breaker !== false && admitsAtMs(agent.breaker, nowMs, breaker) > nowMs) return false;
  if (agent.health !== "unhealthy") return true;
  return isUnhealthyByWorkAlone(agent) && (isHalfOpen(agent, nowMs) || agent.trialAtMs <= nowMs);
}

/** Nobody but its own outcomes says that it is unhealthy. */
function isUnhealthyByWorkAlone({ findings }: Agent): boolean {
  for (const [source, { health }] of findings) if (health === "unhealthy" && source !== "passive") return false;
  return true;
}

export const isHalfOpen = (agent: Agent, nowMs: number): boolean => stateOf(agent.breaker, nowMs) === "half_open";
