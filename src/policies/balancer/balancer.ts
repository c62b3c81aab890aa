/** Choosing one agent among those that are free and may: the shared type. */
import type { AgentId } from "../../base/ids.ts";
import type { Random } from "../../base/random.ts";

/** What a balancer may know of an agent. */
export interface Candidate {
  readonly agentId: AgentId;
  /** Number in the pool; grows in the order of joining. */
  readonly ordinal: number;
  readonly inFlight: number;
  /** Attempts at a time, at least 1. */
  readonly capacity: number;
}

/** What a balancer may remember between two choices: one number per pool. */
export interface Rotation {
  readonly lastOrdinal: number;
}

/** Picks one. Must not remember the list: it is only valid during the call. */
export type Balancer = (
  candidates: readonly [Candidate, ...Candidate[]],
  rotation: Rotation,
  random: Random,
) => Candidate;
