/** What running time was spent, by the log: by each task, and by pools and tenants in windows one after another. */
import type { DurableEvent } from "../../core/event.ts";
import type { Attempt } from "../../core/task.ts";
import type { AuditedPool, AuditedTask } from "./audited.ts";
import type { Books } from "./books.ts";

/** Stands for the pool itself among its tenants. */
const POOL = "";

type Limits = { readonly wallMs?: number | undefined; readonly perMs: number } | undefined;

const limitsOf = ({ options }: AuditedPool, tenant: string): Limits =>
  tenant === POOL ? options.spend : options.tenantSpend;

/** An attempt has ended: whoever it ran for pays for it. */
export function paid(books: Books, task: AuditedTask, { startedAtMs, endedAtMs }: Attempt): void {
  const wallMs = startedAtMs === undefined ? 0 : endedAtMs - startedAtMs;
  if (wallMs <= 0) return;
  task.spentMs += wallMs;
  const pool = books.pools.get(task.spec.pool);
  if (pool === undefined) return;
  for (const tenant of [POOL, task.spec.tenant]) {
    const limits = tenant === undefined ? undefined : limitsOf(pool, tenant);
    if (tenant === undefined || limits === undefined) continue;
    const open = pool.spending.get(tenant);
    const isOpen = open !== undefined && open.untilMs > endedAtMs;
    const untilMs = isOpen ? open.untilMs : endedAtMs + limits.perMs;
    pool.spending.set(tenant, { untilMs, wallMs: wallMs + (isOpen ? open.wallMs : 0) });
  }
}

export function freed(books: Books, { pool: id, tenant }: Extract<DurableEvent, { type: "spend.freed" }>): void {
  const pool = books.pools.get(id);
  const untilMs = pool?.spending.get(tenant)?.untilMs ?? 0;
  books.holds(books.atMs >= untilMs, `what ${tenant || "the pool"} may spend in ${id} is free again at ${untilMs}`);
  pool?.spending.delete(tenant);
}

/** The tenant has nothing left, or the pool itself if it has no name. */
export function hasSpent(pool: AuditedPool, tenant: string = POOL): boolean {
  const wallMs = pool.spending.get(tenant)?.wallMs ?? 0;
  return wallMs > 0 && wallMs >= (limitsOf(pool, tenant)?.wallMs ?? Number.POSITIVE_INFINITY);
}

/** Nothing begins for whom has nothing left. */
export function checkSpending(books: Books, task: AuditedTask): void {
  const { id, pool: poolId, tenant, budget } = task.spec;
  const { reach } = books.tools;
  const pool = books.pools.get(poolId);
  books.holds(task.spentMs < (budget?.wallMs ?? Number.POSITIVE_INFINITY), `task ${id} begins within its budget`);
  if (pool === undefined) return;
  books.holds(!hasSpent(pool), `task ${id} begins while pool ${poolId} has something left to spend`);
  const isTenantSpent = tenant !== undefined && hasSpent(pool, tenant);
  books.holds(!isTenantSpent, `task ${id} begins while tenant ${tenant} has something left to spend`);
  for (const other of pool.spending.keys()) {
    if (other !== POOL && other !== tenant && hasSpent(pool, other)) {
      reach("a task ran while another tenant had nothing left to spend");
    }
  }
}
