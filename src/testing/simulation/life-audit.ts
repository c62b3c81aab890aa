/** How the life of a task may go: admitted, waiting for one thing after another, leased, and perhaps begun anew. */
import type { DurableEvent } from "../../core/event.ts";
import type { AuditedTask } from "./audited.ts";
import type { Books } from "./books.ts";
import type { Bounds } from "./bounds.ts";
import * as budget from "./budget.ts";
import { checkOrder } from "./order.ts";
import { checkPermission } from "./permission.ts";
import { submittedFor } from "./schedule-audit.ts";
import { checkSpending } from "./spend-audit.ts";

export function submitted(
  books: Books,
  event: Extract<DurableEvent, { type: "task.submitted" }>,
  bounds: Bounds,
): void {
  const { num, spec, resting, waitsFor } = event;
  books.holds(num > books.lastNum, `task ${spec.id} has a number above ${books.lastNum}`);
  books.lastNum = Math.max(books.lastNum, num);
  books.holds(!books.tasks.has(spec.id), `task ${spec.id} is admitted once`);
  if (spec.idempotencyKey !== undefined) {
    books.holds(!books.keys.has(spec.idempotencyKey), `key ${spec.idempotencyKey} admits one task`);
    books.keys.set(spec.idempotencyKey, spec.id);
  }
  const task: AuditedTask = {
    num,
    spec,
    priority: spec.priority,
    state: "waiting",
    reason: "",
    untilMs: 0,
    queuedAtMs: event.queuedAtMs,
    first: false,
    unmet: new Set(waitsFor),
    fence: 0,
    agentId: "",
    number: 0,
    charged: 0,
    refunds: 0,
    failed: [],
    again: false,
    replays: 0,
    status: "",
    isDue: false,
    attempts: new Map(),
    deadLettered: false,
    killers: undefined,
    engineDeaths: 0,
    engineDeathsInARow: 0,
    owes: false,
    spentMs: 0,
    awaited: new Set(event.awaited?.ids),
    awaitsUntilMs: event.awaited?.untilMs ?? 0,
  };
  checkAwaited(books, task);
  submittedFor(books, spec.id, spec.affinityKey);
  const mode = books.pools.get(spec.pool)?.mode;
  books.holds(mode !== "draining", `pool ${spec.pool} takes nothing while it is drained`);
  books.tasks.set(spec.id, task);
  books.open += 1;
  books.rest(task, resting);
  bounds.admitted(task);
}

export function waiting(
  books: Books,
  { taskId, resting, again }: Extract<DurableEvent, { type: "task.waiting" }>,
  bounds: Bounds,
): void {
  const task = books.task(taskId);
  if (task === undefined) return;
  books.holds(task.state === "waiting", `task ${taskId} waits for something else only while it waits`);
  if (resting.reason === "retry") books.tools.reach("backoff, as nobody else could serve");
  books.holds(task.unmet.size === 0, `task ${taskId} waits for ${resting.reason} after its dependencies`);
  if (task.reason === "delay" && (task.spec.runAtMs ?? 0) <= books.atMs) task.isDue = true;
  books.leave(task);
  books.rest(task, resting);
  task.again = again;
  if (resting.reason === "agent") bounds.returned(task.spec.pool);
  if (resting.reason === "delay") bounds.released += 1;
}

export function near(books: Books, { taskId, priority }: Extract<DurableEvent, { type: "task.deadline_near" }>): void {
  const task = books.task(taskId);
  if (task === undefined) return;
  books.holds(task.state !== "settled", `task ${taskId} is open when its deadline comes near`);
  books.holds(priority <= task.priority, `task ${taskId} does not become less urgent`);
  if (priority < task.priority && task.state === "waiting") books.tools.reach("a task that waited became more urgent");
  task.priority = priority;
}

/** Only what nobody knows is waited for unknown, and only where the pool allows that. */
function checkAwaited(books: Books, { spec, awaited, awaitsUntilMs }: AuditedTask): void {
  if (awaited.size === 0) return;
  const waitMs = books.pools.get(spec.pool)?.options.forwardReferencesMs ?? 0;
  books.holds(
    waitMs > 0 && awaitsUntilMs === books.atMs + waitMs,
    `task ${spec.id} waits ${waitMs} ms for the unknown`,
  );
  for (const id of awaited) books.holds(!books.tasks.has(id), `task ${spec.id} waits for ${id} as for any other`);
}

export function met(
  books: Books,
  { taskId, dependency, failed }: Extract<DurableEvent, { type: "task.dependency_met" }>,
): void {
  const task = books.task(taskId);
  if (task === undefined) return;
  if (task.awaited.has(dependency) && !books.tasks.has(dependency)) {
    givenUp(books, task, { dependency, failed });
    return;
  }
  const other = books.task(dependency);
  if (other === undefined) return;
  if (task.awaited.has(dependency)) books.tools.reach("a task went on after a dependency that came later than itself");
  books.holds(other.state === "settled", `dependency ${dependency} of task ${taskId} has ended`);
  const isRun = task.spec.onDependencyFailure === "run";
  books.holds(other.status === "completed" || isRun, `dependency ${dependency} of task ${taskId} has completed`);
  books.holds(failed === (other.status !== "completed"), `task ${taskId} knows how dependency ${dependency} ended`);
  books.holds(task.unmet.delete(dependency), `task ${taskId} is released once by dependency ${dependency}`);
}

