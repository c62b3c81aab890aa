/** Tasks: entering, waiting, settling, leaving. Counts, queue and due entries stay in step with each move. */
import { assert, broken } from "../../base/assert.ts";
import type { PoolId, TaskId } from "../../base/ids.ts";
import { isLocal, needsEmptyAgent, needsQuiet } from "../company.ts";
import type { Event, Resting } from "../event.ts";
import type { Pool } from "../pool.ts";
import type { PoolQueue } from "../pool-queue.ts";
import { lettersOf, type NamespaceState, poolOf, queueOf, taskOf } from "../state.ts";
import {
  isHeld,
  LIFECYCLE,
  nearAtMs,
  newTask,
  type Priority,
  type Task,
  type TaskSpec,
  type TaskState,
  WAITING,
} from "../task.ts";
import { refresh } from "./seat.ts";

export function addTask(state: NamespaceState, event: Extract<Event, { type: "task.submitted" }>, nowMs: number): void {
  const { spec, num } = event;
  const task = newTask(num, spec, event.queuedAtMs);
  task.unmet = event.waitsFor.length;
  task.failedDependencies = event.failedDependencies;
  task.awaited = event.awaited;
  task.nearAtMs = event.nearAtMs;
  state.lastNum = num;
  poolOf(state, spec.pool).totals.submitted += 1;
  enter(state, task, event.resting, nowMs);
  for (const dependency of event.waitsFor) waitFor(state, dependency, spec.id);
}

export function waitFor(state: NamespaceState, dependency: TaskId, id: TaskId): void {
  const waiting = state.dependents.get(dependency);
  if (waiting === undefined) state.dependents.set(dependency, [id]);
  else waiting.push(id);
}

/** A new life: nothing charged, nobody excluded, before all others of its priority; history and fences go on. */
export function reopen(state: NamespaceState, event: Extract<Event, { type: "task.replayed" }>): void {
  const { facts, atMs, resting, waitsFor } = event;
  forget(state, facts.spec.id);
  const { spec } = facts;
  const task = newTask(facts.num, spec, atMs);
  poolOf(state, spec.pool).deadLetters.delete(spec.id);
  task.nearAtMs = nearAtMs(spec, atMs);
  task.first = true;
  task.lastNumber = facts.lastNumber;
  task.lastFence = facts.lastFence;
  task.replays = facts.replays + 1;
  task.failedDependencies = facts.failedDependencies.filter((id) => !waitsFor.includes(id));
  task.attempts = facts.attempts;
  task.unmet = waitsFor.length;
  task.waitsFor = waitsFor;
  enter(state, task, resting, atMs);
  // A dependency that is open all the time may know of it from its last life.
  for (const dependency of waitsFor) {
    if (state.dependents.get(dependency)?.includes(spec.id) !== true) waitFor(state, dependency, spec.id);
  }
}

/** Puts a task that the core did not hold into the state. Also used to restore from a store. */
export function enter(state: NamespaceState, task: Task, resting: Resting, nowMs: number): void {
  const { id, idempotencyKey, deadlineAtMs } = task.spec;
  state.tasks.set(id, task);
  need(state, task.spec, 1);
  if (idempotencyKey !== undefined) state.keys.set(idempotencyKey, id);
  if (task.awaited !== undefined) state.due.add({ kind: "awaited", atMs: task.awaited.untilMs, taskId: id });
  if (deadlineAtMs !== undefined) state.due.add({ kind: "deadline", atMs: deadlineAtMs, taskId: id });
  if (task.nearAtMs !== undefined) state.due.add({ kind: "near", atMs: task.nearAtMs, taskId: id });
  task.state = waitingState(resting);
  settleInto(state, task, { pool: poolOf(state, task.spec.pool), queue: queueOf(state, task.spec.pool), nowMs });
}

