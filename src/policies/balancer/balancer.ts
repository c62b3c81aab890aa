/** Choosing one agent among those that are free and may: the shared types. */
import type { AgentId } from "../../base/ids.ts";
import type { Random } from "../../base/random.ts";
import type { Measure } from "../measure.ts";
import type { Warming } from "./slow-start.ts";

/** What a balancer may know of an agent. Measuring is apart from choosing: the figures come from `measure.ts`. */
export interface Candidate {
  readonly agentId: AgentId;
  /** Number in the pool; grows in the order of joining. */
  readonly ordinal: number;
  readonly inFlight: number;
  /** Attempts at a time, at least 1. */
  readonly capacity: number;
  /** Share of the work under `weighted`, 0 or more; 0 = never chosen. */
  readonly weight: number;
  /** Lower goes first under `priority`. */
  readonly priority: number;
  readonly measure: Measure;
  /** It is new, or was back from a failure a short time ago. */
  readonly warming: Warming | undefined;
  /** Where `affinity` sees it: `hashOf` its id. */
  readonly hash: number;
  /** Kept by `weighted` between two choices; starts at 0. */
  turnWeight: number;
}

/** What the choice is for, and what else it may rest on. */
export interface Choice {
  readonly type: string;
  /** Of the task, 1 (most urgent) to 4. */
  readonly priority: number;
  readonly affinityKey: string | undefined;
  readonly nowMs: number;
  /** Of the agent chosen last in this pool. */
  readonly lastOrdinal: number;
  /** How fast the pool forgets what something cost. Milliseconds. */
  readonly halfLifeMs: number;
  /** Attempts running on, and number of, the agents that could serve this task, free or not. */
  readonly crew: { readonly inFlight: number; readonly agents: number };
  /** Mean success rate of the pool's agents with enough samples; 1 while there are none. */
  readonly poolSuccessRate: number;
}

export type Candidates<C> = readonly [C, ...C[]];

/** Picks one, or nobody. Must not remember the list: it is only valid during the call. */
export type Balancer = <C extends Candidate>(
  candidates: Candidates<C>,
  choice: Choice,
  random: Random,
) => C | undefined;
