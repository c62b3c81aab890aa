/** How attempts and tasks may end: charged or given back, once in a life. */
import type { DurableEvent } from "../../core/event.ts";
import type { Attempt } from "../../core/task.ts";
import type { AuditedTask } from "./audited.ts";
import type { Books } from "./books.ts";
import type { Bounds } from "./bounds.ts";
import { endOf } from "./ended.ts";
import { paid } from "./spend-audit.ts";
import * as suspicion from "./suspicion.ts";

export function attemptEnded(
  books: Books,
  event: Extract<DurableEvent, { type: "attempt.ended" }>,
  bounds: Bounds,
): void {
  const task = books.task(event.taskId);
  const pool = books.pools.get(task?.spec.pool ?? "");
  if (task === undefined || pool === undefined) return;
  ended(books, task, event.attempt, event);
  suspicion.attemptEnded(task, event.attempt, event.kill, books.deaths);
  suspicion.checkGoesOn(task, pool, books.tools);
  const { outcome } = event.attempt;
  task.owes = outcome === "failed" || outcome === "timed_out";
  books.holds(task.charged < task.spec.maxAttempts, `task ${task.spec.id} ends with its last attempt`);
  books.rest(task, event.resting);
  task.again = false;
  if (event.resting.reason === "agent") bounds.returned(task.spec.pool);
  else if (event.exclude) books.tools.reach("backoff, as nobody else could serve");
}

export function settled(books: Books, event: Extract<DurableEvent, { type: "task.settled" }>): void {
  const task = books.task(event.taskId);
  if (task === undefined) return;
  const { id } = task.spec;
  const { status, error, deadLettered } = event.settlement;
  if (task.state === "settled") {
    books.settledTwice += 1;
    books.tools.violate(`task ${id} is settled once in a life`);
    return;
  }
  const ran = task.state === "leased";
  if (event.attempt !== undefined) {
    ended(books, task, event.attempt, event, error?.code === "poisoned");
    suspicion.attemptEnded(task, event.attempt, undefined, books.deaths);
  } else books.holds(!ran, `the running attempt of task ${id} ends with it`);
  if (error?.code === "poisoned") {
    const byEngine = typeof error.details === "object" && error.details !== null && "engineDeaths" in error.details;
    const pool = books.pools.get(task.spec.pool);
    if (pool !== undefined) suspicion.checkPoisoned(task, pool, { attempt: event.attempt, byEngine }, books.tools);
  }
  if (error?.code === "budget_exceeded") {
    books.holds(
      task.spentMs >= (task.spec.budget?.wallMs ?? Number.POSITIVE_INFINITY),
      `task ${id} has spent its budget`,
    );
  }
  if (error?.code === "unknown_dependency") {
    const isLate = task.awaited.size > 0 && books.atMs >= task.awaitsUntilMs;
    books.holds(isLate, `task ${id} waits for what is unknown until ${task.awaitsUntilMs}`);
  }
  const succeeded = event.attempt?.outcome === "succeeded";
  books.holds((status === "completed") === succeeded, `task ${id} completes by a success and by nothing else`);
  books.holds(task.charged <= task.spec.maxAttempts, `task ${id} is executed at most ${task.spec.maxAttempts} times`);
  books.holds(deadLettered === (status === "failed"), `task ${id} is a dead letter exactly when it failed`);
  books.leave(task);
  task.state = "settled";
  task.status = status;
  task.deadLettered = deadLettered;
  books.open -= 1;
  reachSettled(books, task, { ran, code: error?.code, blame: error?.blame });
}

