/** Pools of functions for the cases, and a directory that goes with them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPool, functionAgent, type LibraryPoolOptions, type Pool } from "../src/index.ts";

export type Store = "memory:" | "sqlite:";

/** Runs what is given with a directory of its own, and removes it. */
export async function inDirectory<T>(use: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), "troupe-bench-"));
  try {
    return await use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

export const agentsOf = (count: number, slots: number, run: () => Promise<unknown> = async () => "done") =>
  Array.from({ length: count }, (_, n) => functionAgent(`a${n}`, run, { concurrency: slots }));

/** Runs what is given with a pool, and closes it. */
export async function withPool<T>(
  { store = "memory:", ...options }: LibraryPoolOptions & { store?: Store },
  use: (pool: Pool) => Promise<T>,
): Promise<T> {
  return inDirectory(async (dataDir) => {
    const pool = await createPool({ store, dataDir, ...options });
    try {
      return await use(pool);
    } finally {
      await pool.close({ drainMs: 0 });
    }
  });
}

const NAMES = ["critical", "high", "medium", "low"] as const;
export const priorityOf = (n: number): (typeof NAMES)[number] => NAMES[n % NAMES.length] as (typeof NAMES)[number];
