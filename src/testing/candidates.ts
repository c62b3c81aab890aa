/** Candidates and choices for tests of balancers: what matters to the case is named, the rest is plain. */
import { asAgentId } from "../base/ids.ts";
import type { Random } from "../base/random.ts";
import { hashOf } from "../policies/balancer/affinity.ts";
import type { Balancer, Candidate, Candidates, Choice } from "../policies/balancer/balancer.ts";
import { type Measure, newMeasure } from "../policies/measure.ts";

export type CandidateInput = Partial<Omit<Candidate, "measure" | "agentId">> & { readonly measure?: Partial<Measure> };

/** An idle agent of one slot, never tried. */
export function aCandidate({ ordinal = 0, measure, ...given }: CandidateInput = {}): Candidate {
  const id = `a${ordinal}`;
  return {
    agentId: asAgentId(id),
    ordinal,
    inFlight: 0,
    capacity: 1,
    weight: 1,
    priority: 0,
    warming: undefined,
    hash: hashOf(id),
    turnWeight: 0,
    ...given,
    measure: { ...newMeasure(), ...measure },
  };
}

/** Candidates in the order of their places in the pool. */
export function candidates(...inputs: readonly CandidateInput[]): Candidates<Candidate> {
  return inputs.map((input, ordinal) => aCandidate({ ordinal, ...input })) as unknown as Candidates<Candidate>;
}

/** A medium task of type `general`, at instant 0, in a pool in which nothing has happened. */
export function aChoice(given: Partial<Choice> = {}): Choice {
  return {
    type: "general",
    priority: 3,
    affinityKey: undefined,
    nowMs: 0,
    lastOrdinal: -1,
    halfLifeMs: 30_000,
    crew: { inFlight: 0, agents: 1 },
    poolSuccessRate: 1,
    ...given,
  };
}

/** For balancers that draw nothing. */
export const noRandom: Random = {
  next: () => {
    throw new Error("this strategy draws nothing");
  },
};

/** The place in the pool of the one that is chosen; undefined for nobody. */
export function place(
  balancer: Balancer,
  list: Candidates<Candidate>,
  choice: Partial<Choice> = {},
  random: Random = noRandom,
): number | undefined {
  return balancer(list, aChoice(choice), random)?.ordinal;
}
