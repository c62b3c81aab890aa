/** How well a pool does, as one number from 0 to 1. */

/** A queue beyond this share of its limit is nearly full. */
const FULL_SHARE = 0.8;

/** Without tasks nothing has failed. */
export function healthScore({
  tasks,
  failed,
  isBreached,
  queued,
  queueLimit,
}: {
  /** Of the pool, whatever has become of them. */
  readonly tasks: number;
  readonly failed: number;
  /** Some of its agents share what no two may share. */
  readonly isBreached: boolean;
  readonly queued: number;
  readonly queueLimit: number;
}): number {
  const failedShare = tasks === 0 ? 0 : failed / tasks;
  const isNearlyFull = queued > FULL_SHARE * queueLimit;
  const score = 1 - 0.5 * failedShare - (isBreached ? 0.2 : 0) - (isNearlyFull ? 0.1 : 0);
  // Tenths do not add up in binary: what is shown is what people would reckon.
  return Math.min(1, Math.max(0, Math.round(score * 1e9) / 1e9));
}
