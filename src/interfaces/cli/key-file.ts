/** The key of a server, kept in its data directory for whoever may read that. */
import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { isPoolError, PoolError } from "../../base/errors.ts";
import type { Entropy } from "../../base/random.ts";
import { CliError } from "./cli-error.ts";

const OWNER_ONLY = 0o600;
/** A key of 256 bits has 43 characters; what somebody wrote himself must not be a word. */
const KEY_PATTERN = /^[\x21-\x7e]{32,1024}$/;

export const keyFileOf = (dataDir: string): string => join(dataDir, "key");

/** The key that is kept; undefined when there is no file. */
export function readKey(file: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8").trim();
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new PoolError("forbidden", `the key file ${file} can't be read (${code})`, { cause, details: { file } });
  }
  if (KEY_PATTERN.test(text)) return text;
  throw new PoolError(
    "config_invalid",
    `${file} does not hold a key of at least 32 characters: remove it, and \`troupe up\` makes a new one`,
    { details: { file } },
  );
}

/** The key that is kept, made when there is none yet. Only its owner may read the file afterwards. */
export function ensureKey(file: string, entropy: Entropy): string {
  const kept = readKey(file);
  if (kept !== undefined) {
    if ((statSync(file).mode & 0o077) !== 0) chmodSync(file, OWNER_ONLY);
    return kept;
  }
  try {
    writeKey(file, entropy);
  } catch (cause) {
    if (isPoolError(cause)) throw cause;
    const code = (cause as NodeJS.ErrnoException).code;
    throw new CliError("data_unwritable", `the key file ${file} can't be written (${code})`, {
      cause,
      details: { file },
    });
  }
  const made = readKey(file);
  if (made === undefined) throw new CliError("data_unwritable", `the key file ${file} vanished`, { details: { file } });
  return made;
}

/** Whole or not at all, and never over a key that another start made meanwhile. */
function writeKey(file: string, entropy: Entropy): void {
  const draft = `${file}.${entropy.hex(16)}`;
  const handle = openSync(draft, "wx", OWNER_ONLY);
  try {
    writeSync(handle, `${entropy.secret()}\n`);
    fsyncSync(handle);
    linkSync(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    closeSync(handle);
    unlinkSync(draft);
  }
}
