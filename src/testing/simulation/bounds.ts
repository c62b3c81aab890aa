/** The bounds of queues, commit by commit. */
import type { AuditedPool, AuditedTask, AuditTools } from "./audited.ts";

interface Added {
  readonly tasks: AuditedTask[];
  /** Before the first of these was admitted, and after it. */
  returns: number;
  lateReturns: number;
}

/** What one commit added to the queues. */
export class Bounds {
  readonly byPool = new Map<string, Added>();
  /** Dependents and dead letters that came to wait for their time. */
  released = 0;

  admitted(task: AuditedTask): void {
    this.#of(task.spec.pool).tasks.push(task);
  }

  returned(pool: string): void {
    const added = this.#of(pool);
    if (added.tasks.length === 0) added.returns += 1;
    else added.lateReturns += 1;
  }

  #of(pool: string): Added {
    const known = this.byPool.get(pool) ?? { tasks: [], returns: 0, lateReturns: 0 };
    this.byPool.set(pool, known);
    return known;
  }
}

export interface Queues {
  readonly before: ReadonlyMap<string, AuditedPool>;
  readonly now: ReadonlyMap<string, AuditedPool>;
  readonly idleSlots: (pool: string) => number;
}

/**
 * A queue grows beyond its limit by returns only: of what was admitted in this commit, no more may wait than the
 * limit and idle agents leave room for.
 */
export function checkBounds(bounds: Bounds, { before, now, idleSlots }: Queues, { violate, reach }: AuditTools): void {
  const holds = (condition: boolean, shouldHold: string): void => {
    if (!condition) violate(shouldHold);
  };
  for (const [id, admitted] of bounds.byPool) {
    const pool = now.get(id);
    if (pool === undefined) continue;
    const { limit, blockedLimit, delayedLimit } = pool.options.queue;
    const was = before.get(id) ?? { waiting: 0, blocked: 0, delayed: 0 };
    const stay = (reason: string): number =>
      admitted.tasks.filter((task) => task.state === "waiting" && task.reason === reason).length;
    const room = (bound: number, had: number): number => Math.max(bound, had);
    if (stay("agent") > 0) {
      // What was admitted first does not make way for what comes back after it.
      const most = room(limit, was.waiting + admitted.returns) + admitted.lateReturns + idleSlots(id);
      holds(pool.waiting <= most, `pool ${id} lets ${most} tasks wait, ${pool.waiting} do`);
    }
    if (admitted.tasks.length > 0 && stay("agent") < admitted.tasks.length && was.waiting >= limit) {
      reach("a full queue took what could start at once");
    }
    if (admitted.returns + admitted.lateReturns > 0 && pool.waiting > limit)
      reach("returns took the queue above its limit");
    if (stay("dependencies") > 0) {
      holds(pool.blocked <= room(blockedLimit, was.blocked), `pool ${id} blocks at most ${blockedLimit} tasks`);
    }
    if (stay("delay") > 0) {
      const most = room(delayedLimit, was.delayed + bounds.released);
      holds(pool.delayed <= most, `pool ${id} delays at most ${most} tasks, ${pool.delayed} are`);
    }
  }
}
