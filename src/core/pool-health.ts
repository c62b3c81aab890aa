/** How a pool is, in a word: the one place that says it. */
import type { Agent, Health } from "./agent.ts";
import type { Pool } from "./pool.ts";
import type { NamespaceState } from "./state.ts";

const isServing = ({ lifecycle, isBreached, health }: Agent): boolean =>
  lifecycle === "ready" && !isBreached && health !== "unhealthy";

/** `not_running` while it drains; unhealthy when nobody serves, degraded when not everybody does. */
export function poolHealthWord(state: NamespaceState, pool: Pool): Health | "not_running" {
  if (pool.draining || pool.mode === "draining") return "not_running";
  const agents = agentsOf(state, pool);
  const serving = agents.filter(isServing).length;
  if (agents.length === 0) return pool.options.agents.length === 0 ? "healthy" : "unhealthy";
  if (serving === 0) return "unhealthy";
  return serving < agents.length || agents.some((agent) => agent.health === "degraded") ? "degraded" : "healthy";
}

/** Those of the pool, in no order. */
export function agentsOf(state: NamespaceState, pool: Pool): Agent[] {
  const agents: Agent[] = [];
  for (const id of pool.agentIds) {
    const agent = state.agents.get(id);
    if (agent !== undefined) agents.push(agent);
  }
  return agents;
}
