/** A pool: agents under one set of rules, and the counts that bound it. */
import type { AgentId, PoolId, TaskId } from "../base/ids.ts";
import type { Json } from "../base/json.ts";
import type { AutoscaleOptions } from "../policies/autoscale.ts";
import type { BackoffOptions } from "../policies/backoff.ts";
import type { Strategy } from "../policies/balancer/strategies.ts";
import type { BreakerOptions } from "../policies/breaker/options.ts";
import type { DrainRate } from "../policies/drain-rate.ts";
import type { HealthOptions } from "../policies/health.ts";
import type { PoolLatency } from "../policies/measure.ts";
import type { RestartOptions } from "../policies/restart.ts";
import type { RetentionOptions } from "../policies/retention.ts";
import type { RetryBudget, RetryBudgetOptions } from "../policies/retry-budget.ts";
import type { AgentIdentity, AgentKind } from "./agent.ts";
import type { Quarantined } from "./quarantined.ts";
import type { RateOptions } from "./rate.ts";
import type { SpendOptions, SpendWindow } from "./spend.ts";
import type { PriorityName } from "./task.ts";

export interface QueueOptions {
  /** Tasks that may wait for an agent. 0 = only what can start at once. */
  readonly limit: number;
  /** Tasks that may wait for dependencies. */
  readonly blockedLimit: number;
  /** Tasks that may wait for their `runAt`. */
  readonly delayedLimit: number;
  /** What finds the queue full is refused at once, or held for `maxWaitMs` at most. */
  readonly overflow: "reject" | "wait";
  /** Milliseconds; 0 = not at all. */
  readonly maxWaitMs: number;
  /** Tasks whose type a closed gate holds. */
  readonly gatedLimit: number;
}

export interface RetryOptions {
  /** Executions in total. */
  readonly maxAttempts: number;
  /** `immediate`: on another agent at once; `backoff`: always after a delay. */
  readonly failover: "immediate" | "backoff";
  /** Attempts that are given back without being charged, throttling excepted. */
  readonly refundLimit: number;
  readonly backoff: BackoffOptions;
  /** Bounds the retries after `failed` and `timed_out`; false = as many as tasks ask for. */
  readonly budget: RetryBudgetOptions | false;
}

export interface DeadLetterOptions {
  /** Failed tasks that can be replayed; beyond, the oldest can't any more. */
  readonly limit: number;
}

export interface LeaseOptions {
  /** How long an agent may stay silent before its task is given to another. Milliseconds. */
  readonly ttlMs: number;
  /** How often a lease is renewed. Milliseconds. */
  readonly renewMs: number;
}

/** The highest port there is. */
export const LAST_PORT = 65_535;

export interface SizeOptions {
  readonly min: number;
  readonly default: number;
  readonly max: number;
}

/** How a daemon is started and watched. */
export interface DaemonOptions {
  /** Absolute, or looked up on the PATH. */
  readonly program: string;
  /** May hold `{port}`, `{id}` (number in the pool) and `{dir}`. */
  readonly args: readonly string[];
  /** Where an attempt is posted. */
  readonly path: string;
  /** Daemon i listens on `basePort + i`; 0 lets the system choose. */
  readonly basePort: number;
  readonly healthPath: string;
  readonly readyTimeoutMs: number;
  readonly readyIntervalMs: number;
  readonly readyProbeMs: number;
  /** Share of the daemons that must come up for the pool to start, rounded up. */
  readonly readyShare: number;
  /** File that takes what the daemon writes; `{id}` is its number in the pool. */
  readonly logTemplate?: string | undefined;
  /** Paths linked into the daemon's own directory. */
  readonly link: readonly string[];
  /** Sent as a bearer token with every request to the daemon. */
  readonly token?: string | undefined;
  /** A process that holds more memory than this is started anew once it is empty. Megabytes; undefined = any. */
  readonly memoryLimitMb?: number | undefined;
  /** A process that has been handed so many attempts is started anew once it is empty. Undefined = never. */
  readonly recycleAfter?: number | undefined;
}

/** How a command agent runs one process per attempt. */
export interface CommandOptions {
  readonly program: string;
  /** May hold `{prompt}`, `{taskId}` and `{dir}`. Never given to a shell. */
  readonly args: readonly string[];
  readonly stdin: "prompt" | "json" | "none";
  readonly output: "text" | "json" | "jsonl";
  readonly exitCodes: { readonly task: readonly number[]; readonly throttle: readonly number[] };
}

export interface ProbeOptions {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Bad probes in a row that make an agent unhealthy. */
  readonly fall: number;
  /** Good probes in a row that make it healthy again. */
  readonly rise: number;
}

/** One entry of `agents`: `count` agents alike, or the one that `size` drives. */
export interface AgentTemplate {
  readonly kind: AgentKind;
  readonly name?: string | undefined;
  readonly count: number;
  /** `size` drives it; `count` is what it begins with. */
  readonly sized: boolean;
  readonly capabilities: readonly string[];
  readonly concurrency: number;
  readonly weight: number;
  readonly priority: number;
  readonly metadata?: { readonly [key: string]: Json } | undefined;
  readonly rate?: RateOptions | undefined;
  /** Environment variables added for process kinds. */
  readonly env: { readonly [name: string]: string };
  readonly daemon?: DaemonOptions | undefined;
  readonly command?: CommandOptions | undefined;
  readonly restart?: RestartOptions | undefined;
  /** False = not asked. */
  readonly probe?: ProbeOptions | false | undefined;
}

