/** The cheapest of the candidates: of all in a small pool, of two random ones in a large one. */
import { below, type Random } from "../../base/random.ts";
import type { Candidate, Candidates, Choice } from "./balancer.ts";

/** Up to this many candidates all are looked at; above, the better of two random ones is taken. */
export const FULL_SCAN_LIMIT = 64;

/** What a candidate would cost, in any unit; the lowest wins. */
export type Cost = (candidate: Candidate, choice: Choice) => number;

/** The cheapest; ties go to the earliest in the pool. */
export function cheapest<C extends Candidate>(candidates: Candidates<C>, cost: Cost, choice: Choice): C {
  let best = candidates[0];
  let lowest = cost(best, choice);
  for (let i = 1; i < candidates.length; i++) {
    const candidate = candidates[i] as C;
    const price = cost(candidate, choice);
    if (price > lowest || (price === lowest && candidate.ordinal > best.ordinal)) continue;
    best = candidate;
    lowest = price;
  }
  return best;
}

/**
 * The cheaper of two random candidates; ties go to the one drawn first, so that nobody is preferred.
 *
 * @see "The Power of Two Choices in Randomized Load Balancing", Mitzenmacher, 2001
 */
export function cheaperOfTwo<C extends Candidate>(
  candidates: Candidates<C>,
  cost: Cost,
  choice: Choice,
  random: Random,
): C {
  if (candidates.length === 1) return candidates[0];
  const i = below(random, candidates.length);
  let j = below(random, candidates.length - 1);
  if (j >= i) j += 1;
  const [first, second] = [candidates[i] as C, candidates[j] as C];
  return cost(second, choice) < cost(first, choice) ? second : first;
}

/** All of few, two of many. */
export function cheap<C extends Candidate>(candidates: Candidates<C>, cost: Cost, choice: Choice, random: Random): C {
  return candidates.length <= FULL_SCAN_LIMIT
    ? cheapest(candidates, cost, choice)
    : cheaperOfTwo(candidates, cost, choice, random);
}
