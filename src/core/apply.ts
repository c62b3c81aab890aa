/** The one writer: every change of the state is an event that goes through here. Decides nothing. */
import { assert } from "../base/assert.ts";
import type { AgentId, PoolId, TaskId } from "../base/ids.ts";
import { NEW_BREAKER } from "../policies/breaker/breaker.ts";
import { DrainRate } from "../policies/drain-rate.ts";
import { newMeasure, observe, PoolLatency } from "../policies/measure.ts";
import { RetryBudget } from "../policies/retry-budget.ts";
import {
  AGENT_LIFECYCLE,
  type Agent,
  type AgentIdentity,
  type Health,
  type HealthSource,
  NO_STATS,
  type Run,
} from "./agent.ts";
import { isLocal, needsEmptyAgent, needsQuiet } from "./company.ts";
import type { Event, Resting } from "./event.ts";
import type { Gate } from "./gate.ts";
import { HeldLine } from "./held-line.ts";
import { type Kill, withKiller } from "./kill.ts";
import { mayBeChosen, type Pool } from "./pool.ts";
import { PoolQueue } from "./pool-queue.ts";
import { Rate } from "./rate.ts";
import { rememberRetired } from "./retired.ts";
import { againstAgent } from "./standing.ts";
import type { NamespaceState } from "./state.ts";
import {
  ATTEMPTS_KEPT,
  type Attempt,
  type EngineDeaths,
  type Lease,
  LIFECYCLE,
  nearAtMs,
  type Priority,
  type Task,
  type TaskSpec,
  type TaskState,
} from "./task.ts";

