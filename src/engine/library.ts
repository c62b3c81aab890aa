/** The library's door: pools of functions, children and remote agents in the caller's own process. */
import type { Classify } from "../agents/agent-error.ts";
import type { AgentFunction } from "../agents/function.ts";
import { type Clock, sleep } from "../base/clock.ts";
import { ERROR_CODES, type ErrorCode, isPoolError, PoolError } from "../base/errors.ts";
import type { TaskId } from "../base/ids.ts";
import type { Random } from "../base/random.ts";
import type { SettledFacts } from "../core/record.ts";
import type { Selection } from "../policies/selector.ts";
import { openStore } from "../stores/open.ts";
import { type LocalEngine, startEngine } from "./engine.ts";
import type { LogEvent } from "./engine-options.ts";
import type { GateFunction } from "./gate-desk.ts";
import { GATE_PROBE_DEFAULTS } from "./gate-options.ts";
import type { PoolOptionsInput } from "./options/pool.ts";
import type { EditInput, TaskInput } from "./options/task.ts";
import type { RouteOptions, RoutingInput } from "./routing.ts";
import type { EngineHealth, TaskFilter } from "./troupe.ts";
import type {
  AgentView,
  AnalyticsView,
  ExplainView,
  GateView,
  Page,
  PoolMetricsView,
  PoolView,
  TaskView,
} from "./view.ts";

type AgentEntry = NonNullable<PoolOptionsInput["agents"]>[number];

/** An agent that is a function of this process. */
export interface FunctionAgent extends Omit<AgentEntry, "kind" | "name" | "count"> {
  readonly kind: "function";
  readonly name: string;
  readonly run: AgentFunction;
}

/** Options of `functionAgent`, all optional: how many tasks at a time, what it can do. */
export type FunctionAgentOptions = Pick<
  AgentEntry,
  "capabilities" | "concurrency" | "weight" | "priority" | "metadata"
>;

/**
 * Makes an agent of a function.
 *
 * @param name - unique in its pool
 * @param run - gets `{ task, signal, progress(), log(), memory }`; what it returns is the result, as JSON. It says whose
 *   fault a failure is by throwing `AgentError`; anything else it throws has blame `unknown`
 */
export function functionAgent(name: string, run: AgentFunction, options: FunctionAgentOptions = {}): FunctionAgent {
  return { kind: "function", name, run, ...options };
}

/** Options of a pool in the library: those of the contract, and functions among the agents. */
export interface LibraryPoolOptions extends Omit<PoolOptionsInput, "agents"> {
  readonly agents?: readonly (AgentEntry | FunctionAgent)[];
  /**
   * Says whose fault an error is that a function of this pool has thrown: a blame, or `{ blame, retryable,
   * retryAfterMs, code, … }`; undefined for what it does not know. An `AgentError` speaks for itself.
   */
  readonly classify?: Classify | undefined;
}

export interface TroupeOptions {
  /** `memory:` (default) or `sqlite:<file>`. */
  readonly store?: string;
  /** Where files of the store and directories of agents go; `./.troupe` when absent. */
  readonly dataDir?: string;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly log?: (event: LogEvent) => void;
  /** Category → types that `route` prefers its pools for, with the selector `category`. */
  readonly categories?: RoutingInput["categories"];
  /** Types that `route` gives to the pool that fails them least, whatever the selector; `"*"` is all. */
  readonly fitness?: RoutingInput["fitness"];
}

export interface ExecuteOptions extends Omit<TaskInput, "prompt" | "input" | "deadlineAt"> {
  /** Limit of the whole call, waiting included; after it the task is stopped. Milliseconds. */
  readonly timeoutMs?: number | undefined;
  /** Cancels the task. */
  readonly signal?: AbortSignal | undefined;
}

/** A gate in the library: its probe may be a function of this process. */
export interface GateOptions {
  /** Types that wait while it is closed; as they were when absent. */
  readonly holds?: readonly string[] | undefined;
  /** Stands until the probe says otherwise. Absent: as it was, open at first; a function is asked at once. */
  readonly available?: boolean | undefined;
  /** A URL that the engine polls, or a function that says whether the dependency is there. */
  readonly probe?: string | GateFunction | undefined;
  /** Between two questions; 10 s. Milliseconds. */
  readonly intervalMs?: number | undefined;
  /** Without an answer for so long the gate closes; 2 s. Milliseconds. */
  readonly timeoutMs?: number | undefined;
}

/** What holds types of task back while something they need is away. */
export interface Gates {
  /** Makes or changes one. */
  gate(name: string, options?: GateOptions): Promise<GateView>;
  gates(): GateView[];
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
  /**
   * Hands in one task and waits for its result.
   *
   * @throws PoolError with the task's code when it fails, is cancelled or runs out of time (`deadline_exceeded`), and
   *   with the code of the refusal when it is not taken
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
  status(): Promise<PoolView>;
  metrics(): Promise<PoolMetricsView>;
  /** The last 24 h. */
  analytics(): Promise<AnalyticsView>;
  /** Takes tasks and starts none until `resume`; what runs goes on. */
  pause(): Promise<PoolView>;
  resume(): Promise<PoolView>;
  /** Takes no more, finishes within `drainMs` (5 s), stops. Safe to call twice. */
  close(options?: { drainMs?: number | undefined }): Promise<void>;
}

