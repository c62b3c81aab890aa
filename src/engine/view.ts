/** What outsiders see of tasks, agents and pools: the shapes of the contract, in JSON's own types. */
import type { Json } from "../base/json.ts";
import type { AgentKind, Health, Lifecycle } from "../core/agent.ts";
import type { Blame, OutcomeName, Usage } from "../core/outcome.ts";
import type { Budget } from "../core/spend.ts";
import type { Against } from "../core/standing.ts";
import type { DependencyPolicy, PriorityName, TaskError, WaitingReason } from "../core/task.ts";

export type TaskStatus = "pending" | "assigned" | "in_progress" | "completed" | "failed" | "cancelled";

export const TASK_STATUSES: readonly TaskStatus[] = [
  "pending",
  "assigned",
  "in_progress",
  "completed",
  "failed",
  "cancelled",
];

export interface AttemptView {
  number: number;
  agentId: string;
  agentName: string;
  hostId: string;
  fence: number;
  assignedAt: string;
  startedAt?: string;
  endedAt?: string;
  outcome?: OutcomeName;
  blame?: Blame;
  error?: TaskError;
  usage?: Usage;
}

/** A task as every door shows it. Times are ISO-8601 UTC. Absent fields are not set. */
export interface TaskView {
  id: string;
  pool: string;
  type: string;
  prompt?: string;
  input?: Json;
  context?: { readonly [key: string]: Json };
  metadata?: { readonly [key: string]: Json };
  requires: readonly string[];
  priority: PriorityName;
  dependencies: readonly string[];
  onDependencyFailure: DependencyPolicy;
  preferredAgent?: string;
  fairnessKey?: string;
  affinityKey?: string;
  tenant?: string;
  budget?: Budget;
  idempotencyKey?: string;
  parentId?: string;
  maxAttempts: number;
  retryable: boolean;
  timeoutMs?: number;
  deadlineAt?: string;
  escalate?: { atShare: number; priority: PriorityName };
  runAt?: string;
  status: TaskStatus;
  waiting?: {
    reason: WaitingReason | "gate" | "paused" | "spend" | "rate";
    detail?: string;
    until?: string;
    on?: readonly string[];
  };
  deadLettered: boolean;
  replays: number;
  attemptCount: number;
  failedAgentIds: readonly string[];
  /** Of the running attempt. */
  assignedAgent?: string;
  progress?: Json;
  usage?: Usage;
  result?: Json;
  error?: TaskError;
  createdAt: string;
  assignedAt?: string;
  startedAt?: string;
  settledAt?: string;
  /** The last 50, the running one at the end. */
  attempts: AttemptView[];
}

export interface AgentView {
  id: string;
  name: string;
  pool: string;
  kind: AgentKind;
  /** Given at creation, and verified since. */
  capabilities: readonly string[];
  /** Those of them that count for what a task requires only, never for its type. */
  verified?: readonly string[];
  concurrency: number;
  weight: number;
  priority: number;
  metadata: { readonly [key: string]: Json };
  lifecycle: Lifecycle;
  health: Health;
  /** `until` while it is open; `reason` of its last opening. */
  breaker: { state: "closed" | "open" | "half_open"; until?: string; reason?: string };
  activity: "idle" | "busy";
  /** While it rests. */
  cooldownUntil?: string;
  /** Attempts that take its slots; without `expiresAt` the task is no longer its own, but the run may still go on. */
  lease: readonly { taskId: string; fence: number; expiresAt?: string }[];
  contextWindowId: string;
  toolSessionId: string;
  memoryHandleId: string;
  restarts: number;
  lastExit?: { code: number | null; signal: string | null; reason: string; at: string; logTail: readonly string[] };
  stats: {
    succeeded: number;
    failed: number;
    inFlight: number;
    successRate: number;
    errorShare: number;
    /** Of successes, from start to end; null without any. */
    meanLatencyMs: number | null;
    /** The same, within one sixteenth. */
    p95LatencyMs: number | null;
    consecutiveFailures: number;
    abandoned: number;
    samples: number;
    /** Types beyond the first 100 are `other`. */
    byType: Record<string, { succeeded: number; failed: number; meanLatencyMs: number | null }>;
    lastActivityAt?: string;
  };
  /** Daemons only. */
  port?: number;
  pid?: number;
}

export interface PoolView {
  id: string;
  types?: readonly string[];
  /** Its name; `function` where the library was given one. */
  strategy: string;
  size: { min: number; default: number; max: number };
  health: "healthy" | "degraded" | "unhealthy" | "not_running";
  draining: boolean;
  /** An operator has paused it: tasks are taken, none is started. */
  paused: boolean;
  agents: number;
  createdAt: string;
  queue: { limit: number };
  counts: { queued: number; blocked: number; delayed: number; gated: number; running: number; deadLetters: number };
  byStatus: Record<TaskStatus, number>;
  refusals: number;
}

/** An agent of the task's pool, and the first thing that speaks against giving it the task now. */
export interface ExplainedAgent {
  id: string;
  name: string;
  /** Absent: it may be given the task. */
  reason?: Against;
  /** What is missing, or in the way. */
  detail?: string;
}

/** Why a task is where it is. */
export interface ExplainView {
  id: string;
  pool: string;
  status: TaskStatus;
  /** One sentence. */
  summary: string;
  waiting?: TaskView["waiting"];
  /** Each agent that was considered for a waiting task, the first 1,000. */
  agents: readonly ExplainedAgent[];
  /** All that were considered. */
  agentCount: number;
  /** How many agents each reason keeps away. */
  against: Partial<Record<Against, number>>;
  /** Tasks that go before it, while it waits for an agent. */
  ahead?: number | "more than 1,000";
  /** What would have to change for it to go on. */
  change: readonly string[];
  /** What has happened to it, in order. */
  story: readonly string[];
}

