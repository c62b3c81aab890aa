/** A fallback chain: agents tried in their order until one succeeds. */
import type { Clock } from "../base/clock.ts";
import { invalid, PoolError } from "../base/errors.ts";
import type { BreakerOptions } from "../policies/breaker/options.ts";
import type { HealthOptions } from "../policies/health.ts";
import { PoolLatency } from "../policies/measure.ts";
import { attemptOn } from "./attempt.ts";
import { Call, type CallContext, type CallLimits } from "./call.ts";
import { type Classify, faultOf, isFinal } from "./fault.ts";
import { Member, type MemberRules, type Run } from "./member.ts";
import {
  checkFunction,
  checkKnown,
  type Given,
  resolveAbandonMs,
  resolveBreaker,
  resolveHealth,
  resolveLimits,
  resolveSurroundings,
  type Surroundings,
} from "./options.ts";
import type { CallStats } from "./tally.ts";
import { tell } from "./tell.ts";

type ErrorClass = abstract new (...args: never[]) => Error;

export interface FallbackChainOptions extends Surroundings {
  /**
   * Which errors make the chain go on to its next entry: a predicate, or a list of error classes. All others are
   * thrown at once. When absent: every error but those of an `AgentError` that says that nobody else would do better.
   */
  readonly handles?: ((error: unknown) => boolean) | readonly ErrorClass[] | undefined;
  /** One per entry; an entry whose breaker is open is skipped. False = none. */
  readonly breaker?: Given<BreakerOptions> | false | undefined;
  /** For the health in `stats`. */
  readonly health?: Given<HealthOptions> | undefined;
  /** For each attempt, unless the call says otherwise. Milliseconds. */
  readonly timeoutMs?: number | undefined;
  /** For the whole call, unless the call says otherwise. Milliseconds. */
  readonly deadlineMs?: number | undefined;
  /** Says which errors are not the entry's fault and so don't count in its breaker. */
  readonly classify?: Classify | undefined;
  /** Told of every change of an entry's breaker, after it; what it throws is dropped. */
  readonly onTransition?: MemberRules["onTransition"];
}

export interface ChainCallOptions extends CallLimits {
  /** Told that an entry has failed and another is tried next; never after the last. What it throws is dropped. */
  readonly onFallback?: ((name: string, error: unknown) => unknown) | undefined;
}

/** What came of a call. `attempts` are the failed ones, in their order. */
export type ChainResult<R> =
  | {
      readonly success: true;
      readonly agent: string;
      readonly result: R;
      readonly error: undefined;
      readonly attempts: readonly FailedAttempt[];
    }
  | {
      readonly success: false;
      readonly agent: undefined;
      readonly result: undefined;
      /** Of the last attempt; `no_agents` when there was none. */
      readonly error: unknown;
      readonly attempts: readonly FailedAttempt[];
    };

export interface FailedAttempt {
  readonly agent: string;
  readonly error: unknown;
}

/** Any number of calls may run at a time. Each works on the entries that the chain had when it began. */
export interface FallbackChain<T> {
  readonly size: number;
  readonly isEmpty: boolean;
  /** Appends an entry. @throws PoolError `duplicate_id` for a name the chain has */
  add(name: string, agent: T): FallbackChain<T>;
  /** Puts an entry before the one at `index`; from the size on it is appended. */
  insert(index: number, name: string, agent: T): FallbackChain<T>;
  /** False when there is no such entry. */
  remove(name: string): boolean;
  /** Clears an entry's record and breaker. False when there is no such entry. */
  reset(name: string): boolean;
  /** By name, in the order of the chain. */
  stats(): Record<string, CallStats>;
  /**
   * @returns what the function returns for the first entry that succeeds; rejects with the last error
   * @throws PoolError `no_agents` when the chain is empty or no entry may be called, `deadline_exceeded`, `cancelled`
   */
  execute<R>(fn: ChainFunction<T, R>, options?: ChainCallOptions): Promise<R>;
  /** As `execute`, but rejects only with errors that are not handled, and when the call as a whole is ended early. */
  executeDetailed<R>(fn: ChainFunction<T, R>, options?: ChainCallOptions): Promise<ChainResult<R>>;
}