/** Who may be chosen and how, and limits of the whole call as in `execute`. */
export interface TroupeRouteOptions extends RouteOptions, Pick<ExecuteOptions, "timeoutMs" | "signal"> {}

/** A task that was routed and has been completed. */
export interface Routed extends Selection {
  readonly result: unknown;
}

export interface Troupe extends AsyncDisposable, Gates {
  create(options?: LibraryPoolOptions): Promise<Pool>;
  /** Undefined for an unknown id. */
  get(id: string): Pool | undefined;
  list(): PoolView[];
  /** False for an unknown id. */
  delete(id: string, options?: { timeoutMs?: number | undefined }): Promise<boolean>;
  /**
   * Hands a task to a pool that a selector chooses (`least_loaded` when none is named) and waits for its result.
   *
   * @throws PoolError as `execute`, and `no_capacity` when no pool may be chosen
   */
  route(task: string | TaskInput, options?: TroupeRouteOptions): Promise<Routed>;
  health(): EngineHealth;
  /** Stops everything. Safe to call twice. */
  close(options?: { drainMs?: number | undefined }): Promise<void>;
}

/** Opens an engine in this process. With `sqlite:` what was open before goes on. */
export async function createTroupe(options: TroupeOptions = {}): Promise<Troupe> {
  return new LocalTroupe(await open(options));
}

/** One pool with an engine of its own; closing the pool closes both. */
export async function createPool(options: LibraryPoolOptions & TroupeOptions = {}): Promise<Pool> {
  const { store, dataDir, clock, random, log, categories, fitness, ...pool } = options;
  const engine = await open({ ...without({ store, dataDir, clock, random, log, categories, fitness }) });
  try {
    const id = await openPool(engine, pool);
    return new LocalPool(engine, id, (close) => engine.close(close));
  } catch (error) {
    await engine.close({ drainMs: 0 });
    throw error;
  }
}

/** `undefined` fields count as absent. */
function without<T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as ReturnType<
    typeof without<T>
  >;
}

async function open({
  store = "memory:",
  dataDir = "./.troupe",
  categories,
  fitness,
  ...rest
}: TroupeOptions): Promise<LocalEngine> {
  const routing = { categories, fitness };
  return startEngine({ store: await openStore(store, { dataDir }), dataDir, routing, ...rest });
}

async function openPool(
  engine: LocalEngine,
  { agents = [], classify, ...options }: LibraryPoolOptions,
): Promise<string> {
  const functions = new Map<string, AgentFunction>();
  const entries = agents.map((agent) => {
    if (!("run" in agent)) return agent;
    const { run, ...entry } = agent;
    functions.set(agent.name, run);
    return entry;
  });
  const given = { ...options, ...(agents.length === 0 ? {} : { agents: entries }) };
  const { id } = await engine.openPool(given, functions, classify);
  return id;
}

function gateOf(engine: LocalEngine, name: string, options: GateOptions = {}): Promise<GateView> {
  const { holds, available, probe, intervalMs, timeoutMs } = { ...GATE_PROBE_DEFAULTS, ...without(options) };
  const gate = { holds: holds && [...holds] };
  if (typeof probe === "function")
    return engine.watchGate(name, { ask: probe, intervalMs, timeoutMs }, { ...gate, ...without({ available }) });
  const known = engine.gates().find((other) => other.name === name);
  const polled = probe === undefined ? {} : { probe: { url: probe, intervalMs, timeoutMs } };
  return engine.putGate(name, { ...gate, ...polled, available: available ?? known?.available ?? true });
}

class LocalTroupe implements Troupe {
  readonly #engine: LocalEngine;
  readonly #pools = new Map<string, Pool>();

  constructor(engine: LocalEngine) {
    this.#engine = engine;
  }

  async create(options: LibraryPoolOptions = {}): Promise<Pool> {
    const id = await openPool(this.#engine, options);
    const pool = new LocalPool(this.#engine, id, async ({ drainMs } = {}) => {
      await this.delete(id, { timeoutMs: drainMs });
    });
    this.#pools.set(id, pool);
    return pool;
  }

  get(id: string): Pool | undefined {
    return this.#pools.get(id);
  }

  list(): PoolView[] {
    return this.#engine.pools();
  }

  async delete(id: string, options: { timeoutMs?: number | undefined } = {}): Promise<boolean> {
    this.#pools.delete(id);
    try {
      await this.#engine.deletePool(id, options);
      return true;
    } catch (error) {
      if (isPoolError(error, "not_found")) return false;
      throw error;
    }
  }