export function apply(state: NamespaceState, event: Event, nowMs: number): void {
  switch (event.type) {
    case "pool.created":
      state.pools.set(event.pool, newPool(event.pool, event));
      state.queues.set(event.pool, new PoolQueue(state.heldTypes));
      queueOf(state, event.pool).limitKeys(event.options.keyConcurrency);
      break;
    case "pool.changed":
      changePool(state, event, nowMs);
      break;
    case "pool.deleted":
      state.pools.delete(event.pool);
      state.queues.delete(event.pool);
      state.dirty.delete(event.pool);
      break;
    case "submission.held":
      holdSubmission(state, event);
      break;
    case "submission.let_go": {
      const line = state.overflow.get(event.pool);
      line?.remove(event.holdId);
      if (line?.size === 0) state.overflow.delete(event.pool);
      break;
    }
    case "pool.mode":
      poolOf(state, event.pool).mode = event.mode;
      state.dirty.add(event.pool);
      break;
    case "gate.changed":
      changeGate(state, event.gate);
      break;
    case "pool.draining":
      poolOf(state, event.pool).draining = true;
      break;
    case "pool.held_back":
      poolOf(state, event.pool).reviewAtMs = event.untilMs;
      state.due.add({ kind: "review", atMs: event.untilMs, pool: event.pool });
      break;
    case "pool.reviewed":
      poolOf(state, event.pool).reviewAtMs = undefined;
      state.dirty.add(event.pool);
      break;
    case "namespace.draining":
      state.draining = { matching: event.matching };
      break;
    case "agent.added":
      addAgent(state, event.agent, nowMs);
      break;
    case "agent.changed":
      changeAgent(state, event.agent, nowMs);
      break;
    case "agent.removed":
      removeAgent(state, event.agentId, event.pool);
      break;
    case "agent.lifecycle":
      moveAgent(state, event, nowMs);
      break;
    case "agent.health": {
      const agent = agentOf(state, event.agentId);
      hear(agent, event);
      if (event.source === "passive") forgetInTime(state, agent);
      rosterChanged(state, agent, nowMs);
      break;
    }
    case "agent.rests": {
      const agent = agentOf(state, event.agentId);
      agent.cooldownUntilMs = event.untilMs;
      agent.cooldownMs = event.cooldownMs;
      state.due.add({ kind: "rested", atMs: event.untilMs, agentId: event.agentId });
      rosterChanged(state, agent, nowMs);
      break;
    }
    case "agent.refreshed":
      rosterChanged(state, agentOf(state, event.agentId), nowMs);
      break;
    case "agent.breaker":
      setBreaker(state, event, nowMs);
      break;
    case "agent.outcomes": {
      const agent = agentOf(state, event.agentId);
      agent.outcomes = event.outcomes;
      forgetInTime(state, agent);
      break;
    }
    case "agent.trial": {
      const agent = agentOf(state, event.agentId);
      agent.trialAtMs = event.untilMs;
      state.due.add({ kind: "recheck", atMs: event.untilMs, agentId: event.agentId });
      refresh(state, agent, nowMs);
      break;
    }
    case "agent.seen":
      agentOf(state, event.agentId).lastSeenAtMs = event.atMs;
      break;
    case "agent.probed":
      agentOf(state, event.agentId).probes = { good: event.good, bad: event.bad };
      break;
    case "claim.opened": {
      const agent = agentOf(state, event.agentId);
      agent.claim = event.claim;
      agent.claimTypes = event.types;
      queueOf(state, agent.identity.pool).seat(agent);
      state.dirty.add(agent.identity.pool);
      state.due.add({
        kind: "claim",
        atMs: event.claim.untilMs,
        agentId: event.agentId,
        claimId: event.claim.claimId,
      });
      refresh(state, agent, nowMs);
      break;
    }
    case "claim.closed": {
      const agent = agentOf(state, event.agentId);
      agent.claim = undefined;
      refresh(state, agent, nowMs);
      break;
    }
    case "task.submitted":
      addTask(state, event, nowMs);
      break;
    case "task.replayed":
      reopen(state, event);
      break;
    case "task.deadline_near":
      hurry(state, taskOf(state, event.taskId), event.priority);
      break;
    case "task.waiting": {
      const task = taskOf(state, event.taskId);
      task.again = event.again;
      rest(state, task, event.resting, nowMs);
      break;
    }
    case "task.dependency_met": {
      const task = taskOf(state, event.taskId);
      task.unmet -= 1;
      if (event.failed) task.failedDependencies = [...task.failedDependencies, event.dependency];
      break;
    }
    case "task.leased":
      lease(state, event, nowMs);
      break;
    case "task.started":
    case "task.started_here":
      start(state, event.taskId, event.atMs);
      break;
    case "lease.renewed": {
      const task = taskOf(state, event.taskId);
      assert(task.state.name === "leased", "only a leased task is renewed");
      task.state = { name: "leased", lease: { ...task.state.lease, expiresAtMs: event.expiresAtMs } };
      keepAlive(state, task.state.lease);
      break;
    }
    case "task.progressed":
      taskOf(state, event.taskId).progress = event.progress;
      break;
    case "attempt.ended": {
      const task = taskOf(state, event.taskId);
      endAttempt(state, task, event, nowMs);
      rest(state, task, event.resting, nowMs);
      break;
    }
    case "task.settled": {
      const task = taskOf(state, event.taskId);
      if (event.attempt !== undefined) endAttempt(state, task, { ...event, attempt: event.attempt }, nowMs);
      move(state, task, { name: "settled", settlement: event.settlement, fence: task.lastFence }, nowMs);
      if (event.settlement.deadLettered) poolOf(state, task.spec.pool).deadLetters.set(event.taskId, task.num);
      state.dependents.delete(event.taskId);
      need(state, task.spec, -1);
      const { totals } = poolOf(state, task.spec.pool);
      totals[event.settlement.status] += 1;
      break;
    }
    case "tasks.retired":
      for (const { id } of event.tasks) state.pools.get(event.pool)?.deadLetters.delete(id);
      rememberRetired(
        state.retired,
        event.tasks.map(({ id }) => id),
      );
      break;
    case "tasks.forgotten":
      for (const id of event.taskIds) forget(state, id);
      break;
    case "run.ended": {
      const agent = state.agents.get(event.agentId);
      if (agent === undefined) break;
      agent.runs.delete(event.fence);
      if (event.abandoned) agent.stats = { ...agent.stats, abandoned: agent.stats.abandoned + 1 };
      refresh(state, agent, nowMs);
      break;
    }
    case "task.spared":
      taskOf(state, event.taskId).deaths = undefined;
      break;
    case "dead_letter.dropped": {
      state.pools.get(event.pool)?.deadLetters.delete(event.id);
      const task = state.tasks.get(event.id);
      if (task?.state.name !== "settled") break;
      task.state = { ...task.state, settlement: { ...task.state.settlement, deadLettered: false } };
      break;
    }
    case "payload.quarantined": {
      const { type: _, ...quarantined } = event;
      poolOf(state, event.pool).quarantine.set(event.fingerprint, quarantined);
      break;
    }
    case "payload.released":
      poolOf(state, event.pool).quarantine.delete(event.fingerprint);
      break;
    case "runs.shared": {
      const { runs } = agentOf(state, event.agentId);
      for (const run of runs.values()) runs.set(run.fence, { ...run, shared: true });
      break;
    }
    case "agent.reserved": {
      const agent = agentOf(state, event.agentId);
      queueOf(state, agent.identity.pool).reservations.reserve(event.agentId, event.taskId);
      refresh(state, agent, nowMs);
      break;
    }
    case "pool.quieted":
      queueOf(state, event.pool).reservations.quietFor = event.taskId;
      state.dirty.add(event.pool);
      break;
    case "run.named": {
      const { runs } = agentOf(state, event.agentId);
      const run = runs.get(event.fence);
      if (run !== undefined) runs.set(event.fence, { ...run, named: true });
      break;
    }
    case "run.stuck": {
      const { runs } = agentOf(state, event.agentId);
      const run = runs.get(event.fence);
      if (run !== undefined) runs.set(event.fence, { ...run, stuck: true });
      break;
    }
    default:
      event satisfies never;
  }
}

