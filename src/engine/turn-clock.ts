/** The time of turns: never goes back, and follows the wall clock gently when that jumps. */
import type { Clock } from "../base/clock.ts";

/** How fast it may run towards the wall clock: an hour's jump is made up for in 20 hours. */
const SLEW = 0.05;

/** Within this the wall clock is not asked: it could change the time by a twentieth of it. Milliseconds. */
const STEADY_MS = 1;

export class TurnClock {
  readonly #clock: Clock;
  #nowMs: number;
  #readAtMs: number;
  /** What was answered last: the slew may not go behind it. */
  #toldMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#nowMs = clock.now();
    this.#readAtMs = clock.monotonic();
  }

  /** Epoch milliseconds, a whole number. */
  now(): number {
    const readAtMs = this.#clock.monotonic();
    const passedMs = Math.max(0, readAtMs - this.#readAtMs);
    if (readAtMs - this.#readAtMs >= 0 && passedMs < STEADY_MS) return this.#tell(this.#nowMs + passedMs);
    this.#readAtMs = readAtMs;
    const behindMs = this.#clock.now() - (this.#nowMs + passedMs);
    const slewMs = Math.max(-SLEW * passedMs, Math.min(SLEW * passedMs, behindMs));
    this.#nowMs += passedMs + slewMs;
    return this.#tell(this.#nowMs);
  }

  #tell(nowMs: number): number {
    this.#toldMs = Math.max(this.#toldMs, Math.floor(nowMs));
    return this.#toldMs;
  }
}
