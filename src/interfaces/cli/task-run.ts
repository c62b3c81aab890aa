/** One run of a task file: hands the tasks in as the queues have room, and watches each until it is settled. */
import { type Clock, sleep } from "../../base/clock.ts";
import { isPoolError, PoolError } from "../../base/errors.ts";
import type { PoolView, TaskView } from "../../engine/view.ts";
import { CliError } from "./cli-error.ts";
import { type Client, isSettled } from "./client.ts";
import { EXIT, EXIT_OF } from "./exit-codes.ts";
import { type RunRecord, recordOf, refusedRecord } from "./run-record.ts";
import type { FileTask } from "./task-file.ts";

/** Tasks of one request. */
const BATCH_LIMIT = 100;
/** 4 M units, so that the UTF-8 of a batch stays below the 16 MB that a server takes. */
const BATCH_SIZE_LIMIT = 4_000_000;
/** Tasks that are waited for at the same time. */
const WATCHERS = 8;
/** How long one question may wait while more tasks are open than there are watchers, and else. */
const WATCH = { manyMs: 1_000, fewMs: 20_000 };
/** When a server says "later" without saying when; and bounds for what it says. */
const LATER = { defaultMs: 1_000, leastMs: 50, mostMs: 60_000 };
/** A broken connection is tried so often in a row, for about half a minute in all. */
const RECONNECT = { limit: 10, baseMs: 250, capMs: 5_000 };
/** Unknown outcome, or a server that is being restarted: the idempotency key makes repeating safe. */
const REPEATED = ["unavailable", "shutting_down", "store_failed"] as const;
const POSTPONED = ["queue_full", "rate_limited", "no_capacity"];

export interface Progress {
  readonly total: number;
  readonly submitted: number;
  readonly settled: number;
  /** Of the settled ones, those that did not complete; refused ones too. */
  readonly bad: number;
}

export interface TaskRunOptions {
  readonly client: Client;
  readonly clock: Clock;
  /** In dependency order. */
  readonly tasks: readonly FileTask[];
  readonly onProgress: (progress: Progress) => void;
  /** Ends the run; the tasks go on. */
  readonly signal: AbortSignal;
}

type BatchItem =
  | TaskView
  | { readonly error: { readonly code: string; readonly detail: string; readonly retryAfterMs?: number } };

export class TaskRun {
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #tasks: readonly FileTask[];
  readonly #onProgress: (progress: Progress) => void;
  readonly #ending = new AbortController();
  readonly #signal: AbortSignal;
  /** Handed in or refused. */
  readonly #known = new Set<FileTask>();
  /** Submitted and not settled, by id. */
  readonly #open = new Map<string, FileTask>();
  /** Of the open ones those that no watcher asks for, the one whose turn is next first. */
  readonly #unwatched = new Set<string>();
  readonly #records: RunRecord[] = [];
  #bad = 0;
  readonly #refused = new Set<FileTask>();
  /** Pools that said "later", and until when; monotonic. */
  readonly #resting = new Map<string, number>();
  #submitting = true;
  #changed = Promise.withResolvers<void>();

  constructor({ client, clock, tasks, onProgress, signal }: TaskRunOptions) {
    this.#client = client;
    this.#clock = clock;
    this.#tasks = tasks;
    this.#onProgress = onProgress;
    this.#signal = AbortSignal.any([signal, this.#ending.signal]);
  }

