/** Pools are made, brought up to date, shown and deleted. */
import type { Classify } from "../agents/agent-error.ts";
import type { AgentFunction } from "../agents/function.ts";
import { checkAgents } from "../agents/preflight.ts";
import { invalid, PoolError } from "../base/errors.ts";
import { asPoolId, type PoolId } from "../base/ids.ts";
import type { Agent } from "../core/agent.ts";
import { type ChooseAgent, newChooser } from "../core/chooser.ts";
import type { Command, Reply } from "../core/command.ts";
import type { PoolMode, PoolOptions } from "../core/pool.ts";
import { sizedAgents, sizedEntry } from "../core/size.ts";
import type { NamespaceState } from "../core/state.ts";
import { functionKey } from "./crew.ts";
import { existingPool, type Frame } from "./frame.ts";
import { iso } from "./instant.ts";
import { type PoolOptionsInput, resolvePool } from "./options/pool.ts";
import { resolvePoolChange } from "./options/pool-change.ts";
import { agentsInOrder, poolView } from "./present-pool.ts";
import { rollOf } from "./roll.ts";
import { followSize, sameWork, scalePool, targetFor } from "./size-desk.ts";
import { StartWatch } from "./start-watch.ts";
import type { Scaled } from "./troupe.ts";
import type { PoolView, QuarantineView } from "./view.ts";

/** How long a deleted pool may finish its work when nothing is said. */
const DELETE_DRAIN_MS = 30_000;

/** What function agents run: by their name, or by the place of their entry in `agents` when that has none. */
export type FunctionsOf = ReadonlyMap<string | number, AgentFunction>;

/** Rules of the user's own for one pool, given in process. */
export interface OwnRules {
  /** Says whose fault an error is. */
  readonly classify?: Classify | undefined;
  /** Chooses the agent, in place of the pool's `strategy`. */
  readonly choose?: ChooseAgent | undefined;
}

export class PoolDesk {
  readonly #frame: Frame;
  readonly #starts = new Map<PoolId, StartWatch>();
  /** Pools that were made or taken up since the start. */
  readonly #taken = new Set<PoolId>();
  /** Pools of the file whose agents have not been up yet. */
  readonly #awaited = new Set<PoolId>();

  constructor(frame: Frame) {
    this.#frame = frame;
  }

  /** Every pool of the file has had its agents up. */
  get allHaveBeenUp(): boolean {
    return this.#awaited.size === 0;
  }

  /** A pool of the file: made, or brought up to date. It stays whether its agents come up or not. */
  async follow(options: PoolOptions): Promise<void> {
    this.#awaited.add(options.id);
    if (this.#frame.state.pools.has(options.id)) return this.#bringUpToDate(options);
    await checkAgents(options.agents, 0).catch((error: unknown) => {
      throw inPool(options.id, error);
    });
    await this.#make(options);
    this.#starts.delete(options.id);
  }

  async create(input: PoolOptionsInput): Promise<PoolView> {
    return this.open(input, new Map());
  }

  async open(input: PoolOptionsInput, functions: FunctionsOf, own: OwnRules = {}): Promise<PoolView> {
    const { limits } = this.#frame;
    const options = resolvePool(input, () => `pool-${this.#frame.entropy.hex(8)}`, limits);
    this.#refuseFunctionless(options, functions);
    for (const [agent, run] of functions) this.#frame.functions.set(functionKey(options.id, agent), run);
    if (functions.size > 0 && this.#frame.state.pools.has(options.id) && !this.#taken.has(options.id)) {
      this.#keep(options.id, own);
      await this.#bringUpToDate(options);
      return this.get(options.id);
    }
    if (this.#frame.state.pools.has(options.id)) {
      throw new PoolError("conflict", `a pool ${options.id} is already there`, {
        details: { path: "id", id: options.id },
      });
    }
    await checkAgents(options.agents, 0);
    this.#keep(options.id, own);
    const watch = await this.#make(options);
    const report = await watch?.decided;
    this.#starts.delete(options.id);
    if (report === undefined || report.started) return this.get(options.id);
    await this.#frame.loop.ask({ type: "delete_pool", pool: options.id });
    this.#letGo(options.id);
    const { ready, needed, total, failures } = report;
    const why = failures.map(({ agent, reason }) => `${agent}: ${reason}`).join("; ");
    throw new PoolError("start_failed", `${ready} of ${total} daemons came up, ${needed} are needed: ${why}`, {
      details: { ready, needed, total, failures },
    });
  }

  /** They live in this process only, so a start brings them anew. */
  #keep(id: PoolId, { classify, choose }: OwnRules): void {
    if (classify !== undefined) this.#frame.classifiers.set(id, classify);
    if (choose !== undefined) this.#frame.state.choosers.set(id, newChooser(choose));
  }

