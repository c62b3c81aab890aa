/** How many agents a pool should have for the work that it has. */

export interface AutoscaleOptions {
  /** The pool grows when a task has waited for an agent this long. Milliseconds. */
  readonly targetWaitMs: number;
  /** It also grows while there are more open tasks, waiting and running, than this for each agent. Undefined = any number. */
  readonly targetPerAgent?: number | undefined;
  /** Between two changes, and how long agents must have been too many before some go. Milliseconds. */
  readonly cooldownMs: number;
}

/** 5 s: what a caller waits without asking why. 60 s: long enough for a new agent to show what it changes. */
export const AUTOSCALE_DEFAULTS: AutoscaleOptions = { targetWaitMs: 5_000, cooldownMs: 60_000 };

/** A pool is looked at this often at least, and no more often. Milliseconds. */
const CHECK_MS = { most: 1_000, least: 10 };

/** Between two looks when nothing is known to be due before. */
export function lookEveryMs({ targetWaitMs, cooldownMs }: AutoscaleOptions): number {
  return Math.max(CHECK_MS.least, Math.min(CHECK_MS.most, Math.ceil(Math.min(targetWaitMs, cooldownMs) / 2)));
}

/** A pool as seen at one instant, and what it was like since its size changed last. */
export interface Load {
  readonly size: number;
  readonly min: number;
  readonly max: number;
  /** Tasks that the agents in question could take, were they free. */
  readonly waiting: number;
  readonly running: number;
  /** How long the one that has waited longest has waited. Milliseconds; 0 = nobody waits. */
  readonly oldestWaitMs: number;
  /** Tasks that one agent may run at a time, at least 1. */
  readonly concurrency: number;
  /** The most tasks, waiting and running, that were seen at a time during the whole of the last cool-down; undefined = it is not over. */
  readonly peak: number | undefined;
}

export interface Resize {
  readonly target: number;
  readonly reason: string;
}

/**
 * The size that the load asks for, or undefined when it is right. It grows to twice its size at most, so that a burst does
 * not start a hundred processes, and shrinks only to a size under which the busiest moment of the last cool-down would have
 * run at once and within `targetPerAgent`: the same load never makes it grow again.
 */
export function resize(load: Load, { targetWaitMs, targetPerAgent }: AutoscaleOptions): Resize | undefined {
  const { size, min, max } = load;
  if (size < min) return { target: min, reason: `fewer agents than size.min (${min})` };
  const grown = Math.min(max, 2 * size);
  const open = load.waiting + load.running;
  if (targetPerAgent !== undefined && open > size * targetPerAgent && size < max) {
    const target = Math.min(grown, Math.ceil(open / targetPerAgent));
    return { target, reason: `${open} open tasks for ${size} agents, ${targetPerAgent} for each are wanted` };
  }
  if (load.waiting > 0 && load.oldestWaitMs >= targetWaitMs && size < max) {
    const target = Math.min(grown, size + Math.ceil(load.waiting / load.concurrency));
    return { target, reason: `a task has waited for ${load.oldestWaitMs} ms, ${targetWaitMs} ms are wanted` };
  }
  if (load.peak === undefined || load.waiting > 0) return undefined;
  const slots = Math.ceil(load.peak / load.concurrency);
  const depth = targetPerAgent === undefined ? 0 : Math.ceil(load.peak / targetPerAgent);
  const target = Math.max(min, slots, depth);
  if (target >= size) return undefined;
  return { target, reason: `at most ${load.peak} tasks at a time for the last cool-down, ${target} agents are enough` };
}
