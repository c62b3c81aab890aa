/**
 * The store in one SQLite file. A commit is one transaction, on the disk before it resolves.
 *
 * The file belongs to one process at a time, and nothing but SQLite may open it there: closing any other handle on it
 * would drop the locks of all.
 */
import { realpathSync, type StatsFs, statfsSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { assert } from "../base/assert.ts";
import { PoolError } from "../base/errors.ts";
import type { PoolId, TaskId } from "../base/ids.ts";
import { retainedBytes } from "../core/retired.ts";
import type { FinalStatus, TaskBody } from "../core/task.ts";
import { ensureDirectory } from "./directory.ts";
import { EVENT_LIMITS, type EventLimits, eventLimits, type GivenEventLimits } from "./event-limits.ts";
import { type Ownership, takeOwnership } from "./ownership.ts";
import { SQLITE, sqliteCode, storeError } from "./sqlite-error.ts";
import { SqliteReader } from "./sqlite-reader.ts";
import { openDatabase, prepareAll } from "./sqlite-schema.ts";
import { openText, packText, settledText } from "./sqlite-text.ts";
import type {
  Admitted,
  Commit,
  Facts,
  HistoryEntry,
  HistoryFilter,
  Loaded,
  Settled,
  SettledRow,
  Store,
  StoredEvents,
} from "./store.ts";
import { Tallies, type Tally } from "./tally.ts";

export interface SqliteOptions {
  /** `EVENT_LIMITS` when absent. */
  readonly events?: GivenEventLimits | undefined;
  /** Largest size of the database file; a commit that needs more is refused with `store_full`. Undefined = no limit. */
  readonly maxBytes?: number | undefined;
}

/** 64 MB, and at most this share of all that the disk, or the file, may hold: new tasks leave so much for ending old ones. */
export const RESERVE_BYTES = 64 * 1_048_576;
const RESERVE_SHARE = 1 / 8;

/** Old events go once this share of the limit has come in, so that a commit rarely pays for it and never much. */
const TRIM_SHARE = 0.001;
/** Commits of which the events go by their age with one commit, at most. */
const TRIM_ROWS = 1_000;

/**
 * Opens the file, and makes it and its directory when they are missing.
 *
 * @throws PoolError `store_locked` while another process has it, `store_unknown_version` for a file that is newer or
 *   not ours (left as it was), `store_failed` or `store_full` when it can't be read or written
 */
export async function openSqliteStore(file: string, options: SqliteOptions = {}): Promise<Store> {
  const path = realPath(resolve(file));
  const ownership = takeOwnership(path);
  try {
    const db = openDatabase(path, options.maxBytes);
    try {
      const { maxBytes } = options;
      const events = eventLimits(EVENT_LIMITS, options.events);
      return new SqliteStore(path, db, ownership, { events, maxBytes });
    } catch (cause) {
      db.close();
      throw storeError("could not open", path, cause);
    }
  } catch (thrown) {
    ownership.release();
    throw thrown;
  }
}

/** Without links, so that two names of one file have one owner. */
function realPath(path: string): string {
  ensureDirectory(dirname(path));
  try {
    return realpathSync(path);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "ENOENT") throw storeError("could not open", path, thrown);
    return join(realpathSync(dirname(path)), basename(path));
  }
}