export type ChainFunction<T, R> = (agent: T, context: CallContext) => R | PromiseLike<R>;

const FIELDS = [
  ...["handles", "breaker", "health", "timeoutMs", "deadlineMs", "classify", "onTransition", "clock", "random"],
];
const CALL_FIELDS = ["onFallback", "timeoutMs", "deadlineMs", "signal"];
/** Entries a chain may hold. */
const LIMIT = 1_000;

/** @throws PoolError `invalid` with the path of an option that is not possible */
export function createFallbackChain<T>(options: FallbackChainOptions = {}): FallbackChain<T> {
  checkKnown(options, FIELDS);
  const { clock, random } = resolveSurroundings(options);
  return new CallChain<T>({
    clock,
    random,
    breaker: options.breaker === false ? false : resolveBreaker(options.breaker, "breaker"),
    health: resolveHealth(options.health),
    limits: resolveLimits({ timeoutMs: options.timeoutMs, deadlineMs: options.deadlineMs }),
    abandonMs: resolveAbandonMs(undefined),
    handles: resolveHandles(options),
    classify: options.classify,
    onTransition: options.onTransition,
    latency: new PoolLatency(),
  });
}

interface ChainParts extends MemberRules {
  readonly clock: Clock;
  readonly limits: CallLimits;
  readonly handles: (error: unknown) => boolean;
  readonly classify: Classify | undefined;
}

/** An entry that may be called now, and its place. */
interface Turn<T> {
  readonly index: number;
  readonly entry: Member<T>;
  readonly run: Run;
}

class CallChain<T> implements FallbackChain<T> {
  readonly #parts: ChainParts;
  /** Replaced as a whole, so that calls under way keep theirs. */
  #entries: readonly Member<T>[] = [];

  constructor(parts: ChainParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#entries.length;
  }

  get isEmpty(): boolean {
    return this.size === 0;
  }

  add(name: string, agent: T): FallbackChain<T> {
    return this.insert(this.size, name, agent);
  }

  insert(index: number, name: string, agent: T): FallbackChain<T> {
    if (!Number.isSafeInteger(index) || index < 0) throw invalid("index", "expected an integer of at least 0");
    if (typeof name !== "string" || name === "") throw invalid("name", "expected a text that is not empty");
    if (this.#find(name) !== undefined) {
      throw new PoolError("duplicate_id", `there is an entry ${name} already`, { details: { id: name } });
    }
    if (this.size >= LIMIT) {
      throw new PoolError("no_capacity", `the chain holds ${LIMIT} entries`, { details: { limit: LIMIT } });
    }
    const facts = { id: name, agent, ordinal: 0, weight: 1, priority: 0, concurrency: undefined };
    this.#entries = this.#entries.toSpliced(index, 0, new Member(facts, this.#parts));
    return this;
  }

  remove(name: string): boolean {
    const entry = this.#find(name);
    entry?.detach();
    this.#entries = this.#entries.filter((one) => one !== entry);
    return entry !== undefined;
  }

  reset(name: string): boolean {
    const entry = this.#find(name);
    entry?.reset();
    return entry !== undefined;
  }

