/** Waits for something, but not for ever. */
import { type Clock, sleep } from "../base/clock.ts";

/** True when the promise resolved within `limitMs`. The promise must not reject. */
export async function within(clock: Clock, limitMs: number, promise: Promise<unknown>): Promise<boolean> {
  const settled = new AbortController();
  const inTime = promise.then(() => true);
  const late = sleep(clock, limitMs, settled.signal).then(() => false);
  const first = await Promise.race([inTime, late]);
  settled.abort();
  return first;
}
