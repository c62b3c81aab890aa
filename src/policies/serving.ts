/**
 * Who is next among classes of unequal weight: smooth weighted round robin. Over time each gets exactly its share, and
 * nobody gets its share in one go. After Nginx's upstream balancing, 2012.
 */

export class Serving {
  /** By class: what it has been denied so far, in weights. */
  readonly #credit = new Map<number, number>();

  /** The one whose turn it is among those that have work; of equals the first. Changes nothing. */
  next(waiting: readonly [number, ...number[]], weightOf: (one: number) => number): number {
    const claim = (one: number): number => (this.#credit.get(one) ?? 0) + weightOf(one);
    return waiting.reduce((best, one) => (claim(one) > claim(best) ? one : best));
  }

  /** One of those that had work was served. */
  served(one: number, waiting: readonly number[], weightOf: (one: number) => number): void {
    let total = 0;
    for (const other of waiting) {
      total += weightOf(other);
      this.#credit.set(other, (this.#credit.get(other) ?? 0) + weightOf(other));
    }
    this.#credit.set(one, (this.#credit.get(one) ?? 0) - total);
  }
}