  stats(): Record<string, CallStats> {
    return Object.fromEntries(this.#entries.map((entry) => [entry.id, entry.stats(entry.verdict().health)]));
  }

  async execute<R>(fn: ChainFunction<T, R>, options: ChainCallOptions = {}): Promise<R> {
    const ended = await this.executeDetailed(fn, options);
    if (!ended.success) throw ended.error;
    return ended.result;
  }

  async executeDetailed<R>(fn: ChainFunction<T, R>, options: ChainCallOptions = {}): Promise<ChainResult<R>> {
    checkKnown(options, CALL_FIELDS);
    checkFunction(fn);
    const call = new Call(this.#parts.clock, resolveLimits(options, this.#parts.limits));
    call.open();
    try {
      return await this.#run(fn, call, options.onFallback);
    } finally {
      call.close();
    }
  }

  async #run<R>(
    fn: ChainFunction<T, R>,
    call: Call,
    onFallback: ChainCallOptions["onFallback"],
  ): Promise<ChainResult<R>> {
    const { classify, handles } = this.#parts;
    const entries = this.#entries;
    const attempts: FailedAttempt[] = [];
    const early = call.stopped();
    if (early !== undefined) throw early;
    let turn: Turn<T> | undefined = nextTurn(entries, 0);
    if (turn === undefined) return failure(nobody(entries), attempts);
    for (let number = 1; ; number++) {
      const { entry, run, index }: Turn<T> = turn;
      const ended = await attemptOn(entry, run, { call, number, type: "general", classify, fn });
      if (ended.name === "succeeded") {
        return { success: true, agent: entry.id, result: ended.result, error: undefined, attempts };
      }
      if (ended.name === "stopped") throw call.stopped(attempts.at(-1)?.error);
      const { error } = ended;
      if (!handles(error)) throw error;
      attempts.push({ agent: entry.id, error });
      // Taken before anybody is told that there is another one.
      turn = nextTurn(entries, index + 1);
      if (turn === undefined) return failure(error, attempts);
      tell(onFallback, entry.id, error);
      const stopped = call.stopped(error);
      if (stopped === undefined) continue;
      turn.entry.leave(turn.run);
      turn.entry.cancelled(turn.run);
      throw stopped;
    }
  }

  #find(name: string): Member<T> | undefined {
    return this.#entries.find(({ id }) => id === name);
  }
}

/** The first entry from there on that does not rest and whose breaker lets a call through. */
function nextTurn<T>(entries: readonly Member<T>[], from: number): Turn<T> | undefined {
  for (let index = from; index < entries.length; index++) {
    const entry = entries[index] as Member<T>;
    const run = entry.isResting ? undefined : entry.begin({ anyway: false });
    if (run !== undefined) return { index, entry, run };
  }
  return undefined;
}

function failure(error: unknown, attempts: readonly FailedAttempt[]): ChainResult<never> {
  return { success: false, agent: undefined, result: undefined, error, attempts };
}

function nobody<T>(entries: readonly Member<T>[]): PoolError {
  if (entries.length === 0) return new PoolError("no_agents", "the chain is empty", { details: { agents: 0 } });
  const details = { agents: entries.length, retryAfterMs: Math.min(...entries.map((entry) => entry.idleForMs)) };
  return new PoolError("no_agents", `none of ${entries.length} entries may be called now`, {
    retryable: true,
    details,
  });
}

function resolveHandles({ handles, classify }: FallbackChainOptions): (error: unknown) => boolean {
  if (handles === undefined) return (error) => !isFinal(faultOf(error, classify));
  if (typeof handles === "function") return (error) => says(handles, error);
  if (!Array.isArray(handles) || handles.length === 0) {
    throw invalid("handles", "expected a function, or a list of at least one error class");
  }
  handles.forEach((kind: unknown, at) => {
    if (!isErrorClass(kind)) throw invalid(`handles[${at}]`, "expected an error class");
  });
  const kinds = [...handles];
  return (error) => kinds.some((kind) => error instanceof kind);
}

/** A predicate that fails has not said that it handles the error. */
function says(handles: (error: unknown) => boolean, error: unknown): boolean {
  try {
    return handles(error) === true;
  } catch {
    return false;
  }
}

function isErrorClass(kind: unknown): kind is ErrorClass {
  return typeof kind === "function" && (kind === Error || kind.prototype instanceof Error);
}
