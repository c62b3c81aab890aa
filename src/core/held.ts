/** Retries that wait for their pool's budget: they are not dropped, and go on in the order in which they came. */
import type { PoolId } from "../base/ids.ts";
import { watchBudget } from "./apply/tasks.ts";
import type { Pool } from "./pool.ts";
import type { NamespaceState } from "./state.ts";
import type { Turn } from "./turn.ts";

/** Undefined when one more retry may be drawn now; nobody overtakes those who wait. */
export function budgetSpentUntilMs({ retryBudget, held }: Pool, nowMs: number): number | undefined {
  if (retryBudget === undefined || (held.size === 0 && retryBudget.allows(nowMs))) return undefined;
  return retryBudget.nextAtMs(nowMs);
}

/** Lets as many go on as the budget allows; the others are looked at again. */
export function releaseHeld(state: NamespaceState, id: PoolId, turn: Turn): void {
  const pool = state.pools.get(id);
  if (pool === undefined) return;
  pool.heldIsDue = false;
  for (const taskId of pool.held) {
    if (pool.retryBudget?.allows(turn.nowMs) === false) {
      watchBudget(state, pool, pool.retryBudget.nextAtMs(turn.nowMs));
      return;
    }
    const again = state.tasks.get(taskId)?.again ?? false;
    turn.record({ type: "task.waiting", taskId, resting: { reason: "agent" }, again });
  }
}
