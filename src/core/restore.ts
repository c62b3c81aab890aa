/** The state as a store gives it back: what is open, with every index rebuilt. */
import type { PoolId, TaskId } from "../base/ids.ts";
import type { AgentIdentity } from "./agent.ts";
import { apply } from "./apply/apply.ts";
import { watchRun } from "./apply/attempts.ts";
import { setWindow } from "./apply/spending.ts";
import { enter, need, waitFor } from "./apply/tasks.ts";
import { needsEmptyAgent } from "./company.ts";
import type { Resting } from "./event.ts";
import type { Gate } from "./gate.ts";
import type { PoolMode, PoolOptions } from "./pool.ts";
import type { Quarantined } from "./quarantined.ts";
import type { OpenFacts } from "./record.ts";
import type { Schedule } from "./schedule.ts";
import type { SpendWindow } from "./spend.ts";
import { emptyState, lettersOf, type NamespaceState, poolOf, queueOf } from "./state.ts";
import { type Lease, newTask, type Task } from "./task.ts";

export interface Stored {
  readonly epoch: number;
  readonly lastNum: number;
  readonly pools: readonly {
    readonly options: PoolOptions;
    readonly createdAtMs: number;
    readonly mode?: PoolMode | undefined;
  }[];
  /** What pools (`tenant` is empty) and tenants have spent lately. */
  readonly spending: readonly { readonly pool: PoolId; readonly tenant: string; readonly window: SpendWindow }[];
  readonly gates: readonly Gate[];
  readonly schedules: readonly Schedule[];
  readonly agents: readonly AgentIdentity[];
  /** In the order of `num`. */
  readonly open: readonly OpenFacts[];
  /** Oldest first. */
  readonly quarantine: readonly Quarantined[];
  /** In the order in which they were settled. */
  readonly deadLetters: readonly { readonly pool: PoolId; readonly id: TaskId; readonly num: number }[];
  /** The newest term of an engine in which a task was settled; 0 = none. */
  readonly settledEpoch: number;
}

export function restore(stored: Stored, nowMs: number): NamespaceState {
  const state = emptyState(stored.epoch);
  for (const gate of stored.gates) apply(state, { type: "gate.changed", gate }, nowMs);
  for (const { options, createdAtMs, mode } of stored.pools) {
    apply(state, { type: "pool.created", pool: options.id, options, atMs: createdAtMs }, nowMs);
    if (mode !== undefined) apply(state, { type: "pool.mode", pool: options.id, mode }, nowMs);
  }
  for (const schedule of stored.schedules) apply(state, { type: "schedule.created", schedule }, nowMs);
  for (const { pool, tenant, window } of stored.spending) {
    const spender = state.pools.get(pool);
    if (spender !== undefined) setWindow(state, spender, tenant, window);
  }
  for (const agent of stored.agents) apply(state, { type: "agent.added", agent }, nowMs);
  for (const facts of stored.open) restoreTask(state, facts, nowMs);
  for (const facts of stored.open) {
    if (facts.state.name !== "waiting" || facts.state.reason !== "dependencies") continue;
    // Not for one that was out of the way when this life began, and was replayed since.
    for (const id of facts.waitsFor ?? facts.spec.dependencies) {
      // One that has failed and was replayed is open again, and yet out of the way.
      const isAhead = state.tasks.has(id) || facts.awaited?.ids.includes(id) === true;
      if (isAhead && !facts.failedDependencies.includes(id)) waitFor(state, id, facts.spec.id);
    }
  }
  for (const quarantined of stored.quarantine) {
    if (state.pools.has(quarantined.pool)) apply(state, { type: "payload.quarantined", ...quarantined }, nowMs);
  }
  for (const { pool, id, num } of stored.deadLetters) {
    if (lettersOf(state, pool) === undefined) state.leftLetters.set(pool, new Map());
    lettersOf(state, pool)?.set(id, num);
  }
  state.lastNum = Math.max(state.lastNum, stored.lastNum);
  state.settledEpoch = stored.settledEpoch;
  return state;
}

function restoreTask(state: NamespaceState, facts: OpenFacts, nowMs: number): void {
  const task: Task = {
    ...newTask(facts.num, facts.spec, facts.queuedAtMs),
    priority: facts.priority,
    nearAtMs: facts.nearAtMs,
    first: facts.first,
    attemptCount: facts.attemptCount,
    lastNumber: facts.lastNumber,
    lastFence: facts.lastFence,
    failedAgentIds: facts.failedAgentIds,
    owes: owes(facts),
    again: facts.again,
    refunds: facts.refunds,
    spent: facts.spent,
    killers: facts.killers,
    deaths: facts.deaths,
    replays: facts.replays,
    unmet: facts.unmet,
    waitsFor: facts.waitsFor,
    awaited: facts.awaited,
    failedDependencies: facts.failedDependencies,
    attempts: facts.attempts,
  };
  state.lastNum = Math.max(state.lastNum, facts.num);
  if (facts.state.name === "leased") resume(state, task, facts.state.lease);
  else enter(state, task, facts.state as Resting, nowMs);
}

/** Its backoff, or its wait for the retry budget, has not ended yet. */
function owes({ state, attempts }: OpenFacts): boolean {
  const last = attempts[attempts.length - 1]?.outcome;
  return state.name === "waiting" && state.reason === "retry" && (last === "failed" || last === "timed_out");
}

/** A task that ran when the engine died: its agent still holds it until somebody says otherwise. */
function resume(state: NamespaceState, task: Task, lease: Lease): void {
  const { id, idempotencyKey, deadlineAtMs } = task.spec;
  state.tasks.set(id, task);
  if (idempotencyKey !== undefined) state.keys.set(idempotencyKey, id);
  if (deadlineAtMs !== undefined) state.due.add({ kind: "deadline", atMs: deadlineAtMs, taskId: id });
  if (task.nearAtMs !== undefined) state.due.add({ kind: "near", atMs: task.nearAtMs, taskId: id });
  need(state, task.spec, 1);
  task.state = { name: "leased", lease };
  const pool = poolOf(state, task.spec.pool);
  pool.counts.leased += 1;
  queueOf(state, task.spec.pool).began(task);
  const agent = state.agents.get(lease.agentId);
  const sinceMs = lease.startedAtMs ?? lease.assignedAtMs;
  agent?.runs.set(lease.fence, {
    taskId: id,
    fence: lease.fence,
    sinceMs,
    orphaned: false,
    named: false,
    stuck: false,
    permit: { generation: 0, number: 0 },
    alone: needsEmptyAgent(task),
    shared: false,
  });
  state.due.add({ kind: "lease", atMs: lease.expiresAtMs, taskId: id, fence: lease.fence });
  watchRun(state, task, lease);
}
