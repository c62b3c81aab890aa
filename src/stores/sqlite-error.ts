/** What SQLite's refusals mean to a caller. */
import { messageOf, PoolError } from "../base/errors.ts";

/** Primary result codes. @see https://www.sqlite.org/rescode.html */
export const SQLITE = { error: 1, busy: 5, readonly: 8, full: 13, constraint: 19, notADatabase: 26 } as const;

/** Primary result code; undefined when what was thrown is not SQLite's. */
export function sqliteCode(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !("errcode" in thrown)) return undefined;
  return typeof thrown.errcode === "number" ? thrown.errcode & 0xff : undefined;
}

/**
 * `store_full` (may be repeated when there is room) or `store_failed`, with the file in `details.file`.
 *
 * @param what - what could not be done, such as "could not open"
 */
export function storeError(what: string, file: string, cause: unknown): PoolError {
  const full = sqliteCode(cause) === SQLITE.full || (cause as NodeJS.ErrnoException | null)?.code === "ENOSPC";
  const message = `${what} ${file}: ${messageOf(cause)}`;
  return new PoolError(full ? "store_full" : "store_failed", message, { retryable: full, cause, details: { file } });
}
