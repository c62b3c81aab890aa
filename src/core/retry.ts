/** Again, elsewhere, or enough: what becomes of a task whose attempt has ended. */
import type { Random } from "../base/random.ts";
import { backoffMs } from "../policies/backoff.ts";
import type { Resting } from "./event.ts";
import { blameOf, type Outcome } from "./outcome.ts";
import type { RetryOptions } from "./pool.ts";
import type { Task, TaskError } from "./task.ts";

/** What the retry must know besides task and outcome. */
export interface RetryFacts {
  readonly nowMs: number;
  readonly random: Random;
  readonly options: RetryOptions;
  /** The attempt had begun, so it may have had effects. */
  readonly started: boolean;
  /** A closed gate holds tasks of its type. */
  readonly gated: boolean;
  /** Somebody who has not failed the task could serve it. */
  readonly anotherCould: () => boolean;
  /** The retry budget is spent: until when at least. */
  readonly budgetSpentUntilMs: () => number | undefined;
}

export interface Charge {
  /** Counts against `maxAttempts`. */
  readonly charged: boolean;
  /** The agent joins the failed list. */
  readonly exclude: boolean;
}

export type Verdict =
  | ({ readonly name: "wait"; readonly resting: Resting } & Charge)
  | ({ readonly name: "settle"; readonly status: "failed"; readonly error: TaskError } & Charge)
  | ({ readonly name: "settle"; readonly status: "completed" | "cancelled"; readonly error?: TaskError } & Charge);

const AT_ONCE: Resting = { reason: "agent" };

/** What follows upon success. */
export const COMPLETED: Verdict = { name: "settle", status: "completed", charged: true, exclude: false };

export function afterAttempt(task: Task, outcome: Outcome, facts: RetryFacts): Verdict {
  if (outcome.name === "succeeded") return COMPLETED;
  const charge = chargeOf(task, outcome, facts.options);
  if (outcome.name === "cancelled") return { name: "settle", status: "cancelled", error: outcome.error, ...charge };
  const error = errorOf(outcome);
  if (isFinal(task, outcome, facts.started)) return { name: "settle", status: "failed", error, ...charge };
  if (charge.charged && task.attemptCount + 1 >= task.spec.maxAttempts) {
    return { name: "settle", status: "failed", error: exhausted(task, error), ...charge };
  }
  return { name: "wait", resting: rest(task, outcome, charge, facts), ...charge };
}

function chargeOf(task: Task, outcome: Exclude<Outcome, { name: "succeeded" }>, options: RetryOptions): Charge {
  const blame = blameOf(outcome);
  const exclude = blame === "agent" || blame === "unknown";
  if (outcome.name === "throttled") return { charged: false, exclude };
  const refunded = outcome.name === "released" || blame === "engine" || blame === "dependency";
  return { charged: !refunded || task.refunds >= options.refundLimit, exclude };
}

/** `retryable: false` is final whatever the blame; a failure of the task itself is, unless it says otherwise. */
function isFinal(task: Task, outcome: Outcome, started: boolean): boolean {
  if (outcome.name === "failed" && outcome.error.retryable === false) return true;
  if (outcome.name === "throttled" && outcome.error.retryable === false) return true;
  if (outcome.name === "failed" && outcome.blame === "task")
    return outcome.error.retryable !== true || !task.spec.retryable;
  const executed = outcome.name === "failed" || outcome.name === "timed_out" || (outcome.name === "lost" && started);
  return executed && !task.spec.retryable;
}

/** Elsewhere at once, or after a delay: always when the same agent would have to try again. */
function rest(task: Task, outcome: Outcome, charge: Charge, facts: RetryFacts): Resting {
  if (!charge.charged && outcome.name !== "failed") return AT_ONCE;
  // The gate says when it goes on.
  if (facts.gated && blameOf(outcome) === "dependency") return onceAffordable(facts);
  const elsewhere = charge.exclude && facts.options.failover === "immediate" && facts.anotherCould();
  if (elsewhere) {
    if (outcome.name !== "failed" && outcome.name !== "timed_out") return AT_ONCE;
    return onceAffordable(facts);
  }
  const failures = task.attemptCount + (charge.charged ? 1 : task.refunds + 1);
  return { reason: "retry", untilMs: facts.nowMs + backoffMs(failures, facts.random, facts.options.backoff) };
}

/** At once, if the pool can pay for the retry. */
function onceAffordable({ budgetSpentUntilMs }: RetryFacts): Resting {
  const untilMs = budgetSpentUntilMs();
  return untilMs === undefined ? AT_ONCE : { reason: "retry", untilMs, held: true };
}

function errorOf(outcome: Exclude<Outcome, { name: "succeeded" }>): TaskError {
  const blame = blameOf(outcome);
  const error = outcome.error ?? { code: "released", message: "the attempt was given back" };
  return blame === undefined ? error : { ...error, blame };
}

function exhausted(task: Task, last: TaskError): TaskError {
  const { maxAttempts } = task.spec;
  const times = maxAttempts === 1 ? "its only attempt" : `all ${maxAttempts} attempts`;
  return {
    ...last,
    code: "exhausted",
    message: `${times} failed; the last: ${last.message}`,
    details: { code: last.code },
  };
}
