/** A task as outsiders see it, from what the core or the store holds of it. */
import type { Json } from "../base/json.ts";
import type { Usage } from "../core/outcome.ts";
import type { SettledFacts } from "../core/record.ts";
import type { NamespaceState } from "../core/state.ts";
import { type Attempt, type Lease, PRIORITY_NAMES, type Task, type TaskBody } from "../core/task.ts";
import { compact } from "./compact.ts";
import { iso } from "./instant.ts";
import { restOf } from "./task-body.ts";
import type { AttemptView, TaskStatus, TaskView } from "./view.ts";
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
  return { ...facts, spent: facts.spent, awaited: undefined, state, progress: facts.settlement.progress };
}

/** The public word for a state. */
export function statusOf({ state }: Pick<Task, "state">): TaskStatus {
  if (state.name === "waiting") return "pending";
  if (state.name === "settled") return state.settlement.status;
  return state.lease.startedAtMs === undefined ? "assigned" : "in_progress";
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
