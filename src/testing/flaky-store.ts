/**
 * A store that fails by plan, for simulations: it refuses commits, does them and says that it does not know, answers
 * late, and forgets at a crash what was not synced. The same seed gives the same faults for the same commits.
 */
import type { Clock } from "../base/clock.ts";
import { PoolError } from "../base/errors.ts";
import { below, type Random } from "../base/random.ts";
import { createMemoryStore } from "../stores/memory.ts";
import type { Commit, Loaded, Store } from "../stores/store.ts";

export interface FlakyPlan {
  readonly random: Random;
  /** Share of commits that are refused before anything is kept: `store_full`. 0 to 1, 0 by default. */
  readonly refuse?: number;
  /** Share of commits answered with `store_failed` and `details.unknown`; every other one of them is kept. 0 to 1, 0 by default. */
  readonly forget?: number;
  /** Most acknowledged commits that a crash takes back. 0, the default, is a store that keeps its word. */
  readonly unsynced?: number;
  /** Commits are answered after up to `ms`, and are kept before or after that time. At once by default. */
  readonly slow?: { readonly clock: Clock; readonly ms: number };
  /** Gives an empty store to what survived a crash; a memory store by default. */
  readonly rebuild?: () => Store;
}

/** Faults so far, over all crashes. */
export interface Faults {
  readonly refused: number;
  readonly unknownKept: number;
  readonly unknownLost: number;
  readonly crashes: number;
  /** Acknowledged commits that crashes took back. */
  readonly unsynced: number;
}

export interface FlakyStore extends Store {
  readonly faults: Faults;
  commit(commit: Commit): Promise<void>;
  /**
   * The process is gone: this handle refuses everything, and commits without an answer never get a good one. Resolves
   * to a new handle over what survived, to be loaded like any other; its epochs go on growing.
   */
  crash(): Promise<FlakyStore>;
}

/** @param inner - an empty store that nobody has loaded; given to the flaky one, which closes it */
export function createFlakyStore(inner: Store, plan: FlakyPlan): FlakyStore {
  const faults = { refused: 0, unknownKept: 0, unknownLost: 0, crashes: 0, unsynced: 0 };
  return new Flaky(inner, { plan, faults, epoch: 0, kept: [] });
}

/** What outlives a crash. */
interface Disk {
  readonly plan: FlakyPlan;
  readonly faults: { -readonly [name in keyof Faults]: number };
  /** The last one given. */
  epoch: number;
  /** Every commit that is kept, in order, and the epoch that wrote it. */
  readonly kept: { readonly commit: Commit; readonly epoch: number }[];
}

class Flaky implements FlakyStore {
  /** Whatever is inside: a crash leaves what it keeps. */
  readonly durable = true;
  readonly #inner: Store;
  readonly #disk: Disk;
  /** Epochs given before this handle. */
  readonly #earlier: number;
  #dead = false;

  constructor(inner: Store, disk: Disk) {
    this.#inner = inner;
    this.#disk = disk;
    this.#earlier = disk.epoch;
  }

  get faults(): Faults {
    return { ...this.#disk.faults };
  }

  async load(): Promise<Loaded> {
    this.#assertAlive();
    const loaded = await this.#inner.load();
    this.#disk.epoch = this.#earlier + loaded.epoch;
    const settling = this.#disk.kept.findLast(({ commit }) => commit.settled.length > 0);
    return { ...loaded, epoch: this.#disk.epoch, settledEpoch: settling?.epoch ?? 0 };
  }

  async commit(commit: Commit): Promise<void> {
    this.#assertAlive();
    const { plan, faults } = this.#disk;
    // Always the same number of draws, so that a fault more does not move all that follow.
    const fate = plan.random.next();
    const keep = plan.random.next() < 0.5;
    const waitFirst = plan.random.next() < 0.5;
    const waitMs = plan.random.next() * (plan.slow?.ms ?? 0);
    const { refuse = 0, forget = 0 } = plan;

    if (waitFirst) await this.#wait(waitMs);
    // A crash meanwhile ends the commit: what was not kept by then never is.
    this.#assertAlive();
    if (fate < refuse) {
      faults.refused += 1;
      throw new PoolError("store_full", "the flaky store refused a commit", { retryable: true });
    }
    const unknown = fate < refuse + forget;
    if (!unknown || keep) {
      await this.#inner.commit(commit);
      this.#assertAlive();
      this.#disk.kept.push({ commit, epoch: this.#disk.epoch });
    }
    if (!waitFirst) await this.#wait(waitMs);
    this.#assertAlive();
    if (!unknown) return;
    if (keep) faults.unknownKept += 1;
    else faults.unknownLost += 1;
    throw gone("the flaky store does not know what became of a commit");
  }

  async crash(): Promise<FlakyStore> {
    this.#assertAlive();
    this.#dead = true;
    const { plan, faults, kept } = this.#disk;
    const lost = Math.min(kept.length, below(plan.random, (plan.unsynced ?? 0) + 1));
    kept.length -= lost;
    faults.crashes += 1;
    faults.unsynced += lost;
    await this.#inner.close();

    const rebuilt = plan.rebuild?.() ?? createMemoryStore();
    const next = new Flaky(rebuilt, this.#disk);
    await rebuilt.load();
    for (const { commit } of kept) await rebuilt.commit(commit);
    return next;
  }

  settledPools: Store["settledPools"] = async () => this.#alive().settledPools();
  oldest: Store["oldest"] = async (pool, page) => this.#alive().oldest(pool, page);
  facts: Store["facts"] = async (ids, keys) => this.#alive().facts(ids, keys);
  entry: Store["entry"] = async (id) => this.#alive().entry(id);
  history: Store["history"] = async (filter) => this.#alive().history(filter);
  tally: Store["tally"] = async (pool) => this.#alive().tally(pool);
  bodies: Store["bodies"] = async (nums) => this.#alive().bodies(nums);
  results: Store["results"] = async (ids) => this.#alive().results(ids);
  events: Store["events"] = async (afterSeq, limit) => this.#alive().events(afterSeq, limit);

  async close(): Promise<void> {
    this.#dead = true;
    await this.#inner.close();
  }

  #alive(): Store {
    this.#assertAlive();
    return this.#inner;
  }

  #assertAlive(): void {
    if (this.#dead) throw gone("the store crashed or was closed");
  }

  async #wait(ms: number): Promise<void> {
    const { slow } = this.#disk.plan;
    if (slow === undefined) return;
    await new Promise<void>((resolve) => {
      slow.clock.timer(ms, resolve);
    });
  }
}

function gone(message: string): PoolError {
  return new PoolError("store_failed", message, { details: { unknown: true } });
}
