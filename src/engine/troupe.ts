/** What the doors (library, HTTP, CLI) may ask of a running engine. */
import type { Json } from "../base/json.ts";
import type { Health } from "../core/agent.ts";
import type { PoolMode } from "../core/pool.ts";
import type { RateOptions } from "../core/rate.ts";
import type { Selection } from "../policies/selector.ts";
import type { ListenOptions } from "./event-hub.ts";
import type { EventFrame } from "./event-listener.ts";
import type { GateInput } from "./gate-options.ts";
import type { AgentChangeInput, NewAgentInput } from "./options/agent.ts";
import type { PoolOptionsInput } from "./options/pool.ts";
import type { PoolChangeInput } from "./options/pool-change.ts";
import type { ScheduleInput } from "./options/schedule.ts";
import type { EditInput, TaskInput } from "./options/task.ts";
import type { RouteOptions } from "./routing.ts";
import type {
  AgentView,
  AnalyticsView,
  ExplainView,
  GateView,
  IsolationView,
  Page,
  PoolHealthView,
  PoolMemoryView,
  PoolMetricsView,
  PoolView,
  QuarantineView,
  ScheduleView,
  TaskStatus,
  TaskView,
} from "./view.ts";

/** What an idempotency key remembers of a task that is no longer kept. */
export interface ExpiredTask {
  readonly id: string;
  readonly status: TaskStatus;
  readonly expired: true;
}

export interface Submitted {
  readonly task: TaskView | ExpiredTask;
  /** False when the idempotency key was known: nothing was admitted. */
  readonly created: boolean;
}

export interface TaskFilter {
  readonly pool?: string | undefined;
  readonly status?: TaskStatus | undefined;
  readonly type?: string | undefined;
  readonly deadLettered?: boolean | undefined;
  /** 1 to 1000; 100 when absent. */
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

/** A remote agent that wants to join. */
export interface JoinInput {
  readonly name?: string | undefined;
  readonly id?: string | undefined;
  readonly replace?: boolean | undefined;
  readonly capabilities?: readonly string[] | undefined;
  readonly concurrency?: number | undefined;
  readonly weight?: number | undefined;
  readonly priority?: number | undefined;
  readonly metadata?: { readonly [key: string]: Json } | undefined;
  readonly rate?: RateOptions | undefined;
  /** Ids of its own; made when absent. */
  readonly contextWindowId?: string | undefined;
  readonly toolSessionId?: string | undefined;
  readonly memoryHandleId?: string | undefined;
}

/** How long what runs may go on. */
export interface StopOptions {
  /** 30 s when absent; 0 = not at all. Milliseconds. */
  readonly timeoutMs?: number | undefined;
  /** Whoever waits stops waiting. */
  readonly signal?: AbortSignal | undefined;
}

/** Lines that an agent has written. */
export interface LogPage {
  readonly lines: readonly string[];
  /** Ask after it for what comes next. */
  readonly next: number;
}

export interface ClaimedAttempt {
  readonly taskId: string;
  readonly number: number;
  readonly fence: number;
  readonly leaseExpiresAt: string;
  readonly task: {
    readonly id: string;
    readonly pool: string;
    readonly type: string;
    readonly prompt?: string;
    readonly input?: Json;
    readonly context: { readonly [key: string]: Json };
    readonly metadata: { readonly [key: string]: Json };
  };
}

/** The answer to a claim. Whoever writes it out says so, or that it could not be written. */
export interface Claimed {
  readonly attempts: readonly ClaimedAttempt[];
  /** The reply has been written: the attempts have started. */
  written(): void;
  /** The connection is gone: the attempts end `released`. */
  broken(): void;
}

export interface HeartbeatAnswer {
  readonly stop: readonly string[];
  readonly quiet: boolean;
  readonly leaseExpiresAt: string;
}

/** What a remote agent tells of a failure. */
export interface FailInput {
  readonly message: string;
  readonly code?: string | undefined;
  readonly blame?: "agent" | "task" | "throttle" | "dependency" | "unknown" | undefined;
  readonly retryable?: boolean | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly details?: Json | undefined;
}

/** What failing an agent did to the task that it ran first. */
export interface FailedAgent {
  readonly agent: AgentView;
  readonly task: null | {
    readonly id: string;
    readonly status: TaskStatus;
    /** Another attempt of it has been given away since. */
    readonly reassigned: boolean;
    readonly failedForGood: boolean;
  };
}

/** A pool's new size: `target` agents, or `add` more. One of both. */
export interface ScaleInput {
  readonly target?: number | undefined;
  readonly add?: number | undefined;
}

export interface Scaled {
  /** How many agents the pool has now of those that `size` drives; those that still finish their work don't count. */
  readonly size: number;
  /** Those that are new. */
  readonly agentIds: readonly string[];
}

export interface EngineHealth {
  readonly status: "healthy" | "degraded" | "unhealthy";
  readonly pools: number;
  readonly agents: number;
  readonly healthyAgents: number;
  readonly queued: number;
  readonly running: number;
}

/**
 * A running engine over one namespace. Every method that changes something resolves after its commit.
 * Every method may throw `PoolError`; unknown ids are `not_found`.
 */
export interface Engine {
  createPool(options: PoolOptionsInput): Promise<PoolView>;
  deletePool(
    id: string,
    options?: { timeoutMs?: number | undefined },
  ): Promise<{ cancelled: number; completed: number }>;
  pools(): PoolView[];
  /** Counts include what is settled. */
  pool(id: string): Promise<PoolView>;
  /** Payloads that the pool refuses, oldest first. */
  quarantine(pool: string): QuarantineView[];
  /** Takes such payloads again; `not_found` when the fingerprint is not there. */
  releasePayload(pool: string, fingerprint: string): Promise<void>;
  metrics(pool: string): Promise<PoolMetricsView>;
  /** The last 24 h. */
  analytics(pool: string): Promise<AnalyticsView>;

