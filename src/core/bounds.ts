/** How many tasks may wait in a pool, checked once per task at its admission. */
import { PoolError } from "../base/errors.ts";
import type { PoolId, TaskId } from "../base/ids.ts";
import { CLASS_LIMIT } from "./classes.ts";
import type { Command } from "./command.ts";
import type { Resting } from "./event.ts";
import { mayStart } from "./may-start.ts";
import type { Pool } from "./pool.ts";
import { roomFor } from "./room.ts";
import { classKey } from "./service-class.ts";
import { type NamespaceState, queueOf } from "./state.ts";
import type { TaskSpec } from "./task.ts";

const NO_SPECS: readonly TaskSpec[] = [];
const NO_CLASSES: ReadonlySet<string> = new Set();

/** What earlier tasks of the same submission take up. Most submissions are one task: then nothing is written down. */
export class Planned {
  readonly #plan:
    | {
        readonly specs: Set<TaskId>;
        readonly keys: Map<string, TaskSpec>;
        readonly waiting: Map<PoolId, TaskSpec[]>;
        readonly resting: Map<string, number>;
        readonly classes: Map<PoolId, Set<string>>;
      }
    | undefined;

  /** @param count - of the tasks of the submission */
  constructor(count: number) {
    if (count === 1) return;
    this.#plan = { specs: new Set(), keys: new Map(), waiting: new Map(), resting: new Map(), classes: new Map() };
  }

  has(id: TaskId): boolean {
    return this.#plan?.specs.has(id) === true;
  }

  underKey(key: string): TaskSpec | undefined {
    return this.#plan?.keys.get(key);
  }

  /** It is taken. */
  add(spec: TaskSpec): void {
    this.#plan?.specs.add(spec.id);
    if (spec.idempotencyKey !== undefined) this.#plan?.keys.set(spec.idempotencyKey, spec);
  }

  waiting(pool: PoolId): readonly TaskSpec[] {
    return this.#plan?.waiting.get(pool) ?? NO_SPECS;
  }

  /** It waits for an agent. */
  waits(spec: TaskSpec): void {
    const known = this.#plan?.waiting.get(spec.pool);
    if (known === undefined) this.#plan?.waiting.set(spec.pool, [spec]);
    else known.push(spec);
  }

  resting(pool: PoolId, what: string): number {
    return this.#plan?.resting.get(`${pool} ${what}`) ?? 0;
  }

  rests(pool: PoolId, what: string): void {
    this.#plan?.resting.set(`${pool} ${what}`, this.resting(pool, what) + 1);
  }

  classes(pool: PoolId): ReadonlySet<string> {
    return this.#plan?.classes.get(pool) ?? NO_CLASSES;
  }

  addClass(pool: PoolId, key: string): void {
    const known = this.#plan?.classes.get(pool);
    if (known === undefined) this.#plan?.classes.set(pool, new Set([key]));
    else known.add(key);
  }
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
  if (!queue.hasRoomForClass(wanted, planned.classes(pool.id))) {
    throw full(pool, { limit: "classes", depth: CLASS_LIMIT, bound: CLASS_LIMIT, nowMs });
  }
  if (resting.reason !== "agent") {
    const blocked = resting.reason === "dependencies";
    const ahead = planned.resting(pool.id, resting.reason);
    const depth = (blocked ? pool.counts.dependencies : pool.counts.delay) + ahead;
    const bound = blocked ? limits.blockedLimit : limits.delayedLimit;
    if (depth >= bound) throw full(pool, { limit: blocked ? "blocked" : "delayed", depth, bound, nowMs });
    planned.rests(pool.id, resting.reason);
    planned.addClass(pool.id, wanted);
    return;
  }
  if (queue.holds(spec.type)) {
    const ahead = planned.resting(pool.id, "gate");
    const depth = queue.gated + ahead;
    if (depth >= limits.gatedLimit) throw full(pool, { limit: "gated", depth, bound: limits.gatedLimit, nowMs });
    planned.rests(pool.id, "gate");
    return;
  }
  const ahead = planned.waiting(pool.id);
  const depth = pool.counts.agent - queue.gated + ahead.length;
  if (behind || depth >= limits.limit) {
    const hasFree = mayStart(pool) && queue.seats.hasFree();
    const room = hasFree ? roomFor(queue, [...ahead, spec]) : undefined;
    const startsAtOnce = room?.startsLast === true;
    if (!startsAtOnce && (behind || (room?.waiting ?? depth + 1) > limits.limit)) {
      throw full(pool, { limit: "queue", depth, bound: limits.limit, nowMs });
    }
  }
  planned.waits(spec);
  planned.addClass(pool.id, wanted);
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
