/**
 * Settled tasks in memory, up to a limit. To add one is to write to the end of some columns: whoever never asks pays for
 * no index. What is asked for by id or number is indexed then, as far as it was not before.
 */
import type { PoolId, TaskId } from "../base/ids.ts";
import { IntMap } from "../base/int-map.ts";
import { retainedBytes } from "../core/retired.ts";
import { NO_BODY, type TaskBody, type TaskSpec } from "../core/task.ts";
import { LazyIndex } from "./lazy-index.ts";
import { PoolOrder } from "./pool-order.ts";
import { SettledColumns } from "./settled-columns.ts";
import type { HistoryEntry, HistoryFilter, Settled, SettledRow } from "./store.ts";
import { Tallies, type Tally } from "./tally.ts";

/** Fewer empty places than this are not worth the work of closing the ranks. */
const SLACK = 1_024;

/** What is left to be said of a task that went. */
export type Gone = Pick<TaskSpec, "id" | "idempotencyKey">;

export class MemoryHistory {
  readonly #limit: number;
  /** In the order of settlement; a place is empty once its task was replayed or went. */
  readonly #columns = new SettledColumns();
  /** All places before this one are empty. */
  #head = 0;
  #size = 0;
  readonly #byId = new LazyIndex<TaskId>((place) => this.#columns.idAt(place), new Map());
  readonly #byNum = new LazyIndex<number>((place) => this.#numAt(place), new IntMap());
  /** Numbers of those that are there, ascending; made when a list is asked for. */
  #nums: Float64Array | undefined;
  readonly #tallies = new Tallies();
  readonly #order = new PoolOrder(this.#columns);
  /** Places of those that `oldest` named last: who lets them go next, in the same order, needs no index of all. */
  #named: readonly number[] = [];
  #namedNext = 0;

  /** @param limit - tasks kept; those settled first go first. 0 = none */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Gives back the task that had to go for it, if one had to. */
  add(row: SettledRow, body: TaskBody | undefined): Gone | undefined {
    const place = this.#columns.add(row, body);
    this.#size += 1;
    this.#nums = undefined;
    const { spec, settlement } = row.facts;
    this.#tallies.add(spec.pool, settlement.status, settlement.deadLettered, retainedBytes(row.facts));
    this.#order.join(spec.pool, place);
    return this.#size > this.#limit ? this.#takeOut(this.#firstPlace()) : undefined;
  }

  /** Takes a task out and gives back its body, for it lives again. */
  remove(id: TaskId): TaskBody | undefined {
    const place = this.#placeOf(id);
    if (place === undefined) return undefined;
    const body = this.#columns.bodyAt(place);
    this.#takeOut(place);
    return body;
  }

  /** Lets a task go for good, and gives it back. */
  retire(id: TaskId): Gone | undefined {
    const place = this.#namedPlaceOf(id) ?? this.#placeOf(id);
    return place === undefined ? undefined : this.#takeOut(place);
  }

