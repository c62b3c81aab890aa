/** The operator's word on an agent: it stands, also over restarts, until the operator takes it back. */
import { invalid } from "../base/errors.ts";
import type { AgentId, TaskId } from "../base/ids.ts";
import { type AgentIdentity, identityNow } from "./agent.ts";
import { type Command, DONE, type Reply } from "./command.ts";
import { knownAgent } from "./known-agent.ts";
import { currentLease } from "./lease.ts";
import type { Outcome } from "./outcome.ts";
import { endAttempt } from "./settle.ts";
import type { NamespaceState } from "./state.ts";
import type { Turn } from "./turn.ts";

/** Capabilities that may be verified of one agent. */
export const VERIFIED_LIMIT = 1_000;

/** It is unhealthy from now on, and what runs on it is lost; that is no kill. An idle one only becomes unhealthy. */
export function failAgent(state: NamespaceState, command: Extract<Command, { type: "fail_agent" }>, turn: Turn): Reply {
  const { agentId, reason } = command;
  const agent = knownAgent(state, agentId);
  // First the word: nobody may be given back to it.
  turn.record({ type: "agent.changed", agent: { ...identityNow(agent), failed: reason } });
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

/** It takes no more work; what runs on it goes on. Said twice is once. One that is not up rests when it comes up. */
export function drainAgent(
  state: NamespaceState,
  { agentId, keep }: Extract<Command, { type: "drain_agent" }>,
  turn: Turn,
): Reply {
  const agent = knownAgent(state, agentId);
  if (keep && !agent.identity.drained) {
    turn.record({ type: "agent.changed", agent: { ...identityNow(agent), drained: true } });
  }
  if (agent.lifecycle === "ready") rest(agentId, turn);
  return DONE;
}

function rest(agentId: AgentId, turn: Turn): void {
  turn.record({ type: "agent.lifecycle", agentId, lifecycle: "draining", atMs: turn.nowMs });
}

/** The operator's words are taken back: that it has failed, that it takes no more work. Saying it twice is once. */
export function recoverAgent(
  state: NamespaceState,
  { agentId }: Extract<Command, { type: "recover_agent" }>,
  turn: Turn,
): Reply {
  const agent = knownAgent(state, agentId);
  const { failed, drained, ...identity } = identityNow(agent);
  if (failed !== undefined || drained !== undefined) turn.record({ type: "agent.changed", agent: identity });
  // A restart that has begun is carried through.
  if (agent.lifecycle === "draining" && agent.leaving?.stopping !== true && !agent.identity.dismissed) {
    turn.record({ type: "agent.lifecycle", agentId, lifecycle: "ready", atMs: turn.nowMs });
  }
  return DONE;
}

/** What is named is replaced, all else stays. Slots that are taken away while they are in use run out. */
export function changeAgent(
  state: NamespaceState,
  { agentId, change }: Extract<Command, { type: "change_agent" }>,
  turn: Turn,
): Reply {
  const agent = knownAgent(state, agentId);
  const { rate, isolation, ...rest } = change;
  const before = identityNow(agent);
  const { rate: rateBefore, ...identity } = { ...before, ...rest };
  const rateNow = rate === undefined ? rateBefore : (rate ?? undefined);
  const after: AgentIdentity = {
    ...identity,
    isolation: { ...before.isolation, ...isolation },
    ...(rateNow === undefined ? {} : { rate: rateNow }),
  };
  turn.record({ type: "agent.changed", agent: after });
  return DONE;
}

/** Found out to be so. Saying it twice is once, and of what it was given at creation nothing is to be said. */
export function verifyCapability(
  state: NamespaceState,
  { agentId, capability }: Extract<Command, { type: "verify_capability" }>,
  turn: Turn,
): Reply {
  const agent = knownAgent(state, agentId);
  const { capabilities, verified = [] } = agent.identity;
  if (capabilities.includes(capability) || verified.includes(capability)) return DONE;
  if (verified.length >= VERIFIED_LIMIT) {
    throw invalid(
      "capability",
      `${VERIFIED_LIMIT} capabilities of agent ${agentId} are verified already, that is the limit`,
    );
  }
  turn.record({ type: "agent.changed", agent: { ...identityNow(agent), verified: [...verified, capability] } });
  return DONE;
}
