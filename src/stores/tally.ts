/** How many settled tasks each pool has, by status. Kept up to date row by row, so that asking costs nothing. */
import type { PoolId } from "../base/ids.ts";
import type { FinalStatus } from "../core/task.ts";

export type Tally = Readonly<Record<FinalStatus, number>> & { readonly deadLetters: number };

type Counts = { -readonly [name in keyof Tally]: number };

/** Kept per pool besides: bytes of bodies and results. */
type Sums = Counts & { bytes: number };

const NOTHING: Tally = { completed: 0, failed: 0, cancelled: 0, deadLetters: 0 };

export class Tallies {
  readonly #pools = new Map<PoolId, Sums>();

  add(pool: PoolId, status: FinalStatus, deadLettered: boolean, bytes = 0): void {
    const counts = this.#countsOf(pool);
    counts[status] += 1;
    if (deadLettered) counts.deadLetters += 1;
    counts.bytes += bytes;
  }

  /** Pools without any settled task are forgotten, so that the map stays as small as the history. */
  remove(pool: PoolId, status: FinalStatus, deadLettered: boolean, bytes = 0): void {
    const counts = this.#pools.get(pool);
    if (counts === undefined) return;
    counts[status] -= 1;
    if (deadLettered) counts.deadLetters -= 1;
    counts.bytes -= bytes;
    if (counts.completed + counts.failed + counts.cancelled === 0) this.#pools.delete(pool);
  }

  /** One dead letter less; the task stays. */
  drop(pool: PoolId): void {
    this.#countsOf(pool).deadLetters -= 1;
  }

  /** Sets one count, as it was found. */
  restore(pool: PoolId, name: keyof Sums, count: number): void {
    this.#countsOf(pool)[name] = count;
  }

  of(pool: PoolId): Tally {
    const { bytes: _, ...counts } = this.#pools.get(pool) ?? { ...NOTHING, bytes: 0 };
    return counts;
  }

  /** Those with settled tasks. */
  pools(): PoolId[] {
    return [...this.#pools.keys()];
  }

  /** All settled tasks, and the bytes that they take. */
  sizeOf(pool: PoolId): { count: number; bytes: number } {
    const { completed, failed, cancelled, bytes } = this.#pools.get(pool) ?? { ...NOTHING, bytes: 0 };
    return { count: completed + failed + cancelled, bytes };
  }

  #countsOf(pool: PoolId): Sums {
    let counts = this.#pools.get(pool);
    if (counts === undefined) {
      counts = { ...NOTHING, bytes: 0 };
      this.#pools.set(pool, counts);
    }
    return counts;
  }
}
