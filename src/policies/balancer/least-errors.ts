/** The agent with the smallest share of failures; whoever was never tried counts as 0. */
import type { Balancer, Candidate } from "./balancer.ts";
import { cheap } from "./scan.ts";

const errorShare = (candidate: Candidate): number => candidate.measure.errorShare;

const BY_ERRORS = { cost: errorShare };

export const leastErrors: Balancer = (candidates, choice, random) => cheap(candidates, BY_ERRORS, choice, random);
