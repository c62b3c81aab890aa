/** The one switch: what is due first, then commands, then one match. */
import { PoolError } from "../base/errors.ts";
import { answerClaims, claim, endClaim, heartbeat } from "./claim.ts";
import { type Command, DONE, type Known, type Reply } from "./command.ts";
import { discard, replay } from "./dead-letters.ts";
import type { DueEntry } from "./due.ts";
import { gateProbed, setGate } from "./gating.ts";
import { budgetSpentUntilMs, releaseHeld } from "./held.ts";
import { currentLease, expire, extendAll, renewAll, started, timeOut, vouch } from "./lease.ts";
import { matchReady } from "./match.ts";
import { failAgent, recoverAgent } from "./operator.ts";
import { admitHeld, giveUpHeld, letGo, refuseHeld, submit } from "./overflow.ts";
import { spareWaiting } from "./poison.ts";
import type { PoolOptions } from "./pool.ts";
import { release, releasePayload } from "./quarantine.ts";
import { retire } from "./retire.ts";
import { deadlineExceeded, endAttempt, freeHeldSlot, notFound, report, stale, stopAndFinish, sweep } from "./settle.ts";
import { type NamespaceState, poolOf } from "./state.ts";
import { becomesStuck } from "./stuck.ts";
import {
  addAgent,
  becomeReady,
  checkSilence,
  closeClaim,
  exited,
  forgetSilent,
  join,
  probed,
  removeAgent,
  startAgain,
} from "./supervise.ts";
import { isHeld, type Priority, type Settlement, type Task } from "./task.ts";
import type { Turn } from "./turn.ts";
import { recheck, resetBreakers } from "./work-record.ts";

/**
 * Carries out one command. Throws `PoolError` when it is refused; then nothing durable has been recorded for it.
 * The engine calls `dueFirst`, then `step` for each command of the turn, then `matchLast`.
 */
export function step(state: NamespaceState, command: Command, turn: Turn): Reply {
  switch (command.type) {
    case "submit":
      return submit(state, command, turn);
    case "let_go":
      return letGo(state, command.pool, command.holdId, turn);
    case "report":
      return report(state, command, turn);
    case "started":
      return started(state, command, turn);
    case "progress":
      return progress(state, command, turn);
    case "cancel":
      return cancel(state, command, turn);
    case "replay":
      return replay(state, command, turn);
    case "discard":
      return discard(state, command, turn);
    case "release_payload":
      return releasePayload(state, command, turn);
    case "claim":
      return claim(state, command, turn);
    case "close_claim":
      return endClaim(state, command.agentId, command.claimId, turn);
    case "heartbeat":
      return heartbeat(state, command, turn);
    case "join":
      return join(state, command, turn);
    case "create_pool":
      return createPool(state, command.options, turn);
    case "change_pool":
      return changePool(state, command.options, turn);
    case "drain_pool":
      return drainPool(state, command.pool, turn);
    case "set_mode":
      return setMode(state, command, turn);
    case "set_gate":
      return setGate(state, command, turn);
    case "gate_probed":
      return gateProbed(state, command, turn);
    case "delete_pool":
      return deletePool(state, command.pool, turn);
    case "add_agent":
      return addAgent(state, command, turn);
    case "fail_agent":
      return failAgent(state, command, turn);
    case "recover_agent":
      return recoverAgent(state, command, turn);
    case "remove_agent":
      return removeAgent(state, command.agentId, turn);
    case "agent_ready":
      return becomeReady(state, command.agentId, turn);
    case "agent_exited":
      return exited(state, command, turn);
    case "agent_alive":
      return vouch(state, command, turn);
    case "agent_probed":
      return probed(state, command, turn);
    case "reset_breakers":
      return resetBreakers(state, command, turn);
    case "recover":
      return recover(state, turn);
    case "extend_leases":
      return extendAll(state, turn);
    case "retire":
      return retire(state, command, turn);
    case "forget":
      turn.record({ type: "tasks.forgotten", taskIds: command.taskIds });
      return DONE;
    case "drain":
      refuseHeld(state, undefined, new PoolError("shutting_down", "the engine takes no more tasks"), turn);
      turn.record({ type: "namespace.draining", matching: command.matching });
      return DONE;
    case "halt":
      return halt(state, command.cancel, turn);
    case "tick":
      return DONE;
    default:
      return command satisfies never;
  }
}

