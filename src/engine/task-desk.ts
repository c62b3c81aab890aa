/** Tasks are handed in, read, waited for and cancelled. */
import { sleep } from "../base/clock.ts";
import { invalid, PoolError } from "../base/errors.ts";
import { asTaskId, type TaskId } from "../base/ids.ts";
import type { Command, Known, Reply } from "../core/command.ts";
import type { PoolOptions } from "../core/pool.ts";
import { notFound } from "../core/settle.ts";
import type { FinalStatus } from "../core/task.ts";
import type { SettledRow } from "../stores/store.ts";
import { explain } from "./explain.ts";
import { existingPool, type Frame } from "./frame.ts";
import { countRefusal, type Ends, Handed } from "./handed.ts";
import { type CheckedTask, checkedTask, type TaskInput } from "./options/task.ts";
import { NOTHING_KNOWN } from "./stubs.ts";
import { payloadFingerprint, type Submission, specOf, submissionOf } from "./submission.ts";
import { bodyOf } from "./task-body.ts";
import type { ExpiredTask, Submitted, TaskFilter } from "./troupe.ts";
import type { ExplainView, Page, TaskView } from "./view.ts";

/** Longest that one request waits for a settlement. Milliseconds. */
export const WAIT_LIMIT_MS = 60_000;

/** How long a caller waits for room in a full queue, where the pool lets it. */
interface Patience {
  readonly signal?: AbortSignal | undefined;
}

/** `show`: the answer says how the tasks are. */
interface Wishes extends Patience {
  readonly show?: boolean | undefined;
}

/** A task that was admitted, or was already there. */
interface Taken {
  readonly taskId: TaskId;
  readonly created: boolean;
  readonly expired?: FinalStatus | undefined;
  readonly shown?: TaskView | undefined;
}

export class TaskDesk {
  readonly #frame: Frame;

  constructor(frame: Frame) {
    this.#frame = frame;
  }

  async submit(pool: string, input: TaskInput, { signal }: Patience = {}): Promise<Submitted> {
    const [item] = await this.#submit([this.#submission(pool, input, "")], { signal, show: true });
    if (item === undefined || "error" in item) throw item?.error ?? new PoolError("internal", "nothing was submitted");
    return { task: await this.#shown(item), created: item.created };
  }

  async admit(pool: string, input: TaskInput, { signal }: Patience = {}): Promise<TaskId> {
    return this.#admit(this.#submission(pool, input, "", true), { signal });
  }

  async #admit(submission: Submission, patience: Patience): Promise<TaskId> {
    const [item] = await this.#submit([submission], patience);
    if (item === undefined || "error" in item) throw item?.error ?? new PoolError("internal", "nothing was submitted");
    return item.taskId;
  }

