/** The shapes of answers, by the names that the document of this API gives them. Every field is in them, and no other. */
import { z } from "zod";
import { ERROR_CODES } from "../../base/errors.ts";
import { AGENT_KINDS } from "../../core/agent.ts";
import { AGAINST } from "../../core/standing.ts";
import type {
  ClaimedAttempt,
  EngineHealth,
  ExpiredTask,
  FailedAgent,
  HeartbeatAnswer,
  LogPage,
  Scaled,
} from "../../engine/troupe.ts";
import {
  type AgentView,
  type AnalyticsView,
  type AttemptView,
  type BreachView,
  type ExplainedAgent,
  type ExplainView,
  type GateView,
  type IsolationView,
  type PoolHealthView,
  type PoolMemoryView,
  type PoolMetricsView,
  type PoolView,
  type QuarantineView,
  type ScheduleView,
  TASK_STATUSES,
  type TaskView,
} from "../../engine/view.ts";
import { SELECTORS } from "../../policies/selector.ts";

/** One schema for each field, optional ones too: a field more or less does not compile. */
type Fields<T> = { readonly [K in keyof T]-?: z.ZodType };

const fieldsOf =
  <T>() =>
  <S extends Fields<T> & Record<Exclude<keyof S, keyof T>, never>>(shape: S) =>
    z.strictObject(shape);

const text = z.string();
const time = z.iso.datetime();
const count = z.int().min(0);
const share = z.number().min(0).max(1);
const ms = z.number().min(0);
const list = z.array(text);
const object = z.record(text, z.json());

const status = z.enum(TASK_STATUSES);
const health = z.enum(["healthy", "degraded", "unhealthy"]);
const priority = z.enum(["critical", "high", "medium", "low"]);
const blame = z.enum(["agent", "task", "throttle", "dependency", "caller", "engine", "unknown"]);
const byStatus = z.record(status, count);
const byPriority = z.record(priority, count);
const usage = z.strictObject({ tokens: z.number().min(0).optional(), costUsd: z.number().min(0).optional() });

const taskError = z.strictObject({
  code: text,
  message: text,
  blame: blame.optional(),
  retryable: z.boolean().optional(),
  details: z.json().optional(),
});

const attempt = fieldsOf<AttemptView>()({
  number: count,
  agentId: text,
  agentName: text,
  hostId: text,
  fence: count,
  assignedAt: time,
  startedAt: time.optional(),
  endedAt: time.optional(),
  outcome: z.enum(["succeeded", "failed", "timed_out", "lost", "throttled", "released", "cancelled"]).optional(),
  blame: blame.optional(),
  error: taskError.optional(),
  usage: usage.optional(),
});

const waiting = z.strictObject({
  reason: z.enum(["dependencies", "gate", "delay", "retry", "rate", "spend", "paused", "agent"]),
  detail: text.optional(),
  until: time.optional(),
  on: list.optional(),
});

const task = fieldsOf<TaskView>()({
  id: text,
  pool: text,
  type: text,
  prompt: text.optional(),
  input: z.json().optional(),
  context: object.optional(),
  metadata: object.optional(),
  requires: list,
  priority,
  dependencies: list,
  onDependencyFailure: z.enum(["cancel", "fail", "run"]),
  preferredAgent: text.optional(),
  fairnessKey: text.optional(),
  affinityKey: text.optional(),
  tenant: text.optional(),
  budget: z
    .strictObject({ tokens: count.optional(), costUsd: z.number().optional(), wallMs: ms.optional() })
    .optional(),
  idempotencyKey: text.optional(),
  parentId: text.optional(),
  maxAttempts: count,
  retryable: z.boolean(),
  timeoutMs: ms.optional(),
  deadlineAt: time.optional(),
  escalate: z.strictObject({ atShare: share, priority }).optional(),
  runAt: time.optional(),
  status,
  waiting: waiting.optional(),
  deadLettered: z.boolean(),
  replays: count,
  attemptCount: count,
  failedAgentIds: list,
  assignedAgent: text.optional(),
  progress: z.json().optional(),
  usage: usage.optional(),
  result: z.json().optional(),
  error: taskError.optional(),
  createdAt: time,
  assignedAt: time.optional(),
  startedAt: time.optional(),
  settledAt: time.optional(),
  attempts: z.array(attempt),
});

const expired = fieldsOf<ExpiredTask>()({ id: text, status, expired: z.literal(true) });