/** An open task needs its dependencies until it is settled itself: their results go with it. */
export function need(state: NamespaceState, { dependencies }: TaskSpec, by: 1 | -1): void {
  for (const id of dependencies) {
    const count = (state.needed.get(id) ?? 0) + by;
    if (count > 0) state.needed.set(id, count);
    else state.needed.delete(id);
  }
}

export function meetDependency(state: NamespaceState, event: Extract<Event, { type: "task.dependency_met" }>): void {
  const task = taskOf(state, event.taskId);
  task.unmet -= 1;
  awaitNoMore(state, task, [event.dependency]);
  if (event.failed) task.failedDependencies = [...task.failedDependencies, event.dependency];
}

/** Whoever comes under these ids later has nothing to tell the task. */
function awaitNoMore(state: NamespaceState, task: Task, ids: readonly TaskId[]): void {
  const { awaited } = task;
  if (awaited === undefined) return;
  for (const id of ids) {
    if (!awaited.ids.includes(id)) continue;
    const others = state.dependents.get(id)?.filter((other) => other !== task.spec.id) ?? [];
    if (others.length > 0) state.dependents.set(id, others);
    else state.dependents.delete(id);
  }
  const left = awaited.ids.filter((id) => !ids.includes(id));
  task.awaited = left.length > 0 ? { ...awaited, ids: left } : undefined;
}

export function waitAgain(state: NamespaceState, event: Extract<Event, { type: "task.waiting" }>, nowMs: number): void {
  const task = taskOf(state, event.taskId);
  task.again = event.again;
  rest(state, task, event.resting, nowMs);
}

/** Its deadline is near: from now on it stands where its new priority puts it. */
export function hurry(state: NamespaceState, task: Task, priority: Priority): void {
  const stands = task.lane !== undefined;
  if (stands) queueOf(state, task.spec.pool).leave(task);
  task.nearAtMs = undefined;
  task.priority = priority;
  if (!stands) return;
  queueOf(state, task.spec.pool).push(task);
  state.dirty.add(task.spec.pool);
}

function waitingState(resting: Resting): TaskState {
  if (resting.reason === "delay") return { name: "waiting", reason: "delay", untilMs: resting.untilMs };
  if (resting.reason !== "retry") return WAITING[resting.reason];
  const { untilMs, held } = resting;
  return held === undefined
    ? { name: "waiting", reason: "retry", untilMs }
    : { name: "waiting", reason: "retry", untilMs, held };
}

export function rest(state: NamespaceState, task: Task, resting: Resting, nowMs: number): void {
  move(state, task, waitingState(resting), nowMs);
  if (resting.reason !== "agent" || !task.owes) return;
  task.owes = false;
  poolOf(state, task.spec.pool).retryBudget?.drew(nowMs);
}

/** Leaves one state for another: checks the move, keeps counts, queue and due in step. */
export function move(state: NamespaceState, task: Task, next: TaskState, nowMs: number): void {
  const legal: readonly string[] = LIFECYCLE[task.state.name];
  if (!legal.includes(next.name)) broken(`a task goes from ${task.state.name} to ${next.name}`);
  const pool = poolOf(state, task.spec.pool);
  const queue = queueOf(state, task.spec.pool);
  count(pool, task, -1);
  if (isHeld(task.state)) pool.held.delete(task.spec.id);
  if (task.lane !== undefined) {
    queue.leave(task);
    pool.drain.departed(pool.counts.agent, nowMs);
  }
  if (task.state.name === "leased") {
    queue.ended(task);
    // Others of its fairness key may be let in, also while its slot stays taken.
    state.dirty.add(pool.id);
  }
  if (next.name === "leased") queue.began(task);
  task.state = next;
  endReservations(state, task, { queue, nowMs });
  settleInto(state, task, { pool, queue, nowMs });
}

