/** The agent with the smallest share of its slots in use; ties go to the earliest in the pool. */
import type { Balancer, Candidate } from "./balancer.ts";
import { cheap } from "./scan.ts";

/** Fraction of capacity in use, 0 (idle) to 1 (full). */
const load = (candidate: Candidate): number => candidate.inFlight / candidate.capacity;
export const BY_LOAD = { cost: load };

export const leastLoaded: Balancer = (candidates, choice, random) => cheap(candidates, BY_LOAD, choice, random);