/** Does all that is due at the turn's instant, before anything else happens in it. */
export function dueFirst(state: NamespaceState, turn: Turn): void {
  for (let entry = state.due.take(turn.nowMs); entry !== undefined; entry = state.due.take(turn.nowMs)) {
    fallDue(state, entry, turn);
  }
  state.due.compact((entry) => isLive(state, entry));
}

/** Matches once, and answers the claims that were given work. */
export function matchLast(state: NamespaceState, turn: Turn): void {
  for (const pool of [...state.overflow.keys()]) admitHeld(state, pool, turn);
  matchReady(state, turn);
  // What was matched has left room to those who wait for it.
  while ([...state.overflow.keys()].some((pool) => admitHeld(state, pool, turn))) matchReady(state, turn);
  answerClaims(state, turn);
}

function fallDue(state: NamespaceState, entry: DueEntry, turn: Turn): void {
  if (entry.kind === "overflow") {
    giveUpHeld(state, entry.pool, entry.holdId, turn);
    return;
  }
  if (entry.kind === "lease" || entry.kind === "timeout") {
    const lease = currentLease(state, entry);
    const task = state.tasks.get(entry.taskId);
    if (lease === undefined || task === undefined) return;
    if (entry.kind === "timeout") timeOut(state, task, lease, turn);
    else if (lease.expiresAtMs > turn.nowMs) state.due.add({ ...entry, atMs: lease.expiresAtMs });
    else expire(state, task, lease, turn);
    return;
  }
  if (entry.kind === "deadline" || entry.kind === "wake" || entry.kind === "near") {
    const task = state.tasks.get(entry.taskId);
    if (task === undefined || task.state.name === "settled") return;
    if (entry.kind === "wake") wake(state, task, turn);
    else if (entry.kind === "near") comesNear(task, turn);
    else if (task.spec.deadlineAtMs !== undefined && task.spec.deadlineAtMs <= turn.nowMs) {
      stopAndFinish(state, task, deadlineExceeded(turn.nowMs), turn);
    }
    return;
  }
  if (entry.kind === "review") {
    if (isLive(state, entry)) turn.record({ type: "pool.reviewed", pool: entry.pool });
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
        const reason = "a run ignores its signal";
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
    case "silent":
      checkSilence(state, agent, turn);
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
function isLive(state: NamespaceState, entry: DueEntry): boolean {
  switch (entry.kind) {
    case "lease":
    case "timeout":
      return currentLease(state, entry) !== undefined;
    case "deadline":
    case "near":
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
    case "review":
      return state.pools.get(entry.pool)?.reviewAtMs === entry.atMs;
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

function progress(state: NamespaceState, command: Extract<Command, { type: "progress" }>, turn: Turn): Reply {
  const { taskId, fence } = command;
  if (currentLease(state, command) === undefined) {
    if (state.tasks.has(taskId)) throw stale(taskId, fence);
    throw notFound(taskId);
  }
  turn.record({ type: "task.progressed", taskId, fence, progress: command.progress });
  return DONE;
}

function cancellation(nowMs: number, code: string, message: string): Settlement {
  const error = { code, message, blame: "caller" as const };
  return { status: "cancelled", error, settledAtMs: nowMs, deadLettered: false };
}

/** Cancelling what is cancelled is fine; what has ended otherwise stays as it is. */
function cancel(state: NamespaceState, command: Extract<Command, { type: "cancel" }>, turn: Turn): Reply {
  const { taskId, reason, known } = command;
  const task = state.tasks.get(taskId);
  if (task !== undefined && task.state.name !== "settled") {
    stopAndFinish(state, task, cancellation(turn.nowMs, "cancelled", reason), turn);
    return DONE;
  }
  refuseUnlessCancelled(task, taskId, known);
  return DONE;
}

function refuseUnlessCancelled(task: Task | undefined, taskId: Task["spec"]["id"], known: Known): void {
  const status = settlementOf(task, taskId, known).status;
  if (status === "cancelled") return;
  throw new PoolError("already_settled", `task ${taskId} is ${status}`, { details: { taskId, status } });
}

function settlementOf(task: Task | undefined, taskId: Task["spec"]["id"], known: Known): Settlement {
  const settlement = task?.state.name === "settled" ? task.state.settlement : known.tasks.get(taskId)?.settlement;
  if (settlement === undefined) throw notFound(taskId);
  return settlement;
}

function createPool(state: NamespaceState, options: PoolOptions, turn: Turn): Reply {
  if (state.pools.has(options.id)) {
    throw new PoolError("conflict", `a pool ${options.id} is already there`, {
      details: { path: "id", id: options.id },
    });
  }
  turn.record({ type: "pool.created", pool: options.id, options, atMs: turn.nowMs });
  return DONE;
}

function changePool(state: NamespaceState, options: PoolOptions, turn: Turn): Reply {
  if (!state.pools.has(options.id)) throw new PoolError("not_found", `no pool ${options.id}`);
  turn.record({ type: "pool.changed", pool: options.id, options });
  return DONE;
}

function drainPool(state: NamespaceState, id: PoolOptions["id"], turn: Turn): Reply {
  if (!state.pools.has(id)) throw new PoolError("not_found", `no pool ${id}`, { details: { pool: id } });
  refuseHeld(state, id, new PoolError("not_running", `pool ${id} takes no more tasks`), turn);
  turn.record({ type: "pool.draining", pool: id });
  return DONE;
}

/** Paused it takes tasks and starts none, draining it takes none; what runs goes on. Saying it twice is once. */
function setMode(state: NamespaceState, command: Extract<Command, { type: "set_mode" }>, turn: Turn): Reply {
  const { pool: id, mode } = command;
  const pool = state.pools.get(id);
  if (pool === undefined) throw new PoolError("not_found", `no pool ${id}`, { details: { pool: id } });
  if (pool.mode !== mode) turn.record({ type: "pool.mode", pool: id, mode });
  return DONE;
}

/** What is left is cancelled; its history stays. */
function deletePool(state: NamespaceState, id: PoolOptions["id"], turn: Turn): Reply {
  const pool = state.pools.get(id);
  if (pool === undefined) throw new PoolError("not_found", `no pool ${id}`, { details: { pool: id } });
  refuseHeld(state, id, new PoolError("not_running", `pool ${id} takes no more tasks`), turn);
  const left = openTasks(state).filter((task) => task.spec.pool === id);
  sweep(state, left, cancellation(turn.nowMs, "pool_deleted", `its pool ${id} was deleted`), turn);
  for (const agentId of [...pool.agentIds]) removeAgent(state, agentId, turn);
  for (const fingerprint of [...pool.quarantine.keys()]) release(pool, fingerprint, turn);
  turn.record({ type: "pool.deleted", pool: id });
  return { type: "cancelled", count: left.length };
}

function openTasks(state: NamespaceState): Task[] {
  return [...state.tasks.values()].filter((task) => task.state.name !== "settled");
}

/** After a start: attempts of children and functions died with the engine; remote ones get one full lease. */
function recover(state: NamespaceState, turn: Turn): Reply {
  const died = openTasks(state).filter(({ state: now }) => {
    return now.name === "leased" && state.agents.get(now.lease.agentId)?.identity.kind !== "remote";
  });
  if (died.length > 0) spareWaiting(state, turn);
  for (const task of died) {
    const error = { code: "engine_died", message: "the engine died while it ran" };
    endAttempt(state, task, { name: "lost", blame: "engine", kill: false, error }, turn, { held: false });
  }
  for (const agent of state.agents.values()) {
    const agentId = agent.identity.id;
    if (agent.identity.kind === "remote") {
      becomeReady(state, agentId, turn);
      renewAll(state, agent, turn);
    } else turn.request({ type: "start_agent", agentId });
  }
  return DONE;
}

/** The engine stops: what runs here is given back, or everything open is cancelled when nothing would keep it. */
function halt(state: NamespaceState, cancelAll: boolean, turn: Turn): Reply {
  for (const agent of state.agents.values()) closeClaim(agent, turn);
  const open = openTasks(state);
  if (cancelAll) {
    sweep(state, open, cancellation(turn.nowMs, "shutting_down", "the engine was closed"), turn);
    return { type: "cancelled", count: open.length };
  }
  for (const task of open) {
    if (task.state.name !== "leased") continue;
    const { agentId, fence } = task.state.lease;
    if (state.agents.get(agentId)?.identity.kind === "remote") continue;
    const error = { code: "engine_stopped", message: "the engine was stopped" };
    endAttempt(state, task, { name: "released", error }, turn, { held: true });
    turn.request({ type: "stop", agentId, taskId: task.spec.id, fence });
  }
  return { type: "cancelled", count: 0 };
}