/** Every option of a pool, resolved: past `resolvePool` nothing is optional that has a default. */
export interface PoolOptions {
  readonly id: PoolId;
  /** What it was made by. */
  readonly preset?: string | undefined;
  /** Types it takes; undefined = any. */
  readonly types?: readonly string[] | undefined;
  /** In process, a type that is not listed is refused or becomes `general`. */
  readonly unknownType: "refuse" | "general";
  readonly strategy: Strategy;
  /** `peak_ewma` and `score` let a task wait for a faster agent when that is expected to end sooner. */
  readonly holdBack: boolean;
  readonly size: SizeOptions;
  readonly agents: readonly AgentTemplate[];
  readonly queue: QueueOptions;
  /** Lower priorities gain one `stepMs` of age per rank; false = strict. */
  readonly ageing: { readonly stepMs: number } | false;
  /** Weights by which the priorities are served; replaces `ageing`, `critical` included. */
  readonly serving?: Readonly<Record<PriorityName, number>> | undefined;
  /** Tasks of one fairness key that may run at a time; undefined = any number. */
  readonly keyConcurrency?: number | undefined;
  readonly retry: RetryOptions;
  readonly lease: LeaseOptions;
  /** Limit of one attempt, from its start. Undefined = none. */
  readonly timeoutMs?: number | undefined;
  /** How long settled tasks are kept. */
  readonly retention: RetentionOptions;
  /** An agent busy on one task for longer than this is unhealthy. Undefined = never. */
  readonly stuckMs?: number | undefined;
  /** `restart`: a daemon is ended as well, and started again. */
  readonly onStuck: "mark" | "restart";
  /** Between asking a run to stop and killing it. */
  readonly stopMs: number;
  /** How long a function that ignores its signal keeps its slot. */
  readonly abandonMs: number;
  readonly restart: RestartOptions;
  /** False = nobody is asked: leases and what agents say of themselves must do. */
  readonly probe: ProbeOptions | false;
  /**
   * An agent that its outcomes or a stuck task speak against is tried now and then (`trial`), or started anew at once, within
   * the budget of `restart` (`replace`). Who is dead, or fails its probes, is started anew in any case.
   */
  readonly onUnhealthy: "trial" | "replace";
  /** The size follows the load, between `size.min` and `size.max`; false = it stays. */
  readonly autoscale: AutoscaleOptions | false;
  /** Per agent; works the same for a pool of one. */
  readonly breaker: BreakerOptions | false;
  /** Share of agents fit for work below which calls without a queue go to any; tasks wait all the same. 0 = never. */
  readonly panicBelow: number;
  /** By the outcomes of an agent's attempts; false = outcomes say nothing about its health. */
  readonly health: HealthOptions | false;
  /** Agents that may die with one task before it is taken for poison. 0 = any number. */
  readonly poisonLimit: number;
  readonly deadLetters: DeadLetterOptions;
  /** How long a task may wait for dependencies that nobody has submitted yet. 0 = they are refused. */
  readonly forwardReferencesMs: number;
  /** What the pool may spend in a window; then its tasks wait. Undefined = anything. */
  readonly spend?: SpendOptions | undefined;
  /** What each of its tenants may. */
  readonly tenantSpend?: SpendOptions | undefined;
}

/** What is seen of a pool whose size follows its load. */
export interface SizeWatch {
  /** The most tasks at a time, running and waiting, since `sinceMs`. */
  readonly peak: number;
  readonly sinceMs: number;
  /** When it is looked at next. */
  readonly nextAtMs: number;
}

/** An operator's word: `paused` takes tasks and starts none, `draining` takes none and finishes what is there. */
export type PoolMode = "running" | "paused" | "draining";

/** What the core holds of a pool. Written by `apply` only. */
export interface Pool {
  readonly id: PoolId;
  options: PoolOptions;
  readonly createdAtMs: number;
  readonly agentIds: Set<AgentId>;
  /** Number for the next agent. */
  nextOrdinal: number;
  /** Of the agent chosen last. */
  lastOrdinal: number;
  /** How long its attempts take. */
  readonly latency: PoolLatency;
  /** When tasks that are held back are looked at again, whatever happens before. */
  reviewAtMs: number | undefined;
  /** When its size was changed last, since the engine started. */
  scaledAtMs: number | undefined;
  /** Undefined while its size stays as it is. */
  watch: SizeWatch | undefined;
  /** It is being deleted: takes no more, finishes what it has. */
  draining: boolean;
  mode: PoolMode;
  /** Open tasks by what they wait for, and running. */
  counts: { agent: number; dependencies: number; delay: number; retry: number; leased: number };
  /** Since the engine started. */
  totals: { submitted: number; completed: number; failed: number; cancelled: number };
  /** What retries draw on; starts anew with the engine. */
  retryBudget: RetryBudget | undefined;
  /** Tasks that wait for the retry budget, in the order in which they go on. */
  readonly held: Set<TaskId>;
  /** They are looked at again at some instant. */
  heldIsDue: boolean;
  /** How fast those who wait for an agent get one. */
  readonly drain: DrainRate;
  /** What was spent in the windows that are open: by tenant, and under the empty name by all. */
  readonly spending: Map<string, SpendWindow>;
  /** Payloads that it does not take, by fingerprint; oldest first. */
  readonly quarantine: Map<string, Quarantined>;
  /** Admission numbers of its dead letters, in the order in which they were settled. */
  readonly deadLetters: Map<TaskId, number>;
}

/** Under `weighted`, weight 0 is never: such an agent is given nothing, and nobody waits for it. */
export function mayBeChosen(
  { strategy }: Pick<PoolOptions, "strategy">,
  { weight }: Pick<AgentIdentity, "weight">,
): boolean {
  return strategy !== "weighted" || weight > 0;
}
