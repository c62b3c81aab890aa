/** Why a task is where it is: what speaks against each agent comes from the code that decides, only the words are here. */
import type { Agent } from "../core/agent.ts";
import { needsEmptyAgent } from "../core/company.ts";
import { Lane } from "../core/lane.ts";
import { tasksAhead } from "../core/place.ts";
import type { Pool } from "../core/pool.ts";
import type { PoolQueue } from "../core/pool-queue.ts";
import { anotherCouldServe } from "../core/roster.ts";
import type { Profile } from "../core/service-class.ts";
import { type Against, firstAgainst, type Wanted } from "../core/standing.ts";
import type { NamespaceState } from "../core/state.ts";
import type { Task } from "../core/task.ts";
import { againstDetail, changesFor, storyOf, summaryOf } from "./explain-words.ts";
import { notesOf } from "./isolation.ts";
import { agentsInOrder } from "./present-pool.ts";
import type { ExplainedAgent, ExplainView, TaskView } from "./view.ts";

/** Tasks ahead that are counted one by one. */
export const AHEAD_LIMIT = 1_000;
/** Agents that are shown one by one; all are counted. */
export const SHOWN_AGENTS = 1_000;

/**
 * @param view - the task as it is shown
 * @param nowMs - the time of turns
 */
export function explain(state: NamespaceState, view: TaskView, nowMs: number): ExplainView {
  const task = state.tasks.get(view.id as Task["spec"]["id"]);
  const waits = view.status === "pending" && task?.state.name === "waiting";
  const considered = waits ? consider(state, task, nowMs) : { agents: [], against: {} };
  const ahead = waits ? placeOf(state, task) : undefined;
  const story = storyOf(view);
  return {
    id: view.id,
    pool: view.pool,
    status: view.status,
    summary: summaryOf(view, { ahead, against: considered.against }),
    ...(view.waiting === undefined ? {} : { waiting: view.waiting }),
    agents: considered.agents.slice(0, SHOWN_AGENTS),
    agentCount: considered.agents.length,
    against: considered.against,
    ...(ahead === undefined ? {} : { ahead }),
    change: changesFor(view, { ahead, agents: considered.agents, against: considered.against }),
    story,
  };
}

interface Considered {
  readonly agents: readonly ExplainedAgent[];
  readonly against: Partial<Record<Against, number>>;
}

function consider(state: NamespaceState, task: Task, nowMs: number): Considered {
  const pool = state.pools.get(task.spec.pool);
  const queue = state.queues.get(task.spec.pool);
  const against: Partial<Record<Against, number>> = {};
  if (pool === undefined || queue === undefined) return { agents: [], against };
  const wanted = wantedOf(state, pool, task, nowMs);
  const agents = agentsInOrder(state, pool).map((agent): ExplainedAgent => {
    const { id, name } = agent.identity;
    const reason = reasonAgainst(queue, agent, wanted, nowMs);
    if (reason === undefined) {
      const detail = keptFrom(queue, agent, task);
      if (detail === undefined) return { id, name };
      against.slot = (against.slot ?? 0) + 1;
      return { id, name, reason: "slot", detail };
    }
    against[reason] = (against[reason] ?? 0) + 1;
    const profile = queue.seats.profileOf(id) as Profile;
    if (reason === "isolation") return { id, name, reason, detail: `it ${notesOf(state, agent).join("; it ")}` };
    return { id, name, reason, detail: againstDetail(reason, { agent, profile, task, nowMs }) };
  });
  return { agents, against };
}

/** Free as it is, it has no slot for this task: somebody must be by himself. */
function keptFrom({ reservations }: PoolQueue, agent: Agent, task: Task): string | undefined {
  const { id: taskId } = task.spec;
  if (needsEmptyAgent(task) && agent.runs.size > 0) return "it is at work, and this task runs alone on its agent";
  if (reservations.allow(agent, taskId)) return undefined;
  const reservedFor = reservations.taskOf(agent.identity.id);
  if (reservedFor !== undefined && reservedFor !== taskId) return `it is kept free for task ${reservedFor}`;
  return `nothing else of the pool runs here until task ${reservations.quietFor} has ended`;
}

function reasonAgainst(queue: PoolQueue, agent: Agent, wanted: Wanted, nowMs: number): Against | undefined {
  const profile = queue.seats.profileOf(agent.identity.id);
  return profile === undefined ? "lifecycle" : firstAgainst(agent, profile, wanted, nowMs);
}

/** In the queue its lane says whom it passes over; elsewhere those that failed it, while others could serve. */
function wantedOf(state: NamespaceState, pool: Pool, task: Task, nowMs: number): Wanted {
  const { spec, failedAgentIds, lane } = task;
  const kind = { type: spec.type, requires: spec.requires };
  const gated = state.heldTypes.has(spec.type);
  if (lane instanceof Lane) return { pool, taskId: spec.id, kind, gated, excluded: lane.excludedNow };
  const others = anotherCouldServe(state, task, { agentIds: failedAgentIds, patienceMs: 0 }, nowMs);
  return { pool, taskId: spec.id, kind, gated, excluded: others ? new Set(failedAgentIds) : undefined };
}

function placeOf(state: NamespaceState, task: Task): ExplainView["ahead"] {
  const queue = state.queues.get(task.spec.pool);
  const pool = state.pools.get(task.spec.pool);
  if (queue === undefined || pool === undefined || task.lane === undefined) return undefined;
  const ahead = tasksAhead(queue, task, { ageing: pool.options.ageing, limit: AHEAD_LIMIT + 1 });
  return ahead > AHEAD_LIMIT ? "more than 1,000" : ahead;
}
