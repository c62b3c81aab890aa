/** One call through: what ends it early, and the attempts in it. */
import { type Clock, sleep } from "../base/clock.ts";
import { PoolError } from "../base/errors.ts";

export interface CallLimits {
  /** For the whole call, attempts and delays. Milliseconds. */
  readonly deadlineMs?: number | undefined;
  /** For each attempt. Milliseconds. */
  readonly timeoutMs?: number | undefined;
  /** Ends the call. */
  readonly signal?: AbortSignal | undefined;
}

/** What the function gets besides the agent. */
export interface CallContext {
  /** Aborted when the attempt is no longer wanted: its timeout, the call's deadline, the caller's signal. */
  readonly signal: AbortSignal;
  /** Number of the attempt in this call, from 1. */
  readonly attempt: number;
}

/** `stopped` is the end of the whole call, and says nothing about the agent. */
export type AttemptEnd<R> =
  | { readonly name: "succeeded"; readonly result: R }
  | { readonly name: "failed"; readonly error: unknown }
  | { readonly name: "timed_out"; readonly error: PoolError }
  | { readonly name: "stopped"; readonly error: PoolError };

/** The signal is made when it is first asked for: most functions never do. */
class Context implements CallContext {
  readonly attempt: number;
  #controller: AbortController | undefined;

  constructor(attempt: number) {
    this.attempt = attempt;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    return this.#controller.signal;
  }

  abort(reason: PoolError): void {
    this.#controller ??= new AbortController();
    this.#controller.abort(reason);
  }
}

/** Begun by `open`, ended by `close`. */
export class Call {
  readonly #clock: Clock;
  readonly #limits: CallLimits;
  /** Only where something can stop the call. */
  #stop: AbortController | undefined;
  #close: (() => void) | undefined;
  #done: (() => void) | undefined;

  constructor(clock: Clock, limits: CallLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Starts the time of the deadline and listens to the caller's signal. */
  open(): void {
    this.#done = this.#clock.atWork?.();
    const { signal, deadlineMs } = this.#limits;
    if (signal === undefined && deadlineMs === undefined) return;
    const stop = new AbortController();
    this.#stop = stop;
    const cancel = (): void => stop.abort(cancelled(signal?.reason));
    if (signal?.aborted) cancel();
    signal?.addEventListener("abort", cancel, { once: true });
    const timer =
      deadlineMs === undefined ? undefined : this.#clock.timer(deadlineMs, () => stop.abort(tooLate(deadlineMs)));
    this.#close = () => {
      timer?.cancel();
      signal?.removeEventListener("abort", cancel);
    };
  }

  close(): void {
    this.#close?.();
    this.#done?.();
  }

  /** Why the call has ended early; undefined while it goes on. `cause` is the last failure in it, if any. */
  stopped(cause?: unknown): PoolError | undefined {
    if (!this.#stop?.signal.aborted) return undefined;
    const { code, message, details, cause: own } = this.#stop.signal.reason as PoolError;
    return new PoolError(code, message, { details, cause: own ?? cause });
  }

  /** Resolves after the delay, or when the call is stopped. */
  async wait(delayMs: number): Promise<void> {
    await sleep(this.#clock, delayMs, this.#stop?.signal);
  }

  /**
   * Runs the function once. Resolves as soon as it has ended, its time is over or the call is stopped; never rejects.
   *
   * @param left - called when the function itself has ended, which may be later, or never
   */
  attempt<R>(
    number: number,
    run: (context: CallContext) => R | PromiseLike<R>,
    left: () => void,
  ): Promise<AttemptEnd<R>> {
    const { timeoutMs } = this.#limits;
    const stop = this.#stop?.signal;
    const context = new Context(number);
    return new Promise((resolve) => {
      const end = (how: AttemptEnd<R>): void => {
        timer?.cancel();
        stop?.removeEventListener("abort", stopped);
        resolve(how);
      };
      const cut = (how: Extract<AttemptEnd<R>, { name: "timed_out" | "stopped" }>): void => {
        end(how);
        context.abort(how.error);
      };
      const stopped = (): void => cut({ name: "stopped", error: stop?.reason as PoolError });
      const timer =
        timeoutMs === undefined
          ? undefined
          : this.#clock.timer(timeoutMs, () => cut({ name: "timed_out", error: tooSlow(timeoutMs) }));
      stop?.addEventListener("abort", stopped, { once: true });
      started(run, context).then(
        (result) => {
          left();
          end({ name: "succeeded", result });
        },
        (error: unknown) => {
          left();
          end({ name: "failed", error });
        },
      );
    });
  }
}

/** What a function throws before it returns is a failure like any other. */
async function started<R>(run: (context: CallContext) => R | PromiseLike<R>, context: CallContext): Promise<R> {
  return await run(context);
}

function cancelled(cause: unknown): PoolError {
  return new PoolError("cancelled", "the call was cancelled", { cause });
}

function tooLate(deadlineMs: number): PoolError {
  const message = `the call did not end within its deadline of ${deadlineMs} ms`;
  return new PoolError("deadline_exceeded", message, { details: { deadlineMs } });
}

function tooSlow(timeoutMs: number): PoolError {
  const message = `the attempt did not end within its timeout of ${timeoutMs} ms`;
  return new PoolError("deadline_exceeded", message, { retryable: true, details: { timeoutMs } });
}
