/** Turns what the core and the store hold into what outsiders see. */
import type { Json } from "../base/json.ts";
import type { Agent } from "../core/agent.ts";
import type { Usage } from "../core/outcome.ts";
import type { Pool } from "../core/pool.ts";
import type { SettledFacts } from "../core/record.ts";
import type { NamespaceState } from "../core/state.ts";
import { type Attempt, type Lease, PRIORITY_NAMES, type Task, type TaskBody, type TaskBodyRest } from "../core/task.ts";
import { iso } from "./instant.ts";
import type { AgentCounts } from "./metrics.ts";
import type { AgentView, AttemptView, PoolHealthView, PoolView, TaskStatus, TaskView } from "./view.ts";
import { waitingView } from "./waiting-view.ts";

/** What runs in the engine's own process, or beside it. */
const HOST_ID = "local";

/** A task as the core holds it, or as the store gives it back. */
export type TaskFacts = Pick<
  Task,
  | "num"
  | "spec"
  | "priority"
  | "state"
  | "attemptCount"
  | "lastFence"
  | "failedAgentIds"
  | "spent"
  | "awaited"
  | "replays"
  | "attempts"
  | "progress"
>;

export function settledAsTask(facts: SettledFacts): TaskFacts {
  const state = { name: "settled", settlement: facts.settlement, fence: facts.lastFence } as const;
  return { ...facts, spent: facts.spent, awaited: undefined, state, progress: undefined };
}

/** The public word for a state. */
export function statusOf({ state }: Pick<Task, "state">): TaskStatus {
  if (state.name === "waiting") return "pending";
  if (state.name === "settled") return state.settlement.status;
  return state.lease.startedAtMs === undefined ? "assigned" : "in_progress";
}

/** Drops what is undefined, as JSON would. */
function compact<T extends object>(value: { [K in keyof T]: T[K] | undefined }): T {
  const kept: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(value)) if (field !== undefined) kept[key] = field;
  return kept as T;
}

/** What is kept apart from a task, and the time of turns: only a settled one waits for nothing. */
interface Beside {
  readonly body: TaskBody;
  readonly result?: string | undefined;
  readonly nowMs: number;
}

export function taskView(state: NamespaceState, task: TaskFacts, { body, result, nowMs }: Beside): TaskView {
  const { spec } = task;
  const rest = restOf(body);
  const lease = task.state.name === "leased" ? task.state.lease : undefined;
  const settlement = task.state.name === "settled" ? task.state.settlement : undefined;
  const attempts = task.attempts.map(attemptView);
  if (lease !== undefined) attempts.push(runningAttempt(state, lease));
  const last = attempts[attempts.length - 1];
  return compact<TaskView>({
    id: spec.id,
    pool: spec.pool,
    type: spec.type,
    prompt: body.prompt,
    input: rest.input,
    context: rest.context,
    metadata: rest.metadata,
    requires: spec.requires,
    priority: PRIORITY_NAMES[task.priority],
    dependencies: spec.dependencies,
    onDependencyFailure: spec.onDependencyFailure,
    preferredAgent: spec.preferredAgent,
    fairnessKey: spec.fairnessKey,
    affinityKey: spec.affinityKey,
    tenant: spec.tenant,
    budget: spec.budget,
    idempotencyKey: spec.idempotencyKey,
    parentId: spec.parentId,
    maxAttempts: spec.maxAttempts,
    retryable: spec.retryable,
    timeoutMs: spec.timeoutMs,
    deadlineAt: spec.deadlineAtMs === undefined ? undefined : iso(spec.deadlineAtMs),
    escalate:
      spec.escalate === undefined
        ? undefined
        : { atShare: spec.escalate.atShare, priority: PRIORITY_NAMES[spec.escalate.priority] },
    runAt: spec.runAtMs === undefined ? undefined : iso(spec.runAtMs),
    status: statusOf(task),
    waiting: waitingView(state, task, nowMs),
    deadLettered: settlement?.deadLettered ?? false,
    replays: task.replays,
    attemptCount: task.attemptCount,
    failedAgentIds: task.failedAgentIds,
    assignedAgent: lease?.agentId,
    progress: task.progress,
    usage: usageOf(task),
    result: result === undefined ? undefined : (JSON.parse(result) as Json),
    error: settlement?.error,
    createdAt: iso(spec.createdAtMs),
    assignedAt: last?.assignedAt,
    startedAt: last?.startedAt,
    settledAt: settlement === undefined ? undefined : iso(settlement.settledAtMs),
    attempts,
  });
}

export function restOf(body: TaskBody): TaskBodyRest {
  return body.rest === undefined ? {} : (JSON.parse(body.rest) as TaskBodyRest);
}

