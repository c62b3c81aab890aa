/**
 * One process per data file.
 *
 * The owner holds an exclusive transaction open on a second SQLite file beside it. The kernel frees that lock when the
 * process dies, however it dies, so nothing has to be cleaned up and no process number has to be believed. A text file
 * with the number serves the message of the refusal only.
 */
import { chmodSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "../base/clock.ts";
import { PoolError } from "../base/errors.ts";
import { SQLITE, sqliteCode, storeError } from "./sqlite-error.ts";

export interface Ownership {
  /** Safe to call twice. */
  release(): void;
}

export const PRIVATE_FILE = 0o600;

/** Long enough for two that start at once to see who was first, short enough to be told at once. */
const PATIENCE_MS = 250;

/** `store_locked` names the process that has the file, also when it is this one. */
export function takeOwnership(file: string): Ownership {
  const lockFile = `${file}.owner`;
  const pidFile = `${file}.owner.pid`;
  const lock = openLock(lockFile, file);
  try {
    chmodSync(lockFile, PRIVATE_FILE);
    // Nothing is ever written to the lock file, so no journal is needed. Only SQLite opens it: closing any other
    // handle on it in this process would drop the lock.
    lock.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    const since = new Date(systemClock.now()).toISOString();
    writeFileSync(pidFile, `${process.pid} ${since}\n`, { mode: PRIVATE_FILE });
  } catch (thrown) {
    lock.close();
    throw sqliteCode(thrown) === SQLITE.busy ? locked(file, pidFile) : storeError("could not own", file, thrown);
  }
  return new HeldFile(lock, pidFile);
}

class HeldFile implements Ownership {
  readonly #lock: DatabaseSync;
  readonly #pidFile: string;
  #held = true;

  constructor(lock: DatabaseSync, pidFile: string) {
    this.#lock = lock;
    this.#pidFile = pidFile;
  }

  /** The lock file stays: who removed it could remove the next owner's. */
  release(): void {
    if (!this.#held) return;
    this.#held = false;
    rmSync(this.#pidFile, { force: true });
    this.#lock.close();
  }
}

function openLock(lockFile: string, file: string): DatabaseSync {
  try {
    return new DatabaseSync(lockFile, { timeout: PATIENCE_MS });
  } catch (cause) {
    throw storeError("could not own", file, cause);
  }
}

function locked(file: string, pidFile: string): PoolError {
  const { pid, since } = ownerOf(pidFile);
  const owner = pid === undefined ? "another process" : `process ${pid} since ${since}`;
  const details = pid === undefined ? { file } : { file, pid };
  return new PoolError("store_locked", `${file} is owned by ${owner}`, { retryable: true, details });
}

/** Not known in the moment between the lock and the text. */
function ownerOf(pidFile: string): { readonly pid?: number; readonly since?: string } {
  let text: string;
  try {
    text = readFileSync(pidFile, "utf8");
  } catch {
    return {};
  }
  const [, pid, since] = /^(\d+) (\S+)\n$/.exec(text) ?? [];
  return pid === undefined || since === undefined ? {} : { pid: Number(pid), since };
}
