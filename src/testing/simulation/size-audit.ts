/** How many agents pools have, by the log: who changes it, when, and within which bounds. */
import type { DurableEvent } from "../../core/event.ts";
import type { AuditedPool } from "./audited.ts";
import type { Books } from "./books.ts";

/** Those whom `size` drives, without the ones that were dismissed. */
function sizeOf({ agents }: Books, id: string, { options }: AuditedPool): number {
  const entry = options.agents.findIndex(({ sized }) => sized);
  let size = 0;
  for (const agent of agents.values()) {
    if (agent.pool === id && agent.entry === entry && agent.dismissed === undefined) size += 1;
  }
  return size;
}

export function scaled(books: Books, event: Extract<DurableEvent, { type: "pool.scaled" }>): void {
  const { pool: id, from, to, by, atMs } = event;
  const pool = books.pools.get(id);
  if (pool === undefined) return;
  const { reach } = books.tools;
  const { min, max } = pool.options.size;
  books.holds(from === sizeOf(books, id, pool), `pool ${id} has ${from} agents when its size changes`);
  books.holds(to >= 1 && to <= max, `pool ${id} has 1 to ${max} agents, not ${to}`);
  pool.size = to;
  if (by === "operator") reach("an operator scaled a pool");
  if (by !== "autoscale") {
    pool.scaledAtMs = atMs;
    return;
  }
  const { autoscale } = pool.options;
  books.holds(autoscale !== false && pool.mode === "running", `pool ${id} may follow its load`);
  const restsUntilMs = (pool.scaledAtMs ?? Number.NEGATIVE_INFINITY) + (autoscale === false ? 0 : autoscale.cooldownMs);
  books.holds(atMs >= restsUntilMs, `pool ${id} keeps its size until ${restsUntilMs}`);
  books.holds(to > from || to >= min, `pool ${id} does not shrink below ${min}`);
  reach(to > from ? "a pool grew by its load" : "a pool shrank when it was idle");
  pool.scaledAtMs = atMs;
}

/** After a commit: who was said to come and go has. */
export function checkSizes(books: Books): void {
  for (const [id, pool] of books.pools) {
    if (pool.size === undefined) continue;
    const size = sizeOf(books, id, pool);
    books.holds(size === pool.size, `pool ${id} has the ${pool.size} agents that were decided, not ${size}`);
  }
}
