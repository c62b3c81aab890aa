/**
 * Settled tasks that the core still holds, and look-ups of settled tasks that are under way.
 *
 * A look-up sees the store as it was when it began. What was settled since must still be in the core when the looked-up
 * facts are stepped, so a stub stays until every look-up that began before its commit is over.
 */
import type { TaskId } from "../base/ids.ts";
import type { Known } from "../core/command.ts";
import type { Store } from "../stores/store.ts";

export const NOTHING_KNOWN: Known = { tasks: new Map(), keys: new Map() };

export class Stubs {
  readonly #store: Store;
  readonly #storedSeq: () => number;
  #waiting: { seq: number; ids: readonly TaskId[] }[] = [];
  readonly #lookups = new Set<{ readonly seq: number }>();

  constructor(store: Store, storedSeq: () => number) {
    this.#store = store;
    this.#storedSeq = storedSeq;
  }

  /** Their commit is stored. */
  add(ids: readonly TaskId[]): void {
    if (ids.length > 0) this.#waiting.push({ seq: this.#storedSeq(), ids });
  }

  /** Looks up what is settled of these, and holds it true until `use` is over. */
  async lookUp<T>(ids: readonly TaskId[], keys: readonly string[], use: (known: Known) => Promise<T>): Promise<T> {
    if (ids.length === 0 && keys.length === 0) return use(NOTHING_KNOWN);
    const lookup = { seq: this.#storedSeq() };
    this.#lookups.add(lookup);
    try {
      return await use(await this.#store.facts(ids, keys));
    } finally {
      this.#lookups.delete(lookup);
    }
  }

  /** Tasks that may leave the core now. */
  *takeForgettable(): Iterable<TaskId> {
    if (this.#waiting.length === 0) return;
    let oldest = Number.POSITIVE_INFINITY;
    for (const { seq } of this.#lookups) oldest = Math.min(oldest, seq);
    const kept = this.#waiting.filter(({ seq }) => seq > oldest);
    const gone = this.#waiting.filter(({ seq }) => seq <= oldest);
    this.#waiting = kept;
    for (const { ids } of gone) yield* ids;
  }
}
