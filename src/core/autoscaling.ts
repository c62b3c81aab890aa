/** A pool's size follows its load: looked at now and then, decided by `resize`, done as an operator would do it. */
import type { PoolId } from "../base/ids.ts";
import { type Load, lookEveryMs, resize } from "../policies/autoscale.ts";
import type { AgentTemplate, Pool } from "./pool.ts";
import { mayServe } from "./service-class.ts";
import { resizeTo, sizedAgents, sizedEntry } from "./size.ts";
import { type NamespaceState, queueOf } from "./state.ts";
import type { Turn } from "./turn.ts";

/** Paused, draining or deleted pools keep their size: that nothing starts there has other reasons. */
export function lookAtSize(state: NamespaceState, id: PoolId, turn: Turn): void {
  const pool = state.pools.get(id);
  const { autoscale } = pool?.options ?? { autoscale: false };
  if (pool?.watch === undefined || autoscale === false) return;
  const { scaledAtMs, watch } = pool;
  const { nowMs } = turn;
  const { load, oldestAtMs, idle } = loadOf(state, pool, nowMs);
  const open = load.waiting + load.running;
  const isOver = nowMs - watch.sinceMs >= autoscale.cooldownMs;
  const seen = Math.max(watch.peak, open);
  const instants = [
    nowMs + lookEveryMs(autoscale),
    ...[
      (oldestAtMs ?? nowMs) + autoscale.targetWaitMs,
      (scaledAtMs ?? nowMs) + autoscale.cooldownMs,
      watch.sinceMs + autoscale.cooldownMs,
    ].filter((atMs) => atMs > nowMs),
  ];
  turn.record({
    type: "pool.watched",
    pool: id,
    watch: {
      ...(isOver ? { peak: open, sinceMs: nowMs } : { peak: seen, sinceMs: watch.sinceMs }),
      nextAtMs: Math.min(...instants),
    },
  });
  const rests = scaledAtMs !== undefined && nowMs - scaledAtMs < autoscale.cooldownMs;
  if (rests || pool.mode !== "running" || pool.draining || state.draining !== undefined) return;
  const change = resize({ ...load, peak: isOver ? seen : undefined }, autoscale);
  if (change === undefined) return;
  // Only idle ones go.
  const target = Math.max(change.target, load.size - idle);
  resizeTo(state, pool, target, { by: "autoscale", reason: change.reason }, turn);
}

/** What `size` can do something about: tasks that its agents may serve and that wait for nothing but an agent. */
function loadOf(
  state: NamespaceState,
  pool: Pool,
  nowMs: number,
): { load: Omit<Load, "peak">; oldestAtMs: number | undefined; idle: number } {
  const template = pool.options.agents[sizedEntry(pool.options)] as AgentTemplate;
  const profile = { key: "", capabilities: new Set(template.capabilities), claimTypes: undefined };
  const queue = queueOf(state, pool.id);
  const room = queue.keyRooms();
  let waiting = 0;
  let oldestAtMs: number | undefined;
  for (const lane of queue.lanes()) {
    if (queue.holds(lane.serviceClass.type) || !mayServe(profile, lane.serviceClass)) continue;
    const startable = room(lane.fairKey, lane.size);
    const atMs = startable === 0 ? undefined : lane.oldest()?.queuedAtMs;
    waiting += startable;
    if (atMs !== undefined && (oldestAtMs === undefined || atMs < oldestAtMs)) oldestAtMs = atMs;
  }
  const agents = sizedAgents(state, pool);
  const running = agents.reduce((sum, { runs }) => sum + runs.size, 0);
  const { min, max } = pool.options.size;
  const oldestWaitMs = oldestAtMs === undefined ? 0 : Math.max(0, nowMs - oldestAtMs);
  const { concurrency } = template;
  const idle = agents.filter(({ runs }) => runs.size === 0).length;
  return { load: { size: agents.length, min, max, waiting, running, oldestWaitMs, concurrency }, oldestAtMs, idle };
}
