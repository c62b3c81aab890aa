/** Whether a pool may start tasks at all. */
import type { Pool } from "./pool.ts";
import { spentOf, WHOLE_POOL } from "./spend.ts";

/** It is not paused, and something is left to spend. One that is drained finishes what is there. */
export function mayStart(pool: Pool): boolean {
  return pool.mode !== "paused" && spentOf(pool, WHOLE_POOL) === undefined;
}
