/** A pool is made, changed, paused, drained and deleted. */
import { PoolError } from "../base/errors.ts";
import { cancellation, openTasks } from "./cancel.ts";
import { type Command, DONE, type Reply } from "./command.ts";
import { sweep } from "./finish.ts";
import { refuseHeld } from "./overflow.ts";
import type { PoolOptions } from "./pool.ts";
import { release } from "./quarantine.ts";
import { deleteSchedulesOf } from "./scheduling.ts";
import type { NamespaceState } from "./state.ts";
import { removeAgent } from "./supervise.ts";
import type { Turn } from "./turn.ts";

export function createPool(state: NamespaceState, options: PoolOptions, turn: Turn): Reply {
  if (state.pools.has(options.id)) {
    throw new PoolError("conflict", `a pool ${options.id} is already there`, {
      details: { path: "id", id: options.id },
    });
  }
  turn.record({ type: "pool.created", pool: options.id, options, atMs: turn.nowMs });
  return DONE;
}

export function changePool(state: NamespaceState, options: PoolOptions, turn: Turn): Reply {
  if (!state.pools.has(options.id)) throw new PoolError("not_found", `no pool ${options.id}`);
  turn.record({ type: "pool.changed", pool: options.id, options });
  return DONE;
}

export function drainPool(state: NamespaceState, id: PoolOptions["id"], turn: Turn): Reply {
  if (!state.pools.has(id)) throw new PoolError("not_found", `no pool ${id}`, { details: { pool: id } });
  refuseHeld(state, id, new PoolError("not_running", `pool ${id} takes no more tasks`), turn);
  turn.record({ type: "pool.draining", pool: id });
  return DONE;
}

/** Paused it takes tasks and starts none, draining it takes none and finishes what is there. Saying it twice is once. */
export function setMode(state: NamespaceState, command: Extract<Command, { type: "set_mode" }>, turn: Turn): Reply {
  const { pool: id, mode } = command;
  const pool = state.pools.get(id);
  if (pool === undefined) throw new PoolError("not_found", `no pool ${id}`, { details: { pool: id } });
  if (pool.mode !== mode) turn.record({ type: "pool.mode", pool: id, mode });
  return DONE;
}

/** What is left is cancelled; its history stays. */
export function deletePool(state: NamespaceState, id: PoolOptions["id"], turn: Turn): Reply {
  const pool = state.pools.get(id);
  if (pool === undefined) throw new PoolError("not_found", `no pool ${id}`, { details: { pool: id } });
  refuseHeld(state, id, new PoolError("not_running", `pool ${id} takes no more tasks`), turn);
  const left = openTasks(state).filter((task) => task.spec.pool === id);
  sweep(state, left, cancellation(turn.nowMs, "pool_deleted", `its pool ${id} was deleted`), turn);
  for (const agentId of [...pool.agentIds]) removeAgent(state, agentId, turn);
  for (const fingerprint of [...pool.quarantine.keys()]) release(pool, fingerprint, turn);
  deleteSchedulesOf(state, id, turn);
  turn.record({ type: "pool.deleted", pool: id });
  return { type: "cancelled", count: left.length };
}
