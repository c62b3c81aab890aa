/**
 * Tasks with the same key go to the same agent, as long as it is not loaded much above the others; then to the next in
 * an order that is the key's own. When agents come or go, only the keys of those agents move.
 *
 * @see "Consistent Hashing with Bounded Loads", Mirrokni, Thorup, Zadimoghaddam, 2016
 * @see "Using name-based mappings to increase hit rates", Thaler, Ravishankar, 1998
 */
import type { Balancer, Candidate, Choice } from "./balancer.ts";
import { leastLoaded } from "./least-loaded.ts";

/** How far above the mean an agent may be loaded for the sake of a key. */
export const LOAD_BOUND = 1.25;

/** Without a key: the least loaded. */
export const affinity: Balancer = (candidates, choice, random) => {
  if (choice.affinityKey === undefined) return leastLoaded(candidates, choice, random);
  const key = hashOf(choice.affinityKey);
  const limit = loadLimit(choice);
  let best: (typeof candidates)[number] | undefined;
  let highest = -1;
  for (const candidate of candidates) {
    if (candidate.inFlight + 1 > limit) continue;
    const rank = mix(key ^ candidate.hash);
    if (rank < highest || (rank === highest && best !== undefined && candidate.ordinal > best.ordinal)) continue;
    best = candidate;
    highest = rank;
  }
  return best ?? leastLoaded(candidates, choice, random);
};

/** Attempts an agent may run for the sake of a key, this one included: at least 1. */
function loadLimit({ crew }: Pick<Choice, "crew">): number {
  return Math.ceil((LOAD_BOUND * (crew.inFlight + 1)) / crew.agents);
}

/** 32 bits of a text. @see "FNV-1a", Fowler, Noll, Vo */
export function hashOf(text: string): Candidate["hash"] {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return mix(hash);
}

/** Spreads 32 bits evenly. @see "MurmurHash3", Appleby, 2011 */
function mix(bits: number): number {
  let hash = bits;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
