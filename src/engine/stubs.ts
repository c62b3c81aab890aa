/**
 * Settled tasks that the core still holds, and look-ups of settled tasks that are under way.
 *
 * A look-up sees the store as it was when it began. What was settled since must still be in the core when the looked-up
 * facts are stepped, so a stub stays until every look-up that began before its commit is over.
 */
import type { PoolError } from "../base/errors.ts";
import type { TaskId } from "../base/ids.ts";
import type { Known } from "../core/command.ts";
import type { NamespaceState } from "../core/state.ts";
import type { SettledRow, Store } from "../stores/store.ts";

export const NOTHING_KNOWN: Known = { tasks: new Map(), keys: new Map() };

/** Settled by one commit. */
interface Stubbed {
  readonly seq: number;
  readonly rows: readonly SettledRow[];
}

export class Stubs {
  readonly #state: NamespaceState;
  readonly #store: Store;
  readonly #storedSeq: () => number;
  #waiting: Stubbed[] = [];
  readonly #lookups = new Set<{ readonly seq: number; ended?: PoolError }>();

  constructor(state: NamespaceState, store: Store, storedSeq: () => number) {
    this.#state = state;
    this.#store = store;
    this.#storedSeq = storedSeq;
  }

  /** Their commit is stored. */
  add(rows: readonly SettledRow[]): void {
    if (rows.length > 0) this.#waiting.push({ seq: this.#storedSeq(), rows });
  }

  /**
   * Looks up what is settled of these, and holds it true until `use` is over. What is open is not looked up, but held
   * all the same: it may be settled by the time that it is stepped.
   */
  async lookUp<T>(ids: readonly TaskId[], keys: readonly string[], use: (known: Known) => Promise<T>): Promise<T> {
    if (ids.length === 0 && keys.length === 0) return use(NOTHING_KNOWN);
    const lookup: { readonly seq: number; ended?: PoolError } = { seq: this.#storedSeq() };
    this.#lookups.add(lookup);
    try {
      const { tasks } = this.#state;
      const settled = ids.filter((id) => (tasks.get(id)?.state.name ?? "settled") === "settled");
      const known = settled.length + keys.length === 0 ? NOTHING_KNOWN : await this.#store.facts(settled, keys);
      if (lookup.ended !== undefined) throw lookup.ended;
      return await use(known);
    } finally {
      this.#lookups.delete(lookup);
    }
  }

  /** The state is that of a new term: nothing in it is a stub, and what was looked up before may have been overtaken. */
  endTerm(reason: PoolError): void {
    this.#waiting = [];
    for (const lookup of this.#lookups) lookup.ended = reason;
  }

  /** Tasks that may leave the core now. */
  takeForgettable(): readonly TaskId[] {
    if (this.#waiting.length === 0) return [];
    let oldest = Number.POSITIVE_INFINITY;
    for (const { seq } of this.#lookups) oldest = Math.min(oldest, seq);
    const ids: TaskId[] = [];
    const kept: Stubbed[] = [];
    for (const stubs of this.#waiting) {
      if (stubs.seq > oldest) kept.push(stubs);
      else for (const { facts } of stubs.rows) ids.push(facts.spec.id);
    }
    this.#waiting = kept;
    return ids;
  }
}
