/**
 * The store that lives and dies with its process. It keeps what it is given by reference: whoever commits must not
 * change it afterwards. A commit costs a few operations on small maps and allocates nothing of its own.
 */

import { InvariantError } from "../base/assert.ts";
import { PoolError } from "../base/errors.ts";
import type { PoolId, TaskId } from "../base/ids.ts";
import { IntMap } from "../base/int-map.ts";
import { SlotMap } from "../base/slot-map.ts";
import type { AgentIdentity } from "../core/agent.ts";
import type { Gate } from "../core/gate.ts";
import type { Quarantined } from "../core/quarantined.ts";
import type { OpenFacts, SettledFacts } from "../core/record.ts";
import type { KeyRecord } from "../core/retired.ts";
import type { Schedule } from "../core/schedule.ts";
import type { TaskBody } from "../core/task.ts";
import { EVENT_LIMITS, type EventLimits, eventLimits, type GivenEventLimits } from "./event-limits.ts";
import { type Gone, MemoryHistory } from "./memory-history.ts";
import { RecentEvents } from "./recent-events.ts";
import type {
  Admitted,
  Commit,
  Facts,
  HistoryEntry,
  HistoryFilter,
  Loaded,
  PoolRecord,
  Settled,
  SettledRow,
  SpendingRow,
  Store,
  StoredEvents,
} from "./store.ts";
import type { Tally } from "./tally.ts";

export interface MemoryOptions {
  /** Settled tasks kept; those settled first go first. 0 = none. */
  readonly historyLimit?: number;
  /** 10,000 and a day when absent. */
  readonly events?: GivenEventLimits | undefined;
}

/** 1,000,000 settled tasks of all pools: what pools retain is their own matter, this only bounds the process. */
export const HISTORY_LIMIT = 1_000_000;

/** 10,000 durable events: enough for a reader that comes back after a moment. A file keeps many more. */
export const EVENTS_IN_MEMORY = 10_000;

export function createMemoryStore({ historyLimit = HISTORY_LIMIT, events }: MemoryOptions = {}): Store {
  return new MemoryStore(historyLimit, eventLimits({ ...EVENT_LIMITS, count: EVENTS_IN_MEMORY }, events));
}

/** Old keys that one commit looks at. */
const KEYS_AT_ONCE = 1_000;

class MemoryStore implements Store {
  readonly durable = false;
  readonly #pools = new Map<PoolId, PoolRecord>();
  readonly #agents = new Map<string, AgentIdentity>();
  readonly #gates = new Map<string, Gate>();
  readonly #schedules = new Map<string, Schedule>();
  /** By pool and tenant. */
  readonly #spending = new Map<string, SpendingRow>();
  readonly #open = new IntMap<OpenFacts>();
  /** Of open tasks; that of a settled one is in the history. */
  readonly #bodies = new IntMap<TaskBody>();
  /** Newest task under each idempotency key. */
  readonly #keys = new Map<string, TaskId>();
  /** By pool and fingerprint. */
  readonly #quarantine = new Map<string, Quarantined>();
  #settledEpoch = 0;
  /** Keys that have outlived their tasks, in the order in which those went. */
  readonly #oldKeys = new SlotMap<string, KeyRecord>();
  #history: MemoryHistory;
  readonly #events: RecentEvents;
  #lastNum = 0;
  #epoch = 0;
  #closed = false;

  constructor(historyLimit: number, events: EventLimits) {
    this.#events = new RecentEvents(events);
    this.#history = new MemoryHistory(historyLimit);
  }

