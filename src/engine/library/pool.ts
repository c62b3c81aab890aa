/** A pool as the library shows it. */
import { PoolError } from "../../base/errors.ts";
import type { TaskId } from "../../base/ids.ts";
import type { LocalEngine } from "../engine.ts";
import type { NewAgentInput } from "../options/agent.ts";
import { parseWith } from "../options/parse.ts";
import type { EditInput, TaskInput } from "../options/task.ts";
import { duration } from "../options/words.ts";
import type { Scaled, ScaleInput, StopOptions, TaskFilter } from "../troupe.ts";
import type {
  AgentView,
  AnalyticsView,
  ExplainView,
  GateView,
  IsolationView,
  Page,
  PoolMetricsView,
  PoolView,
  TaskView,
} from "../view.ts";
import { Batch } from "./batch.ts";
import { Execution, errorOf, resultOf } from "./execution.ts";
import { type GateOptions, type Gates, gateOf } from "./gates.ts";
import { type PoolAgent, poolAgent } from "./pool-agent.ts";
import { type Schedules, schedulesOf } from "./schedules.ts";

export interface ExecuteOptions extends Omit<TaskInput, "prompt" | "input" | "deadlineAt"> {
  /** Limit of the whole call, waiting included; after it the task is stopped. Milliseconds. */
  readonly timeoutMs?: number | undefined;
  /** Cancels the task. */
  readonly signal?: AbortSignal | undefined;
}

/** A task that was admitted. */
export interface SubmittedTask {
  readonly id: string;
  /** Resolves when it is settled, with the task as it ended. Never rejects for a task that failed. */
  settled(): Promise<TaskView>;
  /** The result, or `PoolError` with the task's code. */
  result(): Promise<unknown>;
  cancel(reason?: string): Promise<TaskView>;
}

export interface Pool extends AsyncDisposable, Gates {
  readonly id: string;
  /** Those of all pools of its engine. */
  readonly schedules: Schedules;
  /**
   * Hands in one task and waits for its result.
   *
   * @throws PoolError with the task's code when it fails, is cancelled or runs out of time (`deadline_exceeded`), with
   *   what its last attempt failed of as `cause`; and with the code of the refusal when it is not taken
   */
  execute(task: string | TaskInput, options?: ExecuteOptions): Promise<unknown>;
  /** Results in order; a failure stands in its place as a `PoolError`. Feeds a full queue as room comes. */
  executeBatch(tasks: readonly (string | TaskInput)[], options?: ExecuteOptions): Promise<unknown[]>;
  submit(task: string | TaskInput): Promise<SubmittedTask>;
  task(id: string): Promise<TaskView>;
  /** Why a task is where it is. */
  explain(id: string): Promise<ExplainView>;
  tasks(filter?: Omit<TaskFilter, "pool">): Promise<Page<TaskView>>;
  cancel(id: string, reason?: string): Promise<TaskView>;
  /** Gives a dead letter a new life, with what `edit` changes of it. */
  replay(id: string, edit?: EditInput): Promise<TaskView>;
  /** Lets go of a dead letter: it stays failed. */
  discard(id: string): Promise<TaskView>;
  agents(): AgentView[];
  /** One agent, by its id or its name; undefined when there is none. */
  agent(idOrName: string): PoolAgent | undefined;
  /** One more process agent; how it is started is said by the entry, or as by the pool's entry of its kind. */
  addAgent(agent: NewAgentInput): Promise<PoolAgent>;
  /**
   * Restarts its agents one after the other, so that the others go on serving; each drains for `timeoutMs` (30 s).
   *
   * @throws PoolError `start_failed` at the first that does not come back
   */
  restart(options?: StopOptions): Promise<{ restarted: number }>;
  /** Which agents share what no two agents may share: they are given no work until that is over. */
  isolation(): IsolationView;
  status(): Promise<PoolView>;
  metrics(): Promise<PoolMetricsView>;
  /** The last 24 h. */
  analytics(): Promise<AnalyticsView>;
  /**
   * Brings the pool to `target` agents of those that its `size` drives, or by `add` more. Those that go finish what they
   * have first.
   *
   * @throws PoolError `invalid` outside 1 to `size.max`, and for a pool of a fixed size
   */
  scale(to: ScaleInput): Promise<Scaled>;
  /** As many more as there is room for up to `size.max`, `size.default` unless said; answers with the new ids. */
  add(count?: number): Promise<readonly string[]>;
  /** Takes tasks and starts none until `resume`; what runs goes on. */
  pause(): Promise<PoolView>;
  resume(): Promise<PoolView>;
  /** Takes no more, finishes within `drainMs` (5 s), stops. Safe to call twice. */
  close(options?: { drainMs?: number | undefined }): Promise<void>;
}

export class LocalPool implements Pool {
  readonly id: string;
  readonly schedules: Schedules;
  readonly #engine: LocalEngine;
  readonly #close: (options?: { drainMs?: number | undefined }) => Promise<void>;
  #closed: Promise<void> | undefined;

  constructor(engine: LocalEngine, id: string, close: (options?: { drainMs?: number | undefined }) => Promise<void>) {
    this.#engine = engine;
    this.schedules = schedulesOf(() => engine);
    this.id = id;
    this.#close = close;
  }

