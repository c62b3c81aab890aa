/** Every strategy by its name. */
import { affinity } from "./affinity.ts";
import type { Balancer } from "./balancer.ts";
import { byPriority } from "./by-priority.ts";
import { leastErrors } from "./least-errors.ts";
import { leastLatency, typeLatency } from "./least-latency.ts";
import { leastLoaded } from "./least-loaded.ts";
import { peakEwma } from "./peak-ewma.ts";
import { powerOfTwo } from "./power-of-two.ts";
import { randomAgent } from "./random-agent.ts";
import { roundRobin } from "./round-robin.ts";
import { score } from "./score.ts";
import { weighted } from "./weighted.ts";

export const STRATEGIES = [
  "peak_ewma",
  "round_robin",
  "random",
  "least_latency",
  "least_errors",
  "weighted",
  "priority",
  "least_loaded",
  "type_latency",
  "power_of_two",
  "affinity",
  "score",
] as const;

export type Strategy = (typeof STRATEGIES)[number];

export const BALANCERS: Readonly<Record<Strategy, Balancer>> = {
  peak_ewma: peakEwma,
  round_robin: roundRobin,
  random: randomAgent,
  least_latency: leastLatency,
  least_errors: leastErrors,
  weighted,
  priority: byPriority,
  least_loaded: leastLoaded,
  type_latency: typeLatency,
  power_of_two: powerOfTwo,
  affinity,
  score,
};
