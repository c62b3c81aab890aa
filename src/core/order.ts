/**
 * Which task goes first: inside one priority, and between priorities by age with a step per rank or by how often each
 * is served.
 */
import { PRIORITY_NAMES, type Priority, type PriorityName, type Task } from "./task.ts";

export type Ageing = { readonly stepMs: number } | false;

/** How often each priority is served, in proportion. */
export type ServingWeights = Readonly<Record<PriorityName, number>>;

/** What decides between priorities. */
export interface Order {
  readonly ageing: Ageing;
  /** Replaces the order by age, `critical` included. */
  readonly serving?: ServingWeights | undefined;
}

/** Order inside one priority: replays first, then by age, then by admission. */
export function precedes(a: Task, b: Task): boolean {
  if (a.first !== b.first) return a.first;
  return isSenior(a, b);
}

/** It has waited longer, whoever goes first. */
export function isSenior(a: Task, b: Task): boolean {
  return a.queuedAtMs === b.queuedAtMs ? a.num < b.num : a.queuedAtMs < b.queuedAtMs;
}

/** Order between priorities: critical first, then by age with a step per rank; strict without ageing. */
export function goesFirst(a: Task, b: Task, ageing: Ageing): boolean {
  const [rankA, rankB] = [a.priority, b.priority];
  if (rankA === rankB) return precedes(a, b);
  if (ageing === false || rankA === 1 || rankB === 1) return rankA < rankB;
  const agedA = a.queuedAtMs + (rankA - 1) * ageing.stepMs;
  const agedB = b.queuedAtMs + (rankB - 1) * ageing.stepMs;
  return agedA === agedB ? a.num < b.num : agedA < agedB;
}

/** Weights by number of the priority. */
export const weightIn =
  (weights: ServingWeights) =>
  (priority: number): number =>
    weights[PRIORITY_NAMES[priority as Priority]];
