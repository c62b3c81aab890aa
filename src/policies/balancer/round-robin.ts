/** Everybody in turn: the next agent after the one chosen last, by its place in the pool. */
import type { Balancer } from "./balancer.ts";

/** Starts at the first; keeps the rotation when agents come and go. */
export const roundRobin: Balancer = (candidates, { lastOrdinal }) => {
  let first = candidates[0];
  let next: typeof first | undefined;
  for (const candidate of candidates) {
    if (candidate.ordinal < first.ordinal) first = candidate;
    if (candidate.ordinal > lastOrdinal && (next === undefined || candidate.ordinal < next.ordinal)) next = candidate;
  }
  return next ?? first;
};
