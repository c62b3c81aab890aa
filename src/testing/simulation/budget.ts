/** The retry budget of a pool, from the log: what was drawn in any window, against what it allows. */
import type { AuditedPool, AuditedTask, AuditTools } from "./audited.ts";

/** The pool may look back a little further than its window: it counts by parts. */
const SLACK = 1.05;

/** A first attempt of a life begins. */
export function began({ firsts }: AuditedPool, atMs: number): void {
  firsts.push(atMs);
}

/** The task may go on: if that is a retry after a failure, it is paid for now. */
export function goesOn(task: AuditedTask, pool: AuditedPool, atMs: number, { violate, reach }: AuditTools): void {
  const { budget } = pool.options.retry;
  if (!task.owes || budget === false) return;
  task.owes = false;
  pool.retries.push(atMs);
  const { windowMs, floor, ratio } = budget;
  const drawn = pool.retries.filter((at) => at > atMs - windowMs).length;
  const firsts = pool.firsts.filter((at) => at > atMs - windowMs * SLACK).length;
  const most = Math.max(floor, ratio * firsts);
  if (drawn > most) violate(`pool ${task.spec.pool} pays for at most ${most} retries in ${windowMs} ms`);
  if (drawn + 1 > most) reach("a retry budget was spent");
}

/** A new engine starts with a new budget, and with nobody who owes. */
export function renew(pools: Iterable<AuditedPool>, tasks: Iterable<AuditedTask>): void {
  for (const { firsts, retries } of pools) {
    firsts.length = 0;
    retries.length = 0;
  }
  for (const task of tasks) task.owes = false;
}
