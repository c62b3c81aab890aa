/**
 * Those who wait for what functions promise, and tell how their runs have ended. Each waits for one run after the other.
 *
 * A promise calls one of the two functions that wait for it, once. So the two can be kept for the next run: made anew for
 * each, with what they close over and a promise between them and the attempt, they would be half of what a short run
 * costs.
 */
import type { Attempt } from "./agent.ts";
import { type Classify, endOfThrown } from "./agent-error.ts";
import { succeeded } from "./run-end.ts";

export class Awaiters {
  readonly #classify: Classify | undefined;
  /** Never more than have waited at a time. */
  readonly #idle: Awaiter[] = [];

  /** @param classify - asked about errors that don't speak for themselves */
  constructor(classify: Classify | undefined) {
    this.#classify = classify;
  }

  /** Tells the attempt what the value comes to: at once, or when its promise is kept or broken. */
  await(value: unknown, attempt: Attempt): void {
    const awaiter = this.#idle.pop() ?? new Awaiter(this.#idle, this.#classify);
    awaiter.await(value, attempt);
  }
}

class Awaiter {
  readonly #idle: Awaiter[];
  readonly #kept: (value: unknown) => void;
  readonly #broken: (thrown: unknown) => void;
  #attempt: Attempt | undefined;

  constructor(idle: Awaiter[], classify: Classify | undefined) {
    this.#idle = idle;
    this.#kept = (value) => this.#take()?.ended(succeeded(value));
    this.#broken = (thrown) => this.#take()?.ended(endOfThrown(thrown, classify));
  }

  await(value: unknown, attempt: Attempt): void {
    this.#attempt = attempt;
    // A promise of another kind than the language's own is wrapped: it may call twice.
    void Promise.resolve(value).then(this.#kept, this.#broken);
  }

  /** Whose run it was; free for another one from now on. */
  #take(): Attempt | undefined {
    const attempt = this.#attempt;
    this.#attempt = undefined;
    this.#idle.push(this);
    return attempt;
  }
}
