/**
 * Work in proportion to weight, spread evenly: 5, 1, 1 gives a a b a c a a and not five times a in a row.
 *
 * @see "Upstream: smooth weighted round-robin balancing", nginx, 2012
 */
import type { Balancer } from "./balancer.ts";

/** Weight 0 is never chosen; where all weigh 0, nobody is. */
export const weighted: Balancer = (candidates) => {
  let total = 0;
  let best: (typeof candidates)[number] | undefined;
  for (const candidate of candidates) {
    if (!(candidate.weight > 0)) continue;
    total += candidate.weight;
    candidate.turnWeight += candidate.weight;
    if (best === undefined || candidate.turnWeight > best.turnWeight) best = candidate;
    else if (candidate.turnWeight === best.turnWeight && candidate.ordinal < best.ordinal) best = candidate;
  }
  if (best !== undefined) best.turnWeight -= total;
  return best;
};
