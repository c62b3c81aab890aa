/** The agent with the lowest priority number, as long as it has a slot; ties go to the earliest in the pool. */
import type { Balancer } from "./balancer.ts";
import { cheapest } from "./scan.ts";

export const byPriority: Balancer = (candidates, choice) =>
  cheapest(candidates, (candidate) => candidate.priority, choice);
