/** The end of a task, and what that means for those who wait for it. */
import type { TaskId } from "../base/ids.ts";
import { boundDeadLetters } from "./dead-letter-limit.ts";
import { dependencyFailure, fateOf, meetDependency } from "./dependencies.ts";
import { blameOf, type Outcome } from "./outcome.ts";
import type { Charge } from "./retry.ts";
import { budgetExceeded, reached, sumOf } from "./spend.ts";
import { type NamespaceState, poolOf } from "./state.ts";
import type { Attempt, FinalStatus, Lease, Settlement, Task, TaskError } from "./task.ts";
import type { Turn } from "./turn.ts";
import { learn } from "./work-record.ts";

/** What ran when the task became final. */
interface Ended extends Charge {
  readonly attempt?: Attempt | undefined;
  readonly held: boolean;
}

const NOTHING_RAN: Ended = { held: false, charged: false, exclude: false };

/** Makes a task final and tells its dependents, and theirs. */
export function finish(
  state: NamespaceState,
  task: Task,
  settlement: Settlement,
  turn: Turn,
  { ended = NOTHING_RAN, swept }: { ended?: Ended; swept?: ReadonlySet<TaskId> | undefined } = {},
): void {
  const to = task.progress === undefined ? settlement : { ...settlement, progress: task.progress };
  const first = settleOne(state, task.spec.id, { to, what: ended }, turn);
  // Most tasks have nobody waiting for them.
  if (first !== undefined) finishDependents(state, first, { settlement, swept }, turn);
}

function finishDependents(
  state: NamespaceState,
  first: Told,
  { settlement, swept }: { readonly settlement: Settlement; readonly swept: ReadonlySet<TaskId> | undefined },
  turn: Turn,
): void {
  const settled = [first];
  const settle = (id: TaskId, to: Settlement): void => {
    const told = settleOne(state, id, { to, what: NOTHING_RAN }, turn);
    if (told !== undefined) settled.push(told);
  };
  // The list grows while it is walked: a chain of any length needs no stack.
  for (const { id: dependency, status, dependents } of settled) {
    for (const id of dependents) {
      const dependent = state.tasks.get(id);
      if (dependent?.state.name !== "waiting" || dependent.state.reason !== "dependencies") continue;
      const fate = fateOf(dependent, status);
      if (fate === "met") meetDependency(dependent, { dependency, failed: status !== "completed" }, turn);
      else if (swept?.has(id)) settle(id, settlement);
      else settle(id, dependencyFailure(dependency, fate, turn.nowMs));
    }
  }
}

/** A task that is settled, and those that must hear of it. */
interface Told {
  readonly id: TaskId;
  readonly status: FinalStatus;
  readonly dependents: readonly TaskId[];
}

/** Undefined when nobody waits for it. */
function settleOne(
  state: NamespaceState,
  id: TaskId,
  { to, what }: { readonly to: Settlement; readonly what: Ended },
  turn: Turn,
): Told | undefined {
  const dependents = state.dependents.size === 0 ? undefined : state.dependents.get(id);
  const { attempt, charged, exclude, held } = what;
  turn.record({ type: "task.settled", taskId: id, settlement: to, attempt, charged, exclude, held });
  const pool = to.deadLettered ? poolOf(state, (state.tasks.get(id) as Task).spec.pool) : undefined;
  if (pool !== undefined) boundDeadLetters(pool, turn);
  return dependents && { id, status: to.status, dependents };
}

/** The running attempt has cost the task all that it may cost. */
export function overspent(state: NamespaceState, task: Task, { startedAtMs }: Lease, turn: Turn): void {
  const running = { wallMs: turn.nowMs - (startedAtMs ?? turn.nowMs) };
  const words = reached(task.spec.budget, sumOf(task.spent, running));
  if (words === undefined) return;
  const settlement = { status: "failed", error: budgetExceeded(words), settledAtMs: turn.nowMs } as const;
  stopAndFinish(state, task, { ...settlement, deadLettered: true }, turn);
}

/** What it waits for has not come: as if it had failed. */
export function giveUpAwaited(state: NamespaceState, task: Task, turn: Turn): void {
  const { spec, awaited } = task;
  if (awaited === undefined || awaited.untilMs > turn.nowMs || task.state.name !== "waiting") return;
  const unknown = awaited.ids.filter((id) => !state.tasks.has(id));
  if (unknown.length === 0) return;
  if (spec.onDependencyFailure === "run") {
    for (const dependency of unknown) meetDependency(task, { dependency, failed: true }, turn);
    return;
  }
  const status = spec.onDependencyFailure === "fail" ? "failed" : "cancelled";
  const message = `nobody has submitted its dependencies in time: ${unknown.join(", ")}`;
  const error: TaskError = { code: "unknown_dependency", message, blame: "dependency", details: { unknown } };
  stopAndFinish(state, task, { status, error, settledAtMs: turn.nowMs, deadLettered: status === "failed" }, turn);
}

export function deadlineExceeded(settledAtMs: number): Settlement {
  const error: TaskError = { code: "deadline_exceeded", message: "its deadline has passed" };
  return { status: "failed", error, settledAtMs, deadLettered: true };
}

/** Settles all of these in the same way, whatever they are to each other. */
export function sweep(state: NamespaceState, tasks: readonly Task[], settlement: Settlement, turn: Turn): void {
  const swept = new Set(tasks.map((task) => task.spec.id));
  for (const task of tasks) {
    if (task.state.name !== "settled") stopAndFinish(state, task, settlement, turn, swept);
  }
}

/** Stops the running attempt, if any, and settles the task as said. */
export function stopAndFinish(
  state: NamespaceState,
  task: Task,
  settlement: Settlement,
  turn: Turn,
  swept?: ReadonlySet<TaskId>,
): void {
  if (task.state.name !== "leased") {
    finish(state, task, settlement, turn, { swept });
    return;
  }
  const { lease } = task.state;
  const error = settlement.error ?? { code: "cancelled", message: "cancelled" };
  const outcome: Outcome = { name: "cancelled", error };
  const attempt = endedAttempt(state, lease, outcome, turn.nowMs);
  learn(state, task, { attempt, outcome }, turn);
  finish(state, task, settlement, turn, { ended: { attempt, held: true, charged: false, exclude: false }, swept });
  turn.request({ type: "stop", agentId: lease.agentId, taskId: task.spec.id, fence: lease.fence });
}

export function endedAttempt(state: NamespaceState, lease: Lease, outcome: Outcome, nowMs: number): Attempt {
  return {
    number: lease.number,
    agentId: lease.agentId,
    agentName: state.agents.get(lease.agentId)?.identity.name ?? lease.agentId,
    fence: lease.fence,
    assignedAtMs: lease.assignedAtMs,
    startedAtMs: lease.startedAtMs,
    endedAtMs: nowMs,
    outcome: outcome.name,
    blame: blameOf(outcome),
    error: outcome.name === "succeeded" ? undefined : outcome.error,
    usage: "usage" in outcome ? outcome.usage : undefined,
  };
}
