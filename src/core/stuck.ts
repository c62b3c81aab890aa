/** An agent that is busy on one task for too long. An idle one is never stuck. */
import type { AgentId } from "../base/ids.ts";
import type { DueEntry } from "./due.ts";
import { type NamespaceState, poolOf } from "./state.ts";
import type { Turn } from "./turn.ts";

/** Marks the agent; a daemon is also ended, to be started again, where the pool says so. */
export function becomesStuck(state: NamespaceState, entry: Extract<DueEntry, { kind: "stuck" }>, turn: Turn): void {
  const { agentId, fence, sinceMs } = entry;
  const agent = state.agents.get(agentId);
  const run = agent?.runs.get(fence);
  if (agent === undefined || run === undefined || run.stuck) return;
  const { stuckMs, onStuck } = poolOf(state, agent.identity.pool).options;
  if (stuckMs === undefined) return;
  if (turn.nowMs - sinceMs <= stuckMs) {
    state.due.add({ ...entry, atMs: sinceMs + stuckMs + 1 });
    return;
  }
  const reason = `busy on task ${run.taskId} for more than ${stuckMs} ms`;
  turn.record({ type: "run.stuck", agentId, fence });
  turn.record({ type: "agent.health", agentId, source: "stuck", health: "unhealthy", reason });
  if (onStuck === "restart" && agent.identity.kind === "daemon") turn.request({ type: "kill_agent", agentId, reason });
}

/** A run on the agent has ended: it may have been the one that it was stuck on. */
export function endsStuck(state: NamespaceState, agentId: AgentId, turn: Turn): void {
  const agent = state.agents.get(agentId);
  if (agent === undefined || !agent.findings.has("stuck")) return;
  for (const run of agent.runs.values()) if (run.stuck) return;
  turn.record({ type: "agent.health", agentId, source: "stuck", health: "healthy", reason: "" });
}
