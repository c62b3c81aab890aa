/**
 * Settled tasks by columns: some hundred rows.
 *
 * The reason is V8's collector. A task that is kept as objects is some twenty of them, each copied twice before it is
 * old, and marked again and again after that. Here a task that went as most do, done by the first agent that had it,
 * leaves only its texts: its numbers lie in a typed array, and what it shares with others is shared. It becomes
 * objects again when somebody reads. Of every other task the facts are kept whole.
 */
import type { AgentId, TaskId } from "../base/ids.ts";
import type { SettledFacts } from "../core/record.ts";
import { retainedBytes } from "../core/retired.ts";
import type { Attempt, Priority, TaskBody, TaskSpec } from "../core/task.ts";
import { type Column, column, present, ROWS } from "./column.ts";
import { specLike } from "./like-specs.ts";
import { isPlainEnding, plainAttempt, plainSettlement } from "./plain-ending.ts";

/** The numbers of a row. Who is kept whole has only those that are asked for without the rest. */
export const NUM = 0;
export const SETTLED_AT = 1;
/** As retention counts them. */
export const BYTES = 2;
/** The places before and after it in the list that it stands in. */
export const EARLIER = 3;
export const LATER = 4;
const FENCE = 5;
const PRIORITY = 6;
const CREATED_AT = 7;
const QUEUED_AT = 8;
const ASSIGNED_AT = 9;
const BODY_SIZE = 10;
/** NaN = absent, as in the next two. */
const RESULT_BYTES = 11;
const STARTED_AT = 12;
const WALL_MS = 13;
const NUMBERS = 14;

/** Most tasks have nothing of these: one list stands for all that are empty. */
const NONE: readonly never[] = [];

export class SettledChunk {
  readonly #numbers: Float64Array;
  readonly #agentIds = column<AgentId>();
  readonly #agentNames = column<string>();
  /** A text is a body that has a prompt and nothing else. */
  readonly #bodies = column<TaskBody | string>();
  /** Undefined where nobody is. */
  readonly ids = column<TaskId>();
  /** The task's own, or one like it. */
  readonly specs = column<TaskSpec>();
  readonly results = column<string>();
  /** Facts of those that did not go as most do; undefined while there are none. */
  #whole: Column<SettledFacts> | undefined;

  /** @param worn - nobody reads it any more: its numbers are written over, which is cheaper than new ones */
  constructor(worn: SettledChunk | undefined) {
    this.#numbers = worn === undefined ? new Float64Array(ROWS * NUMBERS) : worn.#numbers;
  }

