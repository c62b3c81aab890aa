/** What happens when its time has come. */
import { lookAtSize } from "./autoscaling.ts";
import { endClaim } from "./claim.ts";
import type { DueEntry } from "./due.ts";
import { deadlineExceeded, giveUpAwaited, overspent, stopAndFinish } from "./finish.ts";
import { budgetSpentUntilMs, releaseHeld } from "./held.ts";
import { currentLease, expire, timeOut } from "./lease.ts";
import { giveBackAll } from "./leave.ts";
import { giveUpHeld } from "./overflow.ts";
import { replace } from "./replace.ts";
import { scheduleDue } from "./scheduling.ts";
import { freeHeldSlot } from "./settle.ts";
import { type NamespaceState, poolOf } from "./state.ts";
import { becomesStuck } from "./stuck.ts";
import { checkSilence, forgetSilent, startAgain } from "./supervise.ts";
import { isHeld, type Priority, type Task } from "./task.ts";
import type { Turn } from "./turn.ts";
import { recheck } from "./work-record.ts";

export function fallDue(state: NamespaceState, entry: DueEntry, turn: Turn): void {
  if (entry.kind === "overflow") {
    giveUpHeld(state, entry.pool, entry.holdId, turn);
    return;
  }
  if (entry.kind === "lease" || entry.kind === "timeout" || entry.kind === "budget_spent") {
    const lease = currentLease(state, entry);
    const task = state.tasks.get(entry.taskId);
    if (lease === undefined || task === undefined) return;
    if (entry.kind === "timeout") timeOut(state, task, lease, turn);
    else if (entry.kind === "budget_spent") overspent(state, task, lease, turn);
    else if (lease.expiresAtMs > turn.nowMs) state.due.add({ ...entry, atMs: lease.expiresAtMs });
    else expire(state, task, lease, turn);
    return;
  }
  if (entry.kind === "deadline" || entry.kind === "wake" || entry.kind === "near" || entry.kind === "awaited") {
    const task = state.tasks.get(entry.taskId);
    if (task === undefined || task.state.name === "settled") return;
    if (entry.kind === "wake") wake(state, task, turn);
    else if (entry.kind === "awaited") giveUpAwaited(state, task, turn);
    else if (entry.kind === "near") comesNear(task, turn);
    else if (task.spec.deadlineAtMs !== undefined && task.spec.deadlineAtMs <= turn.nowMs) {
      stopAndFinish(state, task, deadlineExceeded(turn.nowMs), turn);
    }
    return;
  }
  if (entry.kind === "autoscale") {
    if (isLive(state, entry)) lookAtSize(state, entry.pool, turn);
    return;
  }
  if (entry.kind === "review") {
    if (isLive(state, entry)) turn.record({ type: "pool.reviewed", pool: entry.pool });
    return;
  }
  if (entry.kind === "spend") {
    const { pool, tenant } = entry;
    if (isLive(state, entry)) turn.record({ type: "spend.freed", pool, tenant });
    return;
  }
  if (entry.kind === "schedule") {
    scheduleDue(state, entry.scheduleId, entry.atMs, turn);
    return;
  }
  if (entry.kind === "budget") {
    releaseHeld(state, entry.pool, turn);
    return;
  }
  const agent = state.agents.get(entry.agentId);
  if (agent === undefined) return;
  switch (entry.kind) {
    case "held":
      if (entry.giveUp) {
        const abandoned = agent.identity.kind === "function";
        freeHeldSlot(state, { agentId: entry.agentId, fence: entry.fence, abandoned }, turn);
      } else if (agent.runs.get(entry.fence)?.orphaned === true && !agent.findings.has("deaf")) {
        const reason = "a run goes on after its time";
        turn.record({ type: "agent.health", agentId: entry.agentId, source: "deaf", health: "degraded", reason });
      }
      break;
    case "stuck":
      becomesStuck(state, entry, turn);
      break;
    case "rested":
      if (agent.cooldownUntilMs <= turn.nowMs) turn.record({ type: "agent.refreshed", agentId: entry.agentId });
      break;
    case "recheck":
      recheck(state, agent, turn);
      break;
    case "retry_agent":
      if (agent.retryAtMs !== undefined && agent.retryAtMs <= turn.nowMs) startAgain(state, agent, turn);
      break;
    case "replace":
      replace(state, entry.agentId, entry.atMs, turn);
      break;
    case "silent":
      checkSilence(state, agent, turn);
      break;
    case "leave":
      giveBackAll(state, agent, turn);
      break;
    case "gone":
      forgetSilent(state, agent, turn);
      break;
    case "claim":
      endClaim(state, entry.agentId, entry.claimId, turn);
      break;
    default:
      entry satisfies never;
  }
}

/** False for an entry that could only be passed over when it comes up. */
export function isLive(state: NamespaceState, entry: DueEntry): boolean {
  switch (entry.kind) {
    case "lease":
    case "timeout":
    case "budget_spent":
      return currentLease(state, entry) !== undefined;
    case "deadline":
    case "near":
    case "awaited":
    case "wake": {
      const task = state.tasks.get(entry.taskId);
      return task !== undefined && task.state.name !== "settled";
    }
    case "budget":
      return state.pools.get(entry.pool)?.heldIsDue === true;
    case "stuck":
    case "held":
      return state.agents.get(entry.agentId)?.runs.has(entry.fence) === true;
    case "overflow":
      return state.overflow.get(entry.pool)?.find(entry.holdId) !== undefined;
    case "claim":
      return state.agents.get(entry.agentId)?.claim?.claimId === entry.claimId;
    case "autoscale":
      return state.pools.get(entry.pool)?.watch?.nextAtMs === entry.atMs;
    case "review":
      return state.pools.get(entry.pool)?.reviewAtMs === entry.atMs;
    case "spend":
      return state.pools.get(entry.pool)?.spending.get(entry.tenant)?.untilMs === entry.atMs;
    case "schedule":
      return state.schedules.get(entry.scheduleId)?.nextAtMs === entry.atMs;
    default:
      return state.agents.has(entry.agentId);
  }
}

/** Told once in a life, also of a task that is as urgent already, or runs. */
function comesNear(task: Task, turn: Turn): void {
  const { id, priority, escalate } = task.spec;
  if (task.nearAtMs === undefined || task.nearAtMs > turn.nowMs) return;
  const urgent = Math.min(task.priority, escalate?.priority ?? priority) as Priority;
  turn.record({ type: "task.deadline_near", taskId: id, priority: urgent, atMs: turn.nowMs });
}

/** Its delay or backoff is over: it waits for an agent, or for the retry budget. */
function wake(state: NamespaceState, task: Task, turn: Turn): void {
  if (task.state.name !== "waiting" || !("untilMs" in task.state) || task.state.untilMs > turn.nowMs) return;
  if (isHeld(task.state)) return;
  const again = task.state.reason === "retry";
  const untilMs = task.owes ? budgetSpentUntilMs(poolOf(state, task.spec.pool), turn.nowMs) : undefined;
  if (untilMs !== undefined) {
    turn.record({
      type: "task.waiting",
      taskId: task.spec.id,
      resting: { reason: "retry", untilMs, held: true },
      again,
    });
    return;
  }
  turn.record({ type: "task.waiting", taskId: task.spec.id, resting: { reason: "agent" }, again });
}
