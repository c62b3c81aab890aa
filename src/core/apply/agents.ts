/** Agents: who they are, whether they live, what they are asked. */

import { assert } from "../../base/assert.ts";
import type { AgentId, TaskId } from "../../base/ids.ts";
import { IntMap } from "../../base/int-map.ts";
import { begin } from "../../policies/balancer/slow-start.ts";
import { NEW_BREAKER } from "../../policies/breaker/breaker.ts";
import { newMeasure } from "../../policies/measure.ts";
import { NO_OUTCOMES } from "../../policies/outcomes.ts";
import { AGENT_LIFECYCLE, type Agent, type AgentIdentity, type Isolation, newStats, type Run } from "../agent.ts";
import type { Event } from "../event.ts";
import { agentOf, type NamespaceState, poolOf, queueOf } from "../state.ts";
import { hearOperator, judge } from "./health.ts";
import { leaveRate, rateOf } from "./rates.ts";
import { refresh, rosterChanged } from "./seat.ts";

const NO_TASKS: ReadonlySet<TaskId> = new Set();

/** A known id takes over: the agent has joined again, perhaps with other capabilities. */
export function addAgent(state: NamespaceState, identity: AgentIdentity, nowMs: number): void {
  const known = state.agents.get(identity.id);
  const pool = poolOf(state, identity.pool);
  pool.nextOrdinal = Math.max(pool.nextOrdinal, identity.ordinal + 1);
  pool.agentIds.add(identity.id);
  if (known !== undefined) {
    known.identity = identity;
    isolate(state, known, identity.isolation, nowMs);
    known.rate = rateOf(state, identity);
    known.claimTypes = undefined;
    known.stillNames = NO_TASKS;
    queueOf(state, identity.pool).seats.seat(known);
    rosterChanged(state, known, nowMs);
    return;
  }
  const agent: Agent = {
    identity,
    isolation: identity.isolation,
    isBreached: false,
    lifecycle: "starting",
    health: "healthy",
    healthReason: "",
    findings: new Map(),
    runs: new IntMap(),
    runsAtCut: 0,
    cooldownUntilMs: 0,
    cooldownMs: 0,
    claim: undefined,
    claimTypes: undefined,
    stillNames: NO_TASKS,
    lastSeenAtMs: nowMs,
    restarts: 0,
    leaving: undefined,
    restartsAtMs: [],
    readyAtMs: undefined,
    warming: undefined,
    onTrial: false,
    replaceAtMs: undefined,
    retryAtMs: undefined,
    probes: { good: 0, bad: 0 },
    lastExit: undefined,
    stats: newStats(),
    breaker: NEW_BREAKER,
    outcomes: NO_OUTCOMES,
    trialAtMs: 0,
    rate: rateOf(state, identity),
    measure: newMeasure(),
  };
  hearOperator(agent, nowMs);
  if (identity.dismissed) state.dismissed.add(identity.id);
  state.agents.set(identity.id, agent);
  isolate(state, agent, identity.isolation, nowMs);
  queueOf(state, identity.pool).seats.seat(agent);
  rosterChanged(state, agent, nowMs);
}

export function changeAgent(state: NamespaceState, identity: AgentIdentity, nowMs: number): void {
  const agent = agentOf(state, identity.id);
  const sameRate = JSON.stringify(agent.identity.rate) === JSON.stringify(identity.rate);
  agent.identity = identity;
  agent.runsAtCut = agent.runs.size > identity.concurrency ? agent.runs.size : 0;
  if (!sameRate) agent.rate = rateOf(state, identity);
  isolate(state, agent, identity.isolation, nowMs);
  hearOperator(agent, nowMs);
  if (agent.health === "unhealthy") state.ailing.add(identity.id);
  if (identity.dismissed) state.dismissed.add(identity.id);
  queueOf(state, identity.pool).seats.seat(agent);
  rosterChanged(state, agent, nowMs);
}

/** Who shares an id with another is flagged, and so is the other; whoever is left with it alone is not any more. */
export function isolate(state: NamespaceState, agent: Agent, isolation: Isolation | undefined, nowMs: number): void {
  if (isolation !== undefined) agent.isolation = isolation;
  for (const id of state.isolation.set(agent.identity, isolation, nowMs)) {
    const other = state.agents.get(id);
    const isBreached = state.isolation.isBreached(id);
    if (other === undefined || other.isBreached === isBreached) continue;
    other.isBreached = isBreached;
    if (other !== agent) rosterChanged(state, other, nowMs);
  }
}

