/**
 * The store in one SQLite file. A commit is one transaction, on the disk before it resolves.
 *
 * The file belongs to one process at a time, and nothing but SQLite may open it there: closing any other handle on it
 * would drop the locks of all.
 */
import { realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { assert } from "../base/assert.ts";
import { PoolError } from "../base/errors.ts";
import type { PoolId, TaskId } from "../base/ids.ts";
import { retainedBytes } from "../core/retired.ts";
import type { TaskBody } from "../core/task.ts";
import { ensureDirectory } from "./directory.ts";
import { reserveOf, roomOnDisk } from "./disk-room.ts";
import { EVENT_LIMITS, type EventLimits, eventLimits, type GivenEventLimits } from "./event-limits.ts";
import { type Ownership, takeOwnership } from "./ownership.ts";
import { SQLITE, sqliteCode, storeError } from "./sqlite-error.ts";
import { SqliteReader } from "./sqlite-reader.ts";
import { openDatabase, prepareAll } from "./sqlite-schema.ts";
import { type Gone, SqliteWriter } from "./sqlite-writer.ts";
import type { Commit, Facts, HistoryEntry, HistoryFilter, Loaded, Settled, Store, StoredEvents } from "./store.ts";
import { Tallies, type Tally } from "./tally.ts";

export interface SqliteOptions {
  /** `EVENT_LIMITS` when absent. */
  readonly events?: GivenEventLimits | undefined;
  /** Largest size of the database file; a commit that needs more is refused with `store_full`. Undefined = no limit. */
  readonly maxBytes?: number | undefined;
}

/** Old events go once this share of the limit has come in, so that a commit rarely pays for it and never much. */
const TRIM_SHARE = 0.001;
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

const TRANSACTION = { begin: "BEGIN IMMEDIATE", commit: "COMMIT", rollback: "ROLLBACK" } as const;

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
  readonly #transact: Record<keyof typeof TRANSACTION, StatementSync>;
  readonly #writer: SqliteWriter;
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
    this.#transact = prepareAll(db, TRANSACTION);
    this.#writer = new SqliteWriter(db);
    this.#reader = new SqliteReader(db);
  }

  async load(): Promise<Loaded> {
    this.#assertWritable();
    const epoch = this.#transaction(() => this.#writer.nextEpoch());
    const loaded = this.#ask((reader) => reader.loaded(epoch));
    this.#lastSeq = loaded.lastSeq;
    this.#epoch = epoch;
    this.#settledEpoch = loaded.settledEpoch;
    this.#oldestAtMs = this.#writer.oldestAtMs();
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
    const gone = this.#transaction(() => {
      const taken = this.#writer.commit(commit, lastSeq);
      if (trims) this.#writer.trim(lastSeq - this.#events.count + 1);
      if (trimsOld) this.#writer.trimOld(commit.atMs - ageMs);
      if (settlesFirst) this.#writer.settledIn(this.#epoch);
      return taken;
    });
    if (settlesFirst) this.#settledEpoch = this.#epoch;
    // Only what is on the disk counts.
    this.#lastSeq = lastSeq;
    if (trims) this.#trimmedSeq = lastSeq - this.#events.count;
    if (trims || trimsOld || this.#oldestAtMs === undefined) this.#oldestAtMs = this.#writer.oldestAtMs();
    this.#count(commit, gone);
  }

  #count({ settled }: Commit, { rows, dropped }: Gone): void {
    for (const { facts } of settled) {
      const { spec, settlement } = facts;
      this.#tallies.add(spec.pool, settlement.status, settlement.deadLettered, retainedBytes(facts));
    }
    for (const { pool, status, dead, bytes } of rows) this.#tallies.remove(pool, status, dead === 1, bytes);
    for (const pool of dropped) this.#tallies.drop(pool);
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

  /** All or nothing, and on the disk when it returns. */
  #transaction<T>(write: () => T): T {
    let committing = false;
    try {
      this.#transact.begin.run();
      const written = write();
      committing = true;
      this.#transact.commit.run();
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
      this.#transact.rollback.run();
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
