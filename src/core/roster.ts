/** Who could serve a task, now or soon: the question behind every retry. */
import type { AgentId } from "../base/ids.ts";
import { stateOf } from "../policies/breaker/breaker.ts";
import type { Agent, Lifecycle } from "./agent.ts";
import { mayBeChosen } from "./pool.ts";
import { type NamespaceState, poolOf, queueOf } from "./state.ts";
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
  for (const { agent } of queueOf(state, task.spec.pool).seats.whoFit(task.spec)) {
    if (!mayBeChosen(options, agent.identity) || failed.agentIds.includes(agent.identity.id)) continue;
    if (couldServe(agent, { nowMs, untilMs: nowMs + failed.patienceMs })) return true;
  }
  return false;
}

/** Serves now or soon: sharing nothing with another agent, not unhealthy, its breaker not open, not resting for longer. */
export function couldServe(agent: Agent, { nowMs, untilMs }: { nowMs: number; untilMs: number }): boolean {
  if (!SERVING.includes(agent.lifecycle) || agent.isBreached || agent.health === "unhealthy") return false;
  if ((agent.rate?.roomAtMs(nowMs) ?? nowMs) > untilMs) return false;
  return agent.cooldownUntilMs <= untilMs && stateOf(agent.breaker, nowMs) !== "open";
}
