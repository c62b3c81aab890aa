/** Pools, their gates, and who waits for room in them. */
import type { PoolId } from "../../base/ids.ts";
import { lookEveryMs } from "../../policies/autoscale.ts";
import { DrainRate } from "../../policies/drain-rate.ts";
import { PoolLatency } from "../../policies/measure.ts";
import { RetryBudget } from "../../policies/retry-budget.ts";
import type { Event } from "../event.ts";
import type { Gate } from "../gate.ts";
import { HeldLine } from "../held-line.ts";
import type { Pool, SizeWatch } from "../pool.ts";
import { PoolQueue } from "../pool-queue.ts";
import { agentOf, type NamespaceState, poolOf, queueOf } from "../state.ts";
import { rosterChanged } from "./seat.ts";
import { reviewSpending } from "./spending.ts";

export function addPool(state: NamespaceState, event: Extract<Event, { type: "pool.created" }>, nowMs: number): void {
  const deadLetters = state.leftLetters.get(event.pool) ?? new Map();
  state.leftLetters.delete(event.pool);
  state.pools.set(event.pool, { ...newPool(event.pool, event), deadLetters });
  state.queues.set(event.pool, new PoolQueue(state.heldTypes));
  queueOf(state, event.pool).limitKeys(event.options.keyConcurrency);
  beginWatch(state, event.pool, nowMs);
}

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
    scaledAtMs: undefined,
    watch: undefined,
    draining: false,
    mode: "running",
    counts: { agent: 0, dependencies: 0, delay: 0, retry: 0, leased: 0 },
    totals: { submitted: 0, completed: 0, failed: 0, cancelled: 0 },
    retryBudget: budgetOf(options),
    held: new Set(),
    heldIsDue: false,
    drain: new DrainRate(),
    spending: new Map(),
    quarantine: new Map(),
    deadLetters: new Map(),
  };
}

function budgetOf({ retry }: Pool["options"]): RetryBudget | undefined {
  return retry.budget === false ? undefined : new RetryBudget(retry.budget);
}

/** Another strategy may choose those whom the last one could not. */
export function changePool(
  state: NamespaceState,
  { pool: id, options }: { pool: PoolId; options: Pool["options"] },
  nowMs: number,
): void {
  const pool = poolOf(state, id);
  const before = pool.options.retry.budget;
  if (pool.options.keyConcurrency !== options.keyConcurrency) queueOf(state, id).limitKeys(options.keyConcurrency);
  const sameWatch = JSON.stringify(pool.options.autoscale) === JSON.stringify(options.autoscale);
  pool.options = options;
  if (!sameWatch || pool.watch === undefined) beginWatch(state, id, nowMs);
  const same = JSON.stringify(before) === JSON.stringify(options.retry.budget);
  if (!same) pool.retryBudget = budgetOf(options);
  for (const agentId of pool.agentIds) rosterChanged(state, agentOf(state, agentId), nowMs);
  reviewSpending(state, pool);
  state.dirty.add(id);
}

/** From now on it is seen what the new size does. */
export function scalePool(state: NamespaceState, { pool, atMs }: Extract<Event, { type: "pool.scaled" }>): void {
  const scaled = poolOf(state, pool);
  scaled.scaledAtMs = atMs;
  if (scaled.watch !== undefined) scaled.watch = { ...scaled.watch, peak: 0, sinceMs: atMs };
}

/** Only where a size may follow anything: an agent of its own, and room between the bounds. */
function beginWatch(state: NamespaceState, id: PoolId, nowMs: number): void {
  const { autoscale, agents } = poolOf(state, id).options;
  poolOf(state, id).watch = undefined;
  if (autoscale === false || !agents.some(({ sized }) => sized)) return;
  watchSize(state, id, { peak: 0, sinceMs: nowMs, nextAtMs: nowMs + lookEveryMs(autoscale) });
}

export function watchSize(state: NamespaceState, id: PoolId, watch: SizeWatch): void {
  poolOf(state, id).watch = watch;
  state.due.add({ kind: "autoscale", atMs: watch.nextAtMs, pool: id });
}

export function removePool(state: NamespaceState, id: PoolId): void {
  const { deadLetters } = poolOf(state, id);
  if (deadLetters.size > 0) state.leftLetters.set(id, deadLetters);
  state.pools.delete(id);
  state.queues.delete(id);
  state.dirty.delete(id);
}

export function holdSubmission(state: NamespaceState, event: Extract<Event, { type: "submission.held" }>): void {
  const { pool, held, untilMs } = event;
  const line = state.overflow.get(pool) ?? new HeldLine();
  state.overflow.set(pool, line);
  line.add(held);
  state.due.add({ kind: "overflow", atMs: untilMs, pool, holdId: held.holdId });
}

export function letSubmissionGo(state: NamespaceState, pool: PoolId, holdId: number): void {
  const line = state.overflow.get(pool);
  line?.remove(holdId);
  if (line?.size === 0) state.overflow.delete(pool);
}

const heldBy = (gate: Gate | undefined): readonly string[] => (gate === undefined || gate.available ? [] : gate.holds);

/** Costs per class of the types concerned, however many tasks wait. */
export function changeGate(state: NamespaceState, gate: Gate): void {
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
