/** An agent as outsiders see it. */
import type { Agent } from "../core/agent.ts";
import type { NamespaceState } from "../core/state.ts";
import { compact } from "./compact.ts";
import { iso } from "./instant.ts";
import type { AgentCounts } from "./metrics.ts";
import type { AgentView } from "./view.ts";

export interface AgentBeside {
  readonly nowMs: number;
  readonly process: { readonly port?: number | undefined; readonly pid?: number | undefined };
  readonly counts: AgentCounts | undefined;
}

export function agentView(state: NamespaceState, agent: Agent, { nowMs, process, counts }: AgentBeside): AgentView {
  const { identity, stats, isolation } = agent;
  const { capabilities, verified = [] } = identity;
  const samples = stats.succeeded + stats.failed;
  const lease = [...agent.runs.values()].map((run) => {
    const task = state.tasks.get(run.taskId);
    const expiresAtMs = task?.state.name === "leased" ? task.state.lease.expiresAtMs : undefined;
    const held = { taskId: run.taskId as string, fence: run.fence };
    return run.orphaned || expiresAtMs === undefined ? held : { ...held, expiresAt: iso(expiresAtMs) };
  });
  return compact<AgentView>({
    id: identity.id,
    name: identity.name,
    pool: identity.pool,
    kind: identity.kind,
    capabilities: [...capabilities, ...verified.filter((name) => !capabilities.includes(name))],
    verified: verified.length === 0 ? undefined : verified,
    concurrency: identity.concurrency,
    weight: identity.weight,
    priority: identity.priority,
    metadata: identity.metadata ?? {},
    lifecycle: agent.lifecycle,
    health: agent.health,
    breaker: breakerView(agent),
    activity: agent.runs.size > 0 ? "busy" : "idle",
    cooldownUntil: agent.cooldownUntilMs > nowMs ? iso(agent.cooldownUntilMs) : undefined,
    lease,
    ...isolation,
    restarts: agent.restarts,
    lastExit:
      agent.lastExit === undefined
        ? undefined
        : {
            code: agent.lastExit.code,
            signal: agent.lastExit.signal,
            reason: agent.lastExit.reason,
            at: iso(agent.lastExit.atMs),
            logTail: agent.lastExit.logTail,
          },
    stats: {
      succeeded: stats.succeeded,
      failed: stats.failed,
      inFlight: agent.runs.size,
      successRate: samples === 0 ? 1 : stats.succeeded / samples,
      errorShare: samples === 0 ? 0 : stats.failed / samples,
      meanLatencyMs: stats.succeeded === 0 ? null : stats.latencySumMs / stats.succeeded,
      p95LatencyMs: counts?.latency.quantile(0.95) ?? null,
      consecutiveFailures: stats.consecutiveFailures,
      abandoned: stats.abandoned,
      samples,
      byType: Object.fromEntries([...(counts?.byType ?? [])].map(([type, each]) => [type, typeView(each)])),
      ...(stats.lastActivityAtMs === undefined ? {} : { lastActivityAt: iso(stats.lastActivityAtMs) }),
    },
    port: process.port,
    pid: process.pid,
  });
}

function typeView({ succeeded, failed, latencySumMs }: { succeeded: number; failed: number; latencySumMs: number }) {
  return { succeeded, failed, meanLatencyMs: succeeded === 0 ? null : latencySumMs / succeeded };
}

function breakerView({ breaker }: Agent): AgentView["breaker"] {
  if (breaker.name !== "open") return { state: breaker.name };
  return { state: "open", until: iso(breaker.untilMs), reason: breaker.reason };
}
