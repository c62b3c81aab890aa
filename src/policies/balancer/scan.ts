/** The cheapest of the candidates: of all in a small pool, of two random ones in a large one. */
import { below, type Random } from "../../base/random.ts";
import type { Candidate, Candidates, Choice } from "./balancer.ts";
import { isPastShare } from "./slow-start.ts";

/** Up to this many candidates all are looked at; above, the better of two random ones is taken. */
export const FULL_SCAN_LIMIT = 64;

/** What a candidate would cost, in any unit; the lowest wins. */
export type Cost = (candidate: Candidate, choice: Choice) => number;

/** How candidates are compared. */
interface Comparison {
  readonly cost: Cost;
  /** Where costs are equal. */
  readonly tie?: Cost;
  /** Also an agent in slow start is taken at once. */
  readonly hasty?: boolean;
}

/** The cheapest, those in slow start after all others; ties go to the earliest in the pool. */
export function cheapest<C extends Candidate>(
  candidates: Candidates<C>,
  { cost, tie, hasty = false }: Comparison,
  choice: Choice,
): C {
  let best = candidates[0];
  let lowest = cost(best, choice);
  let late = !hasty && isPastShare(best, choice.nowMs);
  for (let i = 1; i < candidates.length; i++) {
    const candidate = candidates[i] as C;
    const isLate = !hasty && isPastShare(candidate, choice.nowMs);
    if (isLate && !late) continue;
    const price = cost(candidate, choice);
    if (isLate === late && (price > lowest || (price === lowest && !breaksTie(candidate, best, choice, tie)))) continue;
    best = candidate;
    lowest = price;
    late = isLate;
  }
  return best;
}

function breaksTie(candidate: Candidate, best: Candidate, choice: Choice, tie: Cost | undefined): boolean {
  const difference = tie === undefined ? 0 : tie(candidate, choice) - tie(best, choice);
  return difference === 0 ? candidate.ordinal < best.ordinal : difference < 0;
}

/**
 * The cheaper of two random candidates; ties go to the one drawn first, so that nobody is preferred.
 *
 * @see "The Power of Two Choices in Randomized Load Balancing", Mitzenmacher, 2001
 */
export function cheaperOfTwo<C extends Candidate>(
  candidates: Candidates<C>,
  { cost }: Comparison,
  choice: Choice,
  random: Random,
): C {
  if (candidates.length === 1) return candidates[0];
  const i = below(random, candidates.length);
  let j = below(random, candidates.length - 1);
  if (j >= i) j += 1;
  const [first, second] = [candidates[i] as C, candidates[j] as C];
  const late = isPastShare(first, choice.nowMs);
  if (late !== isPastShare(second, choice.nowMs)) return late ? second : first;
  return cost(second, choice) < cost(first, choice) ? second : first;
}

/** All of few, two of many. */
export function cheap<C extends Candidate>(
  candidates: Candidates<C>,
  comparison: Comparison,
  choice: Choice,
  random: Random,
): C {
  return candidates.length <= FULL_SCAN_LIMIT
    ? cheapest(candidates, comparison, choice)
    : cheaperOfTwo(candidates, comparison, choice, random);
}
