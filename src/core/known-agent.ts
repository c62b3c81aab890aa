/** An agent that a caller names. */
import { PoolError } from "../base/errors.ts";
import type { AgentId } from "../base/ids.ts";
import type { Agent } from "./agent.ts";
import type { NamespaceState } from "./state.ts";

/** @throws PoolError `not_found` */
export function knownAgent(state: NamespaceState, agentId: AgentId): Agent {
  const agent = state.agents.get(agentId);
  if (agent === undefined) throw new PoolError("not_found", `no agent ${agentId}`, { details: { agentId } });
  return agent;
}
