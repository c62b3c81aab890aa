/** Who could serve a task, now or soon: the question behind every retry. */
import type { AgentId } from "../base/ids.ts";
import type { Agent, Lifecycle } from "./agent.ts";
import { poolOf, queueOf } from "./apply.ts";
import { mayBeChosen } from "./pool.ts";
import type { NamespaceState } from "./state.ts";
import type { Task } from "./task.ts";

/** In these an agent serves or will serve again by itself. */
const SERVING: readonly Lifecycle[] = ["starting", "ready", "restarting"];

/**
 * True when an agent that is not on the failed list may serve the task: free or busy, not unhealthy, and not resting
 * for longer than `patienceMs`.
 */
export function anotherCouldServe(
  state: NamespaceState,
  task: Pick<Task, "spec">,
  failed: { readonly agentIds: readonly AgentId[]; readonly patienceMs: number },
  nowMs: number,
): boolean {
  const { options } = poolOf(state, task.spec.pool);
  for (const { agent } of queueOf(state, task.spec.pool).seatsFor(task.spec)) {
    if (!mayBeChosen(options, agent.identity)) continue;
    if (!failed.agentIds.includes(agent.identity.id) && couldServe(agent, nowMs + failed.patienceMs)) return true;
  }
  return false;
}

export function couldServe(agent: Agent, untilMs: number): boolean {
  return SERVING.includes(agent.lifecycle) && agent.health !== "unhealthy" && agent.cooldownUntilMs <= untilMs;
}
