/**
 * Settled tasks in memory, up to a limit. To add one is to write to the end of an array: whoever never asks pays for
 * no index. What is asked for by id or number is indexed then, as far as it was not before.
 */
import type { PoolId, TaskId } from "../base/ids.ts";
import type { SettledFacts } from "../core/record.ts";
import { type OldTask, retainedBytes } from "../core/retired.ts";
import { NO_BODY, type TaskBody } from "../core/task.ts";
import { LazyIndex } from "./lazy-index.ts";
import type { HistoryEntry, HistoryFilter, Settled, SettledRow } from "./store.ts";
import { Tallies, type Tally } from "./tally.ts";

/** Fewer dead places than this are not worth the work of closing the ranks. */
const SLACK = 1_024;

/** Of one pool's tasks, in the order of settlement; some are dead, all before `head` are. */
interface Places {
  all: number[];
  head: number;
}

export class MemoryHistory {
  readonly #limit: number;
  /** In the order of settlement; a place is dead once its task was replayed or went. */
  #facts: (SettledFacts | undefined)[] = [];
  /** At the same places, each by itself: a row of its own for every task would be one more object to keep. */
  #results: (string | undefined)[] = [];
  #bodies: (TaskBody | undefined)[] = [];
  /** All places before this one are dead. */
  #head = 0;
  /** Places that were cut off before the first one. */
  #cut = 0;
  #size = 0;
  readonly #byId = new LazyIndex<TaskId>((facts) => facts.spec.id);
  readonly #byNum = new LazyIndex<number>((facts) => facts.num);
  /** Numbers of the living, ascending; made when a list is asked for. */
  #nums: Float64Array | undefined;
  readonly #tallies = new Tallies();
  /** Places of each pool's tasks in the order of settlement, counting those that were cut off; some are dead. */
  readonly #byPool = new Map<PoolId, Places>();
  /** Places of those that `oldest` named last: who lets them go next, in the same order, needs no index of all. */
  #named: readonly number[] = [];
  #namedNext = 0;

  /** @param limit - tasks kept; those settled first go first. 0 = none */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Gives back what is known of the task that had to go for it, if one had to. */
  add({ facts, result }: SettledRow, body: TaskBody | undefined): SettledFacts | undefined {
    this.#facts.push(facts);
    this.#results.push(result);
    this.#bodies.push(body);
    this.#size += 1;
    this.#nums = undefined;
    const { spec, settlement } = facts;
    this.#tallies.add(spec.pool, settlement.status, settlement.deadLettered, retainedBytes(facts));
    this.#placesOf(spec.pool).all.push(this.#cut + this.#facts.length - 1);
    return this.#size > this.#limit ? this.#dropOldest() : undefined;
  }

  /** Takes a task out and gives back its body, for it lives again. */
  remove(id: TaskId): TaskBody | undefined {
    const place = this.#placeOf(id);
    if (place === undefined) return undefined;
    const body = this.#bodies[place];
    this.#takeOut(place);
    return body;
  }

  /** Lets a task go for good, and gives back what is known of it. */
  retire(id: TaskId): SettledFacts | undefined {
    const place = this.#namedPlaceOf(id) ?? this.#placeOf(id);
    return place === undefined ? undefined : this.#takeOut(place);
  }

  /** The task is a dead letter no longer. */
  drop(id: TaskId): void {
    const place = this.#placeOf(id);
    const facts = place === undefined ? undefined : this.#facts[place];
    if (place === undefined || facts === undefined || !facts.settlement.deadLettered) return;
    this.#facts[place] = { ...facts, settlement: { ...facts.settlement, deadLettered: false } };
    this.#tallies.drop(facts.spec.pool);
  }

  /** In the order in which they were settled. */
  deadLetters(): { pool: PoolId; id: TaskId; num: number }[] {
    const found: { pool: PoolId; id: TaskId; num: number }[] = [];
    for (const facts of this.#facts) {
      if (facts?.settlement.deadLettered !== true) continue;
      const { spec, num } = facts;
      found.push({ pool: spec.pool, id: spec.id, num });
    }
    return found;
  }

