/** From the options of the library to an engine, and to a pool in it. */
import type { Classify } from "../../agents/agent-error.ts";
import type { AgentFunction } from "../../agents/function.ts";
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { ChooseAgent } from "../../core/chooser.ts";
import { openStore } from "../../stores/open.ts";
import { type LocalEngine, startEngine } from "../engine.ts";
import type { LogEvent } from "../engine-options.ts";
import type { PoolOptionsInput } from "../options/pool.ts";
import type { RoutingInput } from "../routing.ts";
import type { AgentEntry, FunctionAgent, FunctionAgents } from "./agents.ts";

/** Options of a pool in the library: those of the contract, and functions among the agents. */
export interface LibraryPoolOptions extends Omit<PoolOptionsInput, "agents" | "strategy"> {
  readonly agents?: readonly (AgentEntry | FunctionAgent | FunctionAgents)[];
  /**
   * The name of a strategy, or a function that is shown the free agents that may have the task and answers with the
   * `agentId` of one, at once. When it throws or picks nobody of them, the least loaded is taken and a log event
   * `strategy_failed` says so, once.
   */
  readonly strategy?: PoolOptionsInput["strategy"] | ChooseAgent;
  /**
   * Says whose fault an error is that a function of this pool has thrown: a blame, or `{ blame, retryable,
   * retryAfterMs, code, … }`; undefined for what it does not know. An `AgentError` speaks for itself.
   */
  readonly classify?: Classify | undefined;
}

export interface TroupeOptions {
  /** `memory:` (default) or `sqlite:<file>`. */
  readonly store?: string;
  /** Where files of the store and directories of agents go; `./.troupe` when absent. */
  readonly dataDir?: string;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly log?: (event: LogEvent) => void;
  /** Category → types that `route` prefers its pools for, with the selector `category`. */
  readonly categories?: RoutingInput["categories"];
  /** Types that `route` gives to the pool that fails them least, whatever the selector; `"*"` is all. */
  readonly fitness?: RoutingInput["fitness"];
}

/** `undefined` fields count as absent. */
export function without<T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as ReturnType<
    typeof without<T>
  >;
}

export async function open({
  store = "memory:",
  dataDir = "./.troupe",
  categories,
  fitness,
  ...rest
}: TroupeOptions): Promise<LocalEngine> {
  const routing = { categories, fitness };
  return startEngine({ store: await openStore(store, { dataDir }), dataDir, routing, ...rest });
}

export async function openPool(
  engine: LocalEngine,
  { agents = [], classify, strategy, ...options }: LibraryPoolOptions,
): Promise<string> {
  const functions = new Map<string | number, AgentFunction>();
  const entries = agents.map((agent, index) => {
    if (!("run" in agent)) return agent;
    const { run, ...entry } = agent;
    functions.set(agent.name ?? index, run);
    return entry;
  });
  const choose = typeof strategy === "function" ? strategy : undefined;
  const named = typeof strategy === "function" ? undefined : strategy;
  const given = { ...options, ...without({ strategy: named }), ...(agents.length === 0 ? {} : { agents: entries }) };
  const { id } = await engine.openPool(given, functions, { classify, choose });
  return id;
}
