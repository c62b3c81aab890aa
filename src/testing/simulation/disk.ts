/** What survives the engine's deaths: a flaky store, seen from outside. Every commit that is kept goes to the auditor. */
import type { Clock, Timer } from "../../base/clock.ts";
import { createRandom } from "../../base/random.ts";
import { createMemoryStore } from "../../stores/memory.ts";
import type { Commit, Store } from "../../stores/store.ts";
import { createFlakyStore, type Faults, type FlakyStore } from "../flaky-store.ts";
import type { Dice } from "./dice.ts";
import { isScheduled } from "./schedule-mark.ts";
import type { Reach } from "./situations.ts";

export interface DiskOptions {
  readonly seed: number;
  readonly dice: Dice;
  /** Of the process that writes. */
  readonly clock: Clock;
  /** A commit has been kept. */
  readonly kept: (commit: Commit) => void;
  /** The power goes off around a commit. */
  readonly died: () => void;
}

/** Longest that a slow disk takes for a commit. Milliseconds. */
const SLOW_MS = 40;

export class Disk {
  readonly #options: DiskOptions;
  #flaky: FlakyStore;
  /** What is being kept was kept before: a new start reads it in again. */
  #reading = false;

  constructor(options: DiskOptions) {
    this.#options = options;
    const { dice, clock, seed } = options;
    const share = (fault: "commit_refused" | "commit_unknown"): number => dice.share(fault);
    const random = createRandom(seed);
    const isCalm = (): boolean => dice.calm;
    const patient: Clock = {
      ...clock,
      timer: (ms, fire) => {
        if (dice.calm) return atOnce(fire);
        dice.count("commit_slow");
        return clock.timer(ms, fire);
      },
    };
    this.#flaky = createFlakyStore(this.#audited(), {
      random,
      get refuse() {
        return isCalm() ? 0 : share("commit_refused");
      },
      get forget() {
        return isCalm() ? 0 : share("commit_unknown");
      },
      ...(dice.share("commit_slow") > 0 && { slow: { clock: patient, ms: SLOW_MS * dice.share("commit_slow") } }),
      rebuild: () => this.#audited(),
    });
  }

  /** What it has done wrong. */
  tell(reach: Reach): void {
    const { refused, unknownKept, unknownLost }: Faults = this.#flaky.faults;
    const { dice } = this.#options;
    dice.count("commit_refused", refused);
    dice.count("commit_unknown", unknownKept + unknownLost);
    if (refused > 0) reach("a commit was refused");
    if (unknownKept > 0) reach("an unknown commit was kept");
    if (unknownLost > 0) reach("an unknown commit was not kept");
    if (dice.counts.has("killed_before_commit")) reach("the engine died before a commit");
    if (dice.counts.has("killed_after_commit")) reach("the engine died after a commit");
  }

  /** A new start: what survived, behind a door that only this start has. */
  async open(): Promise<Store> {
    this.#reading = true;
    this.#flaky = await this.#flaky.crash();
    this.#reading = false;
    return this.#door(this.#flaky);
  }

  #audited(): Store {
    return overriding(createMemoryStore(), (inner) => ({
      commit: async (commit) => {
        await inner.commit(commit);
        if (!this.#reading) this.#options.kept(commit);
      },
    }));
  }

  /** The engine may close its door; the disk stays. Around a commit the power may go off. */
  #door(flaky: FlakyStore): Store {
    const { dice, died } = this.#options;
    return overriding(flaky, () => ({
      commit: async (commit) => {
        if (dice.happens("killed_before_commit")) {
          died();
          return never();
        }
        const serves = commit.events.some((event) => event.type === "task.submitted" && isScheduled(event.spec));
        const dies = dice.happens("killed_after_commit") || (serves && dice.happens("killed_serving"));
        await flaky.commit(commit);
        if (!dies) return;
        died();
        return never();
      },
      close: async () => {},
    }));
  }
}

function atOnce(fire: () => void): Timer {
  fire();
  return { cancel: () => {} };
}

/** One of its own for each who waits: a shared one would keep all of them for ever. */
const never = (): Promise<void> => new Promise(() => {});

/** The same store with some methods of its own. */
function overriding<S extends Store>(inner: S, own: (inner: S) => Partial<Store>): Store {
  return {
    durable: inner.durable,
    load: () => inner.load(),
    commit: (commit) => inner.commit(commit),
    settledPools: () => inner.settledPools(),
    oldest: (pool, page) => inner.oldest(pool, page),
    facts: (ids, keys) => inner.facts(ids, keys),
    entry: (id) => inner.entry(id),
    history: (filter) => inner.history(filter),
    tally: (pool) => inner.tally(pool),
    bodies: (nums) => inner.bodies(nums),
    results: (ids) => inner.results(ids),
    events: (afterSeq, limit) => inner.events(afterSeq, limit),
    close: () => inner.close(),
    ...own(inner),
  };
}
