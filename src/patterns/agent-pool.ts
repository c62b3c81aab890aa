/** A call-through pool: the caller's function is run on one of the agents at once; nothing is queued or stored. */
import type { Clock } from "../base/clock.ts";
import { PoolError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { backoffMs } from "../policies/backoff.ts";
import type { Candidates, Choice } from "../policies/balancer/balancer.ts";
import { provenSuccessRate } from "../policies/balancer/score.ts";
import type { BreakerOptions } from "../policies/breaker/options.ts";
import type { HealthOptions } from "../policies/health.ts";
import { PoolLatency } from "../policies/measure.ts";
import { RetryBudget } from "../policies/retry-budget.ts";
import { type Attempted, attemptOn } from "./attempt.ts";
import { Call, type CallContext, type CallLimits } from "./call.ts";
import type { Classify } from "./fault.ts";
import type { Member, MemberRules } from "./member.ts";
import {
  type CallRetryOptions,
  checkFunction,
  checkKnown,
  type Given,
  type GivenRetry,
  resolveAbandonMs,
  resolveBreaker,
  resolveHealth,
  resolveLimits,
  resolvePanicBelow,
  resolveRetries,
  resolveRetry,
  resolveSurroundings,
  type Surroundings,
} from "./options.ts";
import { type AddAgentOptions, Roster } from "./roster.ts";
import { eligible, standings } from "./selection.ts";
import { type Chooser, resolveStrategy, type StrategyOptions } from "./strategy.ts";
import type { CallStats } from "./tally.ts";

export interface AgentPoolOptions extends StrategyOptions, Surroundings {
  /** One per agent; false = none. */
  readonly breaker?: Given<BreakerOptions> | false | undefined;
  readonly health?: Given<HealthOptions> | undefined;
  readonly retry?: GivenRetry | undefined;
  /** For each attempt, unless the call says otherwise. Milliseconds. */
  readonly timeoutMs?: number | undefined;
  /** For the whole call, unless the call says otherwise. Milliseconds. */
  readonly deadlineMs?: number | undefined;
  /** How long a function that ignores its signal keeps its slot after its timeout. Milliseconds. */
  readonly abandonMs?: number | undefined;
  /** Share of agents fit for work below which breakers and health are disregarded; 0 = never. */
  readonly panicBelow?: number | undefined;
  /** Says which errors are not the agent's fault. Without it every error counts, but what an `AgentError` says of itself. */
  readonly classify?: Classify | undefined;
  /** Told of every change of an agent's breaker, after it; what it throws is dropped. */
  readonly onTransition?: MemberRules["onTransition"];
}

export interface CallOptions extends CallLimits {
  /** Calls after the first, at most; 0 = one call. `retry.maxAttempts` - 1 when absent. */
  readonly retries?: number | undefined;
  /** False = never repeated: for what must not be done twice. A function decides by the error. */
  readonly retryable?: boolean | ((error: unknown) => boolean) | undefined;
  /** Calls of one key go to the same agent under `affinity`. */
  readonly affinityKey?: string | undefined;
  /** Kind of work, for `type_latency`. `general` when absent. */
  readonly type?: string | undefined;
}

/**
 * Agents of one kind behind one call.
 *
 * An agent may be given a call while its breaker lets it through, its recent calls did not make it unhealthy, it does
 * not rest after being throttled, and it has a slot. All of that is asked at the moment of the choice.
 */
export interface AgentPool<T> {
  /** @throws PoolError `duplicate_id` unless `replace`, `invalid` for a weight that is negative or not finite */
  add(id: string, agent: T, options?: AddAgentOptions): AgentPool<T>;
  /** Calls under way on it go on, and count for nothing. False when there is no such agent. */
  remove(id: string): boolean;
  /** Clears its stats, health, rest and breaker. False when there is no such agent. */
  reset(id: string): boolean;
  /** False when there are no agents. */
  resetAll(): boolean;
  /** Ids of the agents that could be given a call now, in the order of joining. */
  available(): string[];
  /** By id, in the order of joining. */
  stats(): Record<string, CallStats & Pick<AddAgentOptions, "metadata">>;
  /**
   * Runs the function on an agent; when it fails, on others, and on the same again after a delay.
   *
   * @returns what the function returns; rejects with the last error of the call
   * @throws PoolError `no_agents` when nobody could be given the call, `deadline_exceeded`, `cancelled`
   */
  execute<R>(fn: (agent: T, context: CallContext) => R | PromiseLike<R>, options?: CallOptions): Promise<R>;
}

const FIELDS = [
  ...["strategy", "onStrategyError", "clock", "random", "breaker", "health", "retry", "timeoutMs", "deadlineMs"],
  ...["abandonMs", "panicBelow", "classify", "onTransition"],
];
const CALL_FIELDS = ["retries", "retryable", "affinityKey", "type", "timeoutMs", "deadlineMs", "signal"];

/** @throws PoolError `invalid` with the path of an option that is not possible */
export function createAgentPool<T>(options: AgentPoolOptions = {}): AgentPool<T> {
  checkKnown(options, FIELDS);
  const { clock, random } = resolveSurroundings(options);
  return new CallPool<T>({
    clock,
    random,
    breaker: options.breaker === false ? false : resolveBreaker(options.breaker, "breaker"),
    health: resolveHealth(options.health),
    retry: resolveRetry(options.retry),
    limits: resolveLimits({ timeoutMs: options.timeoutMs, deadlineMs: options.deadlineMs }),
    abandonMs: resolveAbandonMs(options.abandonMs),
    panicBelow: resolvePanicBelow(options.panicBelow),
    choose: resolveStrategy(options),
    onlyWeighted: options.strategy === "weighted",
    classify: options.classify,
    onTransition: options.onTransition,
    latency: new PoolLatency(),
  });
}

interface PoolParts extends MemberRules {
  readonly clock: Clock;
  readonly random: Random;
  readonly retry: CallRetryOptions;
  readonly limits: CallLimits;
  readonly panicBelow: number;
  readonly choose: Chooser;
  /** Weight 0 means never. */
  readonly onlyWeighted: boolean;
  readonly classify: Classify | undefined;
}

type Failed = Extract<Attempted<unknown>, { name: "failed" }>;

/** What was chosen, and whether without regard to breakers. */
interface Chosen<T> {
  readonly member: Member<T>;
  readonly isPanic: boolean;
}

class CallPool<T> implements AgentPool<T> {
  readonly #parts: PoolParts;
  readonly #roster: Roster<T>;
  readonly #budget: RetryBudget | undefined;
  #lastOrdinal = -1;

  constructor(parts: PoolParts) {
    this.#parts = parts;
    this.#roster = new Roster(parts);
    this.#budget = parts.retry.budget === false ? undefined : new RetryBudget(parts.retry.budget);
  }

  add(id: string, agent: T, options: AddAgentOptions = {}): AgentPool<T> {
    this.#roster.add(id, agent, options);
    return this;
  }

  remove(id: string): boolean {
    return this.#roster.remove(id);
  }

  reset(id: string): boolean {
    const member = this.#roster.get(id);
    member?.reset();
    return member !== undefined;
  }

  resetAll(): boolean {
    const members = this.#roster.all;
    for (const member of members) member.reset();
    return members.length > 0;
  }

  available(): string[] {
    return standings(this.#inPlay())
      .filter(({ member, isFit }) => isFit && member.hasSlot())
      .map(({ member }) => member.id);
  }

  stats(): Record<string, CallStats & Pick<AddAgentOptions, "metadata">> {
    return Object.fromEntries(
      standings(this.#roster.all).map(({ member, health }) => {
        const metadata = this.#roster.metadataOf(member);
        return [member.id, { ...member.stats(health), ...(metadata !== undefined && { metadata }) }];
      }),
    );
  }

  async execute<R>(fn: (agent: T, context: CallContext) => R | PromiseLike<R>, options: CallOptions = {}): Promise<R> {
    checkKnown(options, CALL_FIELDS);
    checkFunction(fn);
    const retries = resolveRetries(options.retries, this.#parts.retry);
    const call = new Call(this.#parts.clock, resolveLimits(options, this.#parts.limits));
    call.open();
    try {
      return await this.#run(fn, { call, retries, options });
    } finally {
      call.close();
    }
  }

  /** One attempt after the other, until one succeeds or there is a reason not to go on. */
  async #run<R>(
    fn: (agent: T, context: CallContext) => R | PromiseLike<R>,
    { call, retries, options }: { call: Call; retries: number; options: CallOptions },
  ): Promise<R> {
    const tried = new Set<Member<T>>();
    let last: Failed | undefined;
    for (let number = 1; ; number++) {
      const stopped = call.stopped(last?.error);
      if (stopped !== undefined) throw stopped;
      const chosen = this.#choose(tried, options);
      const run = chosen?.member.begin({ anyway: chosen.isPanic });
      if (chosen === undefined || run === undefined) throw last === undefined ? this.#nobody() : last.error;
      if (number === 1) this.#budget?.began(this.#nowMs());
      tried.add(chosen.member);
      const ended = await attemptOn(chosen.member, run, {
        call,
        number,
        fn,
        type: options.type ?? "general",
        classify: this.#parts.classify,
      });
      if (ended.name === "succeeded") return ended.result;
      if (ended.name === "stopped") continue;
      last = ended;
      if (ended.isFinal || number > retries || !isRetryable(ended.error, options.retryable)) throw ended.error;
      if (!(await this.#mayRetry(ended, { call, number, tried }))) throw ended.error;
    }
  }

  /** Waits as long as it takes before the next attempt; false when there is to be none. */
  async #mayRetry(
    ended: Failed,
    { call, number, tried }: { call: Call; number: number; tried: ReadonlySet<Member<T>> },
  ): Promise<boolean> {
    const { retry, random, panicBelow } = this.#parts;
    const { members, areUntried } = eligible(this.#inPlay(), tried, panicBelow);
    const atOnce = retry.failover === "immediate" && areUntried && !ended.isElsewhere;
    const delayMs = atOnce ? 0 : backoffMs(number, random, retry.backoff);
    if (members.length === 0 && !this.#inPlay().some((member) => member.mayServeIn(delayMs))) return false;
    // Nobody waits for the budget here: in a form without a queue that would be a queue without a limit.
    if (ended.drawsOnBudget && this.#budget?.take(this.#nowMs()) === false) return false;
    if (!atOnce) await call.wait(delayMs);
    return true;
  }

  #choose(tried: ReadonlySet<Member<T>>, { affinityKey, type = "general" }: CallOptions): Chosen<T> | undefined {
    const { choose, random, latency, panicBelow } = this.#parts;
    const all = this.#inPlay();
    const { members, isPanic } = eligible(all, tried, panicBelow);
    if (!isNonEmpty(members)) return undefined;
    const choice: Choice = {
      type,
      priority: 3,
      affinityKey,
      nowMs: this.#nowMs(),
      lastOrdinal: this.#lastOrdinal,
      halfLifeMs: latency.halfLifeMs,
      crew: { inFlight: all.reduce((sum, { inFlight }) => sum + inFlight, 0), agents: all.length },
      poolSuccessRate: provenSuccessRate(all),
    };
    const member = choose(members, choice, random);
    if (member === undefined) return undefined;
    this.#lastOrdinal = member.ordinal;
    return { member, isPanic };
  }

  /** All but those whose weight says never. */
  #inPlay(): readonly Member<T>[] {
    const { all } = this.#roster;
    return this.#parts.onlyWeighted ? all.filter(({ weight }) => weight > 0) : all;
  }

  #nobody(): PoolError {
    const agents = this.#roster.size;
    const idle = this.#inPlay().map((member) => member.idleForMs);
    if (idle.length === 0) {
      const message = agents === 0 ? "the pool has no agents" : "all agents of the pool have weight 0";
      return new PoolError("no_agents", message, { details: { agents } });
    }
    const details = { agents, retryAfterMs: Math.min(...idle) };
    return new PoolError("no_agents", `none of ${agents} agents may be given a call now`, { retryable: true, details });
  }

  #nowMs(): number {
    return this.#parts.clock.monotonic();
  }
}

/** A predicate that fails leaves the call unrepeated: twice is worse than once. */
function isRetryable(error: unknown, retryable: CallOptions["retryable"]): boolean {
  if (typeof retryable !== "function") return retryable ?? true;
  try {
    return retryable(error) === true;
  } catch {
    return false;
  }
}

function isNonEmpty<C>(list: readonly C[]): list is Candidates<C> {
  return list.length > 0;
}