/** Whoever was kept free for the task is free for others, once it no longer waits for that. */
function endReservations(
  state: NamespaceState,
  task: Task,
  { queue: { reservations }, nowMs }: { readonly queue: PoolQueue; readonly nowMs: number },
): void {
  const { id, pool } = task.spec;
  if (!needsEmptyAgent(task) && !needsQuiet(task) && reservations.quietFor !== id) return;
  state.dirty.add(pool);
  const keptId = reservations.endOf(id);
  const kept = keptId === undefined ? undefined : state.agents.get(keptId);
  if (kept !== undefined) refresh(state, kept, nowMs);
  const runner = task.state.name === "leased" ? state.agents.get(task.state.lease.agentId) : undefined;
  if (runner !== undefined && isLocal(runner) && needsQuiet(task)) reservations.quietFor = id;
  else if (reservations.quietFor === id) reservations.quietFor = undefined;
}

function settleInto(
  state: NamespaceState,
  task: Task,
  { pool, queue, nowMs }: { readonly pool: Pool; readonly queue: PoolQueue; readonly nowMs: number },
): void {
  count(pool, task, 1);
  if (task.state.name !== "waiting") return;
  if (task.state.reason === "agent") {
    queue.push(task);
    pool.drain.joined(pool.counts.agent, nowMs);
    state.dirty.add(pool.id);
  } else if (isHeld(task.state)) {
    pool.held.add(task.spec.id);
    watchBudget(state, pool, task.state.untilMs);
  } else if (task.state.reason !== "dependencies") {
    state.due.add({ kind: "wake", atMs: task.state.untilMs, taskId: task.spec.id });
  }
}

/** Looks at those who wait for the retry budget again, once. */
export function watchBudget(state: NamespaceState, pool: Pool, atMs: number): void {
  if (pool.heldIsDue) return;
  pool.heldIsDue = true;
  state.due.add({ kind: "budget", atMs, pool: pool.id });
}

function count({ counts }: Pool, task: Task, by: 1 | -1): void {
  if (task.state.name === "leased") counts.leased += by;
  else if (task.state.name === "waiting") counts[task.state.reason] += by;
}

/** What it counts for, once it is final. */
export function close(state: NamespaceState, { taskId, settlement }: Extract<Event, { type: "task.settled" }>): void {
  const task = taskOf(state, taskId);
  const pool = poolOf(state, task.spec.pool);
  if (settlement.deadLettered) pool.deadLetters.set(taskId, task.num);
  if (state.dependents.size > 0) state.dependents.delete(taskId);
  if (task.awaited !== undefined) awaitNoMore(state, task, task.awaited.ids);
  need(state, task.spec, -1);
  pool.totals[settlement.status] += 1;
}

export function dropDeadLetter(state: NamespaceState, event: Extract<Event, { type: "dead_letter.dropped" }>): void {
  dropLetter(state, event.pool, event.id);
  const task = state.tasks.get(event.id);
  if (task?.state.name !== "settled") return;
  task.state = { ...task.state, settlement: { ...task.state.settlement, deadLettered: false } };
}

function dropLetter(state: NamespaceState, pool: PoolId, id: TaskId): void {
  lettersOf(state, pool)?.delete(id);
  if (state.leftLetters.get(pool)?.size === 0) state.leftLetters.delete(pool);
}

export function retireTasks(state: NamespaceState, event: Extract<Event, { type: "tasks.retired" }>): void {
  for (const { num } of event.tasks) state.retired.add(num);
  if ((lettersOf(state, event.pool)?.size ?? 0) === 0) return;
  for (const { id } of event.tasks) dropLetter(state, event.pool, id);
}

export function forget(state: NamespaceState, id: TaskId): void {
  const task = state.tasks.get(id);
  if (task === undefined) return;
  assert(task.state.name === "settled", "only a settled task is forgotten");
  state.tasks.delete(id);
  const { idempotencyKey } = task.spec;
  if (idempotencyKey !== undefined && state.keys.get(idempotencyKey) === id) state.keys.delete(idempotencyKey);
}
