/**
 * Agents that work badly are replaced, where their pool says so (`onUnhealthy: "replace"`): the same name and id, begun
 * anew, after the delay and within the budget of `restart`. What an operator has failed stays failed until it is
 * recovered: nobody starts over his word. Remote agents are replaced by whoever runs them; there is room for them.
 */
import type { AgentId } from "../base/ids.ts";
import { afterDeath } from "../policies/restart.ts";
import type { Agent, LastExit } from "./agent.ts";
import { endAllOn } from "./lease.ts";
import type { Pool } from "./pool.ts";
import { resizeTo, sizedAgents, sizedEntry } from "./size.ts";
import { type NamespaceState, poolOf } from "./state.ts";
import { startAgain, working } from "./supervise.ts";
import { restartOptions } from "./template.ts";
import type { Turn } from "./turn.ts";

/** Those who have just become unhealthy: asked after all commands of a turn. */
export function replaceAiling(state: NamespaceState, turn: Turn): void {
  if (state.ailing.size === 0) return;
  for (const id of state.ailing) {
    const agent = state.agents.get(id);
    if (agent === undefined || agent.health !== "unhealthy") continue;
    if (agent.replaceAtMs === undefined && isToBeReplaced(state, agent)) plan(state, agent, turn);
    refill(state, poolOf(state, agent.identity.pool), turn);
  }
  state.ailing.clear();
}

/**
 * Where the dead and the failed are replaced up to `size.min` only: those who were left alone when they died are started
 * again, and then new ones spawned, while too few can work. `size.max` bounds them all, those who can't work among them.
 */
function refill(state: NamespaceState, pool: Pool, turn: Turn): void {
  const { restart, size } = pool.options;
  if (restart.upTo !== "min" || pool.draining || state.draining !== undefined) return;
  for (const id of pool.agentIds) {
    const agent = state.agents.get(id);
    if (working(state, pool) >= size.min) return;
    if (agent?.lifecycle === "crashed" && agent.health !== "unhealthy") startAgain(state, agent, turn);
  }
  const missing = size.min - working(state, pool);
  if (missing <= 0 || sizedEntry(pool.options) === -1) return;
  const from = sizedAgents(state, pool).length;
  const reason = `fewer than size.min (${size.min}) can work`;
  resizeTo(state, pool, Math.max(from, Math.min(size.max, from + missing)), { by: "replacement", reason }, turn);
}

function isToBeReplaced(state: NamespaceState, { identity, lifecycle, health }: Agent): boolean {
  const { kind, pool, failed, dismissed } = identity;
  if (kind === "remote" || lifecycle !== "ready" || health !== "unhealthy" || state.draining !== undefined)
    return false;
  return failed === undefined && !dismissed && poolOf(state, pool).options.onUnhealthy === "replace";
}

function plan(state: NamespaceState, agent: Agent, turn: Turn): void {
  const { nowMs, random } = turn;
  const agentId = agent.identity.id;
  const decision = afterDeath(agent, nowMs, random, restartOptions(poolOf(state, agent.identity.pool), agent.identity));
  if (decision.name === "restart") {
    const atMs = nowMs + decision.delayMs;
    turn.record({ type: "agent.replacing", agentId, atMs, restartsAtMs: [...decision.counted, nowMs] });
    return;
  }
  // A process tells of its end, and is then left alone by the same budget.
  if (agent.identity.kind === "daemon") {
    turn.request({ type: "kill_agent", agentId, reason: agent.healthReason });
    return;
  }
  const { retryAfterMs } = decision;
  const lastExit = exitOf(agent, nowMs);
  endRuns(state, agent, turn);
  turn.record({ type: "agent.lifecycle", agentId, lifecycle: "crashed", atMs: nowMs, lastExit });
  const retryAtMs = retryAfterMs === undefined ? undefined : nowMs + retryAfterMs;
  turn.record({ type: "agent.lifecycle", agentId, lifecycle: "quarantined", atMs: nowMs, retryAtMs });
}

/** Its delay is over. One that has become well meanwhile stays as it is. */
export function replace(state: NamespaceState, agentId: AgentId, atMs: number, turn: Turn): void {
  const agent = state.agents.get(agentId);
  if (agent === undefined || agent.replaceAtMs !== atMs) return;
  if (!isToBeReplaced(state, agent)) {
    // What was only planned is no restart.
    const restartsAtMs = agent.restartsAtMs.slice(0, -1);
    turn.record({ type: "agent.replacing", agentId, atMs: undefined, restartsAtMs });
    return;
  }
  endRuns(state, agent, turn);
  turn.record({
    type: "agent.lifecycle",
    agentId,
    lifecycle: "draining",
    atMs: turn.nowMs,
    lastExit: exitOf(agent, turn.nowMs),
  });
  turn.record({ type: "agent.leaving", agentId, leaving: { untilMs: turn.nowMs, stopping: true } });
  turn.request({ type: "stop_agent", agentId });
}

function exitOf({ healthReason }: Agent, atMs: number): LastExit {
  return { code: null, signal: null, reason: healthReason, atMs, logTail: [] };
}

/** What it could not end is lost, and no kill: we have stopped it. */
function endRuns(state: NamespaceState, agent: Agent, turn: Turn): void {
  const { id: agentId } = agent.identity;
  for (const { taskId, fence } of agent.runs.values()) turn.request({ type: "stop", agentId, taskId, fence });
  const error = { code: "agent_replaced", message: `its agent was replaced: ${agent.healthReason}` };
  endAllOn(state, agentId, { name: "lost", blame: "agent", kill: false, error }, turn);
}
