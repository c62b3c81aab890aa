/** Whether a pool may start tasks at all. */
import type { Pool } from "./pool.ts";
import { spentOf, WHOLE_POOL } from "./spend.ts";

/** It is not paused, and something is left to spend. */
export function mayStart(pool: Pool): boolean {
  return pool.mode === "running" && spentOf(pool, WHOLE_POOL) === undefined;
}
