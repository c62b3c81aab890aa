/** Several pools over one engine. */
import { isPoolError, PoolError } from "../../base/errors.ts";
import type { Selection } from "../../policies/selector.ts";
import type { LocalEngine } from "../engine.ts";
import type { TaskInput } from "../options/task.ts";
import type { RouteOptions } from "../routing.ts";
import type { EngineHealth } from "../troupe.ts";
import type { GateView, PoolView } from "../view.ts";
import { type GateOptions, type Gates, gateOf } from "./gates.ts";
import { type LibraryPoolOptions, open, openPool, type TroupeOptions, without } from "./open.ts";
import { type ExecuteOptions, LocalPool, type Pool } from "./pool.ts";
import { type Schedules, schedulesOf } from "./schedules.ts";

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
  /** In the order in which they were made. */
  list(): PoolView[];
  /** False for an unknown id. */
  delete(id: string, options?: { timeoutMs?: number | undefined }): Promise<boolean>;
  /**
   * Hands a task to a pool that a selector chooses (`least_loaded` when none is named) and waits for its result.
   *
   * @throws PoolError as `execute`, and `no_capacity` when no pool may be chosen
   */
  route(task: string | TaskInput, options?: TroupeRouteOptions): Promise<Routed>;
  readonly schedules: Schedules;
  health(): EngineHealth;
  /** It has been started and not been stopped since. */
  readonly running: boolean;
  /** Starts it again after a stop, over the same store; what only memory held is gone. Does nothing while it runs. */
  start(): Promise<void>;
  /** Takes no more, finishes within `drainMs` (5 s), stops everything. Safe to call twice. */
  stop(options?: { drainMs?: number | undefined }): Promise<void>;
  /** As `stop`. */
  close(options?: { drainMs?: number | undefined }): Promise<void>;
}

class LocalTroupe implements Troupe {
  readonly #options: TroupeOptions;
  readonly #pools = new Map<string, Pool>();
  readonly schedules: Schedules = schedulesOf(() => this.#engine);
  #running: LocalEngine | undefined;
  /** Starts and stops follow one another. */
  #turn: Promise<void> = Promise.resolve();

  constructor(options: TroupeOptions) {
    this.#options = options;
  }

  get running(): boolean {
    return this.#running !== undefined;
  }

  get #engine(): LocalEngine {
    if (this.#running === undefined)
      throw new PoolError("not_running", "the troupe has been stopped; start() it again");
    return this.#running;
  }

  start(): Promise<void> {
    return this.#next(async () => {
      this.#running ??= await open(this.#options);
    });
  }

  stop(options: { drainMs?: number | undefined } = {}): Promise<void> {
    return this.#next(async () => {
      const engine = this.#running;
      this.#running = undefined;
      this.#pools.clear();
      await engine?.close(options);
    });
  }

  close(options?: { drainMs?: number | undefined }): Promise<void> {
    return this.stop(options);
  }

  #next(act: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(act);
    this.#turn = done.catch(() => {});
    return done;
  }

  async create(options: LibraryPoolOptions = {}): Promise<Pool> {
    const id = await openPool(this.#engine, options);
    return this.#keep(id);
  }

  #keep(id: string): Pool {
    const pool = new LocalPool(this.#engine, id, async ({ drainMs } = {}) => {
      await this.delete(id, { timeoutMs: drainMs });
    });
    this.#pools.set(id, pool);
    return pool;
  }

  get(id: string): Pool | undefined {
    const isThere = this.#engine.pools().some((pool) => pool.id === id);
    return isThere ? (this.#pools.get(id) ?? this.#keep(id)) : undefined;
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
    const engine = this.#engine;
    const input = typeof task === "string" ? { prompt: task } : task;
    const chosen = await engine.choosePool(input, routing);
    const pool = new LocalPool(engine, chosen.pool, async () => {});
    return { ...chosen, result: await pool.execute(input, { timeoutMs, signal }) };
  }

  health(): EngineHealth {
    return this.#engine.health();
  }

  async gate(name: string, options?: GateOptions): Promise<GateView> {
    return gateOf(this.#engine, name, options);
  }

  gates(): GateView[] {
    return this.#engine.gates();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Opens an engine in this process. With `sqlite:` what was open before goes on. */
export async function createTroupe(options: TroupeOptions = {}): Promise<Troupe> {
  const troupe = new LocalTroupe(options);
  await troupe.start();
  return troupe;
}

let shared: LocalTroupe | undefined;

/** The troupe of this process, in memory: made on first use, started again when it had been stopped. */
export async function sharedTroupe(): Promise<Troupe> {
  shared ??= new LocalTroupe({});
  await shared.start();
  return shared;
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