  async load(): Promise<Loaded> {
    this.#assertOpen();
    this.#epoch += 1;
    return {
      epoch: this.#epoch,
      lastSeq: this.#events.lastSeq,
      lastNum: this.#lastNum,
      pools: [...this.#pools.values()],
      agents: [...this.#agents.values()],
      gates: [...this.#gates.values()],
      schedules: [...this.#schedules.values()],
      spending: [...this.#spending.values()],
      open: [...this.#open.values()].sort((a, b) => a.num - b.num),
      quarantine: [...this.#quarantine.values()],
      deadLetters: this.#history.deadLetters(),
      settledEpoch: this.#settledEpoch,
    };
  }

  commit(commit: Commit): Promise<void> | undefined {
    if (this.#closed) return Promise.reject(closedError());
    if (commit.firstSeq !== this.#events.lastSeq + 1 || commit.events.length === 0) {
      return Promise.reject(
        new InvariantError("broken invariant: a commit's events follow the last one without a gap"),
      );
    }
    // The order matters where one task stands in several lists: the last word on it is that it is settled.
    for (const { num, id } of commit.reopened) this.#reopen(num, id);
    for (const admitted of commit.admitted) this.#admit(admitted);
    for (const facts of commit.open) this.#open.set(facts.num, facts);
    for (const row of commit.settled) this.#settle(row);
    if (commit.settled.length > 0) this.#settledEpoch = this.#epoch;
    this.#keepOthers(commit);
    this.#events.add(commit.firstSeq, commit.atMs, commit.events);
    return undefined;
  }

  /** What few commits bring: everything but tasks that come, change and end. */
  #keepOthers(commit: Commit): void {
    for (const { id } of commit.dropped) this.#history.drop(id);
    for (const { id } of commit.retired ?? []) this.#retire(id);
    for (const record of commit.keys ?? []) this.#oldKeys.set(record.key, record);
    if (commit.keysBeforeMs !== undefined) this.#dropKeys(commit.keysBeforeMs);
    for (const { id, record } of commit.pools) {
      put(this.#pools, id, record);
      if (record === null) this.#forgetSpending(id);
    }
    for (const { pool, tenant, window } of commit.spending ?? []) {
      put(this.#spending, `${pool}\n${tenant}`, window === null ? null : { pool, tenant, window });
    }
    for (const { id, record } of commit.agents) put(this.#agents, id, record);
    for (const { pool, fingerprint, record } of commit.quarantine) {
      put(this.#quarantine, `${pool} ${fingerprint}`, record);
    }
    for (const { id, record } of commit.schedules ?? []) put(this.#schedules, id, record);
    for (const gate of commit.gates ?? []) this.#gates.set(gate.name, gate);
  }

  async facts(ids: readonly TaskId[], keys: readonly string[]): Promise<Facts> {
    this.#assertOpen();
    const tasks = new Map<TaskId, SettledFacts>();
    for (const id of ids) {
      const row = this.#history.get(id);
      if (row !== undefined) tasks.set(id, row.facts);
    }
    const byKey = new Map<string, SettledFacts>();
    const oldKeys = new Map<string, KeyRecord>();
    for (const key of keys) {
      const old = this.#oldKeys.get(key);
      if (old !== undefined) oldKeys.set(key, old);
      const id = this.#keys.get(key);
      const row = id === undefined ? undefined : this.#history.get(id);
      if (row !== undefined) byKey.set(key, row.facts);
    }
    return oldKeys.size === 0 ? { tasks, keys: byKey } : { tasks, keys: byKey, oldKeys };
  }

  async entry(id: TaskId): Promise<HistoryEntry | undefined> {
    this.#assertOpen();
    return this.#history.entry(id);
  }

  async history(filter: HistoryFilter): Promise<HistoryEntry[]> {
    this.#assertOpen();
    return this.#history.list(filter);
  }

  async tally(pool: PoolId): Promise<Tally> {
    this.#assertOpen();
    return this.#history.tally(pool);
  }

  async settledPools(): Promise<PoolId[]> {
    this.#assertOpen();
    return this.#history.pools();
  }

  async oldest(pool: PoolId, page: { readonly skip: number; readonly limit: number }): Promise<Settled> {
    this.#assertOpen();
    return this.#history.oldest(pool, page);
  }

  async bodies(nums: readonly number[]): Promise<Map<number, TaskBody>> {
    this.#assertOpen();
    const found = new Map<number, TaskBody>();
    for (const num of nums) {
      const body = this.#bodies.get(num) ?? this.#history.body(num);
      if (body !== undefined) found.set(num, body);
    }
    return found;
  }

  async results(ids: readonly TaskId[]): Promise<Map<TaskId, string>> {
    this.#assertOpen();
    const found = new Map<TaskId, string>();
    for (const id of ids) {
      const result = this.#history.result(id);
      if (result !== undefined) found.set(id, result);
    }
    return found;
  }

  async events(afterSeq: number, limit: number): Promise<StoredEvents[]> {
    this.#assertOpen();
    return this.#events.after(afterSeq, limit);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#oldKeys.clear();
    this.#schedules.clear();
    this.#spending.clear();
    for (const map of [this.#pools, this.#agents, this.#open, this.#bodies, this.#keys, this.#gates, this.#quarantine])
      map.clear();
    this.#history = new MemoryHistory(0);
    this.#events.clear();
  }

  #forgetSpending(id: PoolId): void {
    for (const [key, { pool }] of this.#spending) if (pool === id) this.#spending.delete(key);
  }

  #assertOpen(): void {
    if (this.#closed) throw closedError();
  }

  #admit({ num, spec, body }: Admitted): void {
    this.#bodies.set(num, body);
    if (spec.idempotencyKey !== undefined) this.#keys.set(spec.idempotencyKey, spec.id);
    if (num > this.#lastNum) this.#lastNum = num;
  }

  #reopen(num: number, id: TaskId): void {
    const body = this.#history.remove(id);
    if (body !== undefined) this.#bodies.set(num, body);
  }

  #settle(row: SettledRow): void {
    const { num } = row.facts;
    const body = this.#bodies.get(num);
    this.#open.delete(num);
    this.#bodies.delete(num);
    const gone = this.#history.add(row, body);
    if (gone !== undefined) this.#forgetKey(gone);
  }

  #retire(id: TaskId): void {
    const gone = this.#history.retire(id);
    if (gone !== undefined) this.#forgetKey(gone);
  }

  #dropKeys(beforeMs: number): void {
    let looked = 0;
    for (const [key, { settledAtMs }] of this.#oldKeys) {
      if (settledAtMs < beforeMs) this.#oldKeys.delete(key);
      looked += 1;
      if (looked === KEYS_AT_ONCE) return;
    }
  }

  #forgetKey({ id, idempotencyKey }: Gone): void {
    if (idempotencyKey !== undefined && this.#keys.get(idempotencyKey) === id) this.#keys.delete(idempotencyKey);
  }
}

/** Null takes the key out. */
function put<K, V>(map: Map<K, V>, key: K, value: V | null): void {
  if (value === null) map.delete(key);
  else map.set(key, value);
}

function closedError(): PoolError {
  return new PoolError("store_failed", "the store is closed");
}
