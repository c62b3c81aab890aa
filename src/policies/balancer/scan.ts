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
  /** What the best says where costs are equal, once that was asked. */
  let word: number | undefined;
  let late = !hasty && isPastShare(best, choice.nowMs);
  for (let i = 1; i < candidates.length; i++) {
    const candidate = candidates[i] as C;
    const isLate = !hasty && isPastShare(candidate, choice.nowMs);
    if (isLate && !late) continue;
    const price = cost(candidate, choice);
    if (isLate === late && price > lowest) continue;
    let own: number | undefined;
    if (isLate === late && price === lowest) {
      word ??= tie?.(best, choice) ?? 0;
      own = tie?.(candidate, choice) ?? 0;
      if (own > word || (own === word && candidate.ordinal >= best.ordinal)) continue;
    }
    best = candidate;
    lowest = price;
    word = own;
    late = isLate;
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
