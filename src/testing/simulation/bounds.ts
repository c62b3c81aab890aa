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
  /** Dead letters that came to wait for dependencies in their new life. */
  blocked = 0;
  /** A gate was opened or closed: what was admitted as free to go may be held by now. */
  gatesMoved = false;

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
  /** A closed gate holds tasks of the type. */
  readonly isHeld: (type: string) => boolean;
}

/**
 * A queue grows beyond its limit by returns only: of what was admitted in this commit, no more may wait than the
 * limit and idle agents leave room for.
 */
export function checkBounds(
  bounds: Bounds,
  { before, now, idleSlots, isHeld }: Queues,
  { violate, reach }: AuditTools,
): void {
  const holds = (condition: boolean, shouldHold: string): void => {
    if (!condition) violate(shouldHold);
  };
  for (const [id, admitted] of bounds.byPool) {
    const pool = now.get(id);
    if (pool === undefined) continue;
    const { limit, blockedLimit, delayedLimit, gatedLimit } = pool.options.queue;
    const was = before.get(id) ?? { waiting: 0, blocked: 0, delayed: 0, gated: 0 };
    const stay = (reason: string): number =>
      admitted.tasks.filter(({ state, reason: now, spec }) => {
        if (state !== "waiting") return false;
        return (now === "agent" && isHeld(spec.type) ? "gate" : now) === reason;
      }).length;
    const room = (bound: number, had: number): number => Math.max(bound, had);
    if (stay("agent") > 0) {
      // What was admitted first does not make way for what comes back after it.
      const bound = room(limit, was.waiting - was.gated + admitted.returns);
      const waiting = pool.waiting - pool.gated;
      const most = bound + admitted.lateReturns + idleSlots(id);
      holds(waiting <= most, `pool ${id} lets ${most} tasks wait, ${waiting} do`);
    }
    if (stay("gate") > 0 && !bounds.gatesMoved) {
      holds(
        pool.gated <= room(gatedLimit, was.gated + admitted.returns) + admitted.lateReturns,
        `pool ${id} holds at most ${gatedLimit} tasks`,
      );
    }
    if (admitted.tasks.some(({ state }) => state === "leased") && was.waiting - was.gated >= limit) {
      reach("a full queue took what could start at once");
    }
    const isAbove = pool.waiting - pool.gated > limit;
    if (admitted.returns + admitted.lateReturns > 0 && isAbove) reach("returns took the queue above its limit");
    if (stay("dependencies") > 0) {
      holds(
        pool.blocked <= room(blockedLimit, was.blocked) + bounds.blocked,
        `pool ${id} blocks at most ${blockedLimit} tasks`,
      );
    }
    if (stay("delay") > 0) {
      const most = room(delayedLimit, was.delayed) + bounds.released;
      holds(pool.delayed <= most, `pool ${id} delays at most ${most} tasks, ${pool.delayed} are`);
    }
  }
}