export function removeAgent(
  state: NamespaceState,
  { agentId: id, pool: poolId }: Extract<Event, { type: "agent.removed" }>,
  nowMs: number,
): void {
  const agent = state.agents.get(id);
  if (agent !== undefined) isolate(state, agent, undefined, nowMs);
  const queue = queueOf(state, poolId);
  queue.seats.unseat(id);
  const reservedFor = queue.reservations.taskOf(id);
  if (reservedFor !== undefined) queue.reservations.endOf(reservedFor);
  queue.seats.rosterVersion += 1;
  leaveRate(state, id);
  poolOf(state, poolId).agentIds.delete(id);
  state.agents.delete(id);
  state.leaving.delete(id);
  state.dismissed.delete(id);
  state.dirty.add(poolId);
}

export function moveAgent(
  state: NamespaceState,
  event: Extract<Event, { type: "agent.lifecycle" }>,
  nowMs: number,
): void {
  const agent = agentOf(state, event.agentId);
  const legal: readonly string[] = AGENT_LIFECYCLE[agent.lifecycle];
  assert(legal.includes(event.lifecycle), `an agent goes from ${agent.lifecycle} to ${event.lifecycle}`);
  const isBackFromRest = agent.lifecycle === "draining" && event.lifecycle === "ready";
  if (agent.lifecycle === "quarantined") agent.onTrial = event.lifecycle === "restarting";
  // A crash that is followed by a restart, not by a quarantine, ends the trial: it had been stable.
  if (event.lifecycle === "crashed" && event.retryAtMs !== undefined) agent.onTrial = false;
  agent.lifecycle = event.lifecycle;
  agent.replaceAtMs = undefined;
  if (event.lifecycle !== "draining") {
    agent.leaving = undefined;
    state.leaving.delete(event.agentId);
  }
  agent.retryAtMs = event.retryAtMs;
  if (event.lastExit !== undefined) agent.lastExit = event.lastExit;
  if (event.restartsAtMs !== undefined) agent.restartsAtMs = event.restartsAtMs;
  if (event.isolation !== undefined) isolate(state, agent, event.isolation, nowMs);
  if (event.lifecycle === "restarting") agent.restarts += 1;
  if (event.lifecycle === "ready" && !isBackFromRest) {
    agent.readyAtMs = event.atMs;
    agent.warming = begin(nowMs);
    agent.lastSeenAtMs = event.atMs;
    agent.probes = { good: 0, bad: 0 };
    // A new incarnation has a clean record; what an operator has said stays.
    judge(agent, new Map([...agent.findings].filter(([source]) => source === "operator")));
  }
  if (event.lifecycle === "crashed" || event.lifecycle === "stopped") agent.readyAtMs = undefined;
  if (event.retryAtMs !== undefined) {
    state.due.add({ kind: "retry_agent", atMs: event.retryAtMs, agentId: event.agentId });
  }
  if (agent.identity.kind === "remote" && !isBackFromRest) watch(state, agent, event.atMs);
  rosterChanged(state, agent, nowMs);
}

/** A remote agent that fell silent is forgotten after ten minutes. */
export const FORGET_SILENT_MS = 600_000;

function watch(state: NamespaceState, { identity, lifecycle }: Agent, atMs: number): void {
  const { id: agentId, pool } = identity;
  const { ttlMs } = poolOf(state, pool).options.lease;
  if (lifecycle === "ready") state.due.add({ kind: "silent", atMs: atMs + ttlMs, agentId });
  if (lifecycle === "crashed") state.due.add({ kind: "gone", atMs: atMs + FORGET_SILENT_MS, agentId });
}

export function leave(state: NamespaceState, { agentId, leaving }: Extract<Event, { type: "agent.leaving" }>): void {
  agentOf(state, agentId).leaving = leaving;
  state.leaving.add(agentId);
  if (!leaving.stopping) state.due.add({ kind: "leave", atMs: leaving.untilMs, agentId });
}

/** Balancers hold on to the measure, so it is emptied, not replaced. */
export function clearRecord(agent: Agent): void {
  agent.stats = newStats();
  agent.measure.typeLatencyMs.clear();
  const { typeLatencyMs: _, ...figures } = newMeasure();
  Object.assign(agent.measure, figures);
}