export function attemptView(attempt: Attempt): AttemptView {
  return compact<AttemptView>({
    number: attempt.number,
    agentId: attempt.agentId,
    agentName: attempt.agentName,
    hostId: HOST_ID,
    fence: attempt.fence,
    assignedAt: iso(attempt.assignedAtMs),
    startedAt: attempt.startedAtMs === undefined ? undefined : iso(attempt.startedAtMs),
    endedAt: iso(attempt.endedAtMs),
    outcome: attempt.outcome,
    blame: attempt.blame,
    error: attempt.error,
    usage: attempt.usage,
  });
}

function runningAttempt(state: NamespaceState, lease: Lease): AttemptView {
  return compact<AttemptView>({
    number: lease.number,
    agentId: lease.agentId,
    agentName: state.agents.get(lease.agentId)?.identity.name ?? lease.agentId,
    hostId: HOST_ID,
    fence: lease.fence,
    assignedAt: iso(lease.assignedAtMs),
    startedAt: lease.startedAtMs === undefined ? undefined : iso(lease.startedAtMs),
    endedAt: undefined,
    outcome: undefined,
    blame: undefined,
    error: undefined,
    usage: undefined,
  });
}

/** What all its attempts have told of tokens and money. */
function usageOf({ spent }: TaskFacts): Usage | undefined {
  if (spent?.tokens === undefined && spent?.costUsd === undefined) return undefined;
  return compact<Usage>({ tokens: spent.tokens, costUsd: spent.costUsd });
}

/** What the engine knows of an agent besides the core. */
export interface AgentBeside {
  readonly nowMs: number;
  readonly process: { readonly port?: number | undefined; readonly pid?: number | undefined };
  readonly counts: AgentCounts | undefined;
}

export function agentView(state: NamespaceState, agent: Agent, { nowMs, process, counts }: AgentBeside): AgentView {
  const { identity, stats, isolation } = agent;
  const { capabilities, verified = [] } = identity;
  const samples = stats.succeeded + stats.failed;
  const lease = [...agent.runs.values()].map((run) => {
    const task = state.tasks.get(run.taskId);
    const expiresAtMs = task?.state.name === "leased" ? task.state.lease.expiresAtMs : undefined;
    const held = { taskId: run.taskId as string, fence: run.fence };
    return run.orphaned || expiresAtMs === undefined ? held : { ...held, expiresAt: iso(expiresAtMs) };
  });
  return compact<AgentView>({
    id: identity.id,
    name: identity.name,
    pool: identity.pool,
    kind: identity.kind,
    capabilities: [...capabilities, ...verified.filter((name) => !capabilities.includes(name))],
    verified: verified.length === 0 ? undefined : verified,
    concurrency: identity.concurrency,
    weight: identity.weight,
    priority: identity.priority,
    metadata: identity.metadata ?? {},
    lifecycle: agent.lifecycle,
    health: agent.health,
    breaker: breakerView(agent),
    activity: agent.runs.size > 0 ? "busy" : "idle",
    cooldownUntil: agent.cooldownUntilMs > nowMs ? iso(agent.cooldownUntilMs) : undefined,
    lease,
    ...isolation,
    restarts: agent.restarts,
    lastExit:
      agent.lastExit === undefined
        ? undefined
        : {
            code: agent.lastExit.code,
            signal: agent.lastExit.signal,
            reason: agent.lastExit.reason,
            at: iso(agent.lastExit.atMs),
            logTail: agent.lastExit.logTail,
          },
    stats: {
      succeeded: stats.succeeded,
      failed: stats.failed,
      inFlight: agent.runs.size,
      successRate: samples === 0 ? 1 : stats.succeeded / samples,
      errorShare: samples === 0 ? 0 : stats.failed / samples,
      meanLatencyMs: stats.succeeded === 0 ? null : stats.latencySumMs / stats.succeeded,
      p95LatencyMs: counts?.latency.quantile(0.95) ?? null,
      consecutiveFailures: stats.consecutiveFailures,
      abandoned: stats.abandoned,
      samples,
      byType: Object.fromEntries([...(counts?.byType ?? [])].map(([type, each]) => [type, typeView(each)])),
      ...(stats.lastActivityAtMs === undefined ? {} : { lastActivityAt: iso(stats.lastActivityAtMs) }),
    },
    port: process.port,
    pid: process.pid,
  });
}

function typeView({ succeeded, failed, latencySumMs }: { succeeded: number; failed: number; latencySumMs: number }) {
  return { succeeded, failed, meanLatencyMs: succeeded === 0 ? null : latencySumMs / succeeded };
}

function breakerView({ breaker }: Agent): AgentView["breaker"] {
  if (breaker.name !== "open") return { state: breaker.name };
  return { state: "open", until: iso(breaker.untilMs), reason: breaker.reason };
}

