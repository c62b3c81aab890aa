/** The strategy of a call-through pool: one of the named ones, or the user's own. */
import { invalid } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { Candidate, Candidates, Choice } from "../policies/balancer/balancer.ts";
import { leastLoaded } from "../policies/balancer/least-loaded.ts";
import { BALANCERS, STRATEGIES, type Strategy } from "../policies/balancer/strategies.ts";
import { tell } from "./tell.ts";

/**
 * Picks one of the candidates, or nobody. Gets those that may be given the call, and must not keep the list. One that
 * throws, or names somebody else, is passed over for `least_loaded`.
 */
export type ChooseAgent = (
  candidates: Candidates<Readonly<Candidate>>,
  choice: Choice,
  random: Random,
) => Readonly<Candidate> | undefined;

export type Chooser = <C extends Candidate>(candidates: Candidates<C>, choice: Choice, random: Random) => C | undefined;

export interface StrategyOptions {
  /** `peak_ewma` when absent. */
  readonly strategy?: Strategy | ChooseAgent | undefined;
  /** Told when a strategy of the user's own fails. */
  readonly onStrategyError?: ((error: unknown) => unknown) | undefined;
}

/** @throws PoolError `invalid` for a name nobody knows */
export function resolveStrategy({ strategy = "peak_ewma", onStrategyError }: StrategyOptions): Chooser {
  if (typeof strategy === "function") return guarded(strategy, onStrategyError);
  if (!STRATEGIES.includes(strategy)) {
    throw invalid("strategy", `expected a function or one of ${STRATEGIES.join(", ")}, got ${String(strategy)}`);
  }
  return BALANCERS[strategy];
}

function guarded(choose: ChooseAgent, onError: StrategyOptions["onStrategyError"]): Chooser {
  return (candidates, choice, random) => {
    try {
      const chosen = choose(candidates, choice, random);
      if (chosen === undefined) return undefined;
      const candidate = candidates.find((one) => one === chosen);
      if (candidate !== undefined) return candidate;
      tell(onError, invalid("strategy", "expected one of the candidates"));
    } catch (error) {
      tell(onError, error);
    }
    return leastLoaded(candidates, choice, random);
  };
}
