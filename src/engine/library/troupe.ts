/** Several pools over one engine. */
import { isPoolError } from "../../base/errors.ts";
import type { Selection } from "../../policies/selector.ts";
import type { LocalEngine } from "../engine.ts";
import type { TaskInput } from "../options/task.ts";
import type { RouteOptions } from "../routing.ts";
import type { EngineHealth } from "../troupe.ts";
import type { GateView, PoolView } from "../view.ts";
import { type GateOptions, type Gates, gateOf } from "./gates.ts";
import { type LibraryPoolOptions, open, openPool, type TroupeOptions, without } from "./open.ts";
import { type ExecuteOptions, LocalPool, type Pool } from "./pool.ts";

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

export class LocalTroupe implements Troupe {
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
