/**
 * Durable events by columns: some hundred rows. What most events tell, that a task came, that an agent got it, that it is
 * done, is a few names and numbers. These are kept without an object, for the reason that `settled-chunk.ts` gives, and
 * become objects again when somebody reads. All others are kept as they are.
 */
import type { AgentId, TaskId } from "../base/ids.ts";
import type { DurableEvent } from "../core/event.ts";
import { type Attempt, type Priority, type TaskSpec, WAITING } from "../core/task.ts";
import { column, present, ROWS } from "./column.ts";
import { specLike } from "./like-specs.ts";
import { isPlainEnding, plainAttempt, plainSettlement } from "./plain-ending.ts";

type EventOf<T extends DurableEvent["type"]> = Extract<DurableEvent, { readonly type: T }>;
type SettledByAttempt = EventOf<"task.settled"> & { readonly attempt: Attempt };

/** What a row may hold. */
const WHOLE = 0;
const SUBMITTED = 1;
const LEASED = 2;
const SETTLED = 3;

/** The numbers of a row: what it holds, the instant of its commit, and six more at most. */
const KIND = 0;
const AT_MS = 1;
const FIRST = 2;
const NUMBERS = 8;

/** Most tasks have nothing of these: one list stands for all that are empty. */
const NONE: readonly never[] = [];

const RESTING = { reason: WAITING.agent.reason } as const;

export class EventChunk {
  readonly #numbers: Float64Array;
  readonly #taskIds = column<TaskId>();
  readonly #agentNames = column<string>();
  /** A spec like the task's, or who has it; where the row holds the event itself, that. */
  readonly #others = column<TaskSpec | AgentId | DurableEvent>();

  /** @param worn - nobody reads it any more: its numbers are written over, which is cheaper than new ones */
  constructor(worn: EventChunk | undefined) {
    this.#numbers = worn === undefined ? new Float64Array(ROWS * NUMBERS) : worn.#numbers;
  }

  /** @param likeOf - gives a spec that says the same but for what is the task's own */
  add(row: number, atMs: number, event: DurableEvent, likeOf: (spec: TaskSpec) => TaskSpec): void {
    this.#numbers[row * NUMBERS + AT_MS] = atMs;
    if (event.type === "task.submitted" && isReady(event)) this.#addSubmitted(row, event, likeOf);
    else if (event.type === "task.leased") this.#addLeased(row, event);
    else if (event.type === "task.settled" && isPlain(event)) this.#addSettled(row, event);
    else {
      this.#numbers[row * NUMBERS + KIND] = WHOLE;
      this.#others[row] = event;
    }
  }

  atMs(row: number): number {
    return this.#numbers[row * NUMBERS + AT_MS] as number;
  }

  event(row: number): DurableEvent {
    switch (this.#numbers[row * NUMBERS + KIND]) {
      case SUBMITTED:
        return this.#submitted(row);
      case LEASED:
        return this.#leased(row);
      case SETTLED:
        return this.#settled(row);
      default:
        return this.#others[row] as DurableEvent;
    }
  }

  #addSubmitted(row: number, event: EventOf<"task.submitted">, likeOf: (spec: TaskSpec) => TaskSpec): void {
    const { spec } = event;
    this.#taskIds[row] = spec.id;
    this.#others[row] = likeOf(spec);
    const numbers = this.#numbers;
    const at = row * NUMBERS;
    numbers[at + KIND] = SUBMITTED;
    numbers[at + FIRST] = event.num;
    numbers[at + FIRST + 1] = event.queuedAtMs;
    numbers[at + FIRST + 2] = spec.priority;
    numbers[at + FIRST + 3] = spec.createdAtMs;
    numbers[at + FIRST + 4] = spec.bodySize;
  }

  #addLeased(row: number, event: EventOf<"task.leased">): void {
    this.#taskIds[row] = event.taskId;
    this.#others[row] = event.agentId;
    const numbers = this.#numbers;
    const at = row * NUMBERS;
    numbers[at + KIND] = LEASED;
    numbers[at + FIRST] = event.number;
    numbers[at + FIRST + 1] = event.fence;
    numbers[at + FIRST + 2] = event.atMs;
    numbers[at + FIRST + 3] = event.expiresAtMs;
  }

  #addSettled(row: number, { taskId, attempt, settlement }: SettledByAttempt): void {
    this.#taskIds[row] = taskId;
    this.#others[row] = attempt.agentId;
    this.#agentNames[row] = attempt.agentName;
    const numbers = this.#numbers;
    const at = row * NUMBERS;
    numbers[at + KIND] = SETTLED;
    numbers[at + FIRST] = attempt.number;
    numbers[at + FIRST + 1] = attempt.fence;
    numbers[at + FIRST + 2] = attempt.assignedAtMs;
    numbers[at + FIRST + 3] = attempt.startedAtMs ?? Number.NaN;
    numbers[at + FIRST + 4] = settlement.settledAtMs;
    numbers[at + FIRST + 5] = settlement.resultBytes ?? Number.NaN;
  }

  #submitted(row: number): EventOf<"task.submitted"> {
    const [num, queuedAtMs, priority, createdAtMs, bodySize] = this.#numbersOf(row);
    const id = this.#taskIds[row] as TaskId;
    return {
      type: "task.submitted",
      num,
      spec: specLike(this.#others[row] as TaskSpec, { id, priority: priority as Priority, createdAtMs, bodySize }),
      queuedAtMs,
      nearAtMs: undefined,
      resting: RESTING,
      waitsFor: NONE,
      awaited: undefined,
      failedDependencies: NONE,
    };
  }

  #leased(row: number): EventOf<"task.leased"> {
    const [number, fence, atMs, expiresAtMs] = this.#numbersOf(row);
    const taskId = this.#taskIds[row] as TaskId;
    const agentId = this.#others[row] as AgentId;
    return { type: "task.leased", taskId, agentId, number, fence, atMs, expiresAtMs };
  }

  #settled(row: number): EventOf<"task.settled"> {
    const [number, fence, assignedAtMs, startedAtMs, settledAtMs, resultBytes] = this.#numbersOf(row);
    const attempt = plainAttempt({
      number,
      agentId: this.#others[row] as AgentId,
      agentName: this.#agentNames[row] as string,
      fence,
      assignedAtMs,
      startedAtMs: present(startedAtMs),
      endedAtMs: settledAtMs,
    });
    return {
      type: "task.settled",
      taskId: this.#taskIds[row] as TaskId,
      settlement: plainSettlement({ settledAtMs, resultBytes: present(resultBytes) }),
      attempt,
      charged: true,
      exclude: false,
      held: false,
    };
  }

  #numbersOf(row: number): SixNumbers {
    return [...this.#numbers.subarray(row * NUMBERS + FIRST, (row + 1) * NUMBERS)] as SixNumbers;
  }
}

type SixNumbers = [number, number, number, number, number, number];

/** Nothing keeps the task from an agent. */
function isReady(event: EventOf<"task.submitted">): boolean {
  return (
    event.resting.reason === RESTING.reason &&
    event.nearAtMs === undefined &&
    event.awaited === undefined &&
    event.waitsFor.length === 0 &&
    event.failedDependencies.length === 0
  );
}

function isPlain(event: EventOf<"task.settled">): event is SettledByAttempt {
  const { attempt, settlement, charged, exclude, held } = event;
  return attempt !== undefined && charged && !exclude && !held && isPlainEnding(settlement, attempt);
}
