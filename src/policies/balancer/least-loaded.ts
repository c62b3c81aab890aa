/** The agent with the smallest share of its slots in use; ties go to the earliest in the pool. */
import { below, type Random } from "../../base/random.ts";
import type { Balancer, Candidate } from "./balancer.ts";

/** Up to this many candidates all are looked at; above, the better of two random ones is taken. */
export const FULL_SCAN_LIMIT = 64;

/** Fraction of capacity in use, 0 (idle) to 1 (full). */
const load = (candidate: Candidate): number => candidate.inFlight / candidate.capacity;

const better = (a: Candidate, b: Candidate): boolean =>
  load(a) < load(b) || (load(a) === load(b) && a.ordinal < b.ordinal);

/** @see "The Power of Two Choices in Randomized Load Balancing", Mitzenmacher, 2001 */
export const leastLoaded: Balancer = (candidates, _rotation, random) => {
  if (candidates.length > FULL_SCAN_LIMIT) return betterOfTwo(candidates, random);
  let best = candidates[0];
  for (const candidate of candidates) if (better(candidate, best)) best = candidate;
  return best;
};

function betterOfTwo(candidates: readonly Candidate[], random: Random): Candidate {
  const i = below(random, candidates.length);
  let j = below(random, candidates.length - 1);
  if (j >= i) j += 1;
  const a = candidates[i] as Candidate;
  const b = candidates[j] as Candidate;
  return better(b, a) ? b : a;
}
