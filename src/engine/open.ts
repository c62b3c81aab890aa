/** Opens an engine over a store: the one door to everything above this floor. */
import { startEngine } from "./engine.ts";
import type { EngineOptions } from "./engine-options.ts";
import type { Engine } from "./troupe.ts";

export type { EngineOptions, LogEvent } from "./engine-options.ts";
export type { Engine } from "./troupe.ts";

/**
 * Opens the store, restores what was open, ends what died with the engine before, and brings up the pools.
 *
 * @throws PoolError `store_locked`, `store_unknown_version`, `store_failed`, or `invalid` for a pool; then nothing is
 *   left running
 */
export function openEngine(options: EngineOptions): Promise<Engine> {
  return startEngine(options);
}
