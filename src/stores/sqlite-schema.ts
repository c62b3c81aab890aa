/** The tables of a data file, and the opening of one: ours, new, or refused without a change. */
import { chmodSync, closeSync, openSync, type Stats, statSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { PoolError } from "../base/errors.ts";
import { PRIVATE_FILE } from "./ownership.ts";
import { SQLITE, sqliteCode, storeError } from "./sqlite-error.ts";

/** "Trpe": tells our files from those of others. */
const APPLICATION_ID = 0x54727065;
/** Grows when the tables change. */
const SCHEMA_VERSION = 1;

/** How long to wait for a stranger that writes to the file, such as an administrator's shell. */
const PATIENCE_MS = 1_000;

/** Pages held in memory: 32 MB, so that the index of ids stays warm at a million tasks. */
const CACHE_KIB = 32 * 1024;

/**
 * The log goes into the file once it has so many pages, 16 MB: four times what SQLite does by itself, as a page that many
 * commits have written is then copied once, and one caller in a thousand waits for it rather than one in a hundred.
 */
const CHECKPOINT_PAGES = 4_000;

/** The log shrinks to this after a burst. 64 MB. */
const LOG_LIMIT_BYTES = 64 * 1024 * 1024;

/**
 * `tasks` and `history` are written once per life of a task, `open` at every turn: it is narrow and has no further index.
 * Columns of type ANY hold text, or bytes where SQLite's UTF-8 could not hold the text (see `packText`).
 */
const TABLES = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE commits (
    first_seq INTEGER PRIMARY KEY,
    last_seq INTEGER NOT NULL,
    at_ms REAL NOT NULL,
    events TEXT NOT NULL
  ) STRICT;
  CREATE TABLE tasks (
    num INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    key ANY,
    spec TEXT NOT NULL,
    prompt ANY,
    rest ANY
  ) STRICT;
  CREATE INDEX tasks_by_key ON tasks (key, num) WHERE key IS NOT NULL;
  CREATE TABLE open (num INTEGER PRIMARY KEY, facts TEXT NOT NULL) STRICT;
  CREATE TABLE history (
    num INTEGER PRIMARY KEY,
    pool TEXT NOT NULL,
    status TEXT NOT NULL,
    type ANY NOT NULL,
    dead INTEGER NOT NULL,
    settled_at_ms REAL NOT NULL,
    bytes INTEGER NOT NULL,
    facts TEXT NOT NULL,
    result ANY
  ) STRICT;
  CREATE INDEX history_by_age ON history (pool, settled_at_ms, num);
  CREATE INDEX history_by_pool ON history (pool, num);
  CREATE INDEX history_by_status ON history (pool, status, num);
  CREATE INDEX history_dead ON history (num, pool) WHERE dead = 1;
  CREATE TABLE keys (
    key ANY PRIMARY KEY,
    settled_at_ms REAL NOT NULL,
    record TEXT NOT NULL
  ) STRICT;
  CREATE INDEX keys_by_age ON keys (settled_at_ms);
  CREATE TABLE pools (id TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;
  CREATE TABLE agents (id TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;
  CREATE TABLE quarantine (
    pool TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (pool, fingerprint)
  ) STRICT;
  CREATE TABLE gates (name TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;
  INSERT INTO meta VALUES ('schema_version', ${SCHEMA_VERSION}), ('epoch', 0), ('settled_epoch', 0), ('last_num', 0);
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** Came after the first files were made. A table more changes nothing of what is there, so they need no new version. */
const LATER_TABLES = `
  CREATE TABLE IF NOT EXISTS spending (
    pool TEXT NOT NULL,
    tenant ANY NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (pool, tenant)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS schedules (id TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;
`;

/**
 * Opens a data file that this process owns, and makes it when there is none.
 *
 * @param maxBytes - largest size of the file; undefined = what the disk holds
 * @throws PoolError `store_unknown_version` for a newer file or one that is not ours, which stays as it was;
 *   `store_failed` and `store_full` for what the system refuses
 */
export function openDatabase(file: string, maxBytes: number | undefined): DatabaseSync {
  try {
    refuseStrange(file);
    const db = new DatabaseSync(file, {
      enableForeignKeyConstraints: false,
      enableDoubleQuotedStringLiterals: false,
      timeout: PATIENCE_MS,
    });
    try {
      prepare(db, file, maxBytes);
    } catch (thrown) {
      db.close();
      throw thrown;
    }
    return db;
  } catch (thrown) {
    if (sqliteCode(thrown) === SQLITE.notADatabase) throw unknownVersion(file, "it is not a database", thrown);
    throw thrown instanceof PoolError ? thrown : storeError("could not open", file, thrown);
  }
}

/** Prepares each statement once, under its name. */
export function prepareAll<Name extends string>(
  db: DatabaseSync,
  texts: Readonly<Record<Name, string>>,
): Record<Name, StatementSync> {
  const names = Object.keys(texts) as Name[];
  return Object.fromEntries(names.map((name) => [name, db.prepare(texts[name])])) as Record<Name, StatementSync>;
}

/** Looks at the file without the right to write, before anything that might. Makes it if it is missing. */
function refuseStrange(file: string): void {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined) {
    // The only time that the file is not opened by SQLite: nobody can have a lock on it that closing would drop.
    closeSync(openSync(file, "wx", PRIVATE_FILE));
    return;
  }
  if (!stats.isFile()) throw new PoolError("store_failed", `${file} is not a file`, { details: { file } });
  const db = new DatabaseSync(file, { readOnly: true, timeout: PATIENCE_MS });
  try {
    isNew(db, file);
  } catch (thrown) {
    // It was left in the middle of a change, most likely its making: only who may write can look at it.
    if (sqliteCode(thrown) !== SQLITE.readonly) throw thrown;
  } finally {
    db.close();
  }
  keepPrivate(file, stats);
}

function prepare(db: DatabaseSync, file: string, maxBytes: number | undefined): void {
  const makeTables = isNew(db, file);
  // The first one only counts before the first page is written.
  db.exec(`
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA fullfsync = ON;
    PRAGMA checkpoint_fullfsync = ON;
    PRAGMA mmap_size = 0;
    PRAGMA trusted_schema = OFF;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -${CACHE_KIB};
    PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
    PRAGMA journal_size_limit = ${LOG_LIMIT_BYTES};
  `);
  if (maxBytes !== undefined) {
    const pageBytes = pragma(db, "page_size");
    db.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(maxBytes / pageBytes))}`);
  }
  db.exec(`BEGIN IMMEDIATE; ${makeTables ? TABLES : ""} ${LATER_TABLES} COMMIT;`);
}

/** False for a file of ours with the tables of this version; refuses everything else that is not empty. */
function isNew(db: DatabaseSync, file: string): boolean {
  const version = pragma(db, "user_version");
  const application = pragma(db, "application_id");
  const tables = Number(db.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.n);
  if (application === 0 && version === 0 && tables === 0) return true;
  if (application !== APPLICATION_ID) throw unknownVersion(file, "it belongs to another program");
  if (version !== SCHEMA_VERSION) {
    throw unknownVersion(file, `it has version ${version}, this program knows version ${SCHEMA_VERSION}`);
  }
  return false;
}

function pragma(db: DatabaseSync, name: string): number {
  return Number(db.prepare(`PRAGMA ${name}`).get()?.[name]);
}

function unknownVersion(file: string, why: string, cause?: unknown): PoolError {
  return new PoolError("store_unknown_version", `${file} can't be used: ${why}`, { cause, details: { file } });
}

/** A file that was copied in may be open to others; what SQLite puts beside it takes its mode. */
function keepPrivate(file: string, stats: Stats): void {
  if ((stats.mode & 0o077) !== 0) chmodSync(file, PRIVATE_FILE);
  for (const beside of [`${file}-wal`, `${file}-shm`]) {
    const mode = statSync(beside, { throwIfNoEntry: false })?.mode ?? 0;
    if ((mode & 0o077) !== 0) chmodSync(beside, PRIVATE_FILE);
  }
}
