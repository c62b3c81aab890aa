/** The operator's word on an agent: it stands, also over restarts, until the operator takes it back. */
import { PoolError } from "../base/errors.ts";
import type { AgentId, TaskId } from "../base/ids.ts";
import type { Agent } from "./agent.ts";
import { type Command, DONE, type Reply } from "./command.ts";
import { currentLease } from "./lease.ts";
import type { Outcome } from "./outcome.ts";
import { endAttempt } from "./settle.ts";
import type { NamespaceState } from "./state.ts";
import type { Turn } from "./turn.ts";

function known(state: NamespaceState, agentId: AgentId): Agent {
  const agent = state.agents.get(agentId);
  if (agent === undefined) throw new PoolError("not_found", `no agent ${agentId}`, { details: { agentId } });
  return agent;
}

/** It is unhealthy from now on, and what runs on it is lost; that is no kill. An idle one only becomes unhealthy. */
export function failAgent(state: NamespaceState, command: Extract<Command, { type: "fail_agent" }>, turn: Turn): Reply {
  const { agentId, reason } = command;
  const agent = known(state, agentId);
  // First the word: nobody may be given back to it.
  turn.record({ type: "agent.changed", agent: { ...agent.identity, failed: reason } });
  const error = { code: "agent_failed", message: reason };
  const lost: Outcome = { name: "lost", blame: "agent", kill: false, error };
  const ended: { taskId: TaskId; number: number }[] = [];
  for (const { taskId, fence } of [...agent.runs.values()]) {
    const task = state.tasks.get(taskId);
    const lease = currentLease(state, { taskId, fence });
    if (task === undefined || lease === undefined) continue;
    ended.push({ taskId, number: lease.number });
    endAttempt(state, task, lost, turn, { held: true });
    turn.request({ type: "stop", agentId, taskId, fence });
  }
  return { type: "agent_failed", ended };
}

/** The operator's word is taken back. Saying it twice is once. */
export function recoverAgent(
  state: NamespaceState,
  { agentId }: Extract<Command, { type: "recover_agent" }>,
  turn: Turn,
): Reply {
  const { failed, ...identity } = known(state, agentId).identity;
  if (failed !== undefined) turn.record({ type: "agent.changed", agent: identity });
  return DONE;
}
