/** What has been counted, and what can be seen right now, as metrics and analytics of a pool. */
import { oldestAtMs } from "../core/place.ts";
import { analyse, perHour } from "../policies/analytics.ts";
import { healthScore } from "../policies/health-score.ts";
import { existingPool, type Frame } from "./frame.ts";
import { iso } from "./instant.ts";
import type { Metrics } from "./metrics.ts";
import { agentsInOrder } from "./present-pool.ts";
import type { AnalyticsView, PoolMetricsView, PoolView, TaskStatus } from "./view.ts";

const HOUR_MS = 3_600_000;

export class MetricsDesk {
  readonly #frame: Frame;
  readonly #metrics: Metrics;
  readonly #view: (pool: string) => Promise<PoolView>;

  /** @param view - the pool as it is shown, with all that is settled */
  constructor(frame: Frame, metrics: Metrics, view: (pool: string) => Promise<PoolView>) {
    this.#frame = frame;
    this.#metrics = metrics;
    this.#view = view;
  }

  /** @throws PoolError `not_found` */
  async metrics(id: string): Promise<PoolMetricsView> {
    const { counts, ...view } = await this.#view(id);
    const { state, turnClock } = this.#frame;
    const pool = existingPool(state, id);
    const { byPriority, byType, assignment, duration, activity } = this.#metrics.of(pool.id);
    const nowMs = turnClock.now();
    const agents = agentsInOrder(state, pool);
    const queue = state.queues.get(pool.id);
    const oldestMs = (queue === undefined ? undefined : oldestAtMs(queue)) ?? nowMs;
    const lastHour = activity.sums(nowMs, HOUR_MS);
    return {
      agents: agents.length,
      byStatus: view.byStatus,
      byPriority: { ...byPriority },
      byType: Object.fromEntries([...byType].map(([type, each]) => [type, { ...each }])),
      queued: counts.queued,
      blocked: counts.blocked,
      delayed: counts.delayed,
      gated: counts.gated,
      running: counts.running,
      oldestWaitMs: Math.max(0, nowMs - oldestMs),
      meanAssignmentLatencyMs: assignment.mean(),
      p99AssignmentLatencyMs: assignment.quantile(0.99),
      meanTaskDurationMs: duration.mean(),
      utilisation: agents.length === 0 ? 0 : agents.filter(({ runs }) => runs.size > 0).length / agents.length,
      throughputPerHour: perHour(lastHour.completed, lastHour.elapsedMs) ?? 0,
      healthScore: healthScore({
        tasks: total(view.byStatus),
        failed: view.byStatus.failed,
        isBreached: agents.some(({ isBreached }) => isBreached),
        queued: counts.queued,
        queueLimit: pool.options.queue.limit,
      }),
      deadLetters: counts.deadLetters,
      refusals: view.refusals,
    };
  }

  /** @throws PoolError `not_found` */
  async analytics(id: string): Promise<AnalyticsView> {
    const { byStatus } = await this.#view(id);
    const { state, turnClock } = this.#frame;
    const pool = existingPool(state, id);
    const { activity, byPriority } = this.#metrics.of(pool.id);
    const nowMs = turnClock.now();
    const sums = activity.sums(nowMs);
    const agents = agentsInOrder(state, pool);
    let slots = 0;
    let runningMs = 0;
    for (const { identity, runs } of agents) {
      slots += identity.concurrency;
      for (const { taskId, fence } of runs.values()) {
        const task = state.tasks.get(taskId);
        if (task?.state.name !== "leased" || task.state.lease.fence !== fence) continue;
        runningMs += nowMs - Math.max(sums.sinceMs, task.state.lease.startedAtMs ?? nowMs);
      }
    }
    return {
      at: iso(nowMs),
      since: iso(sums.sinceMs),
      elapsedMs: sums.elapsedMs,
      totalTasks: total(byStatus),
      byStatus,
      byPriority: { ...byPriority },
      completed: sums.completed,
      failed: sums.failed,
      cancelled: sums.cancelled,
      ...analyse(sums, { slots, runningMs }),
    };
  }
}

function total(byStatus: Readonly<Record<TaskStatus, number>>): number {
  return Object.values(byStatus).reduce((sum, count) => sum + count, 0);
}
