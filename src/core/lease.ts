/** The time-bound right to run a task: granted, renewed, expired. */

import { type Agent, isWatched } from "./agent.ts";
import type { Command, Reply } from "./command.ts";
import { DONE } from "./command.ts";
import type { Outcome } from "./outcome.ts";
import { markCompany } from "./poison.ts";
import { endAttempt, freeHeldSlot } from "./settle.ts";
import { agentOf, type NamespaceState, nextFence, poolOf } from "./state.ts";
import type { Lease, Task } from "./task.ts";
import type { Turn } from "./turn.ts";
import { takePermit } from "./work-record.ts";

/** Gives the task to the agent, which must be free and may. */
export function grant(state: NamespaceState, task: Task, agent: Agent, turn: Turn): void {
  const { id: agentId, kind, pool } = agent.identity;
  const taskId = task.spec.id;
  const number = task.lastNumber + 1;
  const fence = nextFence(state);
  const expiresAtMs = turn.nowMs + poolOf(state, pool).options.lease.ttlMs;
  turn.record({ type: "task.leased", taskId, agentId, number, fence, atMs: turn.nowMs, expiresAtMs });
  takePermit(state, agent, fence, turn);
  // A remote agent learns of it by the answer to its claim.
  if (kind !== "remote") turn.request({ type: "run", attempt: { taskId, agentId, number, fence, expiresAtMs } });
}

/** The run has begun; from now on its time counts. A start that comes too late changes nothing. */
export function started(state: NamespaceState, command: Extract<Command, { type: "started" }>, turn: Turn): Reply {
  const { taskId, fence } = command;
  const lease = currentLease(state, command);
  if (lease === undefined || lease.startedAtMs !== undefined) return DONE;
  const remote = state.agents.get(lease.agentId)?.identity.kind === "remote";
  turn.record({ type: remote ? "task.started" : "task.started_here", taskId, fence, atMs: turn.nowMs });
  return DONE;
}

export function currentLease(
  state: NamespaceState,
  { taskId, fence }: { readonly taskId: Task["spec"]["id"]; readonly fence: number },
): Lease | undefined {
  const task = state.tasks.get(taskId);
  return task?.state.name === "leased" && task.state.lease.fence === fence ? task.state.lease : undefined;
}

export function renew(state: NamespaceState, task: Task, turn: Turn): void {
  if (task.state.name !== "leased") return;
  const { fence } = task.state.lease;
  const expiresAtMs = turn.nowMs + poolOf(state, task.spec.pool).options.lease.ttlMs;
  turn.record({ type: "lease.renewed", taskId: task.spec.id, fence, expiresAtMs });
}

/** Every attempt that runs on the agent keeps its lease. */
export function renewAll(state: NamespaceState, agent: Agent, turn: Turn): void {
  for (const run of agent.runs.values()) {
    const task = state.tasks.get(run.taskId);
    if (task !== undefined && currentLease(state, run) !== undefined) renew(state, task, turn);
  }
}

/** The driver vouches for the agent; a daemon with a free slot must also answer its probes. */
export function vouch(state: NamespaceState, command: Extract<Command, { type: "agent_alive" }>, turn: Turn): Reply {
  const agent = state.agents.get(command.agentId);
  if (agent === undefined) return DONE;
  const full = agent.runs.size >= agent.identity.concurrency;
  if (agent.identity.kind !== "daemon" || full || agent.probes.bad === 0) renewAll(state, agent, turn);
  return DONE;
}

/** Extends every live lease once: the engine was away or late, and nobody's lease may end, or silence be noted, by that. */
export function extendAll(state: NamespaceState, turn: Turn): Reply {
  for (const agent of state.agents.values()) {
    renewAll(state, agent, turn);
    const { id: agentId, kind } = agent.identity;
    if (kind === "remote" && isWatched(agent)) turn.record({ type: "agent.seen", agentId, atMs: turn.nowMs });
  }
  return DONE;
}

/** The lease is over and nobody has renewed it. */
export function expire(state: NamespaceState, task: Task, lease: Lease, turn: Turn): void {
  const agent = state.agents.get(lease.agentId);
  const lost: Outcome = {
    name: "lost",
    blame: "agent",
    kill: agent !== undefined && fellSilent(state, agent, lease),
    error: { code: "lease_expired", message: "its agent fell silent" },
  };
  endAttempt(state, task, lost, turn, { held: agent !== undefined && agent.identity.kind !== "remote" });
  if (agent !== undefined)
    turn.request({ type: "stop", agentId: lease.agentId, taskId: task.spec.id, fence: lease.fence });
}

/** A remote agent has given no sign since the last renewal, and waits for no work either. */
function fellSilent(state: NamespaceState, { identity, lastSeenAtMs, claim }: Agent, { expiresAtMs }: Lease): boolean {
  if (identity.kind !== "remote" || claim !== undefined) return false;
  const { ttlMs } = poolOf(state, identity.pool).options.lease;
  return lastSeenAtMs <= expiresAtMs - ttlMs;
}

/** The attempt has run for longer than it may. */
export function timeOut(state: NamespaceState, task: Task, lease: Lease, turn: Turn): void {
  const timeoutMs = task.spec.timeoutMs ?? poolOf(state, task.spec.pool).options.timeoutMs;
  const error = { code: "timeout", message: `did not end within ${timeoutMs} ms` };
  endAttempt(state, task, { name: "timed_out", blame: "agent", error }, turn, { held: true });
  turn.request({ type: "stop", agentId: lease.agentId, taskId: task.spec.id, fence: lease.fence });
}

/** Ends every attempt that runs on the agent. */
export function endAllOn(state: NamespaceState, agentId: Agent["identity"]["id"], outcome: Outcome, turn: Turn): void {
  if (outcome.name === "lost" && outcome.kill) markCompany(state, { agentId }, turn);
  for (const run of [...agentOf(state, agentId).runs.values()]) {
    const task = state.tasks.get(run.taskId);
    if (task !== undefined && currentLease(state, run) !== undefined) {
      endAttempt(state, task, outcome, turn, { held: false });
    } else freeHeldSlot(state, { agentId, fence: run.fence }, turn);
  }
}