const WRITES = {
  begin: "BEGIN IMMEDIATE",
  commit: "COMMIT",
  rollback: "ROLLBACK",
  epoch: "UPDATE meta SET value = value + 1 WHERE key = 'epoch' RETURNING value AS epoch",
  event: "INSERT INTO commits (first_seq, last_seq, at_ms, events) VALUES (?, ?, ?, ?)",
  // All commits before the one that holds the first event to keep.
  trim: "DELETE FROM commits WHERE first_seq < (SELECT max(first_seq) FROM commits WHERE first_seq <= ?)",
  // `at_ms` grows with `first_seq`, so these are the first rows of the table. The newest commit stays: the numbers go on.
  trimOld: `DELETE FROM commits WHERE first_seq IN (SELECT first_seq FROM commits ORDER BY first_seq LIMIT ${TRIM_ROWS})
    AND at_ms < ? AND first_seq < (SELECT max(first_seq) FROM commits)`,
  oldestAtMs: "SELECT at_ms FROM commits ORDER BY first_seq LIMIT 1",
  // A replay may bring a new spec and body for the number it had.
  admit: `INSERT INTO tasks (num, id, key, spec, prompt, rest) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (num) DO UPDATE SET id = excluded.id, key = excluded.key, spec = excluded.spec,
      prompt = excluded.prompt, rest = excluded.rest`,
  open: "INSERT INTO open (num, facts) VALUES (?, ?) ON CONFLICT (num) DO UPDATE SET facts = excluded.facts",
  close: "DELETE FROM open WHERE num = ?",
  settle: `INSERT INTO history (num, pool, status, type, dead, settled_at_ms, bytes, facts, result)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  forget: "DELETE FROM history WHERE num = ? RETURNING pool, status, dead, bytes",
  erase: "DELETE FROM tasks WHERE num = ?",
  // Numbers are never given twice, also when the newest task has gone.
  lastNum: "UPDATE meta SET value = max(value, (SELECT max(num) FROM tasks)) WHERE key = 'last_num'",
  putKey: `INSERT INTO keys (key, settled_at_ms, record) VALUES (?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET settled_at_ms = excluded.settled_at_ms, record = excluded.record`,
  dropKeys: `DELETE FROM keys WHERE key IN
    (SELECT key FROM keys WHERE settled_at_ms < ? ORDER BY settled_at_ms LIMIT 1000)`,
  drop: `UPDATE history SET dead = 0, facts = json_set(facts, '$.settlement.deadLettered', json('false'))
    WHERE num = ? AND dead = 1 RETURNING pool`,
  putPool: "INSERT INTO pools (id, record) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record",
  dropPool: "DELETE FROM pools WHERE id = ?",
  putAgent: "INSERT INTO agents (id, record) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record",
  putGate: "INSERT INTO gates (name, record) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET record = excluded.record",
  putSpending: `INSERT INTO spending (pool, tenant, record) VALUES (?, ?, ?)
    ON CONFLICT (pool, tenant) DO UPDATE SET record = excluded.record`,
  dropSpending: "DELETE FROM spending WHERE pool = ? AND tenant = ?",
  dropSpendingOf: "DELETE FROM spending WHERE pool = ?",
  putSchedule:
    "INSERT INTO schedules (id, record) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record",
  dropSchedule: "DELETE FROM schedules WHERE id = ?",
  dropAgent: "DELETE FROM agents WHERE id = ?",
  quarantine: `INSERT INTO quarantine (pool, fingerprint, record) VALUES (?, ?, ?)
    ON CONFLICT (pool, fingerprint) DO UPDATE SET record = excluded.record`,
  letGo: "DELETE FROM quarantine WHERE pool = ? AND fingerprint = ?",
  settledEpoch: "UPDATE meta SET value = ? WHERE key = 'settled_epoch'",
} as const;

/** What a row that left the history was counted as. */
interface Uncounted {
  readonly pool: PoolId;
  readonly status: FinalStatus;
  readonly dead: number;
  readonly bytes: number;
}

class SqliteStore implements Store {
  readonly durable = true;
  readonly #file: string;
  readonly #db: DatabaseSync;
  readonly #ownership: Ownership;
  readonly #events: EventLimits;
  readonly #maxBytes: number | undefined;
  readonly #trimStep: number;
  /** Of the oldest commit that is kept. */
  #oldestAtMs: number | undefined;
  readonly #write: Record<keyof typeof WRITES, StatementSync>;
  readonly #reader: SqliteReader;
  #tallies = new Tallies();
  /** Undefined until the first load. */
  #lastSeq: number | undefined;
  #epoch = 0;
  /** The last epoch in which a task was settled. */
  #settledEpoch = 0;
  /** Events up to here may be gone. */
  #trimmedSeq = 0;
  /** Why it takes no commit any more. */
  #broken: PoolError | undefined;
  #closed = false;

  constructor(
    file: string,
    db: DatabaseSync,
    ownership: Ownership,
    { events, maxBytes }: { readonly events: EventLimits; readonly maxBytes: number | undefined },
  ) {
    this.#file = file;
    this.#db = db;
    this.#ownership = ownership;
    this.#maxBytes = maxBytes;
    this.#events = events;
    this.#trimStep = Math.ceil(events.count * TRIM_SHARE);
    this.#write = prepareAll(db, WRITES);
    this.#reader = new SqliteReader(db);
  }

  async load(): Promise<Loaded> {
    this.#assertWritable();
    const epoch = this.#transaction(() => Number(this.#write.epoch.get()?.epoch));
    const loaded = this.#ask((reader) => reader.loaded(epoch));
    this.#lastSeq = loaded.lastSeq;
    this.#epoch = epoch;
    this.#settledEpoch = loaded.settledEpoch;
    this.#findOldest();
    this.#tallies = this.#ask((reader) => reader.tallies());
    return loaded;
  }

  async commit(commit: Commit): Promise<void> {
    this.#assertWritable();
    assert(this.#lastSeq !== undefined, "a store is loaded before its first commit");
    assert(
      commit.firstSeq === this.#lastSeq + 1 && commit.events.length > 0,
      "a commit's events follow the last one without a gap",
    );
    const lastSeq = this.#lastSeq + commit.events.length;
    const trims = lastSeq - this.#trimmedSeq >= this.#events.count + this.#trimStep;
    const { ageMs } = this.#events;
    const trimsOld = commit.atMs - (this.#oldestAtMs ?? commit.atMs) > ageMs;
    const settlesFirst = commit.settled.length > 0 && this.#settledEpoch !== this.#epoch;
    const gone: Uncounted[] = [];
    const dropped: PoolId[] = [];
    this.#transaction(() => {
      this.#writeRows(commit, gone);
      for (const { num } of commit.dropped) {
        const row = this.#write.drop.get(num);
        if (row !== undefined) dropped.push(row.pool as PoolId);
      }
      this.#write.event.run(commit.firstSeq, lastSeq, commit.atMs, JSON.stringify(commit.events));
      if (trims) this.#write.trim.run(lastSeq - this.#events.count + 1);
      if (trimsOld) this.#write.trimOld.run(commit.atMs - ageMs);
      if (settlesFirst) this.#write.settledEpoch.run(this.#epoch);
    });
    if (settlesFirst) this.#settledEpoch = this.#epoch;
    // Only what is on the disk counts.
    this.#lastSeq = lastSeq;
    if (trims) this.#trimmedSeq = lastSeq - this.#events.count;
    if (trims || trimsOld || this.#oldestAtMs === undefined) this.#findOldest();
    for (const { facts } of commit.settled) {
      const { spec, settlement } = facts;
      this.#tallies.add(spec.pool, settlement.status, settlement.deadLettered, retainedBytes(facts));
    }
    for (const { pool, status, dead, bytes } of gone) this.#tallies.remove(pool, status, dead === 1, bytes);
    for (const pool of dropped) this.#tallies.drop(pool);
  }

  #findOldest(): void {
    const row = this.#write.oldestAtMs.get();
    this.#oldestAtMs = row === undefined ? undefined : Number(row.at_ms);
  }

  room(): number | undefined {
    const ofDisk = roomOnDisk(dirname(this.#file));
    if (this.#maxBytes === undefined) return ofDisk;
    const left = this.#maxBytes - this.#ask((reader) => reader.usedBytes());
    return Math.min(left - reserveOf(this.#maxBytes), ofDisk ?? Number.POSITIVE_INFINITY);
  }

  async facts(ids: readonly TaskId[], keys: readonly string[]): Promise<Facts> {
    return this.#ask((reader) => reader.facts(ids, keys));
  }

  async entry(id: TaskId): Promise<HistoryEntry | undefined> {
    return this.#ask((reader) => reader.entry(id));
  }

  async history(filter: HistoryFilter): Promise<readonly HistoryEntry[]> {
    return this.#ask((reader) => reader.history(filter));
  }

  async tally(pool: PoolId): Promise<Tally> {
    this.#assertOpen();
    return this.#tallies.of(pool);
  }

  async settledPools(): Promise<PoolId[]> {
    return this.#ask(() => this.#tallies.pools());
  }

  async oldest(pool: PoolId, page: { readonly skip: number; readonly limit: number }): Promise<Settled> {
    const oldest = this.#ask((reader) => reader.oldest(pool, page));
    return { ...this.#tallies.sizeOf(pool), oldest };
  }

  async bodies(nums: readonly number[]): Promise<ReadonlyMap<number, TaskBody>> {
    return this.#ask((reader) => reader.bodies(nums));
  }

  async results(ids: readonly TaskId[]): Promise<ReadonlyMap<TaskId, string>> {
    return this.#ask((reader) => reader.results(ids));
  }

  async events(afterSeq: number, limit: number): Promise<readonly StoredEvents[]> {
    return this.#ask((reader) => reader.events(afterSeq, limit));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.#db.close();
    } finally {
      this.#ownership.release();
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw new PoolError("store_failed", "the store is closed");
  }

  #assertWritable(): void {
    this.#assertOpen();
    const cause = this.#broken;
    if (cause === undefined) return;
    throw new PoolError("store_failed", `${this.#file} takes nothing more after an error`, {
      cause,
      details: { file: this.#file, broken: true },
    });
  }

  #ask<T>(question: (reader: SqliteReader) => T): T {
    this.#assertOpen();
    try {
      return question(this.#reader);
    } catch (thrown) {
      throw sqliteCode(thrown) === undefined ? thrown : storeError("could not read", this.#file, thrown);
    }
  }

  /** The order matters where one task stands in several lists: the last word on it is that it is settled. */
  #writeRows(commit: Commit, gone: Uncounted[]): void {
    for (const { num } of commit.reopened) this.#forget(num, gone);
    for (const admitted of commit.admitted) this.#admit(admitted);
    for (const facts of commit.open) this.#write.open.run(facts.num, openText(facts));
    for (const row of commit.settled) this.#settle(row);
    if (commit.retired !== undefined && commit.retired.length > 0) this.#retire(commit.retired, gone);
    for (const record of commit.keys ?? []) {
      this.#write.putKey.run(packText(record.key), record.settledAtMs, JSON.stringify(record));
    }
    if (commit.keysBeforeMs !== undefined) this.#write.dropKeys.run(commit.keysBeforeMs);
    for (const { id, record } of commit.pools) {
      if (record === null) {
        this.#write.dropPool.run(id);
        this.#write.dropSpendingOf.run(id);
      } else this.#write.putPool.run(id, JSON.stringify(record));
    }
    for (const { id, record } of commit.agents) {
      if (record === null) this.#write.dropAgent.run(id);
      else this.#write.putAgent.run(id, JSON.stringify(record));
    }
    for (const { pool, fingerprint, record } of commit.quarantine) {
      if (record === null) this.#write.letGo.run(pool, fingerprint);
      else this.#write.quarantine.run(pool, fingerprint, JSON.stringify(record));
    }
    for (const row of commit.spending ?? []) {
      const tenant = packText(row.tenant) ?? "";
      if (row.window === null) this.#write.dropSpending.run(row.pool, tenant);
      else this.#write.putSpending.run(row.pool, tenant, JSON.stringify(row));
    }
    for (const { id, record } of commit.schedules ?? []) {
      if (record === null) this.#write.dropSchedule.run(id);
      else this.#write.putSchedule.run(id, JSON.stringify(record));
    }
    for (const gate of commit.gates ?? []) this.#write.putGate.run(gate.name, JSON.stringify(gate));
  }

  #admit({ num, spec, body }: Admitted): void {
    const key = packText(spec.idempotencyKey);
    this.#write.admit.run(num, spec.id, key, JSON.stringify(spec), packText(body.prompt), packText(body.rest));
  }

  #settle({ facts, result }: SettledRow): void {
    const { num, spec, settlement } = facts;
    const dead = settlement.deadLettered ? 1 : 0;
    this.#write.close.run(num);
    this.#write.settle.run(
      num,
      spec.pool,
      settlement.status,
      packText(spec.type),
      dead,
      settlement.settledAtMs,
      retainedBytes(facts),
      settledText(facts),
      packText(result),
    );
  }

  #retire(tasks: NonNullable<Commit["retired"]>, gone: Uncounted[]): void {
    this.#write.lastNum.run();
    for (const { num } of tasks) {
      this.#forget(num, gone);
      this.#write.erase.run(num);
    }
  }

  #forget(num: number, gone: Uncounted[]): void {
    const row = this.#write.forget.get(num);
    if (row !== undefined) gone.push(row as unknown as Uncounted);
  }

  /** All or nothing, and on the disk when it returns. */
  #transaction<T>(write: () => T): T {
    let committing = false;
    try {
      this.#write.begin.run();
      const written = write();
      committing = true;
      this.#write.commit.run();
      return written;
    } catch (cause) {
      throw this.#refusal(cause, { committing });
    }
  }

  /**
   * What could not be written is taken back. A full disk, a stranger's lock, a broken rule of the tables and text that
   * could not be made leave the file as it was; after anything else it is not known what the file holds.
   */
  #refusal(cause: unknown, { committing }: { readonly committing: boolean }): PoolError {
    const what = "could not write to";
    if (this.#rollback() && isHarmless(cause)) return storeError(what, this.#file, cause);
    const { code, message } = storeError(what, this.#file, cause);
    const details = { file: this.#file, broken: true, ...(committing ? { unknown: true } : {}) };
    this.#broken = new PoolError(code, message, { cause, details });
    return this.#broken;
  }

  /** False when that fails as well. Some errors have rolled back before. */
  #rollback(): boolean {
    try {
      this.#write.rollback.run();
      return true;
    } catch (thrown) {
      return sqliteCode(thrown) === SQLITE.error;
    }
  }
}

function isHarmless(cause: unknown): boolean {
  const code = sqliteCode(cause);
  return code === undefined || code === SQLITE.full || code === SQLITE.busy || code === SQLITE.constraint;
}

function reserveOf(totalBytes: number): number {
  return Math.min(RESERVE_BYTES, totalBytes * RESERVE_SHARE);
}

/** Undefined where the system does not say. */
function roomOnDisk(directory: string): number | undefined {
  let disk: StatsFs;
  try {
    disk = statfsSync(directory);
  } catch {
    return undefined;
  }
  const totalBytes = disk.blocks * disk.bsize;
  return totalBytes === 0 ? undefined : disk.bavail * disk.bsize - reserveOf(totalBytes);
}