export function taskOf(state: NamespaceState, id: TaskId): Task {
  const task = state.tasks.get(id);
  assert(task !== undefined, `task ${id} is open`);
  return task;
}

export function agentOf(state: NamespaceState, id: AgentId): Agent {
  const agent = state.agents.get(id);
  assert(agent !== undefined, `agent ${id} is known`);
  return agent;
}

export function poolOf(state: NamespaceState, id: PoolId): Pool {
  const pool = state.pools.get(id);
  assert(pool !== undefined, `pool ${id} exists`);
  return pool;
}

export function queueOf(state: NamespaceState, id: PoolId): PoolQueue {
  const queue = state.queues.get(id);
  assert(queue !== undefined, `pool ${id} has a queue`);
  return queue;
}

// --- gates ---

const heldBy = (gate: Gate | undefined): readonly string[] => (gate === undefined || gate.available ? [] : gate.holds);

/** Costs per class of the types concerned, however many tasks wait. */
function changeGate(state: NamespaceState, gate: Gate): void {
  const before = heldBy(state.gates.get(gate.name));
  const after = heldBy(gate);
  state.gates.set(gate.name, gate);
  for (const type of after) state.heldTypes.set(type, (state.heldTypes.get(type) ?? 0) + 1);
  for (const type of before) {
    const left = (state.heldTypes.get(type) ?? 1) - 1;
    if (left === 0) state.heldTypes.delete(type);
    else state.heldTypes.set(type, left);
  }
  for (const [id, queue] of state.queues) {
    for (const type of new Set([...before, ...after])) if (queue.review(type)) state.dirty.add(id);
  }
}

// --- pools and agents ---

function newPool(id: PoolId, { options, atMs }: { options: Pool["options"]; atMs: number }): Pool {
  return {
    id,
    options,
    createdAtMs: atMs,
    agentIds: new Set(),
    nextOrdinal: 0,
    lastOrdinal: -1,
    latency: new PoolLatency(),
    reviewAtMs: undefined,
    draining: false,
    mode: "running",
    counts: { agent: 0, dependencies: 0, delay: 0, retry: 0, leased: 0 },
    totals: { submitted: 0, completed: 0, failed: 0, cancelled: 0 },
    retryBudget: budgetOf(options),
    held: new Set(),
    heldIsDue: false,
    drain: new DrainRate(),
    quarantine: new Map(),
    deadLetters: new Map(),
  };
}

function budgetOf({ retry }: Pool["options"]): RetryBudget | undefined {
  return retry.budget === false ? undefined : new RetryBudget(retry.budget);
}

/** Another strategy may choose those whom the last one could not. */
function changePool(
  state: NamespaceState,
  { pool: id, options }: { pool: PoolId; options: Pool["options"] },
  nowMs: number,
): void {
  const pool = poolOf(state, id);
  const before = pool.options.retry.budget;
  if (pool.options.keyConcurrency !== options.keyConcurrency) queueOf(state, id).limitKeys(options.keyConcurrency);
  pool.options = options;
  const same = JSON.stringify(before) === JSON.stringify(options.retry.budget);
  if (!same) pool.retryBudget = budgetOf(options);
  for (const agentId of pool.agentIds) rosterChanged(state, agentOf(state, agentId), nowMs);
  state.dirty.add(id);
}

/** A known id takes over: the agent has joined again, perhaps with other capabilities. */
function addAgent(state: NamespaceState, identity: AgentIdentity, nowMs: number): void {
  const known = state.agents.get(identity.id);
  const pool = poolOf(state, identity.pool);
  pool.nextOrdinal = Math.max(pool.nextOrdinal, identity.ordinal + 1);
  pool.agentIds.add(identity.id);
  if (known !== undefined) {
    known.identity = identity;
    known.isolation = identity.isolation;
    known.rate = rateOf(state, identity);
    known.claimTypes = undefined;
    queueOf(state, identity.pool).seat(known);
    rosterChanged(state, known, nowMs);
    return;
  }
  const agent: Agent = {
    identity,
    isolation: identity.isolation,
    lifecycle: "starting",
    health: "healthy",
    healthReason: "",
    findings: new Map(),
    runs: new Map(),
    cooldownUntilMs: 0,
    cooldownMs: 0,
    claim: undefined,
    claimTypes: undefined,
    lastSeenAtMs: nowMs,
    restarts: 0,
    restartsAtMs: [],
    readyAtMs: undefined,
    onTrial: false,
    retryAtMs: undefined,
    probes: { good: 0, bad: 0 },
    lastExit: undefined,
    stats: NO_STATS,
    breaker: NEW_BREAKER,
    outcomes: [],
    trialAtMs: 0,
    rate: rateOf(state, identity),
    measure: newMeasure(),
  };
  hearOperator(agent);
  state.agents.set(identity.id, agent);
  queueOf(state, identity.pool).seat(agent);
  rosterChanged(state, agent, nowMs);
}

