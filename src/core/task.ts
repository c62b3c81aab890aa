/** A task: what was asked (spec), where it stands (state) and what was tried (attempts). */
import type { AgentId, PoolId, TaskId } from "../base/ids.ts";
import type { Json } from "../base/json.ts";
import type { Blame, Failure, OutcomeName, Usage } from "./outcome.ts";
import type { Budget, Spent } from "./spend.ts";

/** Lower is more urgent, everywhere. */
export type Priority = 1 | 2 | 3 | 4;

export const PRIORITY_NAMES = { 1: "critical", 2: "high", 3: "medium", 4: "low" } as const;
export type PriorityName = (typeof PRIORITY_NAMES)[Priority];
export const PRIORITIES: readonly Priority[] = [1, 2, 3, 4];
export const DEFAULT_PRIORITY: Priority = 3;

/** What becomes of a task when one of its dependencies fails or is cancelled. */
export type DependencyPolicy = "cancel" | "fail" | "run";

/** What was asked. Never changes after admission; what only the agent reads is in the `TaskBody`. */
export interface TaskSpec {
  readonly id: TaskId;
  readonly pool: PoolId;
  readonly type: string;
  /** Sorted, without duplicates. */
  readonly requires: readonly string[];
  readonly priority: Priority;
  /** Without duplicates. */
  readonly dependencies: readonly TaskId[];
  readonly onDependencyFailure: DependencyPolicy;
  /** An agent's id, or its name in the pool. */
  readonly preferredAgent?: string | undefined;
  /** Whose task it is: the keys of one pool take turns. */
  readonly fairnessKey?: string | undefined;
  /** Tasks of one key go to the same agent where the strategy is `affinity`. */
  readonly affinityKey?: string | undefined;
  /** Whose money it spends: each tenant of a pool has a limit of its own. */
  readonly tenant?: string | undefined;
  /** What all its attempts together may cost. */
  readonly budget?: Budget | undefined;
  readonly idempotencyKey?: string | undefined;
  /** SHA-256 of the canonical request; present with an idempotency key. */
  readonly bodyHash?: string | undefined;
  /** Executions in total. */
  readonly maxAttempts: number;
  readonly retryable: boolean;
  readonly timeoutMs?: number | undefined;
  readonly deadlineAtMs?: number | undefined;
  /** Once this share of the time between admission and deadline is gone, its priority is at least this. */
  readonly escalate?: { readonly atShare: number; readonly priority: Priority } | undefined;
  readonly runAtMs?: number | undefined;
  readonly parentId?: TaskId | undefined;
  readonly createdAtMs: number;
  /** Size of the body, UTF-16 units. */
  readonly bodySize: number;
}

/** When the deadline of a task that was admitted at that instant is near. */
export function nearAtMs({ escalate, deadlineAtMs }: TaskSpec, admittedAtMs: number): number | undefined {
  if (escalate === undefined || deadlineAtMs === undefined || deadlineAtMs <= admittedAtMs) return undefined;
  return admittedAtMs + Math.ceil(escalate.atShare * (deadlineAtMs - admittedAtMs));
}

/** What only the agent and the reader need. Kept by the store, not by the core. */
export interface TaskBody {
  readonly prompt?: string | undefined;
  /** JSON text of `{ input, context, metadata, … }` when any of them was given. */
  readonly rest?: string | undefined;
}

export const NO_BODY: TaskBody = {};

/** The values inside `TaskBody.rest`. */
export interface TaskBodyRest {
  readonly input?: Json | undefined;
  readonly context?: { readonly [key: string]: Json } | undefined;
  readonly metadata?: { readonly [key: string]: Json } | undefined;
}

/** Time-bound right of one agent to run one task. */
export interface Lease {
  readonly agentId: AgentId;
  /** Of the attempt, from 1. Always grows, also over replays. */
  readonly number: number;
  /** Ever-growing in the namespace; a report with another fence is refused. */
  readonly fence: number;
  readonly assignedAtMs: number;
  readonly startedAtMs?: number | undefined;
  readonly expiresAtMs: number;
}

/** Why a waiting task is not running. */
export type WaitingReason = "dependencies" | "delay" | "retry" | "agent";

export type FinalStatus = "completed" | "failed" | "cancelled";

export interface Settlement {
  readonly status: FinalStatus;
  readonly error?: TaskError | undefined;
  readonly resultBytes?: number | undefined;
  readonly usage?: Usage | undefined;
  /** The last that was told of it. */
  readonly progress?: Json | undefined;
  readonly settledAtMs: number;
  readonly deadLettered: boolean;
}

/** Each state carries exactly what exists in it. */
export type TaskState =
  | { readonly name: "waiting"; readonly reason: "dependencies" }
  | { readonly name: "waiting"; readonly reason: "delay"; readonly untilMs: number }
  /** `held`: the retry budget is spent; at `untilMs` it is looked at again. */
  | { readonly name: "waiting"; readonly reason: "retry"; readonly untilMs: number; readonly held?: true | undefined }
  | { readonly name: "waiting"; readonly reason: "agent" }
  | { readonly name: "leased"; readonly lease: Lease }
  | { readonly name: "settled"; readonly settlement: Settlement; readonly fence: number };

