/** The fastest agent so far; whoever was never tried counts as 0 ms. Failures count as what they cost. */
import type { Balancer, Candidate, Choice } from "./balancer.ts";
import { BY_LOAD } from "./least-loaded.ts";
import { cheap, cheapest } from "./scan.ts";

const latency = (candidate: Candidate): number => candidate.measure.latencyMs;

const BY_LATENCY = { cost: latency };
const BY_TYPE = { cost: latencyForType };

export const leastLatency: Balancer = (candidates, choice, random) => cheap(candidates, BY_LATENCY, choice, random);

/** The fastest for this type of task among those that have done it; the least loaded where nobody has. */
export const typeLatency: Balancer = (candidates, choice) => {
  const known = cheapest(candidates, BY_TYPE, choice);
  return known.measure.typeLatencyMs.has(choice.type) ? known : cheapest(candidates, BY_LOAD, choice);
};

function latencyForType({ measure }: Candidate, { type }: Choice): number {
  return measure.typeLatencyMs.get(type) ?? Number.POSITIVE_INFINITY;
}
