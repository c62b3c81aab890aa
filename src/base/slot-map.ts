/**
 * A map for what comes and goes all the time: values lie in slots of an array, and only the numbers of the slots in a
 * `Map`.
 *
 * The reason is V8's collector. A `Map` that is full of deleted entries moves into a new table, and the old table keeps
 * its entries and a link to the new one. Once one such table has grown old, everything that was ever in its successors
 * looks alive to the collector of young objects, and is copied into old space: half of all tasks, for nothing. Here a
 * dead table holds keys and small integers only. `npm run bench:units` compares.
 */
export class SlotMap<K, V> implements ReadonlyMap<K, V> {
  readonly #slots = new Map<K, number>();
  /** Who was asked for last, for most are asked for several times in a row. */
  #key: K | undefined;
  #slot = 0;
  readonly #values: (V | undefined)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#slots.size;
  }

  has(key: K): boolean {
    return this.#slots.has(key);
  }

  get(key: K): V | undefined {
    if (key === this.#key) return this.#values[this.#slot];
    const slot = this.#slots.get(key);
    if (slot === undefined) return undefined;
    this.#key = key;
    this.#slot = slot;
    return this.#values[slot];
  }

  set(key: K, value: V): this {
    const known = this.#slots.get(key);
    if (known !== undefined) {
      this.#values[known] = value;
      return this;
    }
    const slot = this.#free.pop() ?? this.#values.length;
    this.#values[slot] = value;
    this.#slots.set(key, slot);
    this.#key = key;
    this.#slot = slot;
    return this;
  }

  delete(key: K): boolean {
    const slot = this.#slots.get(key);
    if (slot === undefined) return false;
    this.#vacate(key, slot);
    return true;
  }

  /** What was under the key, which is gone now. */
  take(key: K): V | undefined {
    const slot = this.#slots.get(key);
    if (slot === undefined) return undefined;
    const value = this.#values[slot];
    this.#vacate(key, slot);
    return value;
  }

  #vacate(key: K, slot: number): void {
    if (slot === this.#slot) this.#key = undefined;
    this.#slots.delete(key);
    this.#values[slot] = undefined;
    this.#free.push(slot);
  }

  clear(): void {
    this.#key = undefined;
    this.#slots.clear();
    this.#values.length = 0;
    this.#free.length = 0;
  }

  keys(): MapIterator<K> {
    return this.#slots.keys();
  }

  *values(): MapIterator<V> {
    for (const slot of this.#slots.values()) yield this.#values[slot] as V;
  }

  *entries(): MapIterator<[K, V]> {
    for (const [key, slot] of this.#slots) yield [key, this.#values[slot] as V];
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries();
  }

  forEach(look: (value: V, key: K, map: ReadonlyMap<K, V>) => void): void {
    for (const [key, slot] of this.#slots) look(this.#values[slot] as V, key, this);
  }
}
