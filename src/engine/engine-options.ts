/** What an engine is given. */
import type { AgentDriver } from "../agents/agent.ts";
import type { AgentFunction } from "../agents/function.ts";
import type { Clock } from "../base/clock.ts";
import type { Entropy, Random } from "../base/random.ts";
import type { AgentIdentity } from "../core/agent.ts";
import type { Store } from "../stores/store.ts";
import type { Limits } from "./options/agent.ts";
import type { PoolOptionsInput } from "./options/pool.ts";
import type { RoutingInput } from "./routing.ts";

/** One thing that happened, for whoever keeps logs. */
export interface LogEvent {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly event: string;
  readonly [field: string]: unknown;
}

export interface EngineOptions {
  /** Opened and owned by the engine from now on: `close` closes it. */
  readonly store: Store;
  /** Where process agents get their own directories and logs. */
  readonly dataDir: string;
  /** Pools of the file: made, or brought up to date, before the engine is ready. */
  readonly pools?: readonly PoolOptionsInput[];
  /** What function agents run, by `functionKey(pool, name)`. */
  readonly functions?: ReadonlyMap<string, AgentFunction>;
  /** Drivers of one's own, asked before the built-in ones: what a simulation gives instead of processes. */
  readonly drivers?: ((identity: AgentIdentity) => AgentDriver | undefined) | undefined;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly entropy?: Entropy;
  readonly limits?: Limits;
  /** How tasks that name no pool are given one. */
  readonly routing?: RoutingInput | undefined;
  readonly log?: (event: LogEvent) => void;
  /** The engine can't go on (failed commit, broken invariant): everything that waits has been refused. */
  readonly onFatal?: (error: unknown) => void;
}
