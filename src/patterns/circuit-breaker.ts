/** A circuit breaker for anything that is called. */
import type { Clock } from "../base/clock.ts";
import { PoolError } from "../base/errors.ts";
import type { BreakerState } from "../policies/breaker/breaker.ts";
import type { BreakerOptions } from "../policies/breaker/options.ts";
import { Call, type CallContext, type CallLimits } from "./call.ts";
import { type Classify, faultOf, isAgentsFault } from "./fault.ts";
import { LiveBreaker, type OnTransition, type Permit } from "./live-breaker.ts";
import {
  checkFunction,
  type Given,
  resolveBreaker,
  resolveLimits,
  resolveSurroundings,
  type Surroundings,
} from "./options.ts";

export interface CircuitBreakerOptions extends Given<BreakerOptions>, Surroundings {
  /**
   * Told of every change of state, open to half-open too, which is made when the breaker is next used or looked at.
   * Called after the change; may use the breaker. What it throws is dropped.
   */
  readonly onTransition?: OnTransition | undefined;
  /** Says which errors of `execute` are not the fault of what is called: `task`, `caller`, `throttle`, `dependency`. */
  readonly classify?: Classify | undefined;
}

/** Stops calling what fails, and tries it again with a few calls when its open time is over. */
export interface CircuitBreaker {
  readonly state: BreakerState;
  /** False while half-open. */
  readonly isOpen: boolean;
  /** Asks for one call; undefined when it is refused. A permit never settled is handed out again after `permitMs`. */
  tryAcquire(): Permit | undefined;
  /**
   * Runs the function if it may, and counts how it ended.
   *
   * @returns what the function returns; rejects with what it throws
   * @throws PoolError `unavailable` without calling it while no call is let through, with `details.retryAfterMs`;
   *   `cancelled` when the signal is aborted, `deadline_exceeded` after `timeoutMs` or `deadlineMs`
   */
  execute<R>(fn: (context: CallContext) => R | PromiseLike<R>, limits?: CallLimits): Promise<R>;
  /** Counts while closed; while half-open it settles the oldest permit of this generation; else it changes nothing. */
  recordSuccess(): void;
  recordFailure(): void;
  /** Closes it and forgets all counts and openings. Calls under way don't count any more. */
  reset(): void;
}

/** @throws PoolError `invalid` with the path of an option that is not possible */
export function createCircuitBreaker(options: CircuitBreakerOptions = {}): CircuitBreaker {
  const { clock: givenClock, random: givenRandom, onTransition, classify, ...given } = options;
  const { clock, random } = resolveSurroundings({ clock: givenClock, random: givenRandom });
  const live = new LiveBreaker({ options: resolveBreaker(given, ""), clock, random, onTransition });
  return new CallBreaker(live, clock, classify);
}

class CallBreaker implements CircuitBreaker {
  readonly #breaker: LiveBreaker;
  readonly #clock: Clock;
  readonly #classify: Classify | undefined;

  constructor(breaker: LiveBreaker, clock: Clock, classify: Classify | undefined) {
    this.#breaker = breaker;
    this.#clock = clock;
    this.#classify = classify;
  }

  get state(): BreakerState {
    return this.#breaker.state;
  }

  get isOpen(): boolean {
    return this.state === "open";
  }

  tryAcquire(): Permit | undefined {
    return this.#breaker.acquire();
  }

  async execute<R>(fn: (context: CallContext) => R | PromiseLike<R>, limits: CallLimits = {}): Promise<R> {
    checkFunction(fn);
    const call = new Call(this.#clock, resolveLimits(limits));
    call.open();
    try {
      const stopped = call.stopped();
      if (stopped !== undefined) throw stopped;
      const permit = this.#breaker.acquire();
      if (permit === undefined) throw refused(this.#breaker);
      const end = await call.attempt(1, fn, () => {});
      switch (end.name) {
        case "succeeded":
          permit.succeed();
          return end.result;
        case "failed": {
          const fault = faultOf(end.error, this.#classify);
          if (isAgentsFault(fault)) permit.fail({ retryAfterMs: fault.retryAfterMs });
          else permit.cancel();
          throw end.error;
        }
        case "timed_out":
          permit.fail();
          throw end.error;
        case "stopped":
          permit.cancel();
          throw end.error;
      }
    } finally {
      call.close();
    }
  }

  recordSuccess(): void {
    this.#breaker.record({ name: "succeeded" });
  }

  recordFailure(): void {
    this.#breaker.record({ name: "failed" });
  }

  reset(): void {
    this.#breaker.reset();
  }
}

function refused(breaker: LiveBreaker): PoolError {
  const { state, admitsInMs: retryAfterMs } = breaker;
  return new PoolError(
    "unavailable",
    `the circuit breaker is ${state === "open" ? "open" : "half-open with all permits out"}`,
    {
      retryable: true,
      details: { state, retryAfterMs },
    },
  );
}
