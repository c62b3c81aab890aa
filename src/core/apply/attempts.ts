/** Attempts: the lease that begins one, the run, what is learnt from its end. */
import { assert } from "../../base/assert.ts";
import type { TaskId } from "../../base/ids.ts";
import { afterSuccess } from "../../policies/balancer/slow-start.ts";
import { observe } from "../../policies/measure.ts";
import type { Agent, Run } from "../agent.ts";
import { needsEmptyAgent, needsQuiet } from "../company.ts";
import type { Event } from "../event.ts";
import { type Kill, withKiller } from "../kill.ts";
import type { Charge } from "../retry.ts";
import { agentOf, type NamespaceState, poolOf, taskOf } from "../state.ts";
import { ATTEMPTS_KEPT, type Attempt, type EngineDeaths, type Lease, type Task } from "../task.ts";
import { usedRate } from "./rates.ts";
import { refresh } from "./seat.ts";
import { pay } from "./spending.ts";
import { close, move, rest } from "./tasks.ts";

export function lease(state: NamespaceState, event: Extract<Event, { type: "task.leased" }>, nowMs: number): void {
  const task = taskOf(state, event.taskId);
  const { agentId, number, fence, atMs, expiresAtMs } = event;
  if (isFirstAttempt(task)) poolOf(state, task.spec.pool).retryBudget?.began(nowMs);
  task.lastNumber = number;
  task.lastFence = fence;
  task.progress = undefined;
  state.fences += 1;
  move(
    state,
    task,
    { name: "leased", lease: { agentId, number, fence, assignedAtMs: atMs, expiresAtMs, startedAtMs: undefined } },
    nowMs,
  );
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
  agent.stats.lastActivityAtMs = atMs;
  agent.rate?.begin(nowMs);
  if (agent.rate !== undefined) usedRate(state, agent.rate, nowMs);
  if (agent.claim !== undefined) agent.claim = { ...agent.claim, leased: [...agent.claim.leased, fence] };
  poolOf(state, agent.identity.pool).lastOrdinal = agent.identity.ordinal;
  state.due.add({ kind: "lease", atMs: expiresAtMs, taskId: event.taskId, fence });
  refresh(state, agent, nowMs);
}

/** The first of its life: nothing has been tried since the admission, or since the replay. */
function isFirstAttempt(task: Task): boolean {
  if (task.lastNumber === 0) return true;
  // What ended later than the replay belongs to this life, also when it was throttled and leaves no other trace.
  const last = task.attempts.at(-1);
  const isNewLife = task.first && (last === undefined || last.endedAtMs <= task.queuedAtMs);
  return isNewLife && task.attemptCount + task.refunds + task.failedAgentIds.length === 0;
}

export function start(state: NamespaceState, id: TaskId, atMs: number): void {
  const task = taskOf(state, id);
  assert(task.state.name === "leased", "only a leased task starts");
  const { agentId, number, fence, assignedAtMs, expiresAtMs } = task.state.lease;
  const started = { agentId, number, fence, assignedAtMs, expiresAtMs, startedAtMs: atMs };
  task.state = { name: "leased", lease: started };
  watchRun(state, task, started);
}

/** From the start of a run on it may take too long, for the task and for its agent. */
export function watchRun(state: NamespaceState, { spec, spent }: Task, { agentId, fence, startedAtMs }: Lease): void {
  if (startedAtMs === undefined) return;
  const { stuckMs, timeoutMs: poolTimeoutMs } = poolOf(state, spec.pool).options;
  const timeoutMs = spec.timeoutMs ?? poolTimeoutMs;
  if (timeoutMs !== undefined)
    state.due.add({ kind: "timeout", atMs: startedAtMs + timeoutMs, taskId: spec.id, fence });
  const wallMs = spec.budget?.wallMs;
  if (wallMs !== undefined) {
    const leftMs = Math.max(0, wallMs - (spent?.wallMs ?? 0));
    state.due.add({ kind: "budget_spent", atMs: startedAtMs + leftMs, taskId: spec.id, fence });
  }
  if (stuckMs === undefined) return;
  state.due.add({ kind: "stuck", atMs: startedAtMs + stuckMs + 1, agentId, fence, sinceMs: startedAtMs });
}

