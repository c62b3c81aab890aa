/**
 * A map from integers, in the order of insertion, for what comes and goes all the time. It works in place: only one that
 * grows allocates.
 *
 * The reason is V8's collector. A `Map` that is full of deleted entries moves into a new table, and the old one keeps its
 * entries and a link to the new one. Once one such table has grown old, everything that ever stood in its successors
 * looks alive to the collector of young objects, and is copied into old space for nothing: more than half of all that a
 * task leaves behind. `npm run bench:units` compares. Where keys are strings, see `SlotMap`.
 */
const LEAST_ROOM = 16;

export class IntMap<V> {
  /**
   * In the order of insertion, `#used` of them; a value that is gone is undefined, and its key stays until room is made.
   * The lists never get shorter, because V8 would give back what they need again at once.
   */
  #keys: number[] = [];
  #values: (V | undefined)[] = [];
  #used = 0;
  #room = LEAST_ROOM;
  /** Where in the lists a key stands, plus one; 0 = nobody. Twice the room, so that one in two is 0 at least. */
  #table = new Int32Array(2 * LEAST_ROOM);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(key: number): boolean {
    return this.#table[this.#entryOf(key)] !== 0;
  }

  get(key: number): V | undefined {
    const place = this.#table[this.#entryOf(key)] as number;
    return place === 0 ? undefined : this.#values[place - 1];
  }

  set(key: number, value: V & {}): this {
    const entry = this.#entryOf(key);
    const place = this.#table[entry] as number;
    if (place !== 0) this.#values[place - 1] = value;
    else this.#add(key, value, entry);
    return this;
  }

  delete(key: number): boolean {
    return this.take(key) !== undefined;
  }

  /** What stood under the key, which is gone now. */
  take(key: number): V | undefined {
    const entry = this.#entryOf(key);
    const place = this.#table[entry] as number;
    if (place === 0) return undefined;
    const value = this.#values[place - 1];
    this.#values[place - 1] = undefined;
    this.#size -= 1;
    this.#vacate(entry);
    // Room for all again, for nothing.
    if (this.#size === 0) this.#used = 0;
    return value;
  }

  clear(): void {
    this.#values.fill(undefined);
    this.#table.fill(0);
    this.#used = 0;
    this.#size = 0;
  }

  /** Of all that are in it, the one that came first. */
  first(): V | undefined {
    for (let n = 0; n < this.#used; n++) if (this.#values[n] !== undefined) return this.#values[n];
    return undefined;
  }

  *entries(): Generator<[number, V]> {
    for (let n = 0; n < this.#used; n++) {
      const value = this.#values[n];
      if (value !== undefined) yield [this.#keys[n] as number, value];
    }
  }

  *keys(): Generator<number> {
    for (const [key] of this.entries()) yield key;
  }

  *values(): Generator<V> {
    for (let n = 0; n < this.#used; n++) {
      const value = this.#values[n];
      if (value !== undefined) yield value;
    }
  }

  [Symbol.iterator](): Generator<[number, V]> {
    return this.entries();
  }

  /** @param entry - where the key's place is to be written */
  #add(key: number, value: V, entry: number): void {
    const isFull = this.#used === this.#room;
    if (isFull) this.#makeRoom();
    this.#keys[this.#used] = key;
    this.#values[this.#used] = value;
    this.#used += 1;
    this.#table[isFull ? this.#entryOf(key) : entry] = this.#used;
    this.#size += 1;
  }

  /** Where the key's place is written, or would be. */
  #entryOf(key: number): number {
    const mask = this.#table.length - 1;
    let entry = spread(key) & mask;
    for (let place = this.#table[entry]; place !== 0; place = this.#table[entry]) {
      if (this.#keys[(place as number) - 1] === key) return entry;
      entry = (entry + 1) & mask;
    }
    return entry;
  }

  /** Those behind it that would not be found any more move up. */
  #vacate(entry: number): void {
    const table = this.#table;
    const mask = table.length - 1;
    let gap = entry;
    for (let next = (gap + 1) & mask; table[next] !== 0; next = (next + 1) & mask) {
      const wanted = spread(this.#keys[(table[next] as number) - 1] as number) & mask;
      if (((next - wanted) & mask) < ((next - gap) & mask)) continue;
      table[gap] = table[next] as number;
      gap = next;
    }
    table[gap] = 0;
  }

  /** The gone give up their places, and there is room for as many again as are left. */
  #makeRoom(): void {
    let size = 0;
    for (let n = 0; n < this.#used; n++) {
      const value = this.#values[n];
      if (value === undefined) continue;
      this.#keys[size] = this.#keys[n] as number;
      this.#values[size] = value;
      size += 1;
    }
    this.#values.fill(undefined, size);
    this.#used = size;
    const room = roomFor(size);
    if (room === this.#room) this.#table.fill(0);
    else this.#resize(room);
    for (let n = 0; n < size; n++) this.#table[this.#entryOf(this.#keys[n] as number)] = n + 1;
  }

  #resize(room: number): void {
    this.#room = room;
    this.#table = new Int32Array(2 * room);
    this.#keys = this.#keys.slice(0, this.#used);
    this.#values = this.#values.slice(0, this.#used);
  }
}

/** Twice to four times as much as there is, so that it is made anew after so many have come and gone. */
function roomFor(size: number): number {
  let room = LEAST_ROOM;
  while (room < 2 * size) room *= 2;
  return room;
}

/** Neighbours end up far from each other. */
const spread = (key: number): number => Math.imul(key, 0x9e37_79b1) >>> 7;
