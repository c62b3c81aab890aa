/** Tasks that name no pool are given one. */
import { invalid, PoolError } from "../base/errors.ts";
import type { PoolId } from "../base/ids.ts";
import type { Random } from "../base/random.ts";
import type { Pool } from "../core/pool.ts";
import { poolHealthWord } from "../core/pool-health.ts";
import { isAllowed, type PoolCandidate, type Selection, selectPool } from "../policies/selector.ts";
import type { Frame } from "./frame.ts";
import type { Metrics } from "./metrics.ts";
import { parseWith } from "./options/parse.ts";
import type { TaskInput } from "./options/task.ts";
import { agentsInOrder } from "./present-pool.ts";
import {
  FITNESS_MINIMUM,
  ROUTING_DEFAULTS,
  type RouteOptions,
  type RoutingInput,
  routeSchema,
  routingSchema,
} from "./routing.ts";

interface RoutingSettings {
  readonly categories: Readonly<Record<string, readonly string[]>>;
  readonly fitness: readonly string[];
}

export class RoutingDesk {
  readonly #frame: Frame;
  readonly #metrics: Metrics;
  readonly #random: Random;
  readonly #settings: RoutingSettings;
  /** Number of the turn in which a pool was last chosen by rotation. */
  readonly #turns = new Map<PoolId, number>();
  #turn = 0;

  constructor(
    frame: Frame,
    { metrics, random, routing = {} }: { metrics: Metrics; random: Random; routing?: RoutingInput | undefined },
  ) {
    const { categories = ROUTING_DEFAULTS.categories, fitness = [] } = parseWith(routingSchema, routing);
    this.#frame = frame;
    this.#metrics = metrics;
    this.#random = random;
    this.#settings = { categories, fitness };
  }

  /**
   * @throws PoolError `invalid` for options, `no_capacity` when no pool may be chosen
   */
  async choose(task: TaskInput, options: RouteOptions): Promise<Selection> {
    const { selector, allow, pool } = parseWith(routeSchema, options);
    if (selector === "affinity" && pool === undefined) throw invalid("pool", "affinity needs the pool it is for");
    const { type = "general", idempotencyKey } = task;
    const known = await this.#poolOfKey(idempotencyKey);
    if (known !== undefined && isAllowed(known, allow)) return { pool: known, selector, considered: [known] };
    const { state } = this.#frame;
    const byFitness = this.#settings.fitness.some((each) => each === type || each === "*");
    const candidates = [...state.pools.values()].map((each) => this.#candidate(each, type));
    const chosen = selectPool(candidates, { selector, allow, pool, byFitness }, this.#random);
    if (chosen === undefined) {
      throw new PoolError("no_capacity", `no pool that may be used takes tasks of type ${type} now`, {
        retryable: true,
        details: { selector, allow, type },
      });
    }
    if (chosen.selector === "round_robin") this.#tookTurn(chosen.pool as PoolId);
    return chosen;
  }

  #candidate(pool: Pool, type: string): PoolCandidate {
    const { state } = this.#frame;
    const word = poolHealthWord(state, pool);
    const agents = agentsInOrder(state, pool);
    let capacity = 0;
    for (const { identity } of agents) capacity += identity.concurrency;
    const categories = this.#categoriesOf(type);
    return {
      id: pool.id,
      load: capacity === 0 ? Number.POSITIVE_INFINITY : (pool.counts.agent + pool.counts.leased) / capacity,
      stopped: word === "not_running" || !(pool.options.types?.includes(type) ?? true),
      unhealthy: word === "unhealthy",
      preferred: categories.some(
        (category) => pool.id === category || agents.some(({ identity }) => identity.capabilities.includes(category)),
      ),
      fitness: this.#fitness(pool.id, type),
      lastTurn: this.#turns.get(pool.id) ?? 0,
    };
  }

  #categoriesOf(type: string): string[] {
    return Object.entries(this.#settings.categories).flatMap(([name, types]) => (types.includes(type) ? [name] : []));
  }

  #fitness(pool: PoolId, type: string): number | undefined {
    const { completed = 0, failed = 0 } = this.#metrics.of(pool).byType.get(type) ?? {};
    return completed + failed < FITNESS_MINIMUM ? undefined : completed / (completed + failed);
  }

  #tookTurn(pool: PoolId): void {
    this.#turn += 1;
    this.#turns.set(pool, this.#turn);
    for (const id of this.#turns.keys()) if (!this.#frame.state.pools.has(id)) this.#turns.delete(id);
  }

  /** A repeated request goes where the first one went, and finds its task there. */
  async #poolOfKey(key: string | undefined): Promise<PoolId | undefined> {
    if (typeof key !== "string") return undefined;
    const { state, store } = this.#frame;
    const open = state.keys.get(key);
    const task = open === undefined ? undefined : state.tasks.get(open);
    const pool = task?.spec.pool ?? (await store.facts([], [key])).keys.get(key)?.spec.pool;
    return pool !== undefined && state.pools.has(pool) ? pool : undefined;
  }
}
