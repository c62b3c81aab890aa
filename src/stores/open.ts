/** A store by its URL. */
import { resolve } from "node:path";
import { PoolError } from "../base/errors.ts";
import type { GivenEventLimits } from "./event-limits.ts";
import { createMemoryStore } from "./memory.ts";
import type { Store } from "./store.ts";

export interface OpenOptions {
  /** Where files without an absolute path are. */
  readonly dataDir: string;
  /** How many events are kept, and for how long; what the store does by itself when absent. */
  readonly events?: GivenEventLimits | undefined;
}

/** In the data directory. */
export const DEFAULT_FILE = "troupe.db";

/**
 * `memory:`, `sqlite:` (`troupe.db` in the data directory), `sqlite:./x.db` (below it) or `sqlite:/var/x.db`.
 *
 * @throws PoolError `config_invalid` for any other URL, and what opening the file throws
 */
export async function openStore(url: string, { dataDir, events }: OpenOptions): Promise<Store> {
  const colon = url.indexOf(":");
  const scheme = url.slice(0, Math.max(0, colon));
  const rest = url.slice(colon + 1);
  if (scheme === "memory" && rest === "") return createMemoryStore({ events });
  // Two slashes would begin a host's name; nobody who writes them means that.
  if (scheme === "sqlite" && !/^\/\/(?!\/)/.test(rest)) {
    // Loaded only here, so that a program without a file does not load SQLite.
    const { openSqliteStore } = await import("./sqlite.ts");
    return openSqliteStore(resolve(dataDir, rest === "" ? DEFAULT_FILE : rest), { events });
  }
  throw unknownUrl(scheme);
}

/** Names the scheme only: the rest may hold a password. */
function unknownUrl(scheme: string): PoolError {
  const known = "memory:, sqlite: or sqlite:./file.db";
  return new PoolError(
    "config_invalid",
    `store: expected ${known}, got ${scheme === "" ? "no scheme" : `${scheme}:…`}`,
    {
      details: { path: "store" },
    },
  );
}
