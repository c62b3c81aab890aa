/** Points for a pair of task and agent: urgency, load, success, and speed for the types that are quick. */
import type { Balancer, Candidate, Choice } from "./balancer.ts";
import { expectedMs } from "./peak-ewma.ts";
import { cheap } from "./scan.ts";

const CAPABLE = 50;
/** By priority, 1 to 4. */
const BOOST = [0, 40, 25, 10, 5] as const;
const PER_RUNNING = 5;
const SUCCESS = 20;
const QUICK_TYPES: ReadonlySet<string> = new Set(["simple_qa", "quick_analysis"]);
const SPEED_MAX = 10;
/** Neither fast nor slow. */
const SPEED_UNKNOWN = 5;
/** With fewer samples an agent is believed to be no better than the others. */
export const PROVEN_SAMPLES = 5;

const SLOWEST_MS = Number.MAX_SAFE_INTEGER;

export const isProven = ({ measure }: Pick<Candidate, "measure">): boolean => measure.samples >= PROVEN_SAMPLES;

/** Types for which the speed of the agent counts. */
export const isQuick = (type: string): boolean => QUICK_TYPES.has(type);

/** The score of a pair; who can't do the task is no candidate. It ranks only: also a pair below 0 may be the best. */
export function scoreOf({ inFlight, measure }: Candidate, { type, priority, poolSuccessRate }: Choice): number {
  const { samples, successRate, successMs } = measure;
  const success = samples < PROVEN_SAMPLES ? Math.min(successRate, poolSuccessRate) : successRate;
  const base = CAPABLE + (BOOST[priority] ?? 0) - PER_RUNNING * inFlight + SUCCESS * success;
  return isQuick(type) ? base + speed(successMs) : base;
}

function speed(meanMs: number | undefined): number {
  return meanMs === undefined ? SPEED_UNKNOWN : Math.min(SPEED_MAX, 10 / (meanMs / 1_000));
}

const negative = (candidate: Candidate, choice: Choice): number => -scoreOf(candidate, choice);

/** Among equals the faster, as far as one can tell: who is not proven is believed to be no faster than anybody. */
function pace(candidate: Candidate, choice: Choice): number {
  return isProven(candidate) ? Math.min(SLOWEST_MS, expectedMs(candidate, choice)) : SLOWEST_MS;
}

const BY_SCORE = { cost: negative, tie: pace };

/** The agent with the highest score for this task. */
export const score: Balancer = (candidates, choice, random) => cheap(candidates, BY_SCORE, choice, random);

/** Mean success rate of those with enough samples to be believed; 1 while there are none. */
export function provenSuccessRate(agents: Iterable<Pick<Candidate, "measure">>): number {
  let sum = 0;
  let count = 0;
  for (const { measure } of agents) {
    if (!isProven({ measure })) continue;
    sum += measure.successRate;
    count += 1;
  }
  return count === 0 ? 1 : sum / count;
}
