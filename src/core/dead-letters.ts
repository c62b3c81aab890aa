/** Tasks that failed for good: replayed, with or without changes, or let go. */
import { PoolError } from "../base/errors.ts";
import type { TaskId } from "../base/ids.ts";
import { refuseDraining, refuseUnknownType } from "./admission.ts";
import { type Command, DONE, type Known, type Reply } from "./command.ts";
import { afterDependencies } from "./dependencies.ts";
import { refuseQuarantined, release } from "./quarantine.ts";
import type { SettledFacts } from "./record.ts";
import { notFound } from "./settle.ts";
import type { NamespaceState } from "./state.ts";
import { NO_BODY, type TaskSpec } from "./task.ts";
import type { Turn } from "./turn.ts";

/** A dead letter begins a new life. The one way out of a final state. */
export function replay(state: NamespaceState, command: Extract<Command, { type: "replay" }>, turn: Turn): Reply {
  const { taskId, known, edited, body = NO_BODY, fingerprint, fingerprintOf } = command;
  if (state.draining !== undefined) throw new PoolError("shutting_down", "the engine takes no more tasks");
  const facts = deadLetter(state, taskId, known);
  const pool = state.pools.get(facts.spec.pool);
  if (pool === undefined) throw new PoolError("not_found", `its pool ${facts.spec.pool} is gone`);
  refuseDraining(pool);
  if (edited !== undefined) {
    refuseUnknownType(pool, edited);
    if (fingerprintOf?.(edited, body) !== fingerprint) refuseQuarantined(pool, { spec: edited, body }, fingerprintOf);
  }
  if (fingerprint !== undefined) release(pool, fingerprint, turn);
  const spec = withoutPast(edited ?? facts.spec, turn.nowMs);
  const respecified = spec !== facts.spec;
  // It may have ended before its dependencies did, or before its time: that it still waits for.
  const waitsFor = spec.dependencies.filter((id) => (state.tasks.get(id)?.state.name ?? "settled") !== "settled");
  const resting = waitsFor.length > 0 ? ({ reason: "dependencies" } as const) : afterDependencies({ spec }, turn.nowMs);
  const life = { facts: { ...facts, spec }, respecified, resting, waitsFor };
  turn.record({ type: "task.replayed", ...life, atMs: turn.nowMs });
  if (respecified) turn.admitted.push({ num: facts.num, spec, body });
  return DONE;
}

/** A deadline that has passed would end the new life at once. */
function withoutPast(spec: TaskSpec, nowMs: number): TaskSpec {
  const isPast = spec.deadlineAtMs !== undefined && spec.deadlineAtMs <= nowMs;
  return isPast ? { ...spec, deadlineAtMs: undefined } : spec;
}

/** Nobody will replay it: it is a failed task like any other. */
export function discard(state: NamespaceState, command: Extract<Command, { type: "discard" }>, turn: Turn): Reply {
  const { num, spec } = deadLetter(state, command.taskId, command.known);
  turn.record({ type: "dead_letter.dropped", pool: spec.pool, id: spec.id, num });
  return DONE;
}

function deadLetter(state: NamespaceState, taskId: TaskId, known: Known): SettledFacts {
  const task = state.tasks.get(taskId);
  if (task !== undefined && task.state.name !== "settled") {
    throw new PoolError("conflict", `task ${taskId} is not a dead letter: it is open`, { details: { taskId } });
  }
  // A settled task that the core still holds is looked at by the facts that its commit has stored.
  const facts = known.tasks.get(taskId);
  if (facts === undefined || state.retired.has(facts.num))
    throw task === undefined ? notFound(taskId) : notStoredYet(taskId);
  if (task !== undefined && (task.replays !== facts.replays || task.lastFence !== facts.lastFence))
    throw notStoredYet(taskId);
  const { deadLettered, status } = facts.settlement;
  // It may have been let go since the look-up, also in this very turn.
  const isKept = state.pools.get(facts.spec.pool)?.deadLetters.has(taskId) ?? true;
  if (deadLettered && isKept) return facts;
  throw new PoolError("conflict", `task ${taskId} is not a dead letter: it is ${status}`, {
    details: { taskId, status },
  });
}

function notStoredYet(taskId: TaskId): PoolError {
  return new PoolError("unavailable", `task ${taskId} is just being settled; try again`, { retryable: true });
}
