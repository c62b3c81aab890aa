/** The only file that reads time or sets a timer. */
// The global of that name is a getter, which costs a fifth of a reading.
import { performance } from "node:perf_hooks";

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall clock, milliseconds since the epoch. May jump. */
  now(): number;
  /** Milliseconds since some fixed moment. Never goes back. */
  monotonic(): number;
  /** Calls `fire` once after `delayMs`; delays above the platform's limit are waited for in parts. */
  timer(delayMs: number, fire: () => void): Timer;
  /** Calls `fire` once the input that is already there has been taken in. */
  defer(fire: () => void): void;
  /** As `defer`, for those who would otherwise go on at once. Absent where time does not pass by itself. */
  breathe?(fire: () => void): void;
  /** Somebody is at work until the answer is called. Absent where time passes by itself. */
  atWork?(): () => void;
}

/** Node fires longer timers at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

class SystemTimer implements Timer {
  #handle: NodeJS.Timeout | undefined;

  constructor(delayMs: number, fire: () => void) {
    this.#arm(Math.max(0, delayMs), fire);
  }

  #arm(leftMs: number, fire: () => void): void {
    const partMs = Math.min(leftMs, LONGEST_TIMER_MS);
    this.#handle = setTimeout(() => {
      if (leftMs > partMs) this.#arm(leftMs - partMs, fire);
      else fire();
    }, partMs);
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  timer: (delayMs, fire) => new SystemTimer(delayMs, fire),
  defer: (fire) => {
    setImmediate(fire);
  },
  breathe: (fire) => {
    setImmediate(fire);
  },
};

/** Resolves after `delayMs`, or as soon as the signal is aborted; never rejects. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve();
      return;
    }
    const finish = (): void => {
      timer.cancel();
      signal?.removeEventListener("abort", finish);
      resolve();
    };
    const timer = clock.timer(delayMs, finish);
    signal?.addEventListener("abort", finish, { once: true });
  });
}
