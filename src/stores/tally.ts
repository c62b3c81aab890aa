/** How many settled tasks each pool has, by status. Kept up to date row by row, so that asking costs nothing. */
import type { PoolId } from "../base/ids.ts";
import type { FinalStatus } from "../core/task.ts";

export type Tally = Readonly<Record<FinalStatus, number>> & { readonly deadLetters: number };

type Counts = { -readonly [name in keyof Tally]: number };

const NOTHING: Tally = { completed: 0, failed: 0, cancelled: 0, deadLetters: 0 };

export class Tallies {
  readonly #pools = new Map<PoolId, Counts>();

  add(pool: PoolId, status: FinalStatus, deadLettered: boolean): void {
    const counts = this.#countsOf(pool);
    counts[status] += 1;
    if (deadLettered) counts.deadLetters += 1;
  }

  /** Pools without any settled task are forgotten, so that the map stays as small as the history. */
  remove(pool: PoolId, status: FinalStatus, deadLettered: boolean): void {
    const counts = this.#pools.get(pool);
    if (counts === undefined) return;
    counts[status] -= 1;
    if (deadLettered) counts.deadLetters -= 1;
    if (counts.completed + counts.failed + counts.cancelled === 0) this.#pools.delete(pool);
  }

  /** One dead letter less; the task stays. */
  drop(pool: PoolId): void {
    this.#countsOf(pool).deadLetters -= 1;
  }

  /** Sets one count, as it was found. */
  restore(pool: PoolId, name: keyof Tally, count: number): void {
    this.#countsOf(pool)[name] = count;
  }

  of(pool: PoolId): Tally {
    return { ...(this.#pools.get(pool) ?? NOTHING) };
  }

  #countsOf(pool: PoolId): Counts {
    let counts = this.#pools.get(pool);
    if (counts === undefined) {
      counts = { ...NOTHING };
      this.#pools.set(pool, counts);
    }
    return counts;
  }
}
