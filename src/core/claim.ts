/** Remote agents ask for work and show that they live. */
import { PoolError } from "../base/errors.ts";
import type { AgentId, TaskId } from "../base/ids.ts";
import type { Agent, Health } from "./agent.ts";
import { type Command, DONE, type Reply } from "./command.ts";
import type { LeasedAttempt } from "./effect.ts";
import { currentLease, renew } from "./lease.ts";
import { endAttempt, freeHeldSlot } from "./settle.ts";
import { type NamespaceState, poolOf } from "./state.ts";
import { becomeReady, closeClaim } from "./supervise.ts";
import type { Turn } from "./turn.ts";

function remoteAgent(state: NamespaceState, id: AgentId): Agent {
  const agent = state.agents.get(id);
  if (agent === undefined) throw new PoolError("not_found", `no agent ${id}; join again`, { details: { agentId: id } });
  if (agent.identity.kind === "remote") return agent;
  throw new PoolError("conflict", `agent ${id} is not a remote one`, { details: { agentId: id } });
}

/** Any sign of life; one that had fallen silent is back. */
function seen(state: NamespaceState, agent: Agent, turn: Turn): void {
  const agentId = agent.identity.id;
  turn.record({ type: "agent.seen", agentId, atMs: turn.nowMs });
  if (agent.lifecycle === "crashed") becomeReady(state, agentId, turn);
}

/** Asks for work. A newer claim ends the older with nothing. */
export function claim(state: NamespaceState, command: Extract<Command, { type: "claim" }>, turn: Turn): Reply {
  const { agentId, claimId, max, untilMs, types } = command;
  const agent = remoteAgent(state, agentId);
  seen(state, agent, turn);
  closeClaim(agent, turn);
  turn.record({ type: "claim.opened", agentId, claim: { claimId, max, untilMs, leased: [] }, types });
  return DONE;
}

/** Whoever waited has gone, or has waited long enough. */
export function endClaim(state: NamespaceState, agentId: AgentId, claimId: number, turn: Turn): Reply {
  const agent = state.agents.get(agentId);
  if (agent?.claim?.claimId !== claimId) return DONE;
  turn.record({ type: "agent.seen", agentId, atMs: turn.nowMs });
  closeClaim(agent, turn);
  return DONE;
}

/** After a match: every claim that was given anything is answered with all of it. */
export function answerClaims(state: NamespaceState, turn: Turn): void {
  let claimed: Map<Agent, LeasedAttempt[]> | undefined;
  for (const event of turn.durable) {
    if (event.type !== "task.leased") continue;
    const agent = state.agents.get(event.agentId);
    if (agent?.identity.kind !== "remote") continue;
    claimed ??= new Map();
    const attempts = claimed.get(agent) ?? [];
    attempts.push(event);
    claimed.set(agent, attempts);
  }
  for (const [agent, leased] of claimed ?? []) {
    if (agent.claim === undefined) continue;
    const attempts = leased.map(({ taskId, agentId, number, fence, expiresAtMs }) => {
      return { taskId, agentId, number, fence, expiresAtMs };
    });
    turn.request({ type: "answer_claim", claimId: agent.claim.claimId, attempts });
    turn.record({ type: "claim.closed", agentId: agent.identity.id });
    // It has waited until now.
    turn.record({ type: "agent.seen", agentId: agent.identity.id, atMs: turn.nowMs });
  }
}

/**
 * Renews what is named and tells what is to be stopped. What was never named long after its lease never reached the
 * agent, and is given back; a run that is over and no longer named frees its slot, and its task may come again.
 */
export function heartbeat(state: NamespaceState, command: Extract<Command, { type: "heartbeat" }>, turn: Turn): Reply {
  const { agentId, attempts, health } = command;
  const agent = remoteAgent(state, agentId);
  const pool = poolOf(state, agent.identity.pool);
  const { ttlMs, renewMs } = pool.options.lease;
  seen(state, agent, turn);
  if (health !== undefined) hearSelf(agent, health, turn);
  const named = new Set(attempts.map(({ fence }) => fence));
  const stop: TaskId[] = [];
  for (const { taskId, fence } of attempts) {
    const task = state.tasks.get(taskId);
    if (task === undefined || currentLease(state, { taskId, fence })?.agentId !== agentId) {
      stop.push(taskId);
      continue;
    }
    renew(state, task, turn);
    turn.record({ type: "run.named", agentId, fence });
  }
  hearNames(state, agent, stop, turn);
  for (const run of [...agent.runs.values()]) {
    if (named.has(run.fence)) continue;
    const lease = currentLease(state, run);
    const task = state.tasks.get(run.taskId);
    if (lease === undefined || task === undefined) freeHeldSlot(state, { agentId, fence: run.fence }, turn);
    else if (!run.named && turn.nowMs > lease.assignedAtMs + renewMs) {
      endAttempt(state, task, { name: "released", error: NEVER_NAMED }, turn, { held: false });
    }
  }
  const isDone = pool.mode === "draining" && pool.counts.agent === 0;
  const quiet = agent.lifecycle === "draining" || pool.draining || isDone || state.draining !== undefined;
  return { type: "heartbeat", stop, quiet, leaseExpiresAtMs: turn.nowMs + ttlMs };
}

/** Of what it names without a right to, that which is still open may come its way again. */
function hearNames(state: NamespaceState, agent: Agent, taskIds: readonly TaskId[], turn: Turn): void {
  const open = new Set(taskIds.filter((id) => (state.tasks.get(id)?.state.name ?? "settled") !== "settled"));
  const { stillNames, identity } = agent;
  if (open.size === stillNames.size && [...open].every((id) => stillNames.has(id))) return;
  turn.record({ type: "agent.names", agentId: identity.id, taskIds: [...open] });
}

/** One voice among others: that it feels well takes back its own word only. */
function hearSelf(agent: Agent, health: Health, turn: Turn): void {
  if ((agent.findings.get("self")?.health ?? "healthy") === health) return;
  const reason = health === "healthy" ? "" : "it says so itself";
  turn.record({ type: "agent.health", agentId: agent.identity.id, source: "self", health, reason });
}

const NEVER_NAMED = { code: "released", message: "its agent never named it" };