function agentsOf(state: NamespaceState, pool: Pool): Agent[] {
  const agents: Agent[] = [];
  for (const id of pool.agentIds) {
    const agent = state.agents.get(id);
    if (agent !== undefined) agents.push(agent);
  }
  return agents;
}

const isServing = ({ lifecycle, isBreached, health }: Agent): boolean =>
  lifecycle === "ready" && !isBreached && health !== "unhealthy";

/** `not_running` while it drains; unhealthy when nobody serves, degraded when not everybody does. */
export function poolHealthWord(state: NamespaceState, pool: Pool): PoolView["health"] {
  if (pool.draining || pool.mode === "draining") return "not_running";
  const agents = agentsOf(state, pool);
  const serving = agents.filter(isServing).length;
  if (agents.length === 0) return pool.options.agents.length === 0 ? "healthy" : "unhealthy";
  if (serving === 0) return "unhealthy";
  return serving < agents.length || agents.some((agent) => agent.health === "degraded") ? "degraded" : "healthy";
}

export function poolView(
  state: NamespaceState,
  pool: Pool,
  history: Readonly<Record<"completed" | "failed" | "cancelled" | "deadLetters", number>>,
  refusals: number,
): PoolView {
  const { counts, options } = pool;
  const gated = state.queues.get(pool.id)?.gated ?? 0;
  let started = 0;
  for (const agent of agentsOf(state, pool)) {
    for (const run of agent.runs.values()) {
      const task = state.tasks.get(run.taskId);
      if (
        task?.state.name === "leased" &&
        task.state.lease.fence === run.fence &&
        task.state.lease.startedAtMs !== undefined
      ) {
        started += 1;
      }
    }
  }
  return {
    id: pool.id,
    ...(options.types === undefined ? {} : { types: options.types }),
    strategy: state.choosers.has(pool.id) ? "function" : options.strategy,
    size: options.size,
    health: poolHealthWord(state, pool),
    draining: pool.draining || pool.mode === "draining",
    paused: pool.mode === "paused",
    agents: pool.agentIds.size,
    createdAt: iso(pool.createdAtMs),
    queue: { limit: options.queue.limit },
    counts: {
      queued: counts.agent - gated,
      blocked: counts.dependencies,
      delayed: counts.delay + counts.retry,
      gated,
      running: counts.leased,
      deadLetters: history.deadLetters,
    },
    byStatus: {
      pending: counts.agent + counts.dependencies + counts.delay + counts.retry,
      assigned: counts.leased - started,
      in_progress: started,
      completed: history.completed,
      failed: history.failed,
      cancelled: history.cancelled,
    },
    refusals,
  };
}

/** The words of the daemon origin for the state of an instance. */
function instanceState(agent: Agent): string {
  switch (agent.lifecycle) {
    case "starting":
      return "initializing";
    case "ready":
      return agent.health === "unhealthy" ? "unhealthy" : "healthy";
    case "draining":
      return "healthy";
    case "restarting":
      return "restarting";
    case "crashed":
    case "quarantined":
    case "stopped":
      return "crashed";
  }
}

export function poolHealthView(
  agents: readonly Agent[],
  processOf: (agent: Agent) => { readonly port?: number | undefined; readonly pid?: number | undefined },
): PoolHealthView {
  const byState: Record<string, number> = { healthy: 0, unhealthy: 0, crashed: 0, restarting: 0 };
  const sums = { requests: 0, failed: 0, restarts: 0 };
  const instances = agents.map((agent) => {
    const state = instanceState(agent);
    byState[state] = (byState[state] ?? 0) + 1;
    const { succeeded, failed, consecutiveFailures } = agent.stats;
    sums.requests += succeeded + failed;
    sums.failed += failed;
    sums.restarts += agent.restarts;
    return compact<PoolHealthView["instances"][number]>({
      id: agent.identity.name,
      ...processOf(agent),
      state,
      restart_count: agent.restarts,
      consecutive_failures: consecutiveFailures,
      total_requests: succeeded + failed,
      failed_requests: failed,
      busy: agent.runs.size >= agent.identity.concurrency,
    });
  });
  const healthy = byState.healthy ?? 0;
  return {
    pool_size: agents.length,
    instances_total: agents.length,
    instances_healthy: healthy,
    pool_health_percentage: agents.length === 0 ? 0 : (healthy / agents.length) * 100,
    total_requests: sums.requests,
    failed_requests: sums.failed,
    daemon_restarts: sums.restarts,
    instances_by_state: byState,
    instances,
  };
}

export function agentsInOrder(state: NamespaceState, pool: Pool): Agent[] {
  return agentsOf(state, pool).sort((a, b) => a.identity.ordinal - b.identity.ordinal);
}
