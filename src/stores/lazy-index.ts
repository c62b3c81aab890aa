/** An index that costs nothing until somebody asks. */
import type { SettledFacts } from "../core/record.ts";

/** Places by key, up to the last time that somebody asked. A place counts those that were cut off. */
export class LazyIndex<K> {
  readonly #keyOf: (facts: SettledFacts) => K;
  readonly #places = new Map<K, number>();
  /** All places before this one are in the map. */
  #upTo = 0;

  constructor(keyOf: (facts: SettledFacts) => K) {
    this.#keyOf = keyOf;
  }

  /** Place in `all`, of which `cut` were cut off. */
  find(key: K, all: readonly (SettledFacts | undefined)[], cut: number): number | undefined {
    const end = cut + all.length;
    for (let place = Math.max(this.#upTo, cut); place < end; place++) {
      const facts = all[place - cut];
      if (facts !== undefined) this.#places.set(this.#keyOf(facts), place);
    }
    this.#upTo = end;
    const place = this.#places.get(key);
    return place === undefined ? undefined : place - cut;
  }

  drop(facts: SettledFacts, place: number): void {
    if (place < this.#upTo) this.#places.delete(this.#keyOf(facts));
  }

  clear(): void {
    this.#places.clear();
    this.#upTo = 0;
  }
}