  /**
   * Changes what is named of a pool's options; what is not stays.
   *
   * @throws PoolError `invalid` with the path of the first problem
   */
  changePool(id: string, change: PoolChangeInput): Promise<PoolView>;
  /** `paused` takes tasks and starts none, `draining` takes none and finishes what is there. Kept over restarts. */
  setMode(id: string, mode: PoolMode): Promise<PoolView>;

  schedules(): ScheduleView[];
  schedule(id: string): ScheduleView;
  /** `conflict` for a known id, `invalid` for a bad pattern or time zone. */
  createSchedule(schedule: ScheduleInput): Promise<ScheduleView>;
  /** While it is paused its instants pass. */
  pauseSchedule(id: string, paused: boolean): Promise<ScheduleView>;
  /** Tasks that it has submitted stay. */
  deleteSchedule(id: string): Promise<void>;
  /** To `target` agents, or by `add` more; with `capped` as many as there is room for. */
  scale(id: string, to: ScaleInput, options?: { capped?: boolean }): Promise<Scaled>;

  gates(): GateView[];
  gate(name: string): GateView;
  /** Makes or changes a gate. What the operator says stands until the next probe says otherwise. */
  putGate(name: string, gate: GateInput): Promise<GateView>;

  /** `signal` ends the wait for room in a full queue, if the pool lets submissions wait. */
  submit(pool: string, task: TaskInput, options?: { signal?: AbortSignal | undefined }): Promise<Submitted>;
  /** As `submit`, to a pool that a selector chooses. `no_capacity` when none may be chosen. */
  route(task: TaskInput, options?: RouteOptions): Promise<Submitted & Selection>;
  /** All or nothing; with `partial` each a task or its error, in order. */
  submitBatch(
    pool: string,
    tasks: readonly TaskInput[],
    options?: { partial?: boolean | undefined; signal?: AbortSignal | undefined },
  ): Promise<({ task: TaskView | ExpiredTask } | { error: unknown })[]>;
  /** The task as it is, committed. */
  task(id: string): Promise<TaskView>;
  /**
   * Durable events in order, each with its number, from after `afterSeq` or from now on; and notices, without a number.
   * A frame `gap` stands where events are not kept any more. Ends with the signal, with the engine, or for a slow reader.
   */
  events(options?: ListenOptions): AsyncGenerator<EventFrame>;
  /** As `events`, of one task; without `afterSeq` it begins with a notice `task` that says how the task is. */
  taskEvents(id: string, options?: ListenOptions): Promise<AsyncGenerator<EventFrame>>;
  /** Why it is where it is: what it waits for, who is considered and why not, its place, or its story. */
  explain(id: string): Promise<ExplainView>;
  /** Waits for settlement at most `waitMs`; then the task as it is. */
  waitFor(id: string, options: { waitMs: number; signal?: AbortSignal | undefined }): Promise<TaskView>;
  tasks(filter: TaskFilter): Promise<Page<TaskView>>;
  cancel(id: string, reason?: string): Promise<TaskView>;
  /** Only a dead letter; others are `conflict`. What `edit` names is changed, all else stays as it was. */
  replay(id: string, edit?: EditInput): Promise<TaskView>;
  /** A dead letter can't be replayed any more; others are `conflict`. */
  discard(id: string): Promise<TaskView>;

