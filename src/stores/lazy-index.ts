/** An index that costs nothing until somebody asks. */

/** Of a `Map`, what an index needs. */
interface Places<K> {
  get(key: K): number | undefined;
  set(key: K, place: number): unknown;
  delete(key: K): boolean;
  clear(): void;
}

/** Places by key, up to the last time that somebody asked. */
export class LazyIndex<K> {
  readonly #keyAt: (place: number) => K | undefined;
  readonly #places: Places<K>;
  /** All places before this one are in the map. */
  #upTo = 0;

  /** @param keyAt - undefined when nobody is at that place */
  constructor(keyAt: (place: number) => K | undefined, places: Places<K>) {
    this.#keyAt = keyAt;
    this.#places = places;
  }

  /** @param within - the first place that there is, and the one after the last */
  find(key: K, { start, end }: { readonly start: number; readonly end: number }): number | undefined {
    for (let place = Math.max(this.#upTo, start); place < end; place++) {
      const other = this.#keyAt(place);
      if (other !== undefined) this.#places.set(other, place);
    }
    this.#upTo = end;
    return this.#places.get(key);
  }

  drop(key: K, place: number): void {
    if (place < this.#upTo) this.#places.delete(key);
  }

  clear(): void {
    this.#places.clear();
    this.#upTo = 0;
  }
}
