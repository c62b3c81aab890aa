/** The one switch: what is due first, then commands, then one match. */
import { PoolError } from "../base/errors.ts";
import { cancel } from "./cancel.ts";
import { answerClaims, claim, endClaim, heartbeat } from "./claim.ts";
import { type Command, DONE, type Reply } from "./command.ts";
import { discard, replay } from "./dead-letters.ts";
import { halt, recover } from "./engine-life.ts";
import { fallDue, isLive } from "./fall-due.ts";
import { gateProbed, setGate } from "./gating.ts";
import { currentLease, extendAll, started, vouch } from "./lease.ts";
import { restartAgent, stopped, stopTheEmpty } from "./leave.ts";
import { matchReady } from "./match.ts";
import { changeAgent, drainAgent, failAgent, recoverAgent, verifyCapability } from "./operator.ts";
import { admitHeld, letGo, refuseHeld, submit } from "./overflow.ts";
import { changePool, createPool, deletePool, drainPool, setMode } from "./pool-life.ts";
import { releasePayload } from "./quarantine.ts";
import { replaceAiling } from "./replace.ts";
import { retire } from "./retire.ts";
import { createSchedule, deleteSchedule, pauseSchedule, scheduleServed } from "./scheduling.ts";
import { notFound, report, stale } from "./settle.ts";
import { letGoDismissed, scale } from "./size.ts";
import type { NamespaceState } from "./state.ts";
import { addAgent, becomeReady, exited, join, placeAgent, probed, removeAgent } from "./supervise.ts";
import type { Turn } from "./turn.ts";
import { resetAgent, resetBreakers } from "./work-record.ts";

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
    case "create_schedule":
      return createSchedule(state, command, turn);
    case "pause_schedule":
      return pauseSchedule(state, command, turn);
    case "delete_schedule":
      return deleteSchedule(state, command.id, turn);
    case "schedule_served":
      return scheduleServed(state, command, turn);
    case "delete_pool":
      return deletePool(state, command.pool, turn);
    case "add_agent":
      return addAgent(state, command, turn);
    case "place_agent":
      return placeAgent(state, command, turn);
    case "scale":
      return scale(state, command, turn);
    case "fail_agent":
      return failAgent(state, command, turn);
    case "recover_agent":
      return recoverAgent(state, command, turn);
    case "change_agent":
      return changeAgent(state, command, turn);
    case "verify_capability":
      return verifyCapability(state, command, turn);
    case "drain_agent":
      return drainAgent(state, command, turn);
    case "restart_agent":
      return restartAgent(state, command, turn);
    case "agent_stopped":
      return stopped(state, command.agentId, undefined, turn);
    case "reset_agent":
      return resetAgent(state, command.agentId, turn);
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
      return recover(state, command, turn);
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

/** Matches once, lets those go who are leaving, and answers the claims that were given work. */
export function matchLast(state: NamespaceState, turn: Turn): void {
  // Whoever is replaced leaves tasks behind, which may go elsewhere at once.
  replaceAiling(state, turn);
  stopTheEmpty(state, turn);
  if (state.overflow.size > 0) for (const pool of [...state.overflow.keys()]) admitHeld(state, pool, turn);
  matchReady(state, turn);
  // What was matched has left room to those who wait for it.
  while (state.overflow.size > 0 && [...state.overflow.keys()].some((pool) => admitHeld(state, pool, turn))) {
    matchReady(state, turn);
  }
  letGoDismissed(state, turn);
  answerClaims(state, turn);
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
