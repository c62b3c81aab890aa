/** A pool as outsiders see it: its status, and the health of its daemons. */
import type { Agent } from "../core/agent.ts";
import type { Pool } from "../core/pool.ts";
import { agentsOf, poolHealthWord } from "../core/pool-health.ts";
import type { NamespaceState } from "../core/state.ts";
import { compact } from "./compact.ts";
import { iso } from "./instant.ts";
import type { PoolHealthView, PoolView } from "./view.ts";

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