const agent = fieldsOf<AgentView>()({
  id: text,
  name: text,
  pool: text,
  kind: z.enum(AGENT_KINDS),
  capabilities: list,
  verified: list.optional(),
  concurrency: count,
  weight: z.number(),
  priority: z.int(),
  metadata: object,
  lifecycle: z.enum(["starting", "ready", "draining", "crashed", "restarting", "stopped", "quarantined"]),
  health,
  breaker: z.strictObject({
    state: z.enum(["closed", "open", "half_open"]),
    until: time.optional(),
    reason: text.optional(),
  }),
  activity: z.enum(["idle", "busy"]),
  cooldownUntil: time.optional(),
  lease: z.array(z.strictObject({ taskId: text, fence: count, expiresAt: time.optional() })),
  contextWindowId: text,
  toolSessionId: text,
  memoryHandleId: text,
  restarts: count,
  lastExit: z
    .strictObject({
      code: z.int().nullable(),
      signal: text.nullable(),
      reason: text,
      at: time,
      logTail: list,
    })
    .optional(),
  stats: fieldsOf<AgentView["stats"]>()({
    succeeded: count,
    failed: count,
    inFlight: count,
    successRate: share,
    errorShare: share,
    meanLatencyMs: ms.nullable(),
    p95LatencyMs: ms.nullable(),
    consecutiveFailures: count,
    abandoned: count,
    samples: count,
    byType: z.record(text, z.strictObject({ succeeded: count, failed: count, meanLatencyMs: ms.nullable() })),
    lastActivityAt: time.optional(),
  }),
  port: count.optional(),
  pid: count.optional(),
});

const pool = fieldsOf<PoolView>()({
  id: text,
  types: list.optional(),
  strategy: text,
  size: z.strictObject({ min: count, default: count, max: count }),
  health: z.enum(["healthy", "degraded", "unhealthy", "not_running"]),
  draining: z.boolean(),
  paused: z.boolean(),
  agents: count,
  createdAt: time,
  queue: z.strictObject({ limit: count }),
  counts: fieldsOf<PoolView["counts"]>()({
    queued: count,
    blocked: count,
    delayed: count,
    gated: count,
    running: count,
    deadLetters: count,
  }),
  byStatus,
  refusals: count,
});

const schedule = fieldsOf<ScheduleView>()({
  id: text,
  pool: text.optional(),
  selector: text.optional(),
  allow: list.optional(),
  cron: text,
  timezone: text,
  task: z.json(),
  overlap: z.enum(["allow", "skip"]),
  paused: z.boolean(),
  fired: count,
  missed: count,
  createdAt: time,
  nextAt: time.optional(),
  lastAt: time.optional(),
  lastTaskId: text.optional(),
  lastError: z.strictObject({ code: text, message: text }).optional(),
});

const explained = fieldsOf<ExplainedAgent>()({
  id: text,
  name: text,
  reason: z.enum(AGAINST).optional(),
  detail: text.optional(),
});

const breach = fieldsOf<BreachView>()({
  field: z.enum(["contextWindowId", "toolSessionId", "memoryHandleId"]),
  value: text,
  agents: z.array(z.strictObject({ id: text, name: text, pool: text })),
  since: time,
  until: time.optional(),
});

const claimed = fieldsOf<ClaimedAttempt>()({
  taskId: text,
  number: count,
  fence: count,
  leaseExpiresAt: time,
  task: fieldsOf<ClaimedAttempt["task"]>()({
    id: text,
    pool: text,
    type: text,
    prompt: text.optional(),
    input: z.json().optional(),
    context: object,
    metadata: object,
  }),
});

/** What went wrong; the facts of the error stand beside these as fields of their own. */
const problem = z.looseObject({
  title: text,
  status: z.int().min(400).max(599),
  code: z.enum(ERROR_CODES),
  detail: text,
});

const routed = { pool: text, selector: z.enum(SELECTORS), considered: list };

