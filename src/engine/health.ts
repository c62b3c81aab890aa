/** How the engine and its pools are, in words and counts. */

import { poolHealthWord } from "../core/pool-health.ts";
import { existingPool, type Frame, processOf } from "./frame.ts";
import { agentsInOrder, poolHealthView } from "./present-pool.ts";
import type { EngineHealth } from "./troupe.ts";
import type { PoolHealthView, PoolView } from "./view.ts";

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

/** Without a pool, the sum of all. */
export function poolHealth(frame: Frame, pool: string | undefined): PoolHealthView {
  const { state } = frame;
  const pools = pool === undefined ? [...state.pools.values()] : [existingPool(state, pool)];
  const agents = pools.flatMap((each) => agentsInOrder(state, each));
  return poolHealthView(agents, (agent) => processOf(frame, agent));
}
