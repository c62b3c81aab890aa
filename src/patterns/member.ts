/** One agent of a call-through form: its slots, its breaker, what its calls say of it. */
import type { Clock } from "../base/clock.ts";
import { type AgentId, asAgentId } from "../base/ids.ts";
import type { Random } from "../base/random.ts";
import type { Health } from "../core/agent.ts";
import { hashOf } from "../policies/balancer/affinity.ts";
import type { Candidate } from "../policies/balancer/balancer.ts";
import type { BreakerOptions } from "../policies/breaker/options.ts";
import type { HealthOptions } from "../policies/health.ts";
import { type Measure, newMeasure, observe, type PoolLatency } from "../policies/measure.ts";
import { NO_OUTCOMES } from "../policies/outcomes.ts";
import { type Fault, isAgentsFault } from "./fault.ts";
import { LiveBreaker, type OnTransition, type Permit } from "./live-breaker.ts";
import { type HealthVerdict, verdictOf } from "./passive-health.ts";
import { type CallStats, iso, Tally } from "./tally.ts";

/** What an agent is added with. */
export interface MemberFacts<T> {
  readonly id: string;
  readonly agent: T;
  /** Place in the order of joining, from 0. */
  readonly ordinal: number;
  readonly weight: number;
  readonly priority: number;
  /** Calls at a time; undefined = any number. */
  readonly concurrency: number | undefined;
}

/** What all agents of a pool or chain share. */
export interface MemberRules {
  readonly clock: Clock;
  readonly random: Random;
  readonly breaker: BreakerOptions | false;
  readonly health: HealthOptions;
  /** How long a function that ignores its signal keeps its slot. Milliseconds. */
  readonly abandonMs: number;
  readonly latency: PoolLatency;
  readonly onTransition: ((id: string, ...change: Parameters<OnTransition>) => unknown) | undefined;
}

/** How long an agent rests that was throttled and did not say for how long: doubling until a success. */
const REST_MS = { first: 1_000, cap: 60_000 };

/** An unhealthy agent without a breaker, or with a closed one, is tried once in so long. */
export const TRIAL_MS = 30_000;

const HEALTHY: HealthVerdict = { health: "healthy", byRatio: false, errorShare: 0 };

export class Member<T> implements Candidate {
  readonly id: string;
  readonly agentId: AgentId;
  readonly agent: T;
  readonly ordinal: number;
  readonly weight: number;
  readonly priority: number;
  readonly hash: number;
  /** Without a limit load is compared as if each had one slot. */
  readonly capacity: number;
  turnWeight = 0;
  /** Nobody waits in a queue here, so nothing comes in bursts that slow start could spread. */
  readonly warming = undefined;
  readonly #limit: number;
  readonly #rules: MemberRules;
  readonly #breaker: LiveBreaker | undefined;
  readonly #runs = new Set<Run>();
  /** Those of the runs whose attempt has ended. */
  readonly #overdue = new Set<Run>();
  #measure = newMeasure();
  #tally = new Tally();
  #calls = NO_OUTCOMES;
  #isDetached = false;
  #restUntilMs = Number.NEGATIVE_INFINITY;
  #restMs = 0;
  #lastBegunMs = Number.NEGATIVE_INFINITY;

