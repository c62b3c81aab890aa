/**
 * Settled tasks in memory, up to a limit. To add one is to write to the end of an array: whoever never asks pays for
 * no index. What is asked for by id or number is indexed then, as far as it was not before.
 */
import type { PoolId, TaskId } from "../base/ids.ts";
import { type OldTask, retainedBytes } from "../core/retired.ts";
import type { TaskBody } from "../core/task.ts";
import type { HistoryEntry, HistoryFilter, Settled, SettledRow } from "./store.ts";
import { Tallies, type Tally } from "./tally.ts";

/** Fewer dead places than this are not worth the work of closing the ranks. */
const SLACK = 1_024;

const NO_BODY: TaskBody = {};

/** Of one pool's tasks, in the order of settlement; some are dead, all before `head` are. */
interface Places {
  all: number[];
  head: number;
}

export class MemoryHistory {
  readonly #limit: number;
  /** In the order of settlement; a place is dead once its task was replayed or went. */
  #rows: (SettledRow | undefined)[] = [];
  /** At the same places. */
  #bodies: (TaskBody | undefined)[] = [];
  /** All places before this one are dead. */
  #head = 0;
  /** Places that were cut off before the first one. */
  #cut = 0;
  #size = 0;
  readonly #byId = new LazyIndex<TaskId>((row) => row.facts.spec.id);
  readonly #byNum = new LazyIndex<number>((row) => row.facts.num);
  /** Numbers of the living, ascending; made when a list is asked for. */
  #nums: Float64Array | undefined;
  readonly #tallies = new Tallies();
  /** Places of each pool's tasks in the order of settlement, counting those that were cut off; some are dead. */
  readonly #byPool = new Map<PoolId, Places>();
  /** Places of those that `oldest` named last: who asks for them next, to let them go, needs no index of all. */
  readonly #named = new Map<TaskId, number>();

  /** @param limit - tasks kept; those settled first go first. 0 = none */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Gives back the task that had to go for it, if one had to. */
  add(row: SettledRow, body: TaskBody | undefined): SettledRow | undefined {
    this.#rows.push(row);
    this.#bodies.push(body);
    this.#size += 1;
    this.#nums = undefined;
    const { spec, settlement } = row.facts;
    this.#tallies.add(spec.pool, settlement.status, settlement.deadLettered, retainedBytes(row.facts));
    this.#placesOf(spec.pool).all.push(this.#cut + this.#rows.length - 1);
    return this.#size > this.#limit ? this.#dropOldest() : undefined;
  }

