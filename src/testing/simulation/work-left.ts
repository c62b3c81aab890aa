/** No agent is idle while a task waits that it may serve: looked at from outside the queues. */
import type { Agent } from "../../core/agent.ts";
import { needsEmptyAgent, needsQuiet } from "../../core/company.ts";
import { mayServe } from "../../core/service-class.ts";
import type { NamespaceState } from "../../core/state.ts";
import type { Task } from "../../core/task.ts";

/** One whose rest is over is given work by its timer, not before. */
const TIMER_SLACK_MS = 1_000;

/** A sentence about the first such pair, or undefined. */
export function workLeft(state: NamespaceState, nowMs: number): string | undefined {
  if (state.draining !== undefined) return undefined;
  const free = [...state.agents.values()].filter((agent) => isFree(agent, nowMs));
  if (free.length === 0) return undefined;
  for (const task of state.tasks.values()) {
    if (task.state.name !== "waiting" || task.state.reason !== "agent") continue;
    // It waits for an agent of its own, or others wait for its end.
    if (needsEmptyAgent(task) || needsQuiet(task) || !(state.queues.get(task.spec.pool)?.reservations.areNone ?? true))
      continue;
    for (const agent of free)
      if (mayTake(agent, task)) return `agent ${agent.identity.name} takes task ${task.spec.id}, which waits`;
  }
  return undefined;
}

function isFree(agent: Agent, nowMs: number): boolean {
  const { identity, lifecycle, health, runs, claim, cooldownUntilMs, breaker } = agent;
  if (breaker.name !== "closed") return false;
  // What runs on it runs alone.
  for (const run of runs.values()) if (run.alone) return false;
  if (lifecycle !== "ready" || health === "unhealthy" || runs.size >= identity.concurrency) return false;
  if (cooldownUntilMs > nowMs - TIMER_SLACK_MS) return false;
  return identity.kind !== "remote" || (claim !== undefined && claim.leased.length < claim.max);
}

function mayTake({ identity, claimTypes, runs }: Agent, task: Task): boolean {
  if (identity.pool !== task.spec.pool || task.failedAgentIds.includes(identity.id)) return false;
  // It may still be running an older attempt of it.
  for (const run of runs.values()) if (run.taskId === task.spec.id) return false;
  const profile = {
    key: "",
    capabilities: new Set(identity.capabilities),
    claimTypes: claimTypes === undefined ? undefined : new Set(claimTypes),
  };
  return mayServe(profile, task.spec);
}
