/** How long settled tasks are kept: so many, so long, so large; what passes any of the three goes, oldest first. */

export interface RetentionOptions {
  /** Settled tasks of one pool. */
  readonly count: number;
  /** Since settlement. Milliseconds. */
  readonly ageMs: number;
  /** Of bodies and results of one pool; undefined = any size. */
  readonly bytes?: number | undefined;
}

/** 100,000 tasks, 7 days: enough to look into what happened last week, and a file of a few hundred megabytes. */
export const RETENTION_DEFAULTS: RetentionOptions = { count: 100_000, ageMs: 604_800_000 };

export interface Kept {
  readonly settledAtMs: number;
  readonly bytes: number;
}

/** Those of the oldest that go. `kept` is all that there is, they included. */
export function toRetire<T extends Kept>(
  oldest: readonly T[],
  kept: { readonly count: number; readonly bytes: number },
  { count, ageMs, bytes = Number.POSITIVE_INFINITY }: RetentionOptions,
  nowMs: number,
): T[] {
  const going: T[] = [];
  let left = kept.count;
  let leftBytes = kept.bytes;
  for (const task of oldest) {
    if (left <= count && leftBytes <= bytes && task.settledAtMs + ageMs > nowMs) break;
    going.push(task);
    left -= 1;
    leftBytes -= task.bytes;
  }
  return going;
}