  constructor(facts: MemberFacts<T>, rules: MemberRules) {
    this.id = facts.id;
    this.agentId = asAgentId(facts.id);
    this.agent = facts.agent;
    this.ordinal = facts.ordinal;
    this.weight = facts.weight;
    this.priority = facts.priority;
    this.capacity = facts.concurrency ?? 1;
    this.hash = hashOf(facts.id);
    this.#limit = facts.concurrency ?? Number.POSITIVE_INFINITY;
    this.#rules = rules;
    const { breaker: options, clock, random, onTransition } = rules;
    if (options === false) return;
    this.#breaker = new LiveBreaker({
      options,
      clock,
      random,
      onTransition: (from, to, reason) => {
        if (to === "closed") this.#calls = NO_OUTCOMES;
        return this.#isDetached ? undefined : onTransition?.(this.id, from, to, reason);
      },
    });
  }

  get inFlight(): number {
    return this.#runs.size;
  }

  get measure(): Measure {
    return this.#measure;
  }

  hasSlot(): boolean {
    this.#abandonOverdue();
    return this.#runs.size < this.#limit;
  }

  /** The breaker would let a call through now. */
  get isAdmitted(): boolean {
    return this.#breaker === undefined || this.#breaker.admitsInMs <= 0;
  }

  /** Left alone because it was throttled. */
  get isResting(): boolean {
    return this.restsForMs > 0;
  }

  get restsForMs(): number {
    if (this.#restUntilMs === Number.NEGATIVE_INFINITY) return 0;
    return Math.max(0, this.#restUntilMs - this.#nowMs());
  }

  /** Milliseconds until neither rest nor breaker is in the way. */
  get idleForMs(): number {
    return Math.max(this.restsForMs, this.#breaker?.admitsInMs ?? 0);
  }

  /** Whether it may be given a call so long from now, as far as rest and an open breaker go. */
  mayServeIn(delayMs: number): boolean {
    return this.restsForMs <= delayMs && this.#breaker?.stateIn(delayMs) !== "open";
  }

  verdict(): HealthVerdict {
    if (this.#calls.failures === 0) return HEALTHY;
    const { health } = this.#rules;
    return verdictOf(this.#calls.within(this.#nowMs(), health.maxAgeMs), health);
  }

  /** An unhealthy agent is tried by the permits of its half-open breaker, else now and then. */
  get isTrialDue(): boolean {
    return this.#breaker?.state === "half_open" || this.#nowMs() - this.#lastBegunMs >= TRIAL_MS;
  }

  /**
   * Takes a slot and the breaker's permit for one call; undefined when there is none of either.
   *
   * @param anyway - goes without a permit where there is none; the outcome then says nothing to the breaker
   */
  begin({ anyway }: { readonly anyway: boolean }): Run | undefined {
    if (!this.hasSlot()) return undefined;
    const permit = this.#breaker?.acquire();
    if (permit === undefined && this.#breaker !== undefined && !anyway) return undefined;
    const begunMs = this.#nowMs();
    const tally = this.#tally;
    const run: Run = {
      permit,
      begunMs,
      overdueMs: undefined,
      counts: () => this.#tally === tally,
    };
    this.#lastBegunMs = begunMs;
    this.#runs.add(run);
    return run;
  }

  /** The function itself has ended: the slot is free. */
  leave(run: Run): void {
    this.#runs.delete(run);
    this.#overdue.delete(run);
  }

  succeeded(run: Run, type: string): void {
    const tookMs = this.#nowMs() - run.begunMs;
    if (run.counts()) {
      this.#restMs = 0;
      this.#tally.succeeded(tookMs, this.#rules.clock.now());
      this.#observe({ succeeded: true, type, tookMs });
      this.#rules.latency.add(tookMs);
    }
    run.permit?.succeed();
  }

  failed(run: Run, fault: Fault, type: string): void {
    if (fault.blame === "throttle" && run.counts()) this.#rest(fault.retryAfterMs);
    if (!isAgentsFault(fault)) {
      run.permit?.cancel();
      return;
    }
    if (run.counts()) {
      this.#tally.failed(this.#rules.clock.now());
      this.#observe({ succeeded: false, type, tookMs: this.#nowMs() - run.begunMs });
    }
    run.permit?.fail({ retryAfterMs: fault.retryAfterMs });
  }

  /** The call ended for a reason that is not the agent's. */
  cancelled(run: Run): void {
    run.permit?.cancel();
  }

  /** The attempt has ended, the function perhaps not: the slot stays taken until it has, or until it is given up. */
  overdue(run: Run): void {
    run.overdueMs = this.#nowMs();
    this.#overdue.add(run);
  }

  reset(): void {
    this.#tally = new Tally();
    this.#measure = newMeasure();
    this.#calls = NO_OUTCOMES;
    this.#restUntilMs = Number.NEGATIVE_INFINITY;
    this.#restMs = 0;
    this.#lastBegunMs = Number.NEGATIVE_INFINITY;
    this.#breaker?.reset();
  }

  /** It is no longer of the pool: its calls go on, but count for nothing and are told to nobody. */
  detach(): void {
    this.#isDetached = true;
    this.#tally = new Tally();
  }

  /** @param health - as the pool sees it, which may be milder than its own verdict */
  stats(health: Health): CallStats {
    this.#abandonOverdue();
    const nowMs = this.#rules.clock.now();
    return {
      ...this.#tally.stats(),
      inFlight: this.inFlight,
      health,
      breaker: this.#breakerView(nowMs),
      ...(this.isResting && { cooldownUntil: iso(nowMs + this.restsForMs) }),
    };
  }

  #breakerView(nowMs: number): CallStats["breaker"] {
    const opening = this.#breaker?.opening;
    if (opening === undefined) return { state: this.#breaker?.state ?? "closed" };
    return { state: "open", until: iso(nowMs + opening.leftMs), reason: opening.reason };
  }

  #observe({ succeeded, type, tookMs }: { succeeded: boolean; type: string; tookMs: number }): void {
    const nowMs = this.#nowMs();
    const { latency, health } = this.#rules;
    observe(this.#measure, { type, succeeded, tookMs, endedAtMs: nowMs }, latency);
    this.#calls = this.#calls.with({ atMs: nowMs, failed: !succeeded }, health);
  }

  /** The later of old and new. */
  #rest(retryAfterMs: number | undefined): void {
    const next = this.#restMs === 0 ? REST_MS.first : Math.min(this.#restMs * 2, REST_MS.cap);
    if (retryAfterMs === undefined) this.#restMs = next;
    this.#restUntilMs = Math.max(this.#restUntilMs, this.#nowMs() + (retryAfterMs ?? next));
  }

  #abandonOverdue(): void {
    if (this.#overdue.size === 0) return;
    const nowMs = this.#nowMs();
    for (const run of this.#overdue) {
      if (nowMs - (run.overdueMs ?? nowMs) < this.#rules.abandonMs) continue;
      this.leave(run);
      this.#tally.abandoned();
    }
  }

  #nowMs(): number {
    return this.#rules.clock.monotonic();
  }
}

/** One call that takes a slot. */
export interface Run {
  readonly permit: Permit | undefined;
  readonly begunMs: number;
  /** Since when its end is awaited in vain. */
  overdueMs: number | undefined;
  /** False once the agent was reset or removed. */
  readonly counts: () => boolean;
}
