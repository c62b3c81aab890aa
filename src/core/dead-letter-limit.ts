/** How many dead letters a pool keeps. */
import type { Pool } from "./pool.ts";
import type { Turn } from "./turn.ts";

/** One more has come: the oldest lose their mark while there are too many. */
export function boundDeadLetters(pool: Pool, turn: Turn): void {
  for (const [id, num] of pool.deadLetters) {
    if (pool.deadLetters.size <= pool.options.deadLetters.limit) return;
    turn.record({ type: "dead_letter.dropped", pool: pool.id, id, num });
  }
}
