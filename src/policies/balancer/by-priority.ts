/** The agent with the lowest priority number, as long as it has a slot; ties go to the earliest in the pool. */
import type { Balancer, Candidate } from "./balancer.ts";
import { cheapest } from "./scan.ts";

const BY_PRIORITY = { cost: ({ priority }: Candidate): number => priority, hasty: true };

export const byPriority: Balancer = (candidates, choice) => cheapest(candidates, BY_PRIORITY, choice);