function ended(
  books: Books,
  task: AuditedTask,
  attempt: Attempt,
  { charged, exclude }: { readonly charged: boolean; readonly exclude: boolean },
  isPoisoned = false,
): void {
  const { id } = task.spec;
  books.holds(task.state === "leased", `an attempt of task ${id} ends while it is leased`);
  books.holds(attempt.fence === task.fence, `fence ${attempt.fence} ends task ${id}, ${task.fence} is its highest`);
  books.holds(attempt.agentId === task.agentId, `the attempt of task ${id} ends on its agent`);
  task.attempts.set(attempt.fence, attempt);
  paid(books, task, attempt);
  keepEnd(books, attempt);
  if (charged) task.charged += 1;
  else if (attempt.outcome !== "throttled") task.refunds += 1;
  const limit = books.pools.get(task.spec.pool)?.options.retry.refundLimit ?? 0;
  const refundable = attempt.outcome === "released" || attempt.blame === "engine" || attempt.blame === "dependency";
  if (charged && refundable) books.tools.reach("a refund beyond the limit was charged");
  const isCancelled = attempt.outcome === "cancelled";
  books.holds(
    isCancelled || isPoisoned || task.refunds <= limit,
    `task ${id} is given back at most ${limit} times for free`,
  );
  books.holds(
    charged || refundable || isCancelled || attempt.outcome === "throttled",
    `a ${attempt.outcome} attempt of ${id} is charged`,
  );
  books.holds(!charged || attempt.outcome !== "throttled", `a throttled attempt of ${id} is never charged`);
  if (exclude && !task.failed.includes(attempt.agentId)) task.failed.push(attempt.agentId);
  const blamed = attempt.blame === "agent" || attempt.blame === "unknown";
  books.holds(blamed === exclude, `blame ${attempt.blame} decides whether ${attempt.agentId} is excluded from ${id}`);
  reachEnd(books, attempt);
}

function keepEnd(books: Books, attempt: Attempt): void {
  const ended = books.ended.get(attempt.agentId) ?? [];
  ended.push(endOf(attempt));
  books.ended.set(attempt.agentId, ended);
}

function reachEnd(books: Books, { outcome, error }: Attempt): void {
  const { reach } = books.tools;
  if (outcome === "timed_out") reach("an attempt timed out");
  if (error?.code === "lease_expired") reach("a lease expired");
  if (error?.code === "agent_died") reach("an agent died with work on it");
  if (error?.code === "agent_replaced") reach("an agent was replaced with work on it");
  if (error?.code === "engine_died") reach("the engine died with attempts of its own");
  if (error?.code === "engine_stopped") reach("the engine gave back its attempts as it stopped");
  if (error?.message === "its agent never named it") reach("an attempt was given back as never named");
  if (error?.message.startsWith("the connection broke") === true) {
    reach("an attempt was given back as the claim's reply broke");
  }
}

function reachSettled(
  books: Books,
  task: AuditedTask,
  { ran, code, blame }: { ran: boolean; code: string | undefined; blame: string | undefined },
): void {
  const { reach } = books.tools;
  if (task.status === "cancelled" && ran) reach("a task was cancelled while it ran");
  if (code === "exhausted") reach("a task was exhausted");
  if (task.status === "failed" && blame === "task") reach("a failure of the task itself was final");
  if (code === "deadline_exceeded") reach(ran ? "a deadline passed while it ran" : "a deadline passed while it waited");
  if (code === "budget_exceeded") reach("a task spent its budget");
  if (code === "unknown_dependency") reach("a dependency did not come in time");
  if (code === "pool_deleted") reach("a pool was deleted with open tasks");
  if (task.status === "completed" && task.replays > 0) reach("a replayed task succeeded");
  if (code !== "dependency_failed") return;
  reach("a failure cascaded to a dependent");
  const deep = task.spec.dependencies.some(
    (id) => books.tasks.get(id)?.deadLettered === true && books.tasks.get(id)?.attempts.size === 0,
  );
  const cancelled = task.spec.dependencies.some(
    (id) => books.tasks.get(id)?.status === "cancelled" && books.tasks.get(id)?.spec.dependencies.length !== 0,
  );
  if (deep || cancelled) reach("a failure cascaded over two steps");
}
