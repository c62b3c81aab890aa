/** How the engine and its pools are, in words and counts. */
import { memoryLimitBytes, residentBytes } from "../agents/process-state.ts";
import type { Agent } from "../core/agent.ts";
import { poolHealthWord } from "../core/pool-health.ts";
import { existingPool, type Frame, processOf } from "./frame.ts";
import { agentsInOrder, poolHealthView } from "./present-pool.ts";
import type { EngineHealth } from "./troupe.ts";
import type { PoolHealthView, PoolMemoryView, PoolView } from "./view.ts";

export function engineHealth({ state }: Frame): EngineHealth {
  const sums = { agents: 0, healthyAgents: 0, queued: 0, running: 0 };
  const words = new Set<PoolView["health"]>();
  for (const pool of state.pools.values()) {
    words.add(poolHealthWord(state, pool));
    sums.queued += pool.counts.agent;
    sums.running += pool.counts.leased;
    for (const agent of agentsInOrder(state, pool)) {
      sums.agents += 1;
      if (agent.lifecycle === "ready" && agent.health !== "unhealthy") sums.healthyAgents += 1;
    }
  }
  const bad = words.has("unhealthy");
  const allBad = bad && !words.has("healthy") && !words.has("degraded");
  const status = allBad ? "unhealthy" : bad || words.has("degraded") ? "degraded" : "healthy";
  return { status, pools: state.pools.size, ...sums };
}

/** Without a pool, of all: of agents with a process of their own, as it is now. */
export function poolMemory(frame: Frame, pool: string | undefined): PoolMemoryView {
  const instances = agentsFor(frame, pool).flatMap((agent) => {
    if (agent.identity.kind !== "daemon") return [];
    const { pid = null } = processOf(frame, agent);
    const bytes = pid === null ? undefined : residentBytes(pid);
    return [{ id: agent.identity.name, pid, memory_mb: bytes === undefined ? null : inMegabytes(bytes) }];
  });
  const total = instances.reduce((sum, { memory_mb }) => sum + (memory_mb ?? 0), 0);
  const limit = memoryLimitBytes();
  return {
    total_mb: Math.round(total * 10) / 10,
    container_limit_mb: limit === undefined ? null : inMegabytes(limit),
    instances,
  };
}

const inMegabytes = (bytes: number): number => Math.round((bytes / 1_048_576) * 10) / 10;

/** Without a pool, the sum of all. */
export function poolHealth(frame: Frame, pool: string | undefined): PoolHealthView {
  return poolHealthView(agentsFor(frame, pool), (agent) => processOf(frame, agent));
}

function agentsFor({ state }: Frame, pool: string | undefined): Agent[] {
  const pools = pool === undefined ? [...state.pools.values()] : [existingPool(state, pool)];
  return pools.flatMap((each) => agentsInOrder(state, each));
}