function rateOf(state: NamespaceState, { id, rate: options }: AgentIdentity): Rate | undefined {
  leaveRate(state, id);
  if (options === undefined) return undefined;
  const key = options.key === undefined ? `agent ${id}` : `key ${options.key}`;
  const rate = state.rates.get(key) ?? new Rate(options);
  rate.agentIds.add(id);
  state.rates.set(key, rate);
  return rate;
}

function leaveRate(state: NamespaceState, id: AgentId): void {
  for (const [key, rate] of state.rates) {
    if (rate.agentIds.delete(id) && rate.agentIds.size === 0) state.rates.delete(key);
  }
}

/** Something of the rate was used: those who share it are looked at now, and again when there is room. */
function usedRate(state: NamespaceState, rate: Rate, nowMs: number): void {
  const atMs = rate.roomAtMs(nowMs);
  if (atMs <= nowMs) return;
  for (const agentId of rate.agentIds) {
    refresh(state, agentOf(state, agentId), nowMs);
    state.due.add({ kind: "recheck", atMs, agentId });
  }
}

function changeAgent(state: NamespaceState, identity: AgentIdentity, nowMs: number): void {
  const agent = agentOf(state, identity.id);
  agent.identity = identity;
  hearOperator(agent);
  rosterChanged(state, agent, nowMs);
}

function hearOperator(agent: Agent): void {
  const { failed } = agent.identity;
  hear(agent, { source: "operator", health: failed === undefined ? "healthy" : "unhealthy", reason: failed ?? "" });
}

function removeAgent(state: NamespaceState, id: AgentId, poolId: PoolId): void {
  const queue = queueOf(state, poolId);
  queue.unseat(id);
  const reservedFor = queue.reservations.taskOf(id);
  if (reservedFor !== undefined) queue.reservations.endOf(reservedFor);
  queue.rosterVersion += 1;
  leaveRate(state, id);
  poolOf(state, poolId).agentIds.delete(id);
  state.agents.delete(id);
  state.dirty.add(poolId);
}

