/**
 * The agent with the lowest expected cost: what its attempts took, times those it would then run, over the square of
 * its success rate. It sees a slow agent after one attempt, and one that fails fast does not look fast.
 *
 * @see "Beyond Round Robin: Load Balancing for Latency", Linkerd, 2016
 */
import { costAt } from "../measure.ts";
import type { Balancer, Candidate, Choice } from "./balancer.ts";
import { cheap } from "./scan.ts";

/** A success rate below this counts as this, so that the worst agents still differ by what they cost. */
const SUCCESS_FLOOR = 0.05;
/** Nothing costs less: among agents that answer at once the load decides. Milliseconds. */
const COST_FLOOR_MS = 1;
/** What is added for an agent that was never tried and is just being tried: one attempt tells enough. */
const UNKNOWN_BUSY = 1e12;

/** How long a task would take on the agent, failures repeated. Milliseconds; 0 when nothing is known. */
export function expectedMs(
  { measure }: Candidate,
  { nowMs, halfLifeMs }: Pick<Choice, "nowMs" | "halfLifeMs">,
): number {
  if (measure.samples === 0) return 0;
  // Compared by hand: with `Math.max` a choice takes a quarter longer.
  const success = measure.successRate > SUCCESS_FLOOR ? measure.successRate : SUCCESS_FLOOR;
  const costMs = costAt(measure, nowMs, halfLifeMs);
  return (costMs > COST_FLOOR_MS ? costMs : COST_FLOOR_MS) / (success * success);
}

function cost(candidate: Candidate, choice: Choice): number {
  const { inFlight, measure } = candidate;
  if (measure.samples > 0) return expectedMs(candidate, choice) * (inFlight + 1);
  return inFlight === 0 ? 0 : UNKNOWN_BUSY + inFlight;
}

const BY_COST = { cost };

/** Agents never tried go first, once each. */
export const peakEwma: Balancer = (candidates, choice, random) => cheap(candidates, BY_COST, choice, random);