  /** @param likeOf - gives a spec that says the same but for what is the task's own */
  add(row: number, facts: SettledFacts, likeOf: (spec: TaskSpec) => TaskSpec): void {
    const attempt = soleAttempt(facts);
    this.ids[row] = facts.spec.id;
    if (attempt === undefined) {
      this.specs[row] = facts.spec;
      this.keepWhole(row, facts);
    } else {
      this.specs[row] = likeOf(facts.spec);
      this.#agentIds[row] = attempt.agentId;
      this.#agentNames[row] = attempt.agentName;
    }
    writeNumbers(this.#numbers, row * NUMBERS, facts, attempt);
  }

  keepWhole(row: number, facts: SettledFacts): void {
    this.#whole ??= column();
    this.#whole[row] = facts;
  }

  whole(row: number): SettledFacts | undefined {
    return this.#whole?.[row];
  }

  keepBody(row: number, body: TaskBody | undefined): void {
    this.#bodies[row] = body?.rest === undefined ? (body?.prompt ?? body) : body;
  }

  body(row: number): TaskBody | undefined {
    const body = this.#bodies[row];
    return typeof body === "string" ? { prompt: body } : body;
  }

  number(row: number, which: number): number {
    return this.#numbers[row * NUMBERS + which] as number;
  }

  setNumber(row: number, which: number, number: number): void {
    this.#numbers[row * NUMBERS + which] = number;
  }

  /** The numbers stay: those who come before and after it may be asked for still. */
  clear(row: number): void {
    this.ids[row] = undefined;
    this.specs[row] = undefined;
    this.results[row] = undefined;
    this.#bodies[row] = undefined;
    if (this.#whole !== undefined) this.#whole[row] = undefined;
  }

  copy(row: number, from: SettledChunk, fromRow: number): void {
    const at = fromRow * NUMBERS;
    this.#numbers.set(from.#numbers.subarray(at, at + NUMBERS), row * NUMBERS);
    this.ids[row] = from.ids[fromRow];
    this.specs[row] = from.specs[fromRow];
    this.results[row] = from.results[fromRow];
    this.#agentIds[row] = from.#agentIds[fromRow];
    this.#agentNames[row] = from.#agentNames[fromRow];
    this.#bodies[row] = from.#bodies[fromRow];
    const whole = from.whole(fromRow);
    if (whole !== undefined) this.keepWhole(row, whole);
  }

  /** As `settledFacts` in the core makes them. */
  facts(row: number): SettledFacts {
    const whole = this.whole(row);
    if (whole !== undefined) return whole;
    const numbers = this.#numbers.subarray(row * NUMBERS, (row + 1) * NUMBERS);
    const priority = numbers[PRIORITY] as Priority;
    const id = this.ids[row] as TaskId;
    const createdAtMs = numbers[CREATED_AT] as number;
    const bodySize = numbers[BODY_SIZE] as number;
    const wallMs = present(numbers[WALL_MS]);
    const fence = numbers[FENCE] as number;
    const settledAtMs = numbers[SETTLED_AT] as number;
    return {
      num: numbers[NUM] as number,
      spec: specLike(this.specs[row] as TaskSpec, { id, priority, createdAtMs, bodySize }),
      settlement: plainSettlement({ settledAtMs, resultBytes: present(numbers[RESULT_BYTES]) }),
      priority,
      queuedAtMs: numbers[QUEUED_AT] as number,
      attemptCount: 1,
      lastNumber: 1,
      lastFence: fence,
      failedAgentIds: NONE,
      failedDependencies: NONE,
      refunds: 0,
      spent: wallMs === undefined ? undefined : { tokens: undefined, costUsd: undefined, wallMs },
      replays: 0,
      attempts: [
        plainAttempt({
          number: 1,
          agentId: this.#agentIds[row] as AgentId,
          agentName: this.#agentNames[row] as string,
          fence,
          assignedAtMs: numbers[ASSIGNED_AT] as number,
          startedAtMs: present(numbers[STARTED_AT]),
          endedAtMs: settledAtMs,
        }),
      ],
    };
  }
}

/** The attempt of a task that went as most do; undefined when there is more to tell than the columns hold. */
function soleAttempt(facts: SettledFacts): Attempt | undefined {
  const { attempts, settlement, spent } = facts;
  const attempt = attempts[0];
  const isUsual =
    attempts.length === 1 &&
    attempt !== undefined &&
    isPlainEnding(settlement, attempt) &&
    attempt.number === 1 &&
    attempt.fence === facts.lastFence &&
    spent?.tokens === undefined &&
    spent?.costUsd === undefined &&
    facts.priority === facts.spec.priority &&
    facts.attemptCount === 1 &&
    facts.lastNumber === 1 &&
    facts.failedAgentIds.length === 0 &&
    facts.failedDependencies.length === 0 &&
    facts.refunds === 0 &&
    facts.replays === 0;
  return isUsual ? attempt : undefined;
}

function writeNumbers(numbers: Float64Array, at: number, facts: SettledFacts, attempt: Attempt | undefined): void {
  const { num, spec, settlement } = facts;
  numbers[at + NUM] = num;
  numbers[at + SETTLED_AT] = settlement.settledAtMs;
  numbers[at + BYTES] = retainedBytes(facts);
  if (attempt === undefined) return;
  numbers[at + FENCE] = facts.lastFence;
  numbers[at + PRIORITY] = facts.priority;
  numbers[at + CREATED_AT] = spec.createdAtMs;
  numbers[at + QUEUED_AT] = facts.queuedAtMs;
  numbers[at + ASSIGNED_AT] = attempt.assignedAtMs;
  numbers[at + BODY_SIZE] = spec.bodySize;
  numbers[at + RESULT_BYTES] = settlement.resultBytes ?? Number.NaN;
  numbers[at + STARTED_AT] = attempt.startedAtMs ?? Number.NaN;
  numbers[at + WALL_MS] = facts.spent?.wallMs ?? Number.NaN;
}