  async route(task: string | TaskInput, options: TroupeRouteOptions = {}): Promise<Routed> {
    const { timeoutMs, signal, ...routing } = options;
    const input = typeof task === "string" ? { prompt: task } : task;
    const chosen = await this.#engine.choosePool(input, routing);
    const pool = new LocalPool(this.#engine, chosen.pool, async () => {});
    return { ...chosen, result: await pool.execute(input, { timeoutMs, signal }) };
  }

  health(): EngineHealth {
    return this.#engine.health();
  }

  gate(name: string, options?: GateOptions): Promise<GateView> {
    return gateOf(this.#engine, name, options);
  }

  gates(): GateView[] {
    return this.#engine.gates();
  }

  async close(options: { drainMs?: number | undefined } = {}): Promise<void> {
    await this.#engine.close(options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

class LocalPool implements Pool {
  readonly id: string;
  readonly #engine: LocalEngine;
  readonly #close: (options?: { drainMs?: number | undefined }) => Promise<void>;
  #closed: Promise<void> | undefined;

  constructor(engine: LocalEngine, id: string, close: (options?: { drainMs?: number | undefined }) => Promise<void>) {
    this.#engine = engine;
    this.id = id;
    this.#close = close;
  }

  async execute(task: string | TaskInput, options: ExecuteOptions = {}): Promise<unknown> {
    const { signal } = options;
    if (signal?.aborted) throw new PoolError("cancelled", "the call was cancelled", { cause: signal.reason });
    const id = await this.#admit(task, this.#withDeadline(options), signal);
    const stop = this.#cancelOnAbort(signal, [id]);
    try {
      return await this.#result(id);
    } finally {
      stop();
    }
  }

  #admit(task: string | TaskInput, options: Partial<TaskInput>, signal?: AbortSignal): Promise<TaskId> {
    const input = { ...(typeof task === "string" ? { prompt: task } : task), ...options };
    return this.#engine.admit(this.id, input, { signal });
  }

  /** `timeoutMs` limits the whole call, so it becomes the task's deadline. */
  #withDeadline({ timeoutMs, signal: _, ...options }: ExecuteOptions): Partial<TaskInput> {
    if (timeoutMs === undefined) return options;
    return { ...options, deadlineAt: new Date(this.#engine.nowMs() + timeoutMs).toISOString() };
  }

  /** Returns what ends the listening. */
  #cancelOnAbort(signal: AbortSignal | undefined, ids: readonly TaskId[]): () => void {
    if (signal === undefined) return () => {};
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
    const stop = this.#cancelOnAbort(options.signal, batch.ids);
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
    stop();
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
    const { facts, result } = await this.#engine.settlement(id);
    if (facts.settlement.status === "completed") return result === undefined ? null : JSON.parse(result);
    throw errorOf(facts);
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

  status(): Promise<PoolView> {
    return this.#engine.pool(this.id);
  }

  metrics(): Promise<PoolMetricsView> {
    return this.#engine.metrics(this.id);
  }

  analytics(): Promise<AnalyticsView> {
    return this.#engine.analytics(this.id);
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

/** The tasks of one `executeBatch`: who runs, what came of whom, and when there may be room for one more. */
class Batch {
  readonly ids: TaskId[] = [];
  readonly #clock: Clock;
  readonly #ended = new Map<number, unknown>();
  readonly #running = new Set<Promise<void>>();
  #wake: () => void = () => {};
  #retryAfterMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** False when there was no room; any other end of the admission is the task's end. */
  async run(index: number, admit: () => Promise<TaskId>, result: (id: TaskId) => Promise<unknown>): Promise<boolean> {
    let id: TaskId;
    try {
      id = await admit();
    } catch (error) {
      if (!isPoolError(error, "queue_full")) this.#ended.set(index, error);
      else this.#retryAfterMs = Number(error.details.retryAfterMs ?? ROOM_MS);
      return this.#ended.has(index);
    }
    this.ids.push(id);
    const ended = result(id)
      .catch((error: unknown) => error)
      .then((value) => {
        this.#ended.set(index, value);
        this.#running.delete(ended);
        this.#wake();
      });
    this.#running.add(ended);
    return true;
  }

  /** Waits until one of ours has ended, or others may have. */
  async room(signal: AbortSignal | undefined): Promise<void> {
    const over = new AbortController();
    this.#wake = () => over.abort();
    const stop = signal === undefined ? over.signal : AbortSignal.any([over.signal, signal]);
    await sleep(this.#clock, this.#retryAfterMs, stop);
  }

  async results(count: number): Promise<unknown[]> {
    await Promise.all(this.#running);
    return Array.from({ length: count }, (_, index) => this.#ended.get(index));
  }
}

/** When a full queue does not say when to come back. */
const ROOM_MS = 100;

/** The task's own code where it is one of ours; what its agent said otherwise. */
function errorOf({ spec, settlement }: SettledFacts): PoolError {
  const { status, error } = settlement;
  const code = error?.code ?? status;
  const known = (ERROR_CODES as readonly string[]).includes(code) ? (code as ErrorCode) : status;
  return new PoolError(known === "completed" ? "failed" : known, error?.message ?? `task ${spec.id} ${status}`, {
    details: { taskId: spec.id, ...error },
  });
}
