/** No agent is idle while a task waits that it may serve: looked at from outside the queues. */
import type { Agent } from "../../core/agent.ts";
import { needsEmptyAgent, needsQuiet } from "../../core/company.ts";
import type { Pool } from "../../core/pool.ts";
import { mayServe } from "../../core/service-class.ts";
import { spentOf, WHOLE_POOL } from "../../core/spend.ts";
import type { NamespaceState } from "../../core/state.ts";
import type { Task } from "../../core/task.ts";

/** One whose rest is over is given work by its timer, not before. */
const TIMER_SLACK_MS = 1_000;

/** A sentence about the first such pair, or undefined. */
export function workLeft(state: NamespaceState, nowMs: number): string | undefined {
  if (state.draining !== undefined) return undefined;
  const free = [...state.agents.values()].filter((agent) => isFree(state, agent, nowMs));
  if (free.length === 0) return undefined;
  const running = runningByKey(state);
  for (const task of state.tasks.values()) {
    if (task.state.name !== "waiting" || task.state.reason !== "agent") continue;
    const pool = state.pools.get(task.spec.pool);
    if (pool === undefined || !mayBeginIn(state, pool, task)) continue;
    if (isSpent(pool, WHOLE_POOL, nowMs) || isSpent(pool, task.spec.tenant, nowMs)) continue;
    const { keyConcurrency = Number.POSITIVE_INFINITY } = pool.options;
    if ((running.get(keyOf(task)) ?? 0) >= keyConcurrency) continue;
    for (const agent of free)
      if (mayTake(agent, task)) return `agent ${agent.identity.name} takes task ${task.spec.id}, which waits`;
  }
  return undefined;
}

/** Its window is over by its timer, not before. */
function isSpent(pool: Pool, tenant: string | undefined, nowMs: number): boolean {
  const spent = tenant === undefined ? undefined : spentOf(pool, tenant);
  return spent !== undefined && spent.untilMs > nowMs - TIMER_SLACK_MS;
}

const keyOf = ({ spec }: Task): string => `${spec.pool}\t${spec.fairnessKey ?? ""}`;

function runningByKey(state: NamespaceState): Map<string, number> {
  const running = new Map<string, number>();
  for (const task of state.tasks.values()) {
    if (task.state.name === "leased") running.set(keyOf(task), (running.get(keyOf(task)) ?? 0) + 1);
  }
  return running;
}

/** Nothing but want of an agent keeps the task. */
function mayBeginIn(state: NamespaceState, { id, mode, options }: Pool, task: Task): boolean {
  if (mode !== "running" || state.heldTypes.has(task.spec.type)) return false;
  // It may wait for a faster agent.
  if (options.holdBack) return false;
  // It waits for an agent of its own, or others wait for its end.
  return !needsEmptyAgent(task) && !needsQuiet(task) && (state.queues.get(id)?.reservations.areNone ?? true);
}

function isFree(state: NamespaceState, agent: Agent, nowMs: number): boolean {
  const { identity, lifecycle, runs, claim, cooldownUntilMs, rate } = agent;
  if (agent.isBreached) return false;
  // What runs on it runs alone.
  for (const run of runs.values()) if (run.alone) return false;
  const options = state.pools.get(identity.pool)?.options;
  if (lifecycle !== "ready" || runs.size >= identity.concurrency || options === undefined) return false;
  if (options.strategy === "weighted" && identity.weight === 0) return false;
  if (!isTrusted(agent, options.breaker === false ? Number.POSITIVE_INFINITY : options.breaker.permits, nowMs)) {
    return false;
  }
  if (cooldownUntilMs > nowMs - TIMER_SLACK_MS) return false;
  if ((rate?.roomAtMs(nowMs - TIMER_SLACK_MS) ?? 0) > nowMs - TIMER_SLACK_MS) return false;
  return identity.kind !== "remote" || (claim !== undefined && claim.leased.length < claim.max);
}

/** Its breaker and its health let it have one more. */
function isTrusted({ breaker, health }: Agent, permits: number, nowMs: number): boolean {
  const lastMs = nowMs - TIMER_SLACK_MS;
  if (health === "unhealthy") return false;
  if (breaker.name === "open") return breaker.untilMs <= lastMs;
  return breaker.name === "closed" || breaker.leases.filter(({ expiresAtMs }) => expiresAtMs > lastMs).length < permits;
}

function mayTake({ identity, claimTypes, runs, stillNames }: Agent, task: Task): boolean {
  if (identity.pool !== task.spec.pool || task.failedAgentIds.includes(identity.id)) return false;
  // It may still be running an older attempt of it.
  if (stillNames.has(task.spec.id)) return false;
  for (const run of runs.values()) if (run.taskId === task.spec.id) return false;
  const profile = {
    key: "",
    capabilities: new Set(identity.capabilities),
    verified: new Set(identity.verified),
    claimTypes: claimTypes === undefined ? undefined : new Set(claimTypes),
  };
  return mayServe(profile, task.spec);
}