  join(pool: string, agent: JoinInput): Promise<{ id: string; heartbeatMs: number; leaseMs: number; agent: AgentView }>;
  agents(pool: string): AgentView[];
  agent(id: string): AgentView;
  /** One more process agent. How it is started is said by the entry, or as by the pool's entry of its kind. */
  addAgent(pool: string, agent: NewAgentInput): Promise<AgentView>;
  /** What is not named stays. Slots that are taken away while they are in use run out. */
  changeAgent(id: string, change: AgentChangeInput): Promise<AgentView>;
  /** It counts for what tasks require from now on, never for their type. */
  verifyCapability(id: string, capability: string): Promise<AgentView>;
  /** It takes no more work and finishes what it has for `timeoutMs`; what is left goes to others. Then it is gone. */
  removeAgent(id: string, options?: StopOptions): Promise<{ released: number }>;
  /** It takes no more work until `recoverAgent`, also over restarts; what runs on it goes on. */
  drainAgent(id: string): Promise<AgentView>;
  /** Drains it for `timeoutMs`, stops it and starts it anew; resolves once that is under way. Remote: `conflict`. */
  restartAgent(id: string, options?: Pick<StopOptions, "timeoutMs">): Promise<AgentView>;
  /**
   * Restarts the agents of a pool that are of this host one after the other, so that the others go on serving.
   *
   * @throws PoolError `start_failed` at the first that does not come back; those after it are left alone
   */
  restartPool(pool: string, options?: StopOptions): Promise<{ restarted: number }>;
  /** Forgets what its work has said of it. An open breaker becomes half-open: nobody is healthy because it is said so. */
  resetAgent(id: string): Promise<AgentView>;
  /** Its output, the last of it; with `after`, whole lines after that many. */
  logs(id: string, options?: { after?: number | undefined }): LogPage;
  /** Who shares with whom what no two agents may share. */
  isolation(pool: string): IsolationView;
  /** It is unhealthy until `recoverAgent`, also over restarts; what runs on it is lost and tried elsewhere. */
  failAgent(id: string, reason?: string): Promise<FailedAgent>;
  /** Takes back that it has failed, and that it is drained. */
  recoverAgent(id: string): Promise<AgentView>;
  claim(
    agentId: string,
    claim: { max: number; waitMs: number; types?: readonly string[] | undefined },
    signal: AbortSignal,
  ): Promise<Claimed>;
  /** `health` is what the agent says of itself; absent leaves its earlier word. */
  heartbeat(
    agentId: string,
    attempts: readonly { taskId: string; fence: number }[],
    health?: Health,
  ): Promise<HeartbeatAnswer>;
  progress(taskId: string, fence: number, progress: Json): Promise<void>;
  /** `stale_fence` when the fence is not current; the same report again gives the stored task. */
  complete(
    taskId: string,
    fence: number,
    result: unknown,
    usage?: { tokens?: number; costUsd?: number },
  ): Promise<TaskView>;
  fail(taskId: string, fence: number, error: FailInput): Promise<TaskView>;
  release(taskId: string, fence: number): Promise<TaskView>;

  /** Lets open breakers try at once, with their permits; answers how many were open. */
  resetBreakers(pool?: string): Promise<number>;

  health(): EngineHealth;
  /** Without a pool, the sum of all. */
  poolHealth(pool?: string): PoolHealthView;
  poolMemory(pool?: string): PoolMemoryView;
  /** True once the store is open and every pool of the file has had its agents ready. */
  ready(): boolean;
  /** Takes no more work, waits for what runs, keeps or cancels the rest, stops agents and store. Safe to call twice. */
  close(options?: { drainMs?: number | undefined; signal?: AbortSignal | undefined }): Promise<void>;
}
