/** Tasks that kill: agents that died with a task are counted, and so are engines. */
import type { AgentId } from "../base/ids.ts";
import { ENGINE_DEATHS, needsQuiet } from "./company.ts";
import { type Kill, withKiller } from "./kill.ts";
import { blameOf, type Outcome } from "./outcome.ts";
import { type NamespaceState, poolOf } from "./state.ts";
import type { EngineDeaths, Lease, Task, TaskError } from "./task.ts";
import type { Turn } from "./turn.ts";

/** What the end of an attempt tells about the task as the cause of a death; nothing where poison is not looked for. */
export function killOf(state: NamespaceState, task: Task, lease: Lease, outcome: Outcome): Kill | undefined {
  if (outcome.name !== "lost" || !outcome.kill) return undefined;
  if (poolOf(state, task.spec.pool).options.poisonLimit === 0) return undefined;
  return { counted: task.killers !== undefined || wasByItself(state, lease) };
}

function wasByItself(state: NamespaceState, { agentId, fence }: Lease): boolean {
  const runs = state.agents.get(agentId)?.runs;
  return runs?.size === 1 && runs.get(fence)?.shared === false;
}

/** A death is noticed task by task: those that are left were in company all the same. */
export function markCompany(
  state: NamespaceState,
  { agentId, fence }: { readonly agentId: AgentId; readonly fence?: number },
  turn: Turn,
): void {
  const agent = state.agents.get(agentId);
  // A command's runs are processes of their own: one's death is not that of the others.
  if (agent === undefined || agent.identity.kind === "command" || agent.runs.size < 2) return;
  if (fence !== undefined && agent.runs.get(fence)?.shared === true) return;
  turn.record({ type: "runs.shared", agentId });
}

/** With this end the task is known to be poison; that wins over every other verdict. */
export function poisonOf(
  state: NamespaceState,
  task: Task,
  { agentId }: Lease,
  { outcome, kill, deaths }: { outcome: Outcome; kill: Kill | undefined; deaths: EngineDeaths | undefined },
): TaskError | undefined {
  if (outcome.name !== "lost") return undefined;
  const { code, message } = outcome.error;
  const blame = blameOf(outcome);
  if (deaths !== undefined && deaths.count > ENGINE_DEATHS) {
    const story = `the engine died ${deaths.count} times while it ran, the last time alone`;
    return { code: "poisoned", message: story, blame, details: { code, engineDeaths: deaths.count } };
  }
  if (kill?.counted !== true) return undefined;
  const agentIds = withKiller(task.killers, agentId);
  if (agentIds.length < poolOf(state, task.spec.pool).options.poisonLimit) return undefined;
  const story = `${agentIds.length} agents died with it; the last: ${message}`;
  return { code: "poisoned", message: story, blame, details: { code, agentIds } };
}

/** The engine died with it. A task on trial stays there whatever else was settled meanwhile. */
export function deathsOf(state: NamespaceState, { deaths }: Task, outcome: Outcome): EngineDeaths | undefined {
  if (outcome.name !== "lost" || outcome.blame !== "engine") return undefined;
  // Not that of the lease: a run may outlive the term in which it began, and others be settled before the engine dies.
  const epoch = state.epoch - 1;
  if (deaths === undefined) return { count: 1, epoch };
  const inARow = deaths.count >= ENGINE_DEATHS || state.settledEpoch <= deaths.epoch;
  return { count: inARow ? deaths.count + 1 : 1, epoch };
}

/** The engine died while others ran: those that wait were not running at it, so their deaths are not in a row. */
export function spareWaiting(state: NamespaceState, turn: Turn): void {
  for (const task of state.tasks.values()) {
    if (task.state.name !== "waiting" || task.deaths === undefined || needsQuiet(task)) continue;
    turn.record({ type: "task.spared", taskId: task.spec.id });
  }
}