  get progress(): Progress {
    return { total: this.#tasks.length, submitted: this.#known.size, settled: this.#records.length, bad: this.#bad };
  }

  /** Submitted and not known to be settled. */
  get openIds(): string[] {
    return [...this.#open.keys()];
  }

  /** Resolves when every task is settled or refused; rejects when the server stays away, or with the signal's reason. */
  async finish(): Promise<readonly RunRecord[]> {
    await this.#checkPools();
    const watchers = Array.from({ length: WATCHERS }, () => this.#watch());
    try {
      await Promise.all([this.#submitAll(), ...watchers]);
    } finally {
      // When one of them fails, the others have no reason to go on.
      this.#ending.abort();
      this.#wake();
    }
    return this.#records;
  }

  /** A pool that does not exist is found before anything is submitted. */
  async #checkPools(): Promise<void> {
    for (const pool of new Set(this.#tasks.map((task) => task.pool))) {
      await this.#client.get<PoolView>(`/v1/pools/${encodeURIComponent(pool)}`, { signal: this.#signal });
    }
  }

  async #submitAll(): Promise<void> {
    let pending = this.#tasks;
    while (pending.length > 0) {
      this.#signal.throwIfAborted();
      const batch = this.#nextBatch(pending);
      if (batch === undefined) await this.#rest();
      else await this.#submit(batch.pool, batch.tasks);
      this.#refuseDependents(pending);
      pending = pending.filter((task) => !this.#known.has(task));
    }
    this.#submitting = false;
    this.#wake();
  }

  /** The next tasks of one pool that takes some; undefined while all that are left rest. */
  #nextBatch(pending: readonly FileTask[]): { pool: string; tasks: FileTask[] } | undefined {
    const now = this.#clock.monotonic();
    const tasks: FileTask[] = [];
    const chosen = new Set<FileTask>();
    let pool: string | undefined;
    let size = 0;
    for (const task of pending) {
      if (pool === undefined ? (this.#resting.get(task.pool) ?? 0) > now : task.pool !== pool) continue;
      if (!task.after.every((dependency) => this.#known.has(dependency) || chosen.has(dependency))) continue;
      if (tasks.length === BATCH_LIMIT || (tasks.length > 0 && size + task.size > BATCH_SIZE_LIMIT)) break;
      pool = task.pool;
      size += task.size;
      tasks.push(task);
      chosen.add(task);
    }
    return pool === undefined ? undefined : { pool, tasks };
  }

  async #rest(): Promise<void> {
    const now = this.#clock.monotonic();
    const later = [...this.#resting.values()].filter((untilMs) => untilMs > now);
    // Without a pool that rests this is the moment at which the last one woke up.
    await sleep(this.#clock, later.length === 0 ? 0 : Math.min(...later) - now, this.#signal);
  }

  async #submit(pool: string, tasks: readonly FileTask[]): Promise<void> {
    const path = `/v1/pools/${encodeURIComponent(pool)}/tasks/batch`;
    const body = { tasks: tasks.map(({ task }) => task), partial: true };
    let items: readonly BatchItem[];
    try {
      ({ items } = await this.#repeated(() =>
        this.#client.post<{ items: BatchItem[] }>(path, { body, signal: this.#signal }),
      ));
    } catch (error) {
      if (!isPoolError(error) || EXIT_OF[error.code] === EXIT.unauthorized) throw error;
      const { code, message, details } = error;
      const retryAfterMs = typeof details.retryAfterMs === "number" ? details.retryAfterMs : undefined;
      const refusal = { error: { code, detail: message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) } };
      items = tasks.map(() => refusal);
    }
    tasks.forEach((task, index) => {
      const item = items[index];
      if (item === undefined) {
        throw new PoolError("internal", `the server answered ${items.length} of ${tasks.length} tasks`);
      }
      this.#take(task, item);
    });
  }

  /** What the server said to one task. */
  #take(task: FileTask, item: BatchItem): void {
    if ("id" in item) {
      this.#known.add(task);
      if (isSettled(item)) {
        this.#record(recordOf(task, item));
        return;
      }
      this.#open.set(item.id, task);
      this.#unwatched.add(item.id);
      this.#wake();
      return;
    }
    const { code, detail, retryAfterMs } = item.error;
    if (POSTPONED.includes(code)) {
      const restMs = Math.min(LATER.mostMs, Math.max(LATER.leastMs, retryAfterMs ?? LATER.defaultMs));
      this.#resting.set(task.pool, this.#clock.monotonic() + restMs);
      return;
    }
    // What it depends on was postponed in the same batch.
    if (code === "unknown_dependency" && !task.after.every((dependency) => this.#known.has(dependency))) return;
    this.#refuse(task, { code, message: detail });
  }

  #refuse(task: FileTask, error: { code: string; message: string }): void {
    this.#known.add(task);
    this.#refused.add(task);
    this.#record(refusedRecord(task, error));
  }

  #refuseDependents(pending: readonly FileTask[]): void {
    if (this.#refused.size === 0) return;
    for (const task of pending) {
      if (this.#known.has(task)) continue;
      const refused = task.after.find((dependency) => this.#refused.has(dependency));
      if (refused === undefined) continue;
      this.#refuse(task, {
        code: "unknown_dependency",
        message: `the task of line ${refused.line}, on which it depends, was refused`,
      });
    }
  }

  async #watch(): Promise<void> {
    while (this.#submitting || this.#open.size > 0) {
      this.#signal.throwIfAborted();
      const [id] = this.#unwatched;
      const task = id === undefined ? undefined : this.#open.get(id);
      if (id === undefined || task === undefined) {
        await this.#changed.promise;
        continue;
      }
      this.#unwatched.delete(id);
      await this.#ask(id, task);
      this.#wake();
    }
  }

  /** Settles the task, or puts it behind the others that are open. */
  async #ask(id: string, task: FileTask): Promise<void> {
    const few = !this.#submitting && this.#open.size <= WATCHERS;
    const record = await this.#recordAfter(id, task, few ? WATCH.fewMs : WATCH.manyMs);
    if (record === undefined) {
      this.#unwatched.add(id);
      return;
    }
    this.#open.delete(id);
    this.#record(record);
  }

  async #recordAfter(id: string, task: FileTask, waitMs: number): Promise<RunRecord | undefined> {
    try {
      const view = await this.#repeated(() => this.#client.settled(id, { waitMs, signal: this.#signal }));
      return isSettled(view) ? recordOf(task, view) : undefined;
    } catch (error) {
      if (!isPoolError(error, "not_found")) throw error;
      return { ...refusedRecord(task, { code: "not_found", message: "the server no longer knows the task" }), id };
    }
  }

  #record(record: RunRecord): void {
    this.#records.push(record);
    if (record.status !== "completed") this.#bad += 1;
    this.#onProgress(this.progress);
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  /** Asks again when the connection broke or the outcome is unknown. */
  async #repeated<T>(ask: () => Promise<T>): Promise<T> {
    for (let failures = 0; ; failures++) {
      try {
        return await ask();
      } catch (error) {
        if (failures >= RECONNECT.limit || !mayRepeat(error)) throw error;
        await sleep(this.#clock, Math.min(RECONNECT.capMs, RECONNECT.baseMs * 2 ** failures), this.#signal);
        this.#signal.throwIfAborted();
      }
    }
  }
}

function mayRepeat(error: unknown): boolean {
  if (error instanceof CliError) return error.code === "unreachable";
  return REPEATED.some((code) => isPoolError(error, code));
}