function moveAgent(state: NamespaceState, event: Extract<Event, { type: "agent.lifecycle" }>, nowMs: number): void {
  const agent = agentOf(state, event.agentId);
  const legal: readonly string[] = AGENT_LIFECYCLE[agent.lifecycle];
  assert(legal.includes(event.lifecycle), `an agent goes from ${agent.lifecycle} to ${event.lifecycle}`);
  if (agent.lifecycle === "quarantined") agent.onTrial = event.lifecycle === "restarting";
  // A crash that is followed by a restart, not by a quarantine, ends the trial: it had been stable.
  if (event.lifecycle === "crashed" && event.retryAtMs !== undefined) agent.onTrial = false;
  agent.lifecycle = event.lifecycle;
  agent.retryAtMs = event.retryAtMs;
  if (event.lastExit !== undefined) agent.lastExit = event.lastExit;
  if (event.restartsAtMs !== undefined) agent.restartsAtMs = event.restartsAtMs;
  if (event.isolation !== undefined) agent.isolation = event.isolation;
  if (event.lifecycle === "restarting") agent.restarts += 1;
  if (event.lifecycle === "ready") {
    agent.readyAtMs = event.atMs;
    agent.lastSeenAtMs = event.atMs;
    agent.probes = { good: 0, bad: 0 };
    // A new incarnation has a clean record; what an operator has said stays.
    judge(agent, new Map([...agent.findings].filter(([source]) => source === "operator")));
  }
  if (event.lifecycle === "crashed" || event.lifecycle === "stopped") agent.readyAtMs = undefined;
  if (event.retryAtMs !== undefined) {
    state.due.add({ kind: "retry_agent", atMs: event.retryAtMs, agentId: event.agentId });
  }
  if (agent.identity.kind === "remote") watch(state, agent, event.atMs);
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

function hear(
  agent: Agent,
  { source, health, reason }: { source: HealthSource; health: Health; reason: string },
): void {
  const findings = new Map(agent.findings);
  findings.delete(source);
  if (health !== "healthy") findings.set(source, { health, reason });
  judge(agent, findings);
}

/** What waits for time only is looked at again when it has passed. */
function setBreaker(state: NamespaceState, event: Extract<Event, { type: "agent.breaker" }>, nowMs: number): void {
  const { agentId, breaker, run } = event;
  const agent = agentOf(state, agentId);
  agent.breaker = breaker;
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

/** Only outcomes that speak against an agent need be forgotten in time. */
function forgetInTime(state: NamespaceState, agent: Agent): void {
  const { health } = poolOf(state, agent.identity.pool).options;
  const [oldest] = agent.outcomes;
  if (health === false || oldest === undefined || !agent.findings.has("passive")) return;
  state.due.add({ kind: "recheck", atMs: oldest.atMs + health.maxAgeMs + 1, agentId: agent.identity.id });
}

/** The worst word counts. */
function judge(agent: Agent, findings: Agent["findings"]): void {
  const all = [...findings.values()];
  const worst = all.find(({ health }) => health === "unhealthy") ?? all[0];
  agent.findings = findings;
  agent.health = worst?.health ?? "healthy";
  agent.healthReason = worst?.reason ?? "";
}

/** Whoever waits for somebody else to serve is looked at again. */
function rosterChanged(state: NamespaceState, agent: Agent, nowMs: number): void {
  const queue = queueOf(state, agent.identity.pool);
  queue.rosterVersion += 1;
  // Who can't serve is kept free for nobody.
  const reservedFor = queue.reservations.taskOf(agent.identity.id);
  if (reservedFor !== undefined && !isServing(agent, nowMs)) queue.reservations.endOf(reservedFor);
  refresh(state, agent, nowMs);
  state.dirty.add(agent.identity.pool);
}

function refresh(state: NamespaceState, agent: Agent, nowMs: number): void {
  const pool = poolOf(state, agent.identity.pool);
  const queue = queueOf(state, agent.identity.pool);
  const drains = agent.runs.size > 0 && queue.reservations.taskOf(agent.identity.id) !== undefined;
  const free = mayBeChosen(pool.options, agent.identity) && againstAgent(pool, agent, nowMs) === undefined && !drains;
  queue.refresh(agent, free);
  if (free) state.dirty.add(agent.identity.pool);
}

function isServing({ lifecycle, health, cooldownUntilMs }: Agent, nowMs: number): boolean {
  return lifecycle === "ready" && health !== "unhealthy" && cooldownUntilMs <= nowMs;
}

// --- tasks ---

function holdSubmission(state: NamespaceState, event: Extract<Event, { type: "submission.held" }>): void {
  const { pool, held, untilMs } = event;
  const line = state.overflow.get(pool) ?? new HeldLine();
  state.overflow.set(pool, line);
  line.add(held);
  state.due.add({ kind: "overflow", atMs: untilMs, pool, holdId: held.holdId });
}

function addTask(state: NamespaceState, event: Extract<Event, { type: "task.submitted" }>, nowMs: number): void {
  const { spec, num } = event;
  const task = newTask(num, spec, event.queuedAtMs);
  task.unmet = event.waitsFor.length;
  task.failedDependencies = event.failedDependencies;
  task.nearAtMs = event.nearAtMs;
  state.lastNum = num;
  poolOf(state, spec.pool).totals.submitted += 1;
  enter(state, task, event.resting, nowMs);
  for (const dependency of event.waitsFor) waitFor(state, dependency, spec.id);
}

export function waitFor(state: NamespaceState, dependency: TaskId, id: TaskId): void {
  const waiting = state.dependents.get(dependency);
  if (waiting === undefined) state.dependents.set(dependency, [id]);
  else waiting.push(id);
}

export function newTask(num: number, spec: TaskSpec, queuedAtMs: number): Task {
  return {
    num,
    spec,
    priority: spec.priority,
    state: { name: "waiting", reason: "agent" },
    queuedAtMs,
    nearAtMs: undefined,
    first: false,
    attemptCount: 0,
    lastNumber: 0,
    lastFence: 0,
    failedAgentIds: [],
    owes: false,
    again: false,
    refunds: 0,
    killers: undefined,
    deaths: undefined,
    replays: 0,
    unmet: 0,
    failedDependencies: [],
    attempts: [],
    progress: undefined,
    lane: undefined,
  };
}

/** A new life: nothing charged, nobody excluded, before all others of its priority; history and fences go on. */
function reopen(state: NamespaceState, event: Extract<Event, { type: "task.replayed" }>): void {
  const { facts, atMs, resting, waitsFor } = event;
  forget(state, facts.spec.id);
  const { spec } = facts;
  const task = newTask(facts.num, spec, atMs);
  poolOf(state, spec.pool).deadLetters.delete(spec.id);
  task.nearAtMs = nearAtMs(spec, atMs);
  task.first = true;
  task.lastNumber = facts.lastNumber;
  task.lastFence = facts.lastFence;
  task.replays = facts.replays + 1;
  task.failedDependencies = facts.failedDependencies.filter((id) => !waitsFor.includes(id));
  task.attempts = facts.attempts;
  task.unmet = waitsFor.length;
  enter(state, task, resting, atMs);
  // A dependency that is open all the time may know of it from its last life.
  for (const dependency of waitsFor) {
    if (state.dependents.get(dependency)?.includes(spec.id) !== true) waitFor(state, dependency, spec.id);
  }
}

/** Puts a task that the core did not hold into the state. Also used to restore from a store. */
export function enter(state: NamespaceState, task: Task, resting: Resting, nowMs: number): void {
  const { id, idempotencyKey, deadlineAtMs } = task.spec;
  state.tasks.set(id, task);
  state.retired.delete(id);
  need(state, task.spec, 1);
  if (idempotencyKey !== undefined) state.keys.set(idempotencyKey, id);
  if (deadlineAtMs !== undefined) state.due.add({ kind: "deadline", atMs: deadlineAtMs, taskId: id });
  if (task.nearAtMs !== undefined) state.due.add({ kind: "near", atMs: task.nearAtMs, taskId: id });
  task.state = waitingState(resting);
  settleInto(state, task, nowMs);
}

/** An open task needs its dependencies until it is settled itself: their results go with it. */
export function need(state: NamespaceState, { dependencies }: TaskSpec, by: 1 | -1): void {
  for (const id of dependencies) {
    const count = (state.needed.get(id) ?? 0) + by;
    if (count > 0) state.needed.set(id, count);
    else state.needed.delete(id);
  }
}

/** Its deadline is near: from now on it stands where its new priority puts it. */
function hurry(state: NamespaceState, task: Task, priority: Priority): void {
  const stands = task.lane !== undefined;
  if (stands) queueOf(state, task.spec.pool).leave(task);
  task.nearAtMs = undefined;
  task.priority = priority;
  if (!stands) return;
  queueOf(state, task.spec.pool).push(task);
  state.dirty.add(task.spec.pool);
}

function waitingState(resting: Resting): TaskState {
  if (resting.reason === "delay") return { name: "waiting", reason: "delay", untilMs: resting.untilMs };
  if (resting.reason !== "retry") return { name: "waiting", reason: resting.reason };
  const { untilMs, held } = resting;
  return held === undefined
    ? { name: "waiting", reason: "retry", untilMs }
    : { name: "waiting", reason: "retry", untilMs, held };
}

function rest(state: NamespaceState, task: Task, resting: Resting, nowMs: number): void {
  move(state, task, waitingState(resting), nowMs);
  if (resting.reason !== "agent" || !task.owes) return;
  task.owes = false;
  poolOf(state, task.spec.pool).retryBudget?.drew(nowMs);
}

/** Leaves one state for another: checks the move, keeps counts, queue and due in step. */
function move(state: NamespaceState, task: Task, next: TaskState, nowMs: number): void {
  const legal: readonly string[] = LIFECYCLE[task.state.name];
  assert(legal.includes(next.name), `a task goes from ${task.state.name} to ${next.name}`);
  count(state, task, -1);
  if (isHeld(task.state)) poolOf(state, task.spec.pool).held.delete(task.spec.id);
  if (task.lane !== undefined) {
    queueOf(state, task.spec.pool).leave(task);
    const { drain, counts } = poolOf(state, task.spec.pool);
    drain.departed(counts.agent, nowMs);
  }
  if (task.state.name === "leased") {
    queueOf(state, task.spec.pool).ended(task);
    // Others of its fairness key may be let in, also while its slot stays taken.
    state.dirty.add(task.spec.pool);
  }
  if (next.name === "leased") queueOf(state, task.spec.pool).began(task);
  task.state = next;
  endReservations(state, task, nowMs);
  settleInto(state, task, nowMs);
}

/** Whoever was kept free for the task is free for others, once it no longer waits for that. */
function endReservations(state: NamespaceState, task: Task, nowMs: number): void {
  const { id, pool } = task.spec;
  const { reservations } = queueOf(state, pool);
  if (!needsEmptyAgent(task) && !needsQuiet(task) && reservations.quietFor !== id) return;
  state.dirty.add(pool);
  const keptId = reservations.endOf(id);
  const kept = keptId === undefined ? undefined : state.agents.get(keptId);
  if (kept !== undefined) refresh(state, kept, nowMs);
  const runner = task.state.name === "leased" ? state.agents.get(task.state.lease.agentId) : undefined;
  if (runner !== undefined && isLocal(runner) && needsQuiet(task)) reservations.quietFor = id;
  else if (reservations.quietFor === id) reservations.quietFor = undefined;
}

/** Its agent lives, so the death that left the run in company was none. */
function keepAlive(state: NamespaceState, { agentId, fence }: Lease): void {
  const runs = state.agents.get(agentId)?.runs;
  const run = runs?.get(fence);
  if (run?.shared === true) runs?.set(fence, { ...run, shared: false });
}

function settleInto(state: NamespaceState, task: Task, nowMs: number): void {
  count(state, task, 1);
  if (task.state.name !== "waiting") return;
  if (task.state.reason === "agent") {
    queueOf(state, task.spec.pool).push(task);
    const { drain, counts } = poolOf(state, task.spec.pool);
    drain.joined(counts.agent, nowMs);
    state.dirty.add(task.spec.pool);
  } else if (isHeld(task.state)) {
    const pool = poolOf(state, task.spec.pool);
    pool.held.add(task.spec.id);
    watchBudget(state, pool, task.state.untilMs);
  } else if (task.state.reason !== "dependencies") {
    state.due.add({ kind: "wake", atMs: task.state.untilMs, taskId: task.spec.id });
  }
}

/** It waits for its pool's retry budget. */
export function isHeld(state: TaskState): state is Extract<TaskState, { reason: "retry" }> & { readonly held: true } {
  return state.name === "waiting" && state.reason === "retry" && state.held === true;
}

/** Looks at those who wait for the retry budget again, once. */
export function watchBudget(state: NamespaceState, pool: Pool, atMs: number): void {
  if (pool.heldIsDue) return;
  pool.heldIsDue = true;
  state.due.add({ kind: "budget", atMs, pool: pool.id });
}

function count(state: NamespaceState, task: Task, by: 1 | -1): void {
  const { counts } = poolOf(state, task.spec.pool);
  if (task.state.name === "leased") counts.leased += by;
  else if (task.state.name === "waiting") counts[task.state.reason] += by;
}

function lease(state: NamespaceState, event: Extract<Event, { type: "task.leased" }>, nowMs: number): void {
  const task = taskOf(state, event.taskId);
  const { agentId, number, fence, atMs, expiresAtMs } = event;
  if (isFirstAttempt(task)) poolOf(state, task.spec.pool).retryBudget?.began(nowMs);
  task.lastNumber = number;
  task.lastFence = fence;
  task.progress = undefined;
  state.fences += 1;
  move(state, task, { name: "leased", lease: { agentId, number, fence, assignedAtMs: atMs, expiresAtMs } }, nowMs);
  const agent = state.agents.get(agentId);
  if (agent === undefined) return;
  agent.runs.set(fence, {
    taskId: event.taskId,
    fence,
    sinceMs: atMs,
    orphaned: false,
    named: false,
    stuck: false,
    permit: { generation: agent.breaker.generation, number: 0 },
    alone: needsEmptyAgent(task),
    shared: false,
  });
  agent.stats = { ...agent.stats, lastActivityAtMs: atMs };
  agent.rate?.begin(nowMs);
  if (agent.rate !== undefined) usedRate(state, agent.rate, nowMs);
  if (agent.claim !== undefined) agent.claim = { ...agent.claim, leased: [...agent.claim.leased, fence] };
  poolOf(state, agent.identity.pool).lastOrdinal = agent.identity.ordinal;
  state.due.add({ kind: "lease", atMs: expiresAtMs, taskId: event.taskId, fence });
  refresh(state, agent, nowMs);
}

/** The first of its life: nothing has been tried since the admission, or since the replay. */
function isFirstAttempt(task: Task): boolean {
  return task.lastNumber === 0 || (task.first && task.attemptCount + task.refunds + task.failedAgentIds.length === 0);
}

function start(state: NamespaceState, id: TaskId, atMs: number): void {
  const task = taskOf(state, id);
  assert(task.state.name === "leased", "only a leased task starts");
  const { lease: held } = task.state;
  task.state = { name: "leased", lease: { ...held, startedAtMs: atMs } };
  watchRun(state, task, { ...held, startedAtMs: atMs });
}

/** From the start of a run on it may take too long, for the task and for its agent. */
export function watchRun(state: NamespaceState, { spec }: Task, { agentId, fence, startedAtMs }: Lease): void {
  if (startedAtMs === undefined) return;
  const { stuckMs, timeoutMs: poolTimeoutMs } = poolOf(state, spec.pool).options;
  const timeoutMs = spec.timeoutMs ?? poolTimeoutMs;
  if (timeoutMs !== undefined)
    state.due.add({ kind: "timeout", atMs: startedAtMs + timeoutMs, taskId: spec.id, fence });
  if (stuckMs === undefined) return;
  state.due.add({ kind: "stuck", atMs: startedAtMs + stuckMs + 1, agentId, fence, sinceMs: startedAtMs });
}

/** The attempt joins the task's history; its slot is free unless the run may go on. */
function endAttempt(
  state: NamespaceState,
  task: Task,
  {
    attempt,
    charged,
    exclude,
    held,
    kill,
    deaths,
  }: {
    attempt: Attempt;
    charged: boolean;
    exclude: boolean;
    held: boolean;
    kill?: Kill | undefined;
    deaths?: EngineDeaths | undefined;
  },
  nowMs: number,
): void {
  assert(task.state.name === "leased", "only a leased task has an attempt to end");
  const { lease: ended } = task.state;
  task.attempts = [...task.attempts, attempt].slice(-ATTEMPTS_KEPT);
  task.again = false;
  task.owes = attempt.outcome === "failed" || attempt.outcome === "timed_out";
  if (kill !== undefined)
    task.killers = kill.counted ? withKiller(task.killers, attempt.agentId) : (task.killers ?? []);
  // Who was on trial and came out of it otherwise is like any other task again.
  if (deaths !== undefined || (needsQuiet(task) && attempt.outcome !== "released")) task.deaths = deaths;
  if (charged) task.attemptCount += 1;
  else if (attempt.outcome !== "throttled") task.refunds += 1;
  if (exclude && !task.failedAgentIds.includes(attempt.agentId)) {
    task.failedAgentIds = [...task.failedAgentIds, attempt.agentId];
  }
  const agent = state.agents.get(attempt.agentId);
  if (agent === undefined) return;
  measure(agent, attempt);
  if (agent.rate !== undefined && attempt.usage?.tokens !== undefined) {
    agent.rate.spend(attempt.usage.tokens, nowMs);
    usedRate(state, agent.rate, nowMs);
  }
  learn(state, agent, task.spec.type, attempt);
  const run = agent.runs.get(attempt.fence);
  if (run !== undefined) {
    if (held) hold(state, agent, run, { nowMs, leaseEndMs: ended.expiresAtMs });
    else agent.runs.delete(attempt.fence);
  }
  refresh(state, agent, nowMs);
}

/**
 * The run may go on, so its slot stays taken: a remote one's until the end of its lease, a function's until it is
 * given up, a child's until its driver tells that it has ended.
 */
function hold(state: NamespaceState, agent: Agent, run: Run, ends: { nowMs: number; leaseEndMs: number }): void {
  const { id: agentId, kind, pool } = agent.identity;
  const { fence } = run;
  agent.runs.set(fence, { ...run, orphaned: true });
  if (kind === "remote") state.due.add({ kind: "held", atMs: ends.leaseEndMs, agentId, fence, giveUp: true });
  if (kind !== "function") return;
  const { stopMs, abandonMs } = poolOf(state, pool).options;
  state.due.add({ kind: "held", atMs: ends.nowMs + stopMs, agentId, fence, giveUp: false });
  state.due.add({ kind: "held", atMs: ends.nowMs + abandonMs, agentId, fence, giveUp: true });
}

function measure(agent: Agent, attempt: Attempt): void {
  const { stats } = agent;
  if (attempt.outcome === "succeeded") {
    const tookMs = attempt.endedAtMs - (attempt.startedAtMs ?? attempt.assignedAtMs);
    agent.cooldownMs = 0;
    agent.stats = {
      ...stats,
      succeeded: stats.succeeded + 1,
      consecutiveFailures: 0,
      latencySumMs: stats.latencySumMs + tookMs,
      lastActivityAtMs: attempt.endedAtMs,
    };
  } else if (attempt.blame === "agent" || attempt.blame === "unknown") {
    agent.stats = {
      ...stats,
      failed: stats.failed + 1,
      consecutiveFailures: stats.consecutiveFailures + 1,
      lastActivityAtMs: attempt.endedAtMs,
    };
  }
}

/** What it says for the next choice. An end that is not the agent's doing says nothing. */
function learn(state: NamespaceState, { identity, measure: figures }: Agent, type: string, attempt: Attempt): void {
  const succeeded = attempt.outcome === "succeeded";
  if (!succeeded && attempt.blame !== "agent" && attempt.blame !== "unknown") return;
  const { latency } = poolOf(state, identity.pool);
  const tookMs = attempt.endedAtMs - (attempt.startedAtMs ?? attempt.assignedAtMs);
  observe(figures, { type, succeeded, tookMs, endedAtMs: attempt.endedAtMs }, latency);
  if (succeeded) latency.add(tookMs);
}

function forget(state: NamespaceState, id: TaskId): void {
  const task = state.tasks.get(id);
  if (task === undefined) return;
  assert(task.state.name === "settled", "only a settled task is forgotten");
  state.tasks.delete(id);
  const { idempotencyKey } = task.spec;
  if (idempotencyKey !== undefined && state.keys.get(idempotencyKey) === id) state.keys.delete(idempotencyKey);
}
