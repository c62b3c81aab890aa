/** A breaker with its clock, its draw and its observer. */
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import {
  type Acquired,
  acquire,
  admitsAtMs,
  type Breaker,
  type BreakerOutcome,
  type BreakerReason,
  type BreakerState,
  NEW_BREAKER,
  oldestPermit,
  type Permit as PlainPermit,
  reset,
  ripen,
  type Step,
  settle,
  stateOf,
} from "../policies/breaker/breaker.ts";
import type { BreakerOptions } from "../policies/breaker/options.ts";
import { tell } from "./tell.ts";

export type OnTransition = (from: BreakerState, to: BreakerState, reason: BreakerReason) => unknown;

export interface LiveBreakerParts {
  readonly options: BreakerOptions;
  readonly clock: Clock;
  readonly random: Random;
  /** Called after the change has been made; may use the breaker. */
  readonly onTransition?: OnTransition | undefined;
}

/** Right to one call. The first word counts; what is said after it, or in another generation, changes nothing. */
export interface Permit {
  succeed(): void;
  /** With `retryAfterMs` a breaker that opens stays open at least that long. */
  fail(how?: { readonly retryAfterMs?: number | undefined }): void;
  /** Gives it back without a verdict. */
  cancel(): void;
}

export class LiveBreaker {
  #breaker: Breaker = NEW_BREAKER;
  readonly #parts: LiveBreakerParts;

  constructor(parts: LiveBreakerParts) {
    this.#parts = parts;
  }

  get state(): BreakerState {
    if (this.#breaker.name === "open") this.#take(ripen(this.#breaker, this.#nowMs()));
    return this.#breaker.name;
  }

  /** The state at an instant to come, if nothing happens until then. Announces nothing. */
  stateIn(delayMs: number): BreakerState {
    return stateOf(this.#breaker, this.#nowMs() + delayMs);
  }

  /** Milliseconds until it would let a call through; 0 when it would now. */
  get admitsInMs(): number {
    if (this.#breaker.name === "closed") return 0;
    const nowMs = this.#nowMs();
    return admitsAtMs(this.#breaker, nowMs, this.#parts.options) - nowMs;
  }

  /** Milliseconds of open time left, and why it opened; undefined unless it is open. */
  get opening(): { readonly leftMs: number; readonly reason: BreakerReason } | undefined {
    if (this.state !== "open" || this.#breaker.name !== "open") return undefined;
    return { leftMs: this.#breaker.untilMs - this.#nowMs(), reason: this.#breaker.reason };
  }

  acquire(): Permit | undefined {
    const acquired: Acquired = acquire(this.#breaker, this.#nowMs(), this.#parts.options);
    this.#take(acquired);
    return acquired.permit && new LivePermit(acquired.permit, (permit, outcome) => this.#settle(permit, outcome));
  }

  /** While closed it counts; while half-open it settles the oldest permit of this generation; while open it is nothing. */
  record(outcome: BreakerOutcome): void {
    const { state } = this;
    const { generation } = this.#breaker;
    const permit = state === "closed" ? { generation, number: 0 } : oldestPermit(this.#breaker);
    if (permit !== undefined) this.#settle(permit, outcome);
  }

  reset(): void {
    this.#take(reset(this.#breaker, this.#nowMs()));
  }

  #settle(permit: PlainPermit, outcome: BreakerOutcome): void {
    const { random, options } = this.#parts;
    this.#take(settle(this.#breaker, permit, outcome, { nowMs: this.#nowMs(), random, options }));
  }

  #take({ breaker, transition }: Step): void {
    this.#breaker = breaker;
    if (transition !== undefined) tell(this.#parts.onTransition, transition.from, transition.to, transition.reason);
  }

  #nowMs(): number {
    return this.#parts.clock.monotonic();
  }
}

class LivePermit implements Permit {
  readonly #permit: PlainPermit;
  #settle: ((permit: PlainPermit, outcome: BreakerOutcome) => void) | undefined;

  constructor(permit: PlainPermit, settle: (permit: PlainPermit, outcome: BreakerOutcome) => void) {
    this.#permit = permit;
    this.#settle = settle;
  }

  succeed(): void {
    this.#end({ name: "succeeded" });
  }

  fail({ retryAfterMs }: { readonly retryAfterMs?: number | undefined } = {}): void {
    this.#end({ name: "failed", retryAfterMs });
  }

  cancel(): void {
    this.#end({ name: "ignored" });
  }

  #end(outcome: BreakerOutcome): void {
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(this.#permit, outcome);
  }
}