  /** The task is a dead letter no longer. */
  drop(id: TaskId): void {
    const place = this.#placeOf(id);
    if (place === undefined || !this.#columns.endingAt(place).deadLettered) return;
    const facts = this.#columns.factsAt(place);
    this.#columns.replace(place, { ...facts, settlement: { ...facts.settlement, deadLettered: false } });
    this.#tallies.drop(facts.spec.pool);
  }

  /** In the order in which they were settled. */
  deadLetters(): { pool: PoolId; id: TaskId; num: number }[] {
    const found: { pool: PoolId; id: TaskId; num: number }[] = [];
    for (const place of this.#places()) {
      if (!this.#columns.endingAt(place).deadLettered) continue;
      const { num, spec } = this.#columns.factsAt(place);
      found.push({ pool: spec.pool, id: spec.id, num });
    }
    return found;
  }

  get(id: TaskId): SettledRow | undefined {
    const place = this.#placeOf(id);
    return place === undefined ? undefined : this.#rowAt(place);
  }

  entry(id: TaskId): HistoryEntry | undefined {
    const place = this.#placeOf(id);
    return place === undefined ? undefined : this.#entryAt(place);
  }

  /** JSON text. */
  result(id: TaskId): string | undefined {
    const place = this.#placeOf(id);
    return place === undefined ? undefined : this.#columns.resultAt(place);
  }

  body(num: number): TaskBody | undefined {
    const place = this.#byNum.find(num, this.#columns);
    return place === undefined ? undefined : (this.#columns.bodyAt(place) ?? NO_BODY);
  }

  list({ pool, status, type, deadLettered, afterNum, limit }: HistoryFilter): HistoryEntry[] {
    this.#nums ??= this.#sortedNums();
    const nums = this.#nums;
    const found: HistoryEntry[] = [];
    for (let i = firstAfter(nums, afterNum); i < nums.length && found.length < limit; i++) {
      const place = this.#byNum.find(nums[i] as number, this.#columns) as number;
      const spec = this.#columns.sharedAt(place);
      const ending = this.#columns.endingAt(place);
      if (pool !== undefined && spec.pool !== pool) continue;
      if (status !== undefined && ending.status !== status) continue;
      if (type !== undefined && spec.type !== type) continue;
      if (deadLettered !== undefined && ending.deadLettered !== deadLettered) continue;
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

  oldest(pool: PoolId, page: { readonly skip: number; readonly limit: number }): Settled {
    this.#named = this.#order.oldest(pool, page);
    this.#namedNext = 0;
    return { ...this.#tallies.sizeOf(pool), oldest: this.#named.map((place) => this.#columns.oldTaskAt(place)) };
  }

  *#places(): Generator<number> {
    for (let place = this.#head; place < this.#columns.end; place++) {
      if (this.#columns.idAt(place) !== undefined) yield place;
    }
  }

  #numAt(place: number): number | undefined {
    return this.#columns.idAt(place) === undefined ? undefined : this.#columns.numAt(place);
  }

  #placeOf(id: TaskId): number | undefined {
    return this.#byId.find(id, this.#columns);
  }

  /** Undefined for whoever is not among those that were named, or was passed over already. */
  #namedPlaceOf(id: TaskId): number | undefined {
    for (let n = this.#namedNext; n < this.#named.length; n++) {
      const place = this.#named[n] as number;
      if (place < this.#head || this.#columns.idAt(place) !== id) continue;
      this.#namedNext = n + 1;
      return place;
    }
    return undefined;
  }

  #rowAt(place: number): SettledRow {
    return { facts: this.#columns.factsAt(place), result: this.#columns.resultAt(place) };
  }

  #entryAt(place: number): HistoryEntry {
    return { ...this.#rowAt(place), body: this.#columns.bodyAt(place) ?? NO_BODY };
  }

  /** Its place is empty from now on. */
  #takeOut(place: number): Gone {
    const id = this.#columns.idAt(place) as TaskId;
    const { pool, idempotencyKey } = this.#columns.sharedAt(place);
    const { status, deadLettered } = this.#columns.endingAt(place);
    this.#tallies.remove(pool, status, deadLettered, this.#columns.bytesAt(place));
    this.#order.leave(pool, place);
    this.#byId.drop(id, place);
    this.#byNum.drop(this.#columns.numAt(place), place);
    this.#columns.remove(place);
    this.#size -= 1;
    this.#nums = undefined;
    this.#columns.cutBefore(this.#firstPlace());
    if (this.#columns.end - this.#head > 2 * this.#size + SLACK) this.#closeRanks();
    return { id, idempotencyKey };
  }

  /** That of whoever was settled first. */
  #firstPlace(): number {
    while (this.#head < this.#columns.end && this.#columns.idAt(this.#head) === undefined) this.#head += 1;
    return this.#head;
  }

  /** After many replays: every place is another, so indexes and lists begin anew. */
  #closeRanks(): void {
    this.#columns.closeRanks();
    this.#head = 0;
    this.#byId.clear();
    this.#byNum.clear();
    this.#order.clear();
    this.#named = [];
    for (const place of this.#places()) this.#order.join(this.#columns.sharedAt(place).pool, place);
  }

  #sortedNums(): Float64Array {
    const nums = new Float64Array(this.#size);
    let n = 0;
    for (const place of this.#places()) nums[n++] = this.#columns.numAt(place);
    return nums.sort();
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