/** Nobody has submitted it in time. */
function givenUp(
  books: Books,
  task: AuditedTask,
  met: { readonly dependency: string; readonly failed: boolean },
): void {
  const { id, onDependencyFailure } = task.spec;
  const isLate = books.atMs >= task.awaitsUntilMs;
  books.holds(isLate && onDependencyFailure === "run" && met.failed, `task ${id} waits for ${met.dependency} in time`);
  books.holds(task.unmet.delete(met.dependency), `task ${id} is released once by dependency ${met.dependency}`);
  books.tools.reach("a task ran without a dependency that did not come");
}

export function leased(books: Books, event: Extract<DurableEvent, { type: "task.leased" }>, atMs: number): void {
  const { taskId, agentId, fence, number } = event;
  const task = books.task(taskId);
  const agent = books.agents.get(agentId);
  books.attempts += 1;
  books.holds(fence > books.lastFence, `fence ${fence} is above ${books.lastFence}`);
  books.lastFence = Math.max(books.lastFence, fence);
  if (task === undefined) return;
  books.holds(
    task.state === "waiting" && task.reason === "agent",
    `task ${taskId} is leased while it waits for an agent`,
  );
  books.holds(task.unmet.size === 0, `task ${taskId} is leased after its dependencies`);
  for (const id of task.spec.dependencies) {
    const other = books.tasks.get(id);
    const isGivenUp = task.awaited.has(id) && other?.status !== "completed";
    const ended = isGivenUp || (other !== undefined && (other.status !== "" || other.replays > 0));
    books.holds(ended, `task ${taskId} is leased after the end of ${id}`);
  }
  books.holds(number === task.number + 1, `attempt ${number} of task ${taskId} follows ${task.number}`);
  books.holds(
    task.charged < task.spec.maxAttempts,
    `task ${taskId} is executed at most ${task.spec.maxAttempts} times`,
  );
  books.holds((task.spec.deadlineAtMs ?? Number.POSITIVE_INFINITY) > atMs, `task ${taskId} begins before its deadline`);
  books.holds(task.isDue || (task.spec.runAtMs ?? 0) <= atMs, `task ${taskId} begins after its runAt`);
  books.holds(agent?.pool === task.spec.pool, `agent ${agentId} of task ${taskId} is of its pool`);
  const wasFailed = task.failed.includes(agentId);
  books.holds(!wasFailed || task.again, `task ${taskId} does not go back to ${agentId} without a backoff`);
  if (wasFailed) books.tools.reach("an agent that had failed a task got it again");
  else if (task.failed.length > 0) books.tools.reach("another agent took over after a failure");
  if (task.spec.preferredAgent !== undefined && task.spec.preferredAgent === agent?.name) {
    books.tools.reach("a preferred agent was chosen");
  }
  const badDependency = task.spec.dependencies.some(
    (id) => (books.tasks.get(id)?.status ?? "completed") !== "completed",
  );
  if (badDependency && task.spec.onDependencyFailure === "run") {
    books.tools.reach("a task ran although a dependency had failed");
  }
  if (agent !== undefined) {
    const room = books.runningOn(agentId) < agent.concurrency;
    books.holds(room, `agent ${agentId} has at most ${agent.concurrency} leases`);
    checkPermission(books, { task, agent }, books.tools);
    checkOrder(books, task, agent, books.tools);
    books.holds(agent.dismissed === undefined, `agent ${agentId} takes nothing once it is to go`);
  }
  checkSpending(books, task);
  const pool = books.pools.get(task.spec.pool);
  if (pool !== undefined && task.charged + task.refunds + task.failed.length === 0) budget.began(pool, atMs);
  books.leave(task);
  task.state = "leased";
  task.fence = fence;
  task.number = number;
  task.agentId = agentId;
}

export function replayed(books: Books, event: Extract<DurableEvent, { type: "task.replayed" }>, bounds: Bounds): void {
  const { facts, atMs } = event;
  const task = books.task(facts.spec.id);
  if (task === undefined) return;
  books.holds(
    task.state === "settled" && task.deadLettered,
    `task ${facts.spec.id} is a dead letter when it is replayed`,
  );
  books.holds(facts.lastFence === task.fence, `the replay of task ${facts.spec.id} knows its newest fence`);
  books.tools.reach("a dead letter was replayed");
  task.spec = facts.spec;
  task.priority = facts.spec.priority;
  task.killers = undefined;
  task.engineDeaths = 0;
  task.engineDeathsInARow = 0;
  task.owes = false;
  task.spentMs = 0;
  if ((task.spec.deadlineAtMs ?? Number.POSITIVE_INFINITY) <= atMs)
    task.spec = { ...task.spec, deadlineAtMs: undefined };
  task.unmet.clear();
  for (const id of event.waitsFor) task.unmet.add(id);
  task.replays += 1;
  task.isDue = false;
  task.charged = 0;
  task.refunds = 0;
  task.failed = [];
  task.again = false;
  task.first = true;
  task.queuedAtMs = atMs;
  task.status = "";
  task.deadLettered = false;
  books.open += 1;
  books.rest(task, event.resting);
  if (event.resting.reason === "agent") bounds.returned(task.spec.pool);
  if (event.resting.reason === "dependencies") bounds.blocked += 1;
  if (event.resting.reason === "delay") bounds.released += 1;
}

export function dropped(books: Books, id: string): void {
  const task = books.task(id);
  if (task === undefined) return;
  books.holds(task.deadLettered && task.state === "settled", `task ${id} is a dead letter when it is let go`);
  task.deadLettered = false;
}
