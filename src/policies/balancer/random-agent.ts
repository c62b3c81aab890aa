/** Anybody, with equal chances. */
import { below } from "../../base/random.ts";
import type { Balancer } from "./balancer.ts";

export const randomAgent: Balancer = (candidates, _choice, random) => candidates[below(random, candidates.length)];
