/** Binary min-heap over any items with a total order. */

export class Heap<T> {
  readonly #items: T[] = [];
  readonly #before: (a: T, b: T) => boolean;

  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  peek(): T | undefined {
    return this.#items[0];
  }

  /**
   * Items for which `holds` is true, in no order. It must hold for all items before one for which it holds: then only
   * these and their neighbours are looked at.
   */
  *where(holds: (item: T) => boolean): Iterable<T> {
    const places = [0];
    for (let at = places.pop(); at !== undefined; at = places.pop()) {
      const item = this.#items[at];
      if (at >= this.#items.length || !holds(item as T)) continue;
      yield item as T;
      places.push(2 * at + 1, 2 * at + 2);
    }
  }

  push(item: T): void {
    const items = this.#items;
    let at = items.length;
    items.push(item);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = items[parent] as T;
      if (!this.#before(item, above)) break;
      items[at] = above;
      at = parent;
    }
    items[at] = item;
  }

  /** Lets go of all items but these. Costs a little per item, and less than taking them out one by one. */
  keep(isKept: (item: T) => boolean): void {
    const items = this.#items;
    let count = 0;
    for (const item of items) if (isKept(item)) items[count++] = item;
    items.length = count;
    for (let at = (count >> 1) - 1; at >= 0; at--) this.#sink(at, items[at] as T);
  }

  pop(): T | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (items.length > 0) this.#sink(0, last as T);
    return top;
  }

  /** The place is free: puts the item there or below, wherever it belongs. */
  #sink(from: number, item: T): void {
    const items = this.#items;
    const size = items.length;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      const right = child + 1;
      if (right < size && this.#before(items[right] as T, items[child] as T)) child = right;
      const below = items[child] as T;
      if (!this.#before(below, item)) break;
      items[at] = below;
      at = child;
    }
    items[at] = item;
  }
}