/** What waits for time only is looked at again when it has passed. */
export function setBreaker(
  state: NamespaceState,
  event: Extract<Event, { type: "agent.breaker" }>,
  nowMs: number,
): void {
  const { agentId, breaker, run, transition } = event;
  const agent = agentOf(state, agentId);
  const wasClosed = agent.breaker.name === "closed";
  agent.breaker = breaker;
  // One more outcome, and nobody may do anything else than before.
  if (wasClosed && breaker.name === "closed") return;
  if (transition?.to === "closed") agent.warming = begin(nowMs);
  const held = run === undefined ? undefined : agent.runs.get(run.fence);
  if (run !== undefined && held !== undefined) agent.runs.set(run.fence, { ...held, permit: run.permit });
  if (breaker.name === "open") state.due.add({ kind: "recheck", atMs: breaker.untilMs, agentId });
  if (breaker.name === "half_open") {
    for (const { expiresAtMs } of breaker.leases.slice(-1)) {
      state.due.add({ kind: "recheck", atMs: expiresAtMs, agentId });
    }
  }
  rosterChanged(state, agent, nowMs);
}

export function planReplacement(state: NamespaceState, event: Extract<Event, { type: "agent.replacing" }>): void {
  const { agentId, atMs, restartsAtMs } = event;
  const agent = agentOf(state, agentId);
  agent.replaceAtMs = atMs;
  agent.restartsAtMs = restartsAtMs;
  if (atMs !== undefined) state.due.add({ kind: "replace", atMs, agentId });
}

export function restAgent(state: NamespaceState, event: Extract<Event, { type: "agent.rests" }>, nowMs: number): void {
  const agent = agentOf(state, event.agentId);
  agent.cooldownUntilMs = event.untilMs;
  agent.cooldownMs = event.cooldownMs;
  state.due.add({ kind: "rested", atMs: event.untilMs, agentId: event.agentId });
  rosterChanged(state, agent, nowMs);
}

export function tryAgent(state: NamespaceState, event: Extract<Event, { type: "agent.trial" }>, nowMs: number): void {
  const agent = agentOf(state, event.agentId);
  agent.trialAtMs = event.untilMs;
  state.due.add({ kind: "recheck", atMs: event.untilMs, agentId: event.agentId });
  refresh(state, agent, nowMs);
}

export function openClaim(state: NamespaceState, event: Extract<Event, { type: "claim.opened" }>, nowMs: number): void {
  const { agentId, claim, types } = event;
  const agent = agentOf(state, agentId);
  agent.claim = claim;
  agent.claimTypes = types;
  queueOf(state, agent.identity.pool).seats.seat(agent);
  state.dirty.add(agent.identity.pool);
  state.due.add({ kind: "claim", atMs: claim.untilMs, agentId, claimId: claim.claimId });
  refresh(state, agent, nowMs);
}

/** What it no longer names it may be given again. */
export function names(state: NamespaceState, { agentId, taskIds }: Extract<Event, { type: "agent.names" }>): void {
  const agent = agentOf(state, agentId);
  agent.stillNames = taskIds.length === 0 ? NO_TASKS : new Set(taskIds);
  state.dirty.add(agent.identity.pool);
}

export function closeClaim(state: NamespaceState, id: AgentId, nowMs: number): void {
  const agent = agentOf(state, id);
  agent.claim = undefined;
  refresh(state, agent, nowMs);
}

export function endRun(state: NamespaceState, event: Extract<Event, { type: "run.ended" }>, nowMs: number): void {
  const agent = state.agents.get(event.agentId);
  if (agent === undefined) return;
  agent.runs.delete(event.fence);
  if (event.abandoned) agent.stats.abandoned += 1;
  refresh(state, agent, nowMs);
}

/** Says something more of a run that its agent still has. */
export function markRun(state: NamespaceState, id: AgentId, fence: number, mark: Partial<Run>): void {
  const { runs } = agentOf(state, id);
  const run = runs.get(fence);
  if (run !== undefined) runs.set(fence, { ...run, ...mark });
}

export function shareRuns(state: NamespaceState, id: AgentId): void {
  for (const fence of [...agentOf(state, id).runs.keys()]) markRun(state, id, fence, { shared: true });
}

export function reserve(state: NamespaceState, event: Extract<Event, { type: "agent.reserved" }>, nowMs: number): void {
  const agent = agentOf(state, event.agentId);
  queueOf(state, agent.identity.pool).reservations.reserve(event.agentId, event.taskId);
  refresh(state, agent, nowMs);
}