  get(id: TaskId): SettledRow | undefined {
    const place = this.#placeOf(id);
    const facts = place === undefined ? undefined : this.#facts[place];
    return place === undefined || facts === undefined ? undefined : { facts, result: this.#results[place] };
  }

  entry(id: TaskId): HistoryEntry | undefined {
    const place = this.#placeOf(id);
    return place === undefined ? undefined : this.#entryAt(place);
  }

  body(num: number): TaskBody | undefined {
    const place = this.#byNum.find(num, this.#facts, this.#cut);
    return place === undefined ? undefined : (this.#bodies[place] ?? NO_BODY);
  }

  list({ pool, status, type, deadLettered, afterNum, limit }: HistoryFilter): HistoryEntry[] {
    this.#nums ??= this.#sortedNums();
    const nums = this.#nums;
    const found: HistoryEntry[] = [];
    for (let i = firstAfter(nums, afterNum); i < nums.length && found.length < limit; i++) {
      const place = this.#byNum.find(nums[i] as number, this.#facts, this.#cut) as number;
      const { spec, settlement } = this.#facts[place] as SettledFacts;
      if (pool !== undefined && spec.pool !== pool) continue;
      if (status !== undefined && settlement.status !== status) continue;
      if (type !== undefined && spec.type !== type) continue;
      if (deadLettered !== undefined && settlement.deadLettered !== deadLettered) continue;
      found.push(this.#entryAt(place));
    }
    return found;
  }

  tally(pool: PoolId): Tally {
    return this.#tallies.of(pool);
  }

  pools(): PoolId[] {
    return this.#tallies.pools();
  }

  oldest(pool: PoolId, { skip, limit }: { readonly skip: number; readonly limit: number }): Settled {
    const living = this.#firstLiving(this.#placesOf(pool), skip + limit);
    this.#named = living.slice(skip);
    this.#namedNext = 0;
    const oldest = this.#named.map((place) => oldTaskOf({ facts: this.#factsAt(place) as SettledFacts }));
    return { ...this.#tallies.sizeOf(pool), oldest };
  }

  #placesOf(pool: PoolId): Places {
    let places = this.#byPool.get(pool);
    if (places === undefined) {
      places = { all: [], head: 0 };
      this.#byPool.set(pool, places);
    }
    return places;
  }

  /** These move up to where the look ends, so that no dead place is passed twice; its room goes a half at a time. */
  #firstLiving(places: Places, limit: number): number[] {
    const living: number[] = [];
    let end = places.head;
    for (; end < places.all.length && living.length < limit; end++) {
      const place = places.all[end] as number;
      if (this.#factsAt(place) !== undefined) living.push(place);
    }
    places.head = end - living.length;
    for (let n = 0; n < living.length; n++) places.all[places.head + n] = living[n] as number;
    if (places.head > SLACK && places.head * 2 >= places.all.length) {
      places.all = places.all.slice(places.head);
      places.head = 0;
    }
    return living;
  }

  #factsAt(place: number): SettledFacts | undefined {
    return this.#facts[place - this.#cut];
  }

  #placeOf(id: TaskId): number | undefined {
    return this.#byId.find(id, this.#facts, this.#cut);
  }

  /** Undefined for whoever is not among those that were named, or was passed over already. */
  #namedPlaceOf(id: TaskId): number | undefined {
    for (let n = this.#namedNext; n < this.#named.length; n++) {
      const place = this.#named[n] as number;
      if (this.#factsAt(place)?.spec.id !== id) continue;
      this.#namedNext = n + 1;
      return place - this.#cut;
    }
    return undefined;
  }

  /** Its place is dead from now on. */
  #takeOut(place: number): SettledFacts {
    const facts = this.#bury(place);
    this.#cutHead();
    if (this.#facts.length - this.#head > 2 * this.#size + SLACK) this.#closeRanks();
    return facts;
  }

  #entryAt(place: number): HistoryEntry {
    const facts = this.#facts[place] as SettledFacts;
    return { facts, body: this.#bodies[place] ?? NO_BODY, result: this.#results[place] };
  }

  #dropOldest(): SettledFacts {
    this.#cutHead();
    const facts = this.#bury(this.#head);
    this.#cutHead();
    return facts;
  }

  /** Passes over the dead in front, and gives back their room a half at a time. */
  #cutHead(): void {
    while (this.#head < this.#facts.length && this.#facts[this.#head] === undefined) this.#head += 1;
    if (this.#head <= this.#size + SLACK) return;
    this.#facts = this.#facts.slice(this.#head);
    this.#results = this.#results.slice(this.#head);
    this.#bodies = this.#bodies.slice(this.#head);
    this.#cut += this.#head;
    this.#head = 0;
  }

  #bury(place: number): SettledFacts {
    const facts = this.#facts[place] as SettledFacts;
    this.#facts[place] = undefined;
    this.#results[place] = undefined;
    this.#bodies[place] = undefined;
    this.#size -= 1;
    this.#nums = undefined;
    this.#byId.drop(facts, this.#cut + place);
    this.#byNum.drop(facts, this.#cut + place);
    const { spec, settlement } = facts;
    this.#tallies.remove(spec.pool, settlement.status, settlement.deadLettered, retainedBytes(facts));
    return facts;
  }

  /** After many replays: every place moves, so the indexes begin anew. */
  #closeRanks(): void {
    const isLiving = (_: unknown, place: number): boolean => this.#facts[place] !== undefined;
    this.#bodies = this.#bodies.filter(isLiving);
    this.#results = this.#results.filter(isLiving);
    this.#facts = this.#facts.filter(isLiving);
    this.#head = 0;
    this.#cut = 0;
    this.#byId.clear();
    this.#byNum.clear();
    this.#byPool.clear();
    this.#named = [];
    for (const [place, facts] of this.#facts.entries())
      if (facts !== undefined) this.#placesOf(facts.spec.pool).all.push(place);
  }

  #sortedNums(): Float64Array {
    const nums = new Float64Array(this.#size);
    let n = 0;
    for (const facts of this.#facts) {
      if (facts !== undefined) nums[n++] = facts.num;
    }
    return nums.sort();
  }
}

export function oldTaskOf({ facts }: Pick<SettledRow, "facts">): OldTask {
  const { num, spec, settlement } = facts;
  return {
    num,
    id: spec.id,
    status: settlement.status,
    settledAtMs: settlement.settledAtMs,
    bytes: retainedBytes(facts),
    idempotencyKey: spec.idempotencyKey,
    bodyHash: spec.bodyHash,
  };
}

/** Index of the first larger number. By halving. */
function firstAfter(nums: Float64Array, num: number): number {
  let low = 0;
  let high = nums.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((nums[middle] as number) <= num) low = middle + 1;
    else high = middle;
  }
  return low;
}