  execute(task: string | TaskInput, options?: ExecuteOptions): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const signal = options?.signal;
      if (signal?.aborted) throw new PoolError("cancelled", "the call was cancelled", { cause: signal.reason });
      const ends = new Execution(resolve, reject, signal && this.#cancelling(signal));
      this.#engine.run(this.id, this.#input(task, options), ends, signal);
    });
  }

  #input(task: string | TaskInput, options: ExecuteOptions | undefined): TaskInput {
    const given = typeof task === "string" ? { prompt: task } : task;
    return options === undefined ? given : { ...given, ...this.#withDeadline(options) };
  }

  #admit(task: string | TaskInput, options: Partial<TaskInput>, signal?: AbortSignal): Promise<TaskId> {
    const input = { ...(typeof task === "string" ? { prompt: task } : task), ...options };
    return this.#engine.admit(this.id, input, { signal });
  }

  /** `timeoutMs` limits the whole call, so it becomes the task's deadline. */
  #withDeadline({ timeoutMs, signal: _, ...options }: ExecuteOptions): Partial<TaskInput> {
    if (timeoutMs === undefined) return options;
    parseWith(duration(1), timeoutMs, "timeoutMs");
    return { ...options, deadlineAt: new Date(this.#engine.nowMs() + timeoutMs).toISOString() };
  }

  /** Apart from its caller: where a function is made, all that it may ask for is kept in an object. */
  #cancelling(signal: AbortSignal): (id: TaskId) => () => void {
    return (id) => this.#cancelOnAbort(signal, [id]);
  }

  /** Returns what ends the listening. */
  #cancelOnAbort(signal: AbortSignal, ids: readonly TaskId[]): () => void {
    const cancel = (): void => {
      // One that has been settled meanwhile needs no cancelling.
      for (const id of ids) void this.#engine.cancel(id).catch(() => {});
    };
    signal.addEventListener("abort", cancel, { once: true });
    if (signal.aborted) cancel();
    return () => signal.removeEventListener("abort", cancel);
  }

  async executeBatch(tasks: readonly (string | TaskInput)[], options: ExecuteOptions = {}): Promise<unknown[]> {
    const batch = new Batch(this.#engine.clock);
    const admit = (index: number): Promise<TaskId> => {
      if (options.signal?.aborted) throw new PoolError("cancelled", "the call was cancelled");
      return this.#admit(tasks[index] as string | TaskInput, deadline, options.signal);
    };
    const deadline = this.#withDeadline(options);
    const indexes = [...tasks.keys()];
    const stop = options.signal && this.#cancelOnAbort(options.signal, batch.ids);
    // All at once, so that they share commits; those that found no room follow one by one as it comes.
    const refused: number[] = [];
    await Promise.all(
      indexes.map(async (index) => {
        if (
          !(await batch.run(
            index,
            () => admit(index),
            (id) => this.#result(id),
          ))
        )
          refused.push(index);
      }),
    );
    for (const index of refused.sort((a, b) => a - b)) {
      while (
        !(await batch.run(
          index,
          () => admit(index),
          (id) => this.#result(id),
        ))
      )
        await batch.room(options.signal);
    }
    const results = await batch.results(tasks.length);
    stop?.();
    return results;
  }

  async submit(task: string | TaskInput): Promise<SubmittedTask> {
    const id = await this.#admit(task, {});
    return {
      id,
      settled: async () => {
        await this.#engine.settlement(id);
        return this.#engine.task(id);
      },
      result: () => this.#result(id),
      cancel: (reason) => this.#engine.cancel(id, reason),
    };
  }

  async #result(id: TaskId): Promise<unknown> {
    const row = await this.#engine.settlement(id);
    if (row.facts.settlement.status === "completed") return resultOf(row);
    throw errorOf(row.facts);
  }

  task(id: string): Promise<TaskView> {
    return this.#engine.task(id);
  }

  explain(id: string): Promise<ExplainView> {
    return this.#engine.explain(id);
  }

  tasks(filter: Omit<TaskFilter, "pool"> = {}): Promise<Page<TaskView>> {
    return this.#engine.tasks({ ...filter, pool: this.id });
  }

  cancel(id: string, reason?: string): Promise<TaskView> {
    return this.#engine.cancel(id, reason);
  }

  replay(id: string, edit?: EditInput): Promise<TaskView> {
    return this.#engine.replay(id, edit);
  }

  discard(id: string): Promise<TaskView> {
    return this.#engine.discard(id);
  }

  agents(): AgentView[] {
    return this.#engine.agents(this.id);
  }

  agent(idOrName: string): PoolAgent | undefined {
    const found = this.agents().find(({ id, name }) => id === idOrName || name === idOrName);
    return found && poolAgent(this.#engine, found.id);
  }

  async addAgent(agent: NewAgentInput): Promise<PoolAgent> {
    const { id } = await this.#engine.addAgent(this.id, agent);
    return poolAgent(this.#engine, id);
  }

  restart(options?: StopOptions): Promise<{ restarted: number }> {
    return this.#engine.restartPool(this.id, options);
  }

  isolation(): IsolationView {
    return this.#engine.isolation(this.id);
  }

  status(): Promise<PoolView> {
    return this.#engine.pool(this.id);
  }

  metrics(): Promise<PoolMetricsView> {
    return this.#engine.metrics(this.id);
  }

  analytics(): Promise<AnalyticsView> {
    return this.#engine.analytics(this.id);
  }

  scale(to: ScaleInput): Promise<Scaled> {
    return this.#engine.scale(this.id, to);
  }

  async add(count?: number): Promise<readonly string[]> {
    return (await this.#engine.scale(this.id, { add: count }, { capped: true })).agentIds;
  }

  pause(): Promise<PoolView> {
    return this.#engine.setMode(this.id, "paused");
  }

  resume(): Promise<PoolView> {
    return this.#engine.setMode(this.id, "running");
  }

  gate(name: string, options?: GateOptions): Promise<GateView> {
    return gateOf(this.#engine, name, options);
  }

  gates(): GateView[] {
    return this.#engine.gates();
  }

  close(options: { drainMs?: number | undefined } = {}): Promise<void> {
    this.#closed ??= this.#close(options);
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
