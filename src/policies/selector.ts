/** Choosing a pool for a task: pure, over a small view of each pool. */
import { below, type Random } from "../base/random.ts";

export const SELECTORS = ["least_loaded", "round_robin", "random", "affinity", "category"] as const;
export type Selector = (typeof SELECTORS)[number];

/** `fitness` takes the place of a selector for types that are chosen by what was measured. */
export type SelectedBy = Selector | "fitness";

/** What a selector may know of a pool. */
export interface PoolCandidate {
  readonly id: string;
  /** (waiting + running) / capacity; infinite without agents. */
  readonly load: number;
  /** It does not run, or takes no task of this type: never chosen. */
  readonly stopped: boolean;
  /** Chosen only when no other may be. */
  readonly unhealthy: boolean;
  /** It is of the category that the task's type prefers. */
  readonly preferred: boolean;
  /** 1 − failure share of tasks of this type; undefined with too few samples. */
  readonly fitness: number | undefined;
  /** Grows with every choice by rotation; 0 = never chosen. */
  readonly lastTurn: number;
}

export interface SelectRequest {
  readonly selector: Selector;
  /** Pools the caller may use; `"*"` is every pool; undefined = the caller said nothing. */
  readonly allow?: readonly string[] | undefined;
  /** The pool that `affinity` asks for. */
  readonly pool?: string | undefined;
  /** The type goes by measured fitness, whatever the selector. */
  readonly byFitness: boolean;
}

export interface Selection {
  readonly pool: string;
  /** What decided in the end: a selector that can't be honoured gives way to `least_loaded`. */
  readonly selector: SelectedBy;
  /** Pools that might have been chosen, in their order. */
  readonly considered: readonly string[];
}

type Candidates = readonly [PoolCandidate, ...PoolCandidate[]];

/**
 * The allow list guards every path, stopped pools are never chosen, unhealthy ones only among themselves.
 *
 * @param pools - in the order of their creation
 * @returns undefined when no pool may be chosen
 */
export function selectPool(
  pools: readonly PoolCandidate[],
  request: SelectRequest,
  random: Random,
): Selection | undefined {
  const open = pools.filter((pool) => !pool.stopped && isAllowed(pool.id, request.allow));
  const healthy = open.filter((pool) => !pool.unhealthy);
  const candidates = healthy.length > 0 ? healthy : open;
  if (!isNonEmpty(candidates)) return undefined;
  const { pool, selector } = choose(candidates, request, random);
  return { pool: pool.id, selector, considered: open.map(({ id }) => id) };
}

/** Without a list everything is allowed. */
export function isAllowed(id: string, allow: readonly string[] | undefined): boolean {
  return allow === undefined || allow.includes(id) || allow.includes("*");
}

interface Choice {
  readonly pool: PoolCandidate;
  readonly selector: SelectedBy;
}

function choose(candidates: Candidates, request: SelectRequest, random: Random): Choice {
  const fittest = request.byFitness ? fittestOf(candidates) : [];
  if (isNonEmpty(fittest)) return { pool: leastLoaded(fittest), selector: "fitness" };
  const { selector, allow, pool } = request;
  switch (selector) {
    case "round_robin":
      return { pool: candidates.reduce((a, b) => (b.lastTurn < a.lastTurn ? b : a)), selector };
    case "random":
      return { pool: candidates[below(random, candidates.length)] as PoolCandidate, selector };
    case "affinity": {
      // A wish for a pool is honoured only for those who were given a list with it.
      const wanted = allow === undefined ? undefined : candidates.find(({ id }) => id === pool);
      return wanted === undefined ? byLoad(candidates) : { pool: wanted, selector };
    }
    case "category": {
      const preferred = candidates.filter((candidate) => candidate.preferred);
      return isNonEmpty(preferred) ? { pool: leastLoaded(preferred), selector } : byLoad(candidates);
    }
    case "least_loaded":
      return byLoad(candidates);
  }
}

function byLoad(candidates: Candidates): Choice {
  return { pool: leastLoaded(candidates), selector: "least_loaded" };
}

/** Ties go to the first. */
function leastLoaded(candidates: Candidates): PoolCandidate {
  return candidates.reduce((best, next) => (next.load < best.load ? next : best));
}

/** Those with the highest fitness; one that was not measured is taken for perfect, so that it gets measured. */
function fittestOf(candidates: Candidates): PoolCandidate[] {
  if (candidates.every(({ fitness }) => fitness === undefined)) return [];
  const best = Math.max(...candidates.map(({ fitness = 1 }) => fitness));
  return candidates.filter(({ fitness = 1 }) => fitness === best);
}

function isNonEmpty(list: readonly PoolCandidate[]): list is Candidates {
  return list.length > 0;
}
