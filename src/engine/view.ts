/** What outsiders see of tasks, agents and pools: the shapes of the contract, in JSON's own types. */
import type { Json } from "../base/json.ts";
import type { AgentKind, Health, Lifecycle } from "../core/agent.ts";
import type { Blame, OutcomeName, Usage } from "../core/outcome.ts";
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
  affinityKey?: string;
  idempotencyKey?: string;
  parentId?: string;
  maxAttempts: number;
  retryable: boolean;
  timeoutMs?: number;
  deadlineAt?: string;
  runAt?: string;
  status: TaskStatus;
  waiting?: { reason: WaitingReason; detail?: string; until?: string; on?: readonly string[] };
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
  capabilities: readonly string[];
  concurrency: number;
  weight: number;
  priority: number;
  metadata: { readonly [key: string]: Json };
  lifecycle: Lifecycle;
  health: Health;
  activity: "idle" | "busy";
  cooldownUntil?: string;
  /** Attempts it is running. */
  lease: readonly { taskId: string; fence: number; expiresAt: string }[];
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
    meanLatencyMs: number | null;
    consecutiveFailures: number;
    abandoned: number;
    samples: number;
    lastActivityAt?: string;
  };
  /** Daemons only. */
  port?: number;
  pid?: number;
}

export interface PoolView {
  id: string;
  types?: readonly string[];
  strategy: string;
  size: { min: number; default: number; max: number };
  health: "healthy" | "degraded" | "unhealthy" | "not_running";
  draining: boolean;
  agents: number;
  createdAt: string;
  queue: { limit: number };
  counts: { queued: number; blocked: number; delayed: number; running: number; deadLetters: number };
  byStatus: Record<TaskStatus, number>;
  refusals: number;
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

export interface Page<T> {
  items: T[];
  /** Give it as `cursor` to get what follows; absent at the end. */
  nextCursor?: string;
}