  /** Hands in one task and tells how it ends. Throws what is wrong with the task itself; all else is told. */
  run(pool: string, input: TaskInput, ends: Ends, signal: AbortSignal | undefined): void {
    const { loop, state, reserve } = this.#frame;
    const { options } = existingPool(state, pool);
    const task = knownTask(checkedTask(input), options);
    const body = bodyOf(task);
    const refusal = reserve.refusal();
    if (refusal !== undefined) {
      ends.refused(refusal);
      return;
    }
    const spec = specOf(task, body, options, this.#frame);
    const idGiven = task.id !== undefined;
    const namesOthers = idGiven || spec.idempotencyKey !== undefined || spec.dependencies.length > 0;
    if (namesOthers || options.queue.overflow === "wait") {
      void this.#runLater({ spec, body, idGiven }, ends, signal);
      return;
    }
    loop.post(
      {
        type: "submit",
        specs: [spec],
        bodies: [body],
        partial: false,
        fingerprintOf: payloadFingerprint,
        known: NOTHING_KNOWN,
      },
      new Handed(this.#frame, spec, ends),
    );
  }

  async #runLater(submission: Submission, ends: Ends, signal: AbortSignal | undefined): Promise<void> {
    try {
      const taskId = await this.#admit(submission, { signal });
      ends.admitted(taskId);
      ends.settled(await this.settlement(taskId));
    } catch (error) {
      ends.refused(error);
    }
  }

  async submitBatch(
    pool: string,
    inputs: readonly TaskInput[],
    { partial = false, signal }: Patience & { partial?: boolean | undefined } = {},
  ): Promise<({ task: TaskView | ExpiredTask } | { error: unknown })[]> {
    existingPool(this.#frame.state, pool);
    const parsed = inputs.map((input, index): Submission | { error: unknown } => {
      try {
        return this.#submission(pool, input, `tasks[${index}]`);
      } catch (error) {
        if (!partial) throw error;
        return { error };
      }
    });
    const good = parsed.filter((item): item is Submission => !("error" in item));
    const admitted = good.length === 0 ? [] : await this.#submit(good, { partial, signal, show: true });
    let next = 0;
    const items = parsed.map((item) => ("error" in item ? item : (admitted[next++] ?? { error: undefined })));
    return Promise.all(
      items.map(async (item) => ("error" in item ? { error: item.error } : { task: await this.#shown(item) })),
    );
  }

  /** As it was when it was admitted, if it was; else as it is now. */
  async #shown({ taskId, expired, shown }: Taken): Promise<TaskView | ExpiredTask> {
    if (expired !== undefined) return { id: taskId, status: expired, expired: true };
    return shown ?? this.#frame.reader.task(taskId);
  }

  #submission(pool: string, input: TaskInput, path: string, inProcess = false): Submission {
    const { options } = existingPool(this.#frame.state, pool);
    const task = checkedTask(input, path);
    return submissionOf(inProcess ? knownTask(task, options) : task, options, this.#frame);
  }

  async #submit(
    submissions: readonly Submission[],
    { partial = false, signal, show = false }: Wishes & { readonly partial?: boolean | undefined },
  ): Promise<readonly (Taken | { readonly error: unknown })[]> {
    this.#frame.reserve.assertRoom();
    const specs = submissions.map(({ spec }) => spec);
    const ids = new Set<TaskId>();
    const keys: string[] = [];
    for (const [index, { id, dependencies, idempotencyKey }] of specs.entries()) {
      // An id that was drawn just now is nobody's yet.
      if (submissions[index]?.idGiven) ids.add(id);
      for (const dependency of dependencies) ids.add(dependency);
      if (idempotencyKey !== undefined) keys.push(idempotencyKey);
    }
    const bodies = submissions.map(({ body }) => body);
    const asked = { specs, bodies, partial, fingerprintOf: payloadFingerprint };
    try {
      return await this.#frame.loop.stubs.lookUp([...ids], keys, async (known) => {
        const reply = await this.#ask({ type: "submit", ...asked, known }, { signal, show });
        if (reply.type !== "submitted") throw new TypeError("a submission is answered by its items");
        for (const item of reply.items) if ("error" in item) countRefusal(this.#frame, specs[0]?.pool, item.error);
        return reply.items;
      });
    } catch (error) {
      countRefusal(this.#frame, specs[0]?.pool, error);
      throw error;
    }
  }

  /** Waits for room where the pool lets submissions wait. */
  async #ask(command: Extract<Command, { type: "submit" }>, { signal, show }: Wishes): Promise<Reply> {
    const { loop, heldCalls, state } = this.#frame;
    const pool = command.specs[0]?.pool;
    const look = show ? (reply: Reply) => this.#withViews(reply) : (reply: Reply) => reply;
    const waits = pool !== undefined && state.pools.get(pool)?.options.queue.overflow === "wait";
    if (!waits) return loop.askThen(command, look);
    const { holdId, answer, close } = heldCalls.open();
    try {
      const reply = await loop.askThen({ ...command, hold: holdId }, look);
      if (reply.type !== "held") return reply;
      const told = await orAborted(answer, signal);
      if (told === undefined) {
        loop.tell({ type: "let_go", pool, holdId });
        throw new PoolError("cancelled", "the caller did not wait for room in the queue");
      }
      if ("error" in told) throw told.error;
      return told.reply;
    } finally {
      close();
    }
  }

  /** What was admitted is shown as it is at this moment, however soon it is over. */
  #withViews(reply: Reply): Reply {
    if (reply.type !== "submitted") return reply;
    const { reader } = this.#frame;
    return {
      ...reply,
      items: reply.items.map((item) => ("error" in item ? item : { ...item, shown: reader.openNow(item.taskId) })),
    };
  }

  get(id: string): Promise<TaskView> {
    return this.#frame.reader.task(asTaskId(id));
  }

  async explain(id: string): Promise<ExplainView> {
    const view = await this.get(id);
    return explain(this.#frame.state, view, this.#frame.turnClock.now());
  }

  list(filter: TaskFilter): Promise<Page<TaskView>> {
    return this.#frame.reader.page(filter);
  }

  /** The task as it is once it is settled, or once the time is over. */
  async waitFor(
    id: string,
    { waitMs, signal }: { waitMs: number; signal?: AbortSignal | undefined },
  ): Promise<TaskView> {
    if (!Number.isInteger(waitMs) || waitMs < 0 || waitMs > WAIT_LIMIT_MS) {
      throw invalid("waitMs", `expected 0 to ${WAIT_LIMIT_MS}`);
    }
    const taskId = asTaskId(id);
    await this.#frame.loop.stored();
    const open = this.#frame.state.tasks.get(taskId);
    if (waitMs > 0 && open !== undefined && open.state.name !== "settled") {
      const over = new AbortController();
      const settled = this.#frame.waiters.once(taskId);
      const aborted = signal === undefined ? over.signal : AbortSignal.any([over.signal, signal]);
      await Promise.race([settled.row, sleep(this.#frame.clock, waitMs, aborted)]);
      over.abort();
      settled.forget();
    }
    return this.#frame.reader.task(taskId);
  }

  /** Resolves when the task is settled and stored. */
  async settlement(id: TaskId): Promise<SettledRow> {
    const { loop, state, store, waiters } = this.#frame;
    const isOpen = (): boolean => (state.tasks.get(id)?.state.name ?? "settled") !== "settled";
    // What seemed settled and is not stored was the word of a term that is over: a second look tells what it is now.
    for (let looks = 0; !isOpen(); looks += 1) {
      if (looks === 2) throw notFound(id);
      await loop.stored();
      const entry = await store.entry(id);
      if (entry !== undefined) return { facts: entry.facts, result: entry.result };
    }
    const settled = await waiters.once(id).row;
    if (settled instanceof PoolError) throw settled;
    return settled;
  }

  async cancel(id: string, reason = "cancelled by its caller"): Promise<TaskView> {
    const taskId = asTaskId(id);
    await this.#withKnown(taskId, (known) => this.#frame.loop.ask({ type: "cancel", taskId, reason, known }));
    return this.#frame.reader.task(taskId);
  }

  #withKnown<T>(id: TaskId, use: (known: Known) => Promise<T>): Promise<T> {
    return this.#frame.loop.stubs.lookUp([id], [], use);
  }
}

/** Of a type that its pool knows, where the pool says so of what comes in process. */
function knownTask(task: CheckedTask, { types, unknownType }: PoolOptions): CheckedTask {
  if (unknownType !== "general" || types === undefined || types.includes(task.type ?? "general")) return task;
  return { ...task, type: "general" };
}

/** Undefined when the signal comes first. */
function orAborted<T>(awaited: Promise<T>, signal: AbortSignal | undefined): Promise<T | undefined> {
  if (signal === undefined) return awaited;
  return new Promise((resolve, reject) => {
    const stop = (): void => resolve(undefined);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    awaited.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
