/** How many tasks may wait in a pool, checked once per task at its admission. */
import { PoolError } from "../base/errors.ts";
import type { PoolId, TaskId } from "../base/ids.ts";
import { CLASS_LIMIT } from "./classes.ts";
import type { Command } from "./command.ts";
import type { Resting } from "./event.ts";
import type { Pool } from "./pool.ts";
import { leftWaiting } from "./room.ts";
import { classKey } from "./service-class.ts";
import { type NamespaceState, queueOf } from "./state.ts";
import type { TaskSpec } from "./task.ts";

/** What earlier tasks of the same submission take up. */
export interface Planned {
  readonly specs: Map<TaskId, TaskSpec>;
  readonly keys: Map<string, TaskSpec>;
  readonly waiting: Map<PoolId, TaskSpec[]>;
  readonly resting: Map<string, number>;
  readonly classes: Map<PoolId, Set<string>>;
}

/** What may be full. */
type QueueLimit = "queue" | "blocked" | "delayed" | "gated" | "classes";

/** What can start at once is taken even when the queue is full, or others wait for room in it (`behind`). */
export function refuseBeyondBounds(
  state: NamespaceState,
  pool: Pool,
  asked: { spec: TaskSpec; resting: Resting; planned: Planned; behind: boolean; nowMs: number },
): void {
  const { spec, resting, planned, behind, nowMs } = asked;
  const { queue: limits } = pool.options;
  const queue = queueOf(state, pool.id);
  const wanted = classKey(spec.type, spec.requires);
  const classes = planned.classes.get(pool.id) ?? new Set();
  planned.classes.set(pool.id, classes);
  if (!queue.hasRoomForClass(wanted, classes)) {
    throw full(pool, { limit: "classes", depth: CLASS_LIMIT, bound: CLASS_LIMIT, nowMs });
  }
  if (resting.reason !== "agent") {
    const blocked = resting.reason === "dependencies";
    const key = `${pool.id} ${resting.reason}`;
    const ahead = planned.resting.get(key) ?? 0;
    const depth = (blocked ? pool.counts.dependencies : pool.counts.delay) + ahead;
    const bound = blocked ? limits.blockedLimit : limits.delayedLimit;
    if (depth >= bound) throw full(pool, { limit: blocked ? "blocked" : "delayed", depth, bound, nowMs });
    planned.resting.set(key, ahead + 1);
    classes.add(wanted);
    return;
  }
  if (queue.holds(spec.type)) {
    const key = `${pool.id} gate`;
    const ahead = planned.resting.get(key) ?? 0;
    const depth = queue.gated + ahead;
    if (depth >= limits.gatedLimit) throw full(pool, { limit: "gated", depth, bound: limits.gatedLimit, nowMs });
    planned.resting.set(key, ahead + 1);
    return;
  }
  const ahead = planned.waiting.get(pool.id) ?? [];
  planned.waiting.set(pool.id, ahead);
  const depth = pool.counts.agent - queue.gated + ahead.length;
  if (behind || depth >= limits.limit) {
    const hasFree = pool.mode === "running" && queue.seats.hasFree();
    const left = hasFree ? leftWaiting(queue, [...ahead, spec]) : depth + 1;
    const startsAtOnce = hasFree && left === leftWaiting(queue, ahead);
    if ((behind || left > limits.limit) && !startsAtOnce) {
      throw full(pool, { limit: "queue", depth, bound: limits.limit, nowMs });
    }
  }
  ahead.push(spec);
  classes.add(wanted);
}

/** Says which limit it is, and when there is likely to be room. */
function full(
  pool: Pool,
  { limit, depth, bound, nowMs }: { limit: QueueLimit; depth: number; bound: number; nowMs: number },
): PoolError {
  const retryAfterMs = pool.drain.retryAfterMs(Math.max(1, depth - bound + 1), nowMs);
  return new PoolError("queue_full", `the ${limit} limit is reached: ${depth} of ${bound}`, {
    retryable: true,
    details: { limit, depth, bound, retryAfterMs },
  });
}

/**
 * A batch that was refused for want of room may be one for which there never will be any: more tasks than the pool
 * can hold and run when it is empty.
 *
 * @throws PoolError `too_large` with `details.limit`; returns when it only has to come back later
 */
export function wouldNeverFit(
  state: NamespaceState,
  { specs, known }: Extract<Command, { type: "submit" }>,
  { error, nowMs }: { readonly error: PoolError; readonly nowMs: number },
): void {
  const pool = specs[0] === undefined ? undefined : state.pools.get(specs[0].pool);
  if (pool === undefined || error.code !== "queue_full") return;
  const { limit, blockedLimit, delayedLimit, gatedLimit } = pool.options.queue;
  const rooms = {
    queue: limit + slotsOf(state, pool),
    blocked: blockedLimit,
    delayed: delayedLimit,
    gated: gatedLimit,
  };
  const wanted = { queue: 0, blocked: 0, delayed: 0, gated: 0 };
  const batch = new Set(specs.map(({ id }) => id));
  for (const { type, dependencies, runAtMs = 0, idempotencyKey } of specs) {
    if (idempotencyKey !== undefined && (state.keys.has(idempotencyKey) || known.keys.has(idempotencyKey))) continue;
    if (dependencies.some((id) => batch.has(id))) wanted.blocked += 1;
    else if (runAtMs > nowMs) wanted.delayed += 1;
    else if (dependencies.length === 0) wanted[state.heldTypes.has(type) ? "gated" : "queue"] += 1;
  }
  for (const name of ["queue", "blocked", "delayed", "gated"] as const) {
    if (wanted[name] <= rooms[name]) continue;
    const message = `the batch has ${wanted[name]} tasks for the ${name} limit, an empty pool has room for ${rooms[name]}`;
    throw new PoolError("too_large", message, {
      details: { path: "tasks", limit: name, tasks: wanted[name], room: rooms[name] },
    });
  }
}

/** Tasks that all agents of the pool could run at a time. */
function slotsOf(state: NamespaceState, { agentIds }: Pool): number {
  let slots = 0;
  for (const id of agentIds) slots += state.agents.get(id)?.identity.concurrency ?? 0;
  return slots;
}
