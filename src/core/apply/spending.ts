/** What attempts have cost their pools and tenants. */
import type { PoolId } from "../../base/ids.ts";
import type { Pool } from "../pool.ts";
import {
  type SpendOptions,
  type SpendWindow,
  type Spent,
  spentBy,
  spentOf,
  sumOf,
  TENANT_LIMIT,
  WHOLE_POOL,
} from "../spend.ts";
import { type NamespaceState, poolOf, queueOf } from "../state.ts";
import type { Attempt, Task } from "../task.ts";

/** An attempt has ended: its task, its pool and its tenant pay for it. */
export function pay(state: NamespaceState, task: Task, attempt: Attempt): void {
  const spent = spentBy(attempt);
  if (spent.wallMs === 0 && spent.tokens === undefined && spent.costUsd === undefined) return;
  task.spent = sumOf(task.spent, spent);
  const pool = poolOf(state, task.spec.pool);
  const { spend, tenantSpend } = pool.options;
  const { tenant } = task.spec;
  const { endedAtMs } = attempt;
  if (spend !== undefined) add(state, pool, { tenant: WHOLE_POOL, spent, options: spend, atMs: endedAtMs });
  if (tenantSpend !== undefined && tenant !== undefined) {
    add(state, pool, { tenant, spent, options: tenantSpend, atMs: endedAtMs });
  }
}

function add(
  state: NamespaceState,
  pool: Pool,
  { tenant, spent, options, atMs }: { tenant: string; spent: Spent; options: SpendOptions; atMs: number },
): void {
  const open = pool.spending.get(tenant);
  const window = open !== undefined && open.untilMs > atMs ? open : undefined;
  const untilMs = window?.untilMs ?? atMs + options.perMs;
  if (open === undefined && pool.spending.size > TENANT_LIMIT) forgetFirst(state, pool);
  setWindow(state, pool, tenant, { ...sumOf(window, spent), untilMs });
}

/** The oldest entry that is not the pool's own: windows are alike in length, so it ends first. */
function forgetFirst(state: NamespaceState, pool: Pool): void {
  for (const tenant of pool.spending.keys()) {
    if (tenant === WHOLE_POOL) continue;
    free(state, pool.id, tenant);
    return;
  }
}

/** Also used to restore from a store. */
export function setWindow(state: NamespaceState, pool: Pool, tenant: string, window: SpendWindow): void {
  const isNew = pool.spending.get(tenant)?.untilMs !== window.untilMs;
  pool.spending.set(tenant, window);
  if (isNew) state.due.add({ kind: "spend", atMs: window.untilMs, pool: pool.id, tenant });
  hold(state, pool, tenant);
}

export function free(state: NamespaceState, id: PoolId, tenant: string): void {
  const pool = poolOf(state, id);
  pool.spending.delete(tenant);
  hold(state, pool, tenant);
  state.dirty.add(id);
}

/** The limits are others now. */
export function reviewSpending(state: NamespaceState, pool: Pool): void {
  for (const tenant of pool.spending.keys()) hold(state, pool, tenant);
}

/** The tasks of a spent tenant are taken out of the queue's heads, however many there are. */
function hold(state: NamespaceState, pool: Pool, tenant: string): void {
  if (tenant === WHOLE_POOL) return;
  const isSpent = spentOf(pool, tenant) !== undefined;
  if (queueOf(state, pool.id).holdTenant(tenant, isSpent)) state.dirty.add(pool.id);
}