export const ANSWERS = {
  Problem: problem,
  Task: task,
  TaskOrExpired: z.union([task, expired]),
  BatchItems: z.strictObject({ items: z.array(z.union([task, expired, z.strictObject({ error: problem })])) }),
  RoutedTask: z.strictObject({ task: z.union([task, expired]), ...routed }),
  TaskPage: pageOf(task),
  Explanation: fieldsOf<ExplainView>()({
    id: text,
    pool: text,
    status,
    summary: text,
    waiting: waiting.optional(),
    agents: z.array(explained),
    agentCount: count,
    against: z.partialRecord(z.enum(AGAINST), count),
    ahead: z.union([count, z.literal("more than 1,000")]).optional(),
    change: list,
    story: list,
  }),
  Agent: agent,
  AgentPage: pageOf(agent),
  JoinedAgent: z.strictObject({ id: text, heartbeatMs: ms, leaseMs: ms, agent }),
  AgentOrJoined: z.union([agent, z.strictObject({ id: text, heartbeatMs: ms, leaseMs: ms, agent })]),
  FailedAgent: fieldsOf<FailedAgent>()({
    agent,
    task: z.strictObject({ id: text, status, reassigned: z.boolean(), failedForGood: z.boolean() }).nullable(),
  }),
  RemovedAgent: z.strictObject({ released: count }),
  Logs: fieldsOf<LogPage>()({ lines: list, next: count }),
  Claimed: z.strictObject({ attempts: z.array(claimed) }),
  Heartbeat: fieldsOf<HeartbeatAnswer>()({ stop: list, quiet: z.boolean(), leaseExpiresAt: time }),
  Pool: pool,
  PoolPage: pageOf(pool),
  DeletedPool: z.strictObject({ cancelled: count, completed: count }),
  Scaled: fieldsOf<Scaled>()({ size: count, agentIds: list }),
  RestartedPool: z.strictObject({ restarted: count }),
  PoolMetrics: fieldsOf<PoolMetricsView>()({
    agents: count,
    byStatus,
    byPriority,
    byType: z.record(text, z.strictObject({ started: count, completed: count, failed: count })),
    queued: count,
    blocked: count,
    delayed: count,
    gated: count,
    running: count,
    oldestWaitMs: ms,
    meanAssignmentLatencyMs: ms.nullable(),
    p99AssignmentLatencyMs: ms.nullable(),
    meanTaskDurationMs: ms.nullable(),
    utilisation: share,
    throughputPerHour: z.number().min(0),
    healthScore: share,
    deadLetters: count,
    refusals: count,
  }),
  Analytics: fieldsOf<AnalyticsView>()({
    at: time,
    since: time,
    elapsedMs: ms,
    totalTasks: count,
    byStatus,
    byPriority,
    completed: count,
    failed: count,
    cancelled: count,
    meanQueueTimeMs: ms.nullable(),
    meanCompletionTimeMs: ms.nullable(),
    throughputPerHour: z.number().min(0).nullable(),
    utilisation: z.number().min(0).nullable(),
    errorRate: share.nullable(),
  }),
  Isolation: fieldsOf<IsolationView>()({
    at: time,
    total: count,
    breached: count,
    agents: z.array(
      z.strictObject({
        id: text,
        name: text,
        contextWindowId: text,
        toolSessionId: text,
        memoryHandleId: text,
        isolated: z.boolean(),
        notes: list,
      }),
    ),
    history: z.array(breach),
  }),
  QuarantinePage: pageOf(fieldsOf<QuarantineView>()({ fingerprint: text, taskId: text, at: time })),
  Schedule: schedule,
  SchedulePage: pageOf(schedule),
  Gate: gate(),
  GatePage: pageOf(gate()),
  Health: fieldsOf<EngineHealth>()({
    status: health,
    pools: count,
    agents: count,
    healthyAgents: count,
    queued: count,
    running: count,
  }),
  PoolHealth: fieldsOf<PoolHealthView>()({
    pool_size: count,
    instances_total: count,
    instances_healthy: count,
    pool_health_percentage: z.number().min(0).max(100),
    total_requests: count,
    failed_requests: count,
    daemon_restarts: count,
    instances_by_state: z.record(text, count),
    instances: z.array(
      fieldsOf<PoolHealthView["instances"][number]>()({
        id: text,
        port: count.optional(),
        pid: count.optional(),
        state: text,
        restart_count: count,
        consecutive_failures: count,
        total_requests: count,
        failed_requests: count,
        busy: z.boolean(),
      }),
    ),
  }),
  PoolMemory: fieldsOf<PoolMemoryView>()({
    total_mb: z.number().min(0),
    container_limit_mb: z.number().min(0).nullable(),
    instances: z.array(
      fieldsOf<PoolMemoryView["instances"][number]>()({
        id: text,
        pid: count.nullable(),
        memory_mb: z.number().min(0).nullable(),
      }),
    ),
  }),
  Alive: z.strictObject({ status: z.literal("alive") }),
  Ready: z.strictObject({ status: z.literal("ready") }),
  ResetBreakers: z.strictObject({ success: z.literal(true), count }),
  Document: z.looseObject({ openapi: z.literal("3.1.0"), paths: z.record(text, object) }),
  Done: z.strictObject({}),
} as const satisfies Record<string, z.ZodType>;

export type AnswerName = keyof typeof ANSWERS;

function gate() {
  return fieldsOf<GateView>()({
    name: text,
    available: z.boolean(),
    holds: list,
    reason: text.optional(),
    probe: z.strictObject({ url: text, intervalMs: ms, timeoutMs: ms }).optional(),
    changedAt: time,
  });
}

function pageOf(item: z.ZodType) {
  return z.strictObject({ items: z.array(item), nextCursor: text.optional() });
}
