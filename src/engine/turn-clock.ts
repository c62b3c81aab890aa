/** The time of turns: never goes back, and follows the wall clock gently when that jumps. */
import type { Clock } from "../base/clock.ts";

/** How fast it may run towards the wall clock: an hour's jump is made up for in 20 hours. */
const SLEW = 0.05;

export class TurnClock {
  readonly #clock: Clock;
  #nowMs: number;
  #readAtMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#nowMs = clock.now();
    this.#readAtMs = clock.monotonic();
  }

  /** Epoch milliseconds, a whole number. */
  now(): number {
    const readAtMs = this.#clock.monotonic();
    const passedMs = Math.max(0, readAtMs - this.#readAtMs);
    this.#readAtMs = readAtMs;
    const behindMs = this.#clock.now() - (this.#nowMs + passedMs);
    const slewMs = Math.max(-SLEW * passedMs, Math.min(SLEW * passedMs, behindMs));
    this.#nowMs += passedMs + slewMs;
    return Math.floor(this.#nowMs);
  }
}
