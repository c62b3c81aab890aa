/** Settled tasks leave the store, oldest first; the one place that says which, and how long their keys stay. */
import { RETENTION_DEFAULTS, toRetire } from "../policies/retention.ts";
import type { Command, Reply } from "./command.ts";
import { isKeyKept, KEY_KEPT_MS, type KeyRecord, type OldTask } from "./retired.ts";
import type { NamespaceState } from "./state.ts";
import type { Turn } from "./turn.ts";

/** Tasks that one commit may let go. */
export const RETIRE_LIMIT = 500;

/**
 * Lets go of what is kept for too long, unless an open task depends on it. A pool that was deleted has left its history
 * behind: the defaults are for that.
 */
export function retire(state: NamespaceState, command: Extract<Command, { type: "retire" }>, turn: Turn): Reply {
  const { pool, oldest, kept } = command;
  const options = state.pools.get(pool)?.options.retention ?? RETENTION_DEFAULTS;
  const free = oldest.filter((task) => mayGo(state, task));
  const tasks = toRetire(free, kept, options, turn.nowMs).slice(0, RETIRE_LIMIT);
  const reply: Reply = { type: "retired", count: tasks.length, passed: oldest.length - free.length };
  if (tasks.length === 0) return reply;
  const keys: KeyRecord[] = [];
  for (const { idempotencyKey: key, id, bodyHash, status, settledAtMs } of tasks) {
    if (key !== undefined && isKeyKept(settledAtMs, turn.nowMs)) keys.push({ key, id, bodyHash, status, settledAtMs });
  }
  turn.record({
    type: "tasks.retired",
    pool,
    tasks: tasks.map(({ num, id }) => ({ num, id })),
    keys,
    keysBeforeMs: turn.nowMs - KEY_KEPT_MS,
  });
  return reply;
}

/** Nobody needs it, and it has not gone or begun a new life since it was looked up; only what failed can. */
function mayGo(state: NamespaceState, { id, num, status }: OldTask): boolean {
  if (state.retired.has(num) || (state.needed.size > 0 && state.needed.has(id))) return false;
  return status !== "failed" || (state.tasks.get(id)?.state.name ?? "settled") === "settled";
}
