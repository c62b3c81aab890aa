/**
 * The settled tasks of each pool, in the order of settlement: lists that are threaded through the places, so that whoever
 * goes, from wherever, costs the same, and nobody passes over the gone.
 */
import type { PoolId } from "../base/ids.ts";
import type { SettledColumns } from "./settled-columns.ts";

interface Ends {
  first: number;
  last: number;
}

export class PoolOrder {
  readonly #columns: SettledColumns;
  /** Of pools that have settled tasks. */
  readonly #ends = new Map<PoolId, Ends>();

  constructor(columns: SettledColumns) {
    this.#columns = columns;
  }

  join(pool: PoolId, place: number): void {
    const ends = this.#ends.get(pool);
    if (ends === undefined) {
      this.#ends.set(pool, { first: place, last: place });
      return;
    }
    this.#columns.link(ends.last, place);
    ends.last = place;
  }

  leave(pool: PoolId, place: number): void {
    const ends = this.#ends.get(pool) as Ends;
    if (ends.first === ends.last) this.#ends.delete(pool);
    else if (place === ends.first) ends.first = this.#columns.laterThan(place);
    else if (place === ends.last) ends.last = this.#columns.earlierThan(place);
    else this.#columns.link(this.#columns.earlierThan(place), this.#columns.laterThan(place));
  }

  /** The first `limit` places after `skip` others. */
  oldest(pool: PoolId, { skip, limit }: { readonly skip: number; readonly limit: number }): number[] {
    const ends = this.#ends.get(pool);
    const found: number[] = [];
    if (ends === undefined || limit === 0) return found;
    let place = ends.first;
    for (let passed = 0; ; passed++) {
      if (passed >= skip) found.push(place);
      if (place === ends.last || found.length === limit) return found;
      place = this.#columns.laterThan(place);
    }
  }

  clear(): void {
    this.#ends.clear();
  }
}
