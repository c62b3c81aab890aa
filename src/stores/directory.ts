/** A directory of our own for data: made when it is missing, and still there after a power cut. */
import { closeSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { storeError } from "./sqlite-error.ts";

/** Only the owner of the process looks inside. */
const PRIVATE_DIRECTORY = 0o700;

/** Does nothing when it is there. `store_failed` names it when it can't be made. */
export function ensureDirectory(path: string): void {
  try {
    const first = mkdirSync(path, { recursive: true, mode: PRIVATE_DIRECTORY });
    if (first !== undefined) syncNames(path, first);
  } catch (cause) {
    throw storeError("could not make the directory", path, cause);
  }
}

/** A new directory's name is kept by the one above it. Windows can't sync directories, and needs not. */
function syncNames(last: string, first: string): void {
  if (process.platform === "win32") return;
  for (let made = last; made.length >= first.length; made = dirname(made)) {
    const above = openSync(dirname(made), "r");
    try {
      fsyncSync(above);
    } finally {
      closeSync(above);
    }
  }
}
