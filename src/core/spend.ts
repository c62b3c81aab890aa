/** What tasks cost: tokens, money and running time, summed over attempts, and the limits of each. */
import type { Blame, Failure, Usage } from "./outcome.ts";

/** Limits; what is not named is not limited. */
export interface Budget {
  readonly tokens?: number | undefined;
  readonly costUsd?: number | undefined;
  /** Running time, not waiting time. */
  readonly wallMs?: number | undefined;
}

/** What may be spent in a window, which begins with the first attempt that ends after the last window. */
export interface SpendOptions extends Budget {
  readonly perMs: number;
}

/** Absent tokens and costs: nobody has told any. */
export interface Spent extends Usage {
  readonly wallMs: number;
}

/** What was spent in one window. */
export interface SpendWindow extends Spent {
  readonly untilMs: number;
}

/** Tenants of one pool whose spending is counted at a time; beyond, the window that ends first is forgotten. */
export const TENANT_LIMIT = 10_000;

/** Stands for the pool itself among its tenants, whose names are not empty. */
export const WHOLE_POOL = "";

/** What an attempt has cost: what it has told, and the time that it ran. */
export function spentBy({
  usage,
  startedAtMs,
  endedAtMs,
}: {
  readonly usage?: Usage | undefined;
  readonly startedAtMs?: number | undefined;
  readonly endedAtMs: number;
}): Spent {
  const wallMs = startedAtMs === undefined ? 0 : Math.max(0, endedAtMs - startedAtMs);
  return { ...usage, wallMs };
}

export function sumOf(before: Spent | undefined, { tokens, costUsd, wallMs }: Spent): Spent {
  return {
    tokens: plus(before?.tokens, tokens),
    costUsd: plus(before?.costUsd, costUsd),
    wallMs: (before?.wallMs ?? 0) + wallMs,
  };
}

function plus(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined && b === undefined ? undefined : (a ?? 0) + (b ?? 0);
}

/** The first limit that is reached, in words; undefined while something is left of all. */
export function reached(limits: Budget | undefined, spent: Spent | undefined): string | undefined {
  if (limits === undefined || spent === undefined) return undefined;
  const { tokens, costUsd, wallMs } = limits;
  if (tokens !== undefined && (spent.tokens ?? 0) >= tokens) return `${spent.tokens} of ${tokens} tokens`;
  if (costUsd !== undefined && (spent.costUsd ?? 0) >= costUsd) return `${spent.costUsd} of ${costUsd} USD`;
  if (wallMs !== undefined && spent.wallMs >= wallMs) return `${spent.wallMs} of ${wallMs} ms of running time`;
  return undefined;
}

/** What stops the tasks of a tenant, or of the whole pool, and until when; undefined when nothing does. */
export function spentOf(pool: Spending, tenant: string): { words: string; untilMs: number } | undefined {
  const { options, spending } = pool;
  const window = spending.get(tenant);
  if (window === undefined) return undefined;
  const words = reached(tenant === WHOLE_POOL ? options.spend : options.tenantSpend, window);
  return words === undefined ? undefined : { words, untilMs: window.untilMs };
}

/** A pool, as far as it spends. */
interface Spending {
  readonly options: { readonly spend?: Budget | undefined; readonly tenantSpend?: Budget | undefined };
  readonly spending: ReadonlyMap<string, SpendWindow>;
}

export function budgetExceeded(words: string): Failure & { readonly blame: Blame } {
  return { code: "budget_exceeded", message: `its budget is spent: ${words}`, blame: "task" };
}
