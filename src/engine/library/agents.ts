/** Agents that are functions of this process. */
import type { AgentFunction } from "../../agents/function.ts";
import type { PoolOptionsInput } from "../options/pool.ts";

export type AgentEntry = NonNullable<PoolOptionsInput["agents"]>[number];

/** An agent that is a function of this process. */
export interface FunctionAgent extends Omit<AgentEntry, "kind" | "name" | "count"> {
  readonly kind: "function";
  readonly name: string;
  readonly run: AgentFunction;
}

/**
 * Agents that are one function of this process, without names of their own: as many as `count` says, or those that the
 * pool's `size` drives.
 */
export interface FunctionAgents extends Omit<AgentEntry, "kind" | "name"> {
  readonly kind: "function";
  readonly name?: undefined;
  readonly run: AgentFunction;
}

/** Options of `functionAgent`, all optional: how many tasks at a time, what it can do. */
export type FunctionAgentOptions = Pick<
  AgentEntry,
  "capabilities" | "concurrency" | "weight" | "priority" | "metadata" | "rate"
>;

/**
 * Makes an agent of a function.
 *
 * @param name - unique in its pool
 * @param run - gets `{ task, signal, progress(), log(), memory }`; what it returns is the result, as JSON. It says whose
 *   fault a failure is by throwing `AgentError`; anything else it throws has blame `unknown`
 */
export function functionAgent(name: string, run: AgentFunction, options: FunctionAgentOptions = {}): FunctionAgent {
  return { kind: "function", name, run, ...options };
}