/** Counters and times of a pool since the engine started. Means and quantiles are null without samples. */
export interface PoolMetricsView {
  agents: number;
  /** All tasks of the pool, settled ones included. */
  byStatus: Record<TaskStatus, number>;
  /** Tasks that were open when the engine started and all that came since. Never falls. */
  byPriority: Record<PriorityName, number>;
  /** Never falls. `started` counts a task once, with its first attempt. Types beyond the first 1,000 are `other`. */
  byType: Record<string, { started: number; completed: number; failed: number }>;
  /** Waiting for an agent; the other kinds of waiting are counted by themselves. */
  queued: number;
  blocked: number;
  delayed: number;
  gated: number;
  running: number;
  /** Of the task that has waited longest for an agent; 0 when none waits. */
  oldestWaitMs: number;
  /** From creation to the first assignment, once per task. */
  meanAssignmentLatencyMs: number | null;
  p99AssignmentLatencyMs: number | null;
  /** Of attempts that ended by success, failure or timeout, each from its own start. */
  meanTaskDurationMs: number | null;
  /** Busy agents / all agents; 0 without agents. */
  utilisation: number;
  /** Completed in the last hour, by the time that has really passed. */
  throughputPerHour: number;
  /** 1 − 0.5 × failed / all − 0.2 if agents share what they must not − 0.1 if the queue is above 80 %; 0 to 1. */
  healthScore: number;
  deadLetters: number;
  refusals: number;
}

/** What happened in a pool over the last 24 h, or since the engine started. Null without samples. */
export interface AnalyticsView {
  at: string;
  /** Begin of the measured time. */
  since: string;
  elapsedMs: number;
  totalTasks: number;
  byStatus: Record<TaskStatus, number>;
  byPriority: Record<PriorityName, number>;
  /** Tasks that became final in the measured time. */
  completed: number;
  failed: number;
  cancelled: number;
  /** From creation to the first assignment. */
  meanQueueTimeMs: number | null;
  /** Of the attempt that completed a task, from its start to its end. */
  meanCompletionTimeMs: number | null;
  throughputPerHour: number | null;
  /** Share of the slots' time that was spent on attempts. */
  utilisation: number | null;
  /** failed / (completed + failed). */
  errorRate: number | null;
}

/** Which agents of a pool share with others, of any pool, what no two agents may share. */
export interface IsolationView {
  at: string;
  /** Agents of the pool, and how many of them are not isolated. */
  total: number;
  breached: number;
  agents: readonly {
    id: string;
    name: string;
    contextWindowId: string;
    toolSessionId: string;
    memoryHandleId: string;
    /** False: it is given no new work. */
    isolated: boolean;
    /** Who has the same ids, and which: one note per agent, those of the first ten for each id. */
    notes: readonly string[];
  }[];
  /** Breaches since the engine started that an agent of the pool took part in: the latest, those that go on at the end. */
  history: readonly BreachView[];
}

export interface BreachView {
  field: "contextWindowId" | "toolSessionId" | "memoryHandleId";
  value: string;
  /** All who have taken part, the first hundred. */
  agents: readonly { id: string; name: string; pool: string }[];
  since: string;
  /** Absent while it goes on. */
  until?: string;
}

/** A payload that its pool does not take. */
export interface QuarantineView {
  fingerprint: string;
  /** The task that was found to be poison. */
  taskId: string;
  at: string;
}

/** A gate as every door shows it. */
export interface GateView {
  name: string;
  /** False = closed: the types that it holds wait. */
  available: boolean;
  holds: readonly string[];
  /** Why it is closed. */
  reason?: string;
  probe?: { readonly url: string; readonly intervalMs: number; readonly timeoutMs: number };
  changedAt: string;
}

/** Times are ISO-8601 UTC. */
export interface ScheduleView {
  id: string;
  pool?: string;
  selector?: string;
  allow?: readonly string[];
  cron: string;
  timezone: string;
  task: Json;
  overlap: "allow" | "skip";
  paused: boolean;
  /** Tasks it has submitted. */
  fired: number;
  /** Instants that passed unserved, except for those that one task was submitted for late. */
  missed: number;
  createdAt: string;
  /** Absent while it is paused, and when its pattern is met no more. */
  nextAt?: string;
  /** The instant that was served last. */
  lastAt?: string;
  lastTaskId?: string;
  /** Why its last submission was refused. */
  lastError?: { readonly code: string; readonly message: string };
}

/** S2-21 in its own names. */
export interface PoolHealthView {
  pool_size: number;
  instances_total: number;
  instances_healthy: number;
  pool_health_percentage: number;
  total_requests: number;
  failed_requests: number;
  daemon_restarts: number;
  /** healthy, unhealthy, crashed and restarting are always there; initializing only above 0. */
  instances_by_state: Record<string, number>;
  instances: {
    id: string;
    port?: number;
    pid?: number;
    state: string;
    restart_count: number;
    consecutive_failures: number;
    total_requests: number;
    failed_requests: number;
    busy: boolean;
  }[];
}

/** What the processes of daemons hold of the machine's memory; null where the system does not tell. */
export interface PoolMemoryView {
  total_mb: number;
  /** What all processes here may hold together, if there is a limit. */
  container_limit_mb: number | null;
  instances: { id: string; pid: number | null; memory_mb: number | null }[];
}

export interface Page<T> {
  items: T[];
  /** Give it as `cursor` to get what follows; absent at the end. */
  nextCursor?: string;
}