export function renew(state: NamespaceState, event: Extract<Event, { type: "lease.renewed" }>): void {
  const task = taskOf(state, event.taskId);
  assert(task.state.name === "leased", "only a leased task is renewed");
  task.state = { name: "leased", lease: { ...task.state.lease, expiresAtMs: event.expiresAtMs } };
  keepAlive(state, task.state.lease);
}

/** Its agent lives, so the death that left the run in company was none. */
function keepAlive(state: NamespaceState, { agentId, fence }: Lease): void {
  const runs = state.agents.get(agentId)?.runs;
  const run = runs?.get(fence);
  if (run?.shared === true) runs?.set(fence, { ...run, shared: false });
}

export function tryAgain(state: NamespaceState, event: Extract<Event, { type: "attempt.ended" }>, nowMs: number): void {
  const task = taskOf(state, event.taskId);
  endAttempt(state, task, event, nowMs);
  rest(state, task, event.resting, nowMs);
}

export function settle(state: NamespaceState, event: Extract<Event, { type: "task.settled" }>, nowMs: number): void {
  const task = taskOf(state, event.taskId);
  if (hasAttempt(event)) endAttempt(state, task, event, nowMs);
  move(state, task, { name: "settled", settlement: event.settlement, fence: task.lastFence }, nowMs);
  close(state, event);
}

/** An attempt that has ended, and what that means for its task. */
interface Ended extends Charge {
  readonly attempt: Attempt;
  readonly held: boolean;
  readonly kill?: Kill | undefined;
  readonly deaths?: EngineDeaths | undefined;
}

const hasAttempt = <T extends { readonly attempt?: Attempt | undefined }>(
  event: T,
): event is T & Pick<Ended, "attempt"> => event.attempt !== undefined;

/** The attempt joins the task's history; its slot is free unless the run may go on. */
function endAttempt(
  state: NamespaceState,
  task: Task,
  { attempt, charged, exclude, held, kill, deaths }: Ended,
  nowMs: number,
): void {
  assert(task.state.name === "leased", "only a leased task has an attempt to end");
  const { lease: ended } = task.state;
  task.attempts = withAttempt(task.attempts, attempt);
  pay(state, task, attempt);
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

/** A list of its own, as settled tasks and events hold the earlier one. */
function withAttempt(attempts: readonly Attempt[], attempt: Attempt): readonly Attempt[] {
  if (attempts.length === 0) return [attempt];
  return attempts.length < ATTEMPTS_KEPT ? [...attempts, attempt] : [...attempts.slice(1 - ATTEMPTS_KEPT), attempt];
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
  const { abandonMs } = poolOf(state, pool).options;
  // Whether it heeds its signal is not known before its run has ended.
  state.due.add({ kind: "held", atMs: ends.nowMs, agentId, fence, giveUp: false });
  state.due.add({ kind: "held", atMs: ends.nowMs + abandonMs, agentId, fence, giveUp: true });
}

/** A run of the last term that no task waits for any more. */
export function adoptRun(state: NamespaceState, event: Extract<Event, { type: "run.adopted" }>, nowMs: number): void {
  const { agentId, taskId, fence, sinceMs } = event;
  const agent = agentOf(state, agentId);
  const permit = { generation: 0, number: 0 };
  const marks = { named: false, stuck: false, alone: false, shared: false };
  const run: Run = { taskId, fence, sinceMs, orphaned: true, permit, ...marks };
  hold(state, agent, run, { nowMs, leaseEndMs: nowMs });
  refresh(state, agent, nowMs);
}

function measure(agent: Agent, attempt: Attempt): void {
  const { stats } = agent;
  if (attempt.outcome === "succeeded") {
    const tookMs = attempt.endedAtMs - (attempt.startedAtMs ?? attempt.assignedAtMs);
    agent.cooldownMs = 0;
    agent.warming &&= afterSuccess(agent.warming);
    stats.succeeded += 1;
    stats.consecutiveFailures = 0;
    stats.latencySumMs += tookMs;
    stats.lastActivityAtMs = attempt.endedAtMs;
  } else if (attempt.blame === "agent" || attempt.blame === "unknown") {
    stats.failed += 1;
    stats.consecutiveFailures += 1;
    stats.lastActivityAtMs = attempt.endedAtMs;
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
