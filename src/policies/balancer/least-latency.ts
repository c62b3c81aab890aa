/** The fastest agent so far; whoever was never tried counts as 0 ms. Failures count as what they cost. */
import type { Balancer, Candidate, Choice } from "./balancer.ts";
import { load } from "./least-loaded.ts";
import { cheap, cheapest } from "./scan.ts";

const latency = (candidate: Candidate): number => candidate.measure.latencyMs;

export const leastLatency: Balancer = (candidates, choice, random) => cheap(candidates, latency, choice, random);

/** The fastest for this type of task among those that have done it; the least loaded where nobody has. */
export const typeLatency: Balancer = (candidates, choice) => {
  const known = cheapest(candidates, latencyForType, choice);
  return known.measure.typeLatencyMs.has(choice.type) ? known : cheapest(candidates, load, choice);
};

function latencyForType({ measure }: Candidate, { type }: Choice): number {
  return measure.typeLatencyMs.get(type) ?? Number.POSITIVE_INFINITY;
}
