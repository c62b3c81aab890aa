/**
 * A planned restart: the agent takes no more, is stopped once it is empty, and is started anew. It is no death: it counts
 * against no budget and against no task.
 */
import { PoolError } from "../base/errors.ts";
import type { AgentId } from "../base/ids.ts";
import type { Agent, LastExit } from "./agent.ts";
import { type Command, DONE, type Reply } from "./command.ts";
import { knownAgent } from "./known-agent.ts";
import { currentLease } from "./lease.ts";
import { endAttempt } from "./settle.ts";
import { newIsolation } from "./spawn.ts";
import type { NamespaceState } from "./state.ts";
import type { Turn } from "./turn.ts";

/** One that is down is started at once. */
export function restartAgent(
  state: NamespaceState,
  { agentId, untilMs }: Extract<Command, { type: "restart_agent" }>,
  turn: Turn,
): Reply {
  const agent = knownAgent(state, agentId);
  const { name, kind } = agent.identity;
  if (kind === "remote") {
    throw new PoolError("conflict", `agent ${name} runs elsewhere: restart it there`, { details: { agentId } });
  }
  if (state.draining !== undefined) throw new PoolError("shutting_down", "the engine starts no more agents");
  if (agent.leaving?.stopping === true || agent.identity.dismissed) return DONE;
  if (agent.lifecycle === "crashed" || agent.lifecycle === "quarantined") {
    spawnAnew(agent, undefined, turn);
    return DONE;
  }
  if (agent.lifecycle !== "draining") {
    turn.record({ type: "agent.lifecycle", agentId, lifecycle: "draining", atMs: turn.nowMs });
  }
  turn.record({ type: "agent.leaving", agentId, leaving: { untilMs, stopping: false } });
  return DONE;
}

/** Those who wait to be empty, and are: asked after all commands of a turn. */
export function stopTheEmpty(state: NamespaceState, turn: Turn): void {
  for (const agentId of state.leaving) {
    const agent = state.agents.get(agentId);
    if (agent?.leaving === undefined || agent.leaving.stopping || agent.runs.size > 0) continue;
    turn.record({ type: "agent.leaving", agentId, leaving: { ...agent.leaving, stopping: true } });
    turn.request({ type: "stop_agent", agentId });
  }
}

/** It has had its time. */
export function giveBackAll(state: NamespaceState, { identity, leaving, runs }: Agent, turn: Turn): void {
  if (leaving === undefined || leaving.stopping || leaving.untilMs > turn.nowMs) return;
  const error = { code: "agent_restarted", message: "its agent was restarted" };
  for (const { taskId, fence } of [...runs.values()]) {
    const task = state.tasks.get(taskId);
    if (task === undefined || currentLease(state, { taskId, fence }) === undefined) continue;
    endAttempt(state, task, { name: "released", error }, turn, { held: true });
    turn.request({ type: "stop", agentId: identity.id, taskId, fence });
  }
}

/** Nothing of it is left, so it may begin anew. */
export function stopped(state: NamespaceState, agentId: AgentId, lastExit: LastExit | undefined, turn: Turn): Reply {
  const agent = state.agents.get(agentId);
  if (agent?.leaving?.stopping === true) spawnAnew(agent, lastExit, turn);
  return DONE;
}

function spawnAnew({ identity }: Agent, lastExit: LastExit | undefined, turn: Turn): void {
  const agentId = identity.id;
  const isolation = newIsolation(turn.random);
  turn.record({ type: "agent.lifecycle", agentId, lifecycle: "restarting", atMs: turn.nowMs, lastExit, isolation });
  turn.request({ type: "start_agent", agentId });
}
