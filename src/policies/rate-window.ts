/** How much was used in the last minute, in steps of a second: constant room and work, whatever the rate. */

const STEP_MS = 1_000;
const STEPS = 60;

/** Mutable; written by whoever owns it, at instants that never go back. */
export class RateWindow {
  readonly #used = new Array<number>(STEPS).fill(0);
  #total = 0;
  /** Number of the latest step, counted from the epoch. */
  #step = 0;

  /** Adds what is used at `nowMs`. */
  add(amount: number, nowMs: number): void {
    this.#moveTo(Math.floor(nowMs / STEP_MS));
    const at = this.#step % STEPS;
    this.#used[at] = (this.#used[at] ?? 0) + amount;
    this.#total += amount;
  }

  /** Used in the minute before `nowMs`, the second under way and the 59 before it. */
  used(nowMs: number): number {
    this.#moveTo(Math.floor(nowMs / STEP_MS));
    return this.#total;
  }

  /** When less than `limit` will have been used, if nothing is added; `nowMs` if it is so already. */
  freeAtMs(limit: number, nowMs: number): number {
    this.#moveTo(Math.floor(nowMs / STEP_MS));
    let left = this.#total;
    if (left < limit) return nowMs;
    for (let age = STEPS - 1; age >= 0; age--) {
      const step = this.#step - age;
      left -= this.#used[((step % STEPS) + STEPS) % STEPS] ?? 0;
      if (left < limit) return (step + STEPS) * STEP_MS;
    }
    return (this.#step + STEPS) * STEP_MS;
  }

  /** Steps that are a minute old are forgotten. */
  #moveTo(step: number): void {
    if (step <= this.#step) return;
    const passed = Math.min(STEPS, step - this.#step);
    for (let n = 1; n <= passed; n++) {
      const at = (this.#step + n) % STEPS;
      this.#total -= this.#used[at] ?? 0;
      this.#used[at] = 0;
    }
    this.#step = step;
  }
}