  #letGo(id: PoolId): void {
    this.#frame.classifiers.delete(id);
    this.#frame.state.choosers.delete(id);
  }

  /** Functions come with the library's call; nowhere else can they come from. */
  #refuseFunctionless(options: PoolOptions, functions: FunctionsOf): void {
    for (const [index, { kind, name }] of options.agents.entries()) {
      if (kind !== "function" || functions.has(name ?? index)) continue;
      throw invalid(`agents[${index}].kind`, "function agents can only be given in process, by functionAgent()");
    }
  }

  async #make(options: PoolOptions): Promise<StartWatch | undefined> {
    const roll = rollOf(options, this.#frame.entropy);
    const daemons = roll.filter(({ kind }) => kind === "daemon");
    const share = Math.max(0, ...options.agents.map(({ daemon }) => daemon?.readyShare ?? 0));
    const ids = daemons.map(({ id }) => id);
    const watch = ids.length === 0 ? undefined : new StartWatch(ids, Math.ceil(share * ids.length));
    if (watch !== undefined) this.#starts.set(options.id, watch);
    this.#taken.add(options.id);
    const asked: Promise<Reply>[] = [this.#frame.loop.ask({ type: "create_pool", options })];
    for (const { ordinal, ...agent } of roll) asked.push(this.#frame.loop.ask({ type: "add_agent", agent, ordinal }));
    await allOrFirstError(asked);
    this.#frame.crew.poolCame();
    return watch;
  }

  /** A pool that the store remembers follows its options: agents come, go, or stay. */
  async #bringUpToDate(options: PoolOptions): Promise<void> {
    const pool = this.#frame.state.pools.get(options.id);
    if (pool === undefined) return;
    this.#taken.add(options.id);
    const { state, crew, entropy } = this.#frame;
    const sized = sizedEntry(options);
    const others = agentsInOrder(state, pool).filter(({ identity }) => identity.dismissed === undefined);
    const here = new Map(others.map((agent) => [agent.identity.name, agent]));
    if (sized !== -1) for (const { identity } of sizedAgents(state, pool)) here.delete(identity.name);
    const commands: Command[] = [{ type: "change_pool", options }];
    const remaining: Agent[] = [];
    for (const agent of rollOf(options, entropy)) {
      if (agent.entry === sized) continue;
      const known = here.get(agent.name);
      here.delete(agent.name);
      if (known !== undefined && sameWork(known.identity, agent)) {
        commands.push({ type: "place_agent", agentId: known.identity.id, entry: agent.entry });
        remaining.push(known);
        continue;
      }
      if (known !== undefined) commands.push({ type: "remove_agent", agentId: known.identity.id });
      const { id = agent.id, ordinal } = known?.identity ?? {};
      commands.push({ type: "add_agent", agent: { ...agent, id }, ordinal });
    }
    for (const { identity } of here.values()) {
      if (identity.kind !== "remote") commands.push({ type: "remove_agent", agentId: identity.id });
    }
    commands.push(...followSize(state, options, { newcomer: this.#frame, remain: (agent) => remaining.push(agent) }));
    await allOrFirstError(commands.map((command) => this.#frame.loop.ask(command)));
    // Their functions have come with the options.
    for (const { identity } of remaining) if (identity.kind === "function") await crew.start(identity.id);
    crew.poolCame();
  }

  /** Of those that `size` drives, the number follows too; how an agent is started is said where it is added. */
  async change(id: string, input: unknown): Promise<PoolView> {
    const pool = existingPool(this.#frame.state, id);
    const options = resolvePoolChange(pool.options, input, this.#frame.limits);
    const commands: Command[] = [{ type: "change_pool", options }];
    const target = targetFor(this.#frame.state, options);
    if (target !== undefined) commands.push({ type: "scale", pool: pool.id, target, by: "options" });
    await allOrFirstError(commands.map((command) => this.#frame.loop.ask(command)));
    return this.get(id);
  }

  scale(id: string, input: unknown, options?: { capped?: boolean }): Promise<Scaled> {
    return scalePool(this.#frame, id, input, options);
  }

  async delete(id: string, { timeoutMs = DELETE_DRAIN_MS }: { timeoutMs?: number | undefined } = {}) {
    const pool = asPoolId(id);
    await this.#frame.loop.ask({ type: "drain_pool", pool });
    const before = this.#frame.state.pools.get(pool)?.totals.completed ?? 0;
    await this.#frame.waiters.until(() => openIn(this.#frame.state, pool) === 0, timeoutMs);
    const completed = (this.#frame.state.pools.get(pool)?.totals.completed ?? before) - before;
    const reply = await this.#frame.loop.ask({ type: "delete_pool", pool });
    this.#taken.delete(pool);
    this.#letGo(pool);
    return { cancelled: reply.type === "cancelled" ? reply.count : 0, completed };
  }

  quarantine(id: string): QuarantineView[] {
    const { quarantine } = existingPool(this.#frame.state, id);
    return [...quarantine.values()].map(({ fingerprint, by, atMs }) => ({ fingerprint, taskId: by, at: iso(atMs) }));
  }

  async releasePayload(id: string, fingerprint: string): Promise<void> {
    await this.#frame.loop.ask({ type: "release_payload", pool: asPoolId(id), fingerprint });
  }

  async setMode(id: string, mode: PoolMode): Promise<PoolView> {
    await this.#frame.loop.ask({ type: "set_mode", pool: asPoolId(id), mode });
    return this.get(id);
  }

  list(): PoolView[] {
    return [...this.#frame.state.pools.values()].map((pool) => {
      const { completed, failed, cancelled } = pool.totals;
      const refusals = this.#frame.refusals.get(pool.id) ?? 0;
      return poolView(this.#frame.state, pool, { completed, failed, cancelled, deadLetters: failed }, refusals);
    });
  }

  async get(id: string): Promise<PoolView> {
    await this.#frame.loop.stored();
    const history = await this.#frame.store.tally(asPoolId(id));
    return poolView(
      this.#frame.state,
      existingPool(this.#frame.state, id),
      history,
      this.#frame.refusals.get(asPoolId(id)) ?? 0,
    );
  }

  /** A turn is over: agents may have come up or died. */
  look(): void {
    const { state } = this.#frame;
    for (const [pool, watch] of this.#starts) {
      for (const id of state.pools.get(pool)?.agentIds ?? []) {
        const agent = state.agents.get(id);
        if (agent !== undefined) watch.see(agent);
      }
    }
    for (const id of this.#awaited) if (hasBeenReady(state, id)) this.#awaited.delete(id);
  }
}

/** Tasks of the pool that are not settled. */
export function openIn(state: NamespaceState, id: PoolId): number {
  const counts = state.pools.get(id)?.counts;
  return counts === undefined ? 0 : counts.agent + counts.delay + counts.dependencies + counts.leased + counts.retry;
}

function hasBeenReady(state: NamespaceState, id: PoolId): boolean {
  const pool = state.pools.get(id);
  if (pool === undefined) return false;
  const own = agentsInOrder(state, pool).filter(({ identity }) => identity.kind !== "remote");
  const ready = own.filter(({ lifecycle }) => lifecycle === "ready").length;
  return ready >= Math.min(own.length, pool.options.size.min);
}

/** Says which of the file's pools is meant. */
function inPool(pool: PoolId, error: unknown): unknown {
  if (!(error instanceof PoolError)) return error;
  return new PoolError(error.code, `pool ${pool}: ${error.message}`, {
    cause: error,
    details: { ...error.details, pool },
  });
}

/** All of them have ended before the first error is thrown. */
async function allOrFirstError(asked: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(asked)) if (result.status === "rejected") throw result.reason;
}
