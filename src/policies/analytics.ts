/**
 * What happened in a pool over the last day, in a ring of time buckets: the same memory however much happens.
 *
 * Events are counted when they happen and divided by the time that has really passed, so nobody has to take snapshots
 * in time, and nothing that is cleaned up makes a count fall.
 */

/** One minute: what is asked of the last hour is off by less than two in a hundred. */
export const BUCKET_MS = 60_000;
/** 24 h. */
export const WINDOW_MS = 86_400_000;
const BUCKETS = WINDOW_MS / BUCKET_MS;

interface Bucket {
  startMs: number;
  completed: number;
  failed: number;
  cancelled: number;
  assigned: number;
  queueMs: number;
  completionMs: number;
  busyMs: number;
}

/** Sums over the buckets that are not too old. */
export interface WindowSums {
  /** When the measured time began. */
  readonly sinceMs: number;
  /** Time that has really passed since then. */
  readonly elapsedMs: number;
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly assigned: number;
  readonly queueMs: number;
  readonly completionMs: number;
  /** Time that agents spent on attempts which ended in the window. */
  readonly busyMs: number;
}

export class ActivityRing {
  readonly #sinceMs: number;
  readonly #buckets: (Bucket | undefined)[] = [];

  /** @param sinceMs - when counting began */
  constructor(sinceMs: number) {
    this.#sinceMs = sinceMs;
  }

  /** A task was given to an agent for the first time, so long after its creation. */
  assigned(atMs: number, queueMs: number): void {
    const bucket = this.#at(atMs);
    bucket.assigned += 1;
    bucket.queueMs += Math.max(0, queueMs);
  }

  /** An attempt took so much time of an agent. */
  worked(atMs: number, busyMs: number): void {
    this.#at(atMs).busyMs += Math.max(0, busyMs);
  }

  completed(atMs: number, completionMs: number): void {
    const bucket = this.#at(atMs);
    bucket.completed += 1;
    bucket.completionMs += Math.max(0, completionMs);
  }

  failed(atMs: number): void {
    this.#at(atMs).failed += 1;
  }

  cancelled(atMs: number): void {
    this.#at(atMs).cancelled += 1;
  }

  /**
   * @param windowMs - at most `WINDOW_MS`; a bucket that began exactly so long ago is out
   */
  sums(nowMs: number, windowMs: number = WINDOW_MS): WindowSums {
    const oldestMs = (Math.floor((nowMs - windowMs) / BUCKET_MS) + 1) * BUCKET_MS;
    const sinceMs = Math.min(nowMs, Math.max(this.#sinceMs, oldestMs));
    const elapsedMs = nowMs - sinceMs;
    const sums = { completed: 0, failed: 0, cancelled: 0, assigned: 0, queueMs: 0, completionMs: 0, busyMs: 0 };
    for (const bucket of this.#buckets) {
      if (bucket === undefined || bucket.startMs < oldestMs || bucket.startMs > nowMs) continue;
      for (const key of Object.keys(sums) as (keyof typeof sums)[]) sums[key] += bucket[key];
    }
    return { sinceMs, elapsedMs, ...sums };
  }

  #at(atMs: number): Bucket {
    const number = Math.floor(atMs / BUCKET_MS);
    const place = number % BUCKETS;
    const startMs = number * BUCKET_MS;
    const known = this.#buckets[place];
    if (known?.startMs === startMs) return known;
    const bucket: Bucket = {
      startMs,
      completed: 0,
      failed: 0,
      cancelled: 0,
      assigned: 0,
      queueMs: 0,
      completionMs: 0,
      busyMs: 0,
    };
    this.#buckets[place] = bucket;
    return bucket;
  }
}

/** Rates and means of a window; null where there is nothing to divide by. */
export interface Analytics {
  readonly meanQueueTimeMs: number | null;
  readonly meanCompletionTimeMs: number | null;
  readonly throughputPerHour: number | null;
  /** Share of the slots' time that was spent on attempts, 0 to 1. */
  readonly utilisation: number | null;
  /** failed / (completed + failed). */
  readonly errorRate: number | null;
}

/** @param slots - attempts that the pool can run at a time; `runningMs` - time spent so far on those that run */
export function analyse(sums: WindowSums, { slots, runningMs }: { slots: number; runningMs: number }): Analytics {
  const { elapsedMs, completed, failed, assigned } = sums;
  const ended = completed + failed;
  const capacityMs = slots * elapsedMs;
  return {
    meanQueueTimeMs: assigned === 0 ? null : sums.queueMs / assigned,
    meanCompletionTimeMs: completed === 0 ? null : sums.completionMs / completed,
    throughputPerHour: ended + sums.cancelled === 0 ? null : perHour(completed, elapsedMs),
    utilisation: capacityMs <= 0 ? null : Math.min(1, (sums.busyMs + runningMs) / capacityMs),
    errorRate: ended === 0 ? null : failed / ended,
  };
}

/** Null when no time has passed. */
export function perHour(count: number, elapsedMs: number): number | null {
  return elapsedMs <= 0 ? null : (count * 3_600_000) / elapsedMs;
}
