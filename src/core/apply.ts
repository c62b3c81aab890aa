/** The one writer: every change of the state is an event that goes through here. Decides nothing. */
import { assert } from "../base/assert.ts";
import type { AgentId, PoolId, TaskId } from "../base/ids.ts";
import { newMeasure, observe, PoolLatency } from "../policies/measure.ts";
import {
  AGENT_LIFECYCLE,
  type Agent,
  type AgentIdentity,
  type Health,
  type HealthSource,
  NO_STATS,
  type Run,
} from "./agent.ts";
import type { Event, Resting } from "./event.ts";
import { mayBeChosen, type Pool } from "./pool.ts";
import { PoolQueue } from "./pool-queue.ts";
import type { NamespaceState } from "./state.ts";
import { ATTEMPTS_KEPT, type Attempt, LIFECYCLE, type Task, type TaskSpec, type TaskState } from "./task.ts";

export function apply(state: NamespaceState, event: Event, nowMs: number): void {
  switch (event.type) {
    case "pool.created":
      state.pools.set(event.pool, newPool(event.pool, event));
      state.queues.set(event.pool, new PoolQueue());
      break;
    case "pool.changed":
      changePool(state, event, nowMs);
      break;
    case "pool.deleted":
      state.pools.delete(event.pool);
      state.queues.delete(event.pool);
      state.dirty.delete(event.pool);
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
    case "agent.removed":
      removeAgent(state, event.agentId, event.pool);
      break;
    case "agent.lifecycle":
      moveAgent(state, event, nowMs);
      break;
    case "agent.health": {
      const agent = agentOf(state, event.agentId);
      hear(agent, event);
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
    case "agent.rested":
      rosterChanged(state, agentOf(state, event.agentId), nowMs);
      break;
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
      addTask(state, event);
      break;
    case "task.replayed":
      reopen(state, event);
      break;
    case "task.waiting": {
      const task = taskOf(state, event.taskId);
      task.again = event.again;
      rest(state, task, event.resting);
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
      break;
    }
    case "task.progressed":
      taskOf(state, event.taskId).progress = event.progress;
      break;
    case "attempt.ended": {
      const task = taskOf(state, event.taskId);
      endAttempt(state, task, event, nowMs);
      rest(state, task, event.resting);
      break;
    }
    case "task.settled": {
      const task = taskOf(state, event.taskId);
      if (event.attempt !== undefined) endAttempt(state, task, { ...event, attempt: event.attempt }, nowMs);
      move(state, task, { name: "settled", settlement: event.settlement, fence: task.lastFence });
      state.dependents.delete(event.taskId);
      const { totals } = poolOf(state, task.spec.pool);
      totals[event.settlement.status] += 1;
      break;
    }
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
    case "run.named": {
      const { runs } = agentOf(state, event.agentId);
      const run = runs.get(event.fence);
      if (run !== undefined) runs.set(event.fence, { ...run, named: true });
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
    counts: { agent: 0, dependencies: 0, delay: 0, retry: 0, leased: 0 },
    totals: { submitted: 0, completed: 0, failed: 0, cancelled: 0 },
  };
}

/** Another strategy may choose those whom the last one could not. */
function changePool(
  state: NamespaceState,
  { pool: id, options }: { pool: PoolId; options: Pool["options"] },
  nowMs: number,
): void {
  const pool = poolOf(state, id);
  pool.options = options;
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
    measure: newMeasure(),
  };
  state.agents.set(identity.id, agent);
  queueOf(state, identity.pool).seat(agent);
  rosterChanged(state, agent, nowMs);
}

function removeAgent(state: NamespaceState, id: AgentId, poolId: PoolId): void {
  const queue = queueOf(state, poolId);
  queue.unseat(id);
  queue.rosterVersion += 1;
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
  queueOf(state, agent.identity.pool).rosterVersion += 1;
  refresh(state, agent, nowMs);
  state.dirty.add(agent.identity.pool);
}

function refresh(state: NamespaceState, agent: Agent, nowMs: number): void {
  const free = mayBeChosen(poolOf(state, agent.identity.pool).options, agent.identity) && canTakeWork(agent, nowMs);
  queueOf(state, agent.identity.pool).refresh(agent, free);
  if (free) state.dirty.add(agent.identity.pool);
}

/** Hard conditions on the agent alone. */
function canTakeWork(agent: Agent, nowMs: number): boolean {
  if (agent.lifecycle !== "ready" || agent.health === "unhealthy") return false;
  if (agent.cooldownUntilMs > nowMs || agent.runs.size >= agent.identity.concurrency) return false;
  if (agent.identity.kind !== "remote") return true;
  return agent.claim !== undefined && agent.claim.leased.length < agent.claim.max;
}

// --- tasks ---

function addTask(state: NamespaceState, event: Extract<Event, { type: "task.submitted" }>): void {
  const { spec, num } = event;
  const task = newTask(num, spec, event.queuedAtMs);
  task.unmet = event.waitsFor.length;
  task.failedDependencies = event.failedDependencies;
  state.lastNum = num;
  poolOf(state, spec.pool).totals.submitted += 1;
  enter(state, task, event.resting);
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
    state: { name: "waiting", reason: "agent" },
    queuedAtMs,
    first: false,
    attemptCount: 0,
    lastNumber: 0,
    lastFence: 0,
    failedAgentIds: [],
    again: false,
    refunds: 0,
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
  const { deadlineAtMs } = facts.spec;
  const spec =
    deadlineAtMs !== undefined && deadlineAtMs <= atMs ? { ...facts.spec, deadlineAtMs: undefined } : facts.spec;
  const task = newTask(facts.num, spec, atMs);
  task.first = true;
  task.lastNumber = facts.lastNumber;
  task.lastFence = facts.lastFence;
  task.replays = facts.replays + 1;
  task.failedDependencies = facts.failedDependencies.filter((id) => !waitsFor.includes(id));
  task.attempts = facts.attempts;
  task.unmet = waitsFor.length;
  enter(state, task, resting);
  // A dependency that is open all the time may know of it from its last life.
  for (const dependency of waitsFor) {
    if (state.dependents.get(dependency)?.includes(spec.id) !== true) waitFor(state, dependency, spec.id);
  }
}

/** Puts a task that the core did not hold into the state. Also used to restore from a store. */
export function enter(state: NamespaceState, task: Task, resting: Resting): void {
  const { id, idempotencyKey, deadlineAtMs } = task.spec;
  state.tasks.set(id, task);
  if (idempotencyKey !== undefined) state.keys.set(idempotencyKey, id);
  if (deadlineAtMs !== undefined) state.due.add({ kind: "deadline", atMs: deadlineAtMs, taskId: id });
  task.state = waitingState(resting);
  settleInto(state, task);
}

function waitingState(resting: Resting): TaskState {
  return resting.reason === "delay" || resting.reason === "retry"
    ? { name: "waiting", reason: resting.reason, untilMs: resting.untilMs }
    : { name: "waiting", reason: resting.reason };
}

function rest(state: NamespaceState, task: Task, resting: Resting): void {
  move(state, task, waitingState(resting));
}

/** Leaves one state for another: checks the move, keeps counts, queue and due in step. */
function move(state: NamespaceState, task: Task, next: TaskState): void {
  const legal: readonly string[] = LIFECYCLE[task.state.name];
  assert(legal.includes(next.name), `a task goes from ${task.state.name} to ${next.name}`);
  count(state, task, -1);
  if (task.lane !== undefined) queueOf(state, task.spec.pool).leave(task);
  task.state = next;
  settleInto(state, task);
}

function settleInto(state: NamespaceState, task: Task): void {
  count(state, task, 1);
  if (task.state.name !== "waiting") return;
  if (task.state.reason === "agent") {
    queueOf(state, task.spec.pool).push(task);
    state.dirty.add(task.spec.pool);
  } else if (task.state.reason !== "dependencies") {
    state.due.add({ kind: "wake", atMs: task.state.untilMs, taskId: task.spec.id });
  }
}

function count(state: NamespaceState, task: Task, by: 1 | -1): void {
  const { counts } = poolOf(state, task.spec.pool);
  if (task.state.name === "leased") counts.leased += by;
  else if (task.state.name === "waiting") counts[task.state.reason] += by;
}

function lease(state: NamespaceState, event: Extract<Event, { type: "task.leased" }>, nowMs: number): void {
  const task = taskOf(state, event.taskId);
  const { agentId, number, fence, atMs, expiresAtMs } = event;
  task.lastNumber = number;
  task.lastFence = fence;
  task.progress = undefined;
  state.fences += 1;
  move(state, task, { name: "leased", lease: { agentId, number, fence, assignedAtMs: atMs, expiresAtMs } });
  const agent = state.agents.get(agentId);
  if (agent === undefined) return;
  agent.runs.set(fence, { taskId: event.taskId, fence, sinceMs: atMs, orphaned: false, named: false });
  agent.stats = { ...agent.stats, lastActivityAtMs: atMs };
  if (agent.claim !== undefined) agent.claim = { ...agent.claim, leased: [...agent.claim.leased, fence] };
  poolOf(state, agent.identity.pool).lastOrdinal = agent.identity.ordinal;
  state.due.add({ kind: "lease", atMs: expiresAtMs, taskId: event.taskId, fence });
  refresh(state, agent, nowMs);
}

function start(state: NamespaceState, id: TaskId, atMs: number): void {
  const task = taskOf(state, id);
  assert(task.state.name === "leased", "only a leased task starts");
  const { lease: held } = task.state;
  task.state = { name: "leased", lease: { ...held, startedAtMs: atMs } };
  const timeoutMs = task.spec.timeoutMs ?? poolOf(state, task.spec.pool).options.timeoutMs;
  if (timeoutMs === undefined) return;
  state.due.add({ kind: "timeout", atMs: atMs + timeoutMs, taskId: id, fence: held.fence });
}

/** The attempt joins the task's history; its slot is free unless the run may go on. */
function endAttempt(
  state: NamespaceState,
  task: Task,
  { attempt, charged, exclude, held }: { attempt: Attempt; charged: boolean; exclude: boolean; held: boolean },
  nowMs: number,
): void {
  assert(task.state.name === "leased", "only a leased task has an attempt to end");
  const { lease: ended } = task.state;
  task.attempts = [...task.attempts, attempt].slice(-ATTEMPTS_KEPT);
  task.again = false;
  if (charged) task.attemptCount += 1;
  else if (attempt.outcome !== "throttled") task.refunds += 1;
  if (exclude && !task.failedAgentIds.includes(attempt.agentId)) {
    task.failedAgentIds = [...task.failedAgentIds, attempt.agentId];
  }
  const agent = state.agents.get(attempt.agentId);
  if (agent === undefined) return;
  measure(agent, attempt);
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