  /** Takes a task out and gives back its body, for it lives again. */
  remove(id: TaskId): TaskBody | undefined {
    const place = this.#placeOf(id);
    if (place === undefined) return undefined;
    const body = this.#bodies[place];
    this.#bury(place);
    this.#cutHead();
    if (this.#rows.length - this.#head > 2 * this.#size + SLACK) this.#closeRanks();
    return body;
  }

  /** The task is a dead letter no longer. */
  drop(id: TaskId): void {
    const place = this.#placeOf(id);
    const row = place === undefined ? undefined : this.#rows[place];
    if (place === undefined || row === undefined || !row.facts.settlement.deadLettered) return;
    const { facts } = row;
    this.#rows[place] = { ...row, facts: { ...facts, settlement: { ...facts.settlement, deadLettered: false } } };
    this.#tallies.drop(facts.spec.pool);
  }

  /** In the order in which they were settled. */
  deadLetters(): { pool: PoolId; id: TaskId; num: number }[] {
    const found: { pool: PoolId; id: TaskId; num: number }[] = [];
    for (const row of this.#rows) {
      if (row?.facts.settlement.deadLettered !== true) continue;
      const { spec, num } = row.facts;
      found.push({ pool: spec.pool, id: spec.id, num });
    }
    return found;
  }

  get(id: TaskId): SettledRow | undefined {
    const place = this.#placeOf(id);
    return place === undefined ? undefined : this.#rows[place];
  }

  entry(id: TaskId): HistoryEntry | undefined {
    const place = this.#placeOf(id);
    return place === undefined ? undefined : this.#entryAt(place);
  }

  body(num: number): TaskBody | undefined {
    const place = this.#byNum.find(num, this.#rows, this.#cut);
    return place === undefined ? undefined : (this.#bodies[place] ?? NO_BODY);
  }

  list({ pool, status, type, deadLettered, afterNum, limit }: HistoryFilter): HistoryEntry[] {
    this.#nums ??= this.#sortedNums();
    const nums = this.#nums;
    const found: HistoryEntry[] = [];
    for (let i = firstAfter(nums, afterNum); i < nums.length && found.length < limit; i++) {
      const place = this.#byNum.find(nums[i] as number, this.#rows, this.#cut) as number;
      const { spec, settlement } = (this.#rows[place] as SettledRow).facts;
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
    const oldest: OldTask[] = [];
    this.#named.clear();
    for (let n = skip; n < living.length; n++) {
      const place = living[n] as number;
      const row = this.#rowAt(place) as SettledRow;
      oldest.push(oldTaskOf(row));
      this.#named.set(row.facts.spec.id, place);
    }
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
      if (this.#rowAt(place) !== undefined) living.push(place);
    }
    places.head = end - living.length;
    for (let n = 0; n < living.length; n++) places.all[places.head + n] = living[n] as number;
    if (places.head > SLACK && places.head * 2 >= places.all.length) {
      places.all = places.all.slice(places.head);
      places.head = 0;
    }
    return living;
  }

  #rowAt(place: number): SettledRow | undefined {
    return this.#rows[place - this.#cut];
  }

  #placeOf(id: TaskId): number | undefined {
    const named = this.#named.get(id);
    if (named !== undefined && this.#rowAt(named)?.facts.spec.id === id) return named - this.#cut;
    return this.#byId.find(id, this.#rows, this.#cut);
  }

  #entryAt(place: number): HistoryEntry {
    const { facts, result } = this.#rows[place] as SettledRow;
    return { facts, body: this.#bodies[place] ?? NO_BODY, result };
  }

  #dropOldest(): SettledRow {
    this.#cutHead();
    const row = this.#bury(this.#head);
    this.#cutHead();
    return row;
  }

  /** Passes over the dead in front, and gives back their room a half at a time. */
  #cutHead(): void {
    while (this.#head < this.#rows.length && this.#rows[this.#head] === undefined) this.#head += 1;
    if (this.#head <= this.#size + SLACK) return;
    this.#rows = this.#rows.slice(this.#head);
    this.#bodies = this.#bodies.slice(this.#head);
    this.#cut += this.#head;
    this.#head = 0;
  }

  #bury(place: number): SettledRow {
    const row = this.#rows[place] as SettledRow;
    this.#rows[place] = undefined;
    this.#bodies[place] = undefined;
    this.#size -= 1;
    this.#nums = undefined;
    this.#byId.drop(row, this.#cut + place);
    this.#byNum.drop(row, this.#cut + place);
    const { spec, settlement } = row.facts;
    this.#tallies.remove(spec.pool, settlement.status, settlement.deadLettered, retainedBytes(row.facts));
    return row;
  }

  /** After many replays: every place moves, so the indexes begin anew. */
  #closeRanks(): void {
    this.#bodies = this.#bodies.filter((_, place) => this.#rows[place] !== undefined);
    this.#rows = this.#rows.filter((row) => row !== undefined);
    this.#head = 0;
    this.#cut = 0;
    this.#byId.clear();
    this.#byNum.clear();
    this.#byPool.clear();
    this.#named.clear();
    for (const [place, row] of this.#rows.entries())
      if (row !== undefined) this.#placesOf(row.facts.spec.pool).all.push(place);
  }

  #sortedNums(): Float64Array {
    const nums = new Float64Array(this.#size);
    let n = 0;
    for (const row of this.#rows) {
      if (row !== undefined) nums[n++] = row.facts.num;
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

/** Places by key, up to the last time that somebody asked. A place counts those that were cut off. */
class LazyIndex<K> {
  readonly #keyOf: (row: SettledRow) => K;
  readonly #places = new Map<K, number>();
  /** All places before this one are in the map. */
  #upTo = 0;

  constructor(keyOf: (row: SettledRow) => K) {
    this.#keyOf = keyOf;
  }

  /** Place in `rows`, of which `cut` were cut off. */
  find(key: K, rows: readonly (SettledRow | undefined)[], cut: number): number | undefined {
    const end = cut + rows.length;
    for (let place = Math.max(this.#upTo, cut); place < end; place++) {
      const row = rows[place - cut];
      if (row !== undefined) this.#places.set(this.#keyOf(row), place);
    }
    this.#upTo = end;
    const place = this.#places.get(key);
    return place === undefined ? undefined : place - cut;
  }

  drop(row: SettledRow, place: number): void {
    if (place < this.#upTo) this.#places.delete(this.#keyOf(row));
  }

  clear(): void {
    this.#places.clear();
    this.#upTo = 0;
  }
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