/** Legal moves; `apply` checks them. */
export const LIFECYCLE = {
  waiting: ["waiting", "leased", "settled"],
  leased: ["waiting", "settled"],
  settled: ["waiting"], // only by the replay of a dead letter, which begins a new life
} as const satisfies Record<TaskState["name"], readonly TaskState["name"][]>;

/** The error a task ended with, as shown. */
export interface TaskError extends Failure {
  readonly blame?: Blame | undefined;
}

/** An attempt that has ended. */
export interface Attempt {
  readonly number: number;
  readonly agentId: AgentId;
  readonly agentName: string;
  readonly fence: number;
  readonly assignedAtMs: number;
  readonly startedAtMs?: number | undefined;
  readonly endedAtMs: number;
  readonly outcome: OutcomeName;
  readonly blame?: Blame | undefined;
  readonly error?: Failure | undefined;
  readonly usage?: Usage | undefined;
}

/** Deaths of the engine while the task ran, without any settled task between them. */
export interface EngineDeaths {
  readonly count: number;
  /** No later term has ended by the last of them. */
  readonly epoch: number;
}

/** How many ended attempts a task remembers. */
export const ATTEMPTS_KEPT = 50;

/** Dependencies that nobody had submitted when the task came. */
export interface Awaited {
  /** Those that are not out of the way yet. */
  readonly ids: readonly TaskId[];
  /** What has not been submitted by then never will be. */
  readonly untilMs: number;
}

/** What the core holds of a task. Written by `apply` only. */
export interface Task {
  /** Admission number: grows by one per admitted task of the namespace. */
  readonly num: number;
  readonly spec: TaskSpec;
  /** That of the spec, unless its deadline has come near. */
  priority: Priority;
  state: TaskState;
  /** Instant that orders it in its queue: admission, or `runAt`, or the replay. */
  queuedAtMs: number;
  /** When its deadline is near; undefined when it does not matter, or is told already. */
  nearAtMs: number | undefined;
  /** Replayed tasks go before all others of their priority. */
  first: boolean;
  /** Executions that have ended and are charged. */
  attemptCount: number;
  /** Number of the latest attempt; 0 before the first. */
  lastNumber: number;
  /** Fence of the latest attempt; 0 before the first. */
  lastFence: number;
  /** Agents whose attempts at it failed by blame `agent` or `unknown`, in order, each once. */
  failedAgentIds: readonly AgentId[];
  /** Its next attempt is a retry that the pool's budget has not paid for yet; volatile. */
  owes: boolean;
  /** True after the backoff that follows a failure while nobody else could serve. */
  again: boolean;
  /** Attempts that were not charged, `throttled` excepted. */
  refunds: number;
  /** What its attempts have cost in this life; undefined while they have cost nothing. */
  spent: Spent | undefined;
  /** Agents whose death counts against it, each once; undefined until it has survived one. */
  killers: readonly AgentId[] | undefined;
  /** Engine deaths in a row that it was running at; undefined without. */
  deaths: EngineDeaths | undefined;
  replays: number;
  /** Dependencies that have not completed yet. */
  unmet: number;
  /** Dependencies that its present life began with; undefined = all that it has. Some may have been met since. */
  waitsFor: readonly TaskId[] | undefined;
  awaited: Awaited | undefined;
  /** Dependencies that failed or were cancelled, under the policy `run`. */
  failedDependencies: readonly TaskId[];
  /** The last `ATTEMPTS_KEPT` that ended. */
  attempts: readonly Attempt[];
  /** Last progress its running attempt told; volatile. */
  progress: Json | undefined;
  /** The queue it stands in while it waits for an agent. */
  lane: object | undefined;
  /** The last turn whose durable events were about it, by its number. */
  touchedIn: number;
}

/** They carry nothing, so that one of each is enough. */
export const WAITING = {
  agent: { name: "waiting", reason: "agent" },
  dependencies: { name: "waiting", reason: "dependencies" },
} as const satisfies Record<string, TaskState>;

/** Most tasks have nothing of these: one list stands for all that are empty. */
const NONE: readonly never[] = [];

export function newTask(num: number, spec: TaskSpec, queuedAtMs: number): Task {
  return {
    num,
    spec,
    priority: spec.priority,
    state: WAITING.agent,
    queuedAtMs,
    nearAtMs: undefined,
    first: false,
    attemptCount: 0,
    lastNumber: 0,
    lastFence: 0,
    failedAgentIds: NONE,
    owes: false,
    again: false,
    refunds: 0,
    spent: undefined,
    killers: undefined,
    deaths: undefined,
    replays: 0,
    unmet: 0,
    waitsFor: undefined,
    awaited: undefined,
    failedDependencies: NONE,
    attempts: NONE,
    progress: undefined,
    lane: undefined,
    touchedIn: 0,
  };
}

/** It waits for its pool's retry budget. */
export function isHeld(state: TaskState): state is Extract<TaskState, { reason: "retry" }> & { readonly held: true } {
  return state.name === "waiting" && state.reason === "retry" && state.held === true;
}
