/** A running engine over one namespace: what the doors ask, carried to the loop and back. */

import type { AgentFunction } from "../agents/function.ts";
import { checkAgents } from "../agents/preflight.ts";
import { type Clock, sleep, systemClock } from "../base/clock.ts";
import { invalid, PoolError } from "../base/errors.ts";
import { type AgentId, asAgentId, asPoolId, asTaskId, type PoolId, type TaskId } from "../base/ids.ts";
import { encodeJson } from "../base/json.ts";
import { createSystemRandom, type Entropy, systemEntropy } from "../base/random.ts";
import type { Agent, AgentIdentity } from "../core/agent.ts";
import type { Command, Known, Reply } from "../core/command.ts";
import type { Effect, LeasedAttempt } from "../core/effect.ts";
import { currentLease } from "../core/lease.ts";
import type { Outcome } from "../core/outcome.ts";
import type { PoolOptions } from "../core/pool.ts";
import { restore } from "../core/restore.ts";
import type { NamespaceState } from "../core/state.ts";
import type { Turn } from "../core/turn.ts";
import type { SettledRow, Store } from "../stores/store.ts";
import { ClaimDesk } from "./claim-desk.ts";
import { Crew, functionKey } from "./crew.ts";
import type { EngineOptions, LogEvent } from "./engine-options.ts";
import { Handover } from "./handover.ts";
import { Loop } from "./loop.ts";
import { LIMIT_DEFAULTS, type PoolOptionsInput, resolvePool, resolveTask, type TaskInput } from "./options.ts";
import { Payloads } from "./payloads.ts";
import { agentsInOrder, agentView, iso, poolHealthView, poolHealthWord, poolView } from "./present.ts";
import { Reader } from "./reader.ts";
import { newIsolation, rollOf } from "./roll.ts";
import { StartWatch } from "./start-watch.ts";
import { NOTHING_KNOWN } from "./stubs.ts";
import { type Submission, submissionOf } from "./submission.ts";
import type {
  Claimed,
  Engine,
  EngineHealth,
  FailInput,
  HeartbeatAnswer,
  JoinInput,
  Submitted,
  TaskFilter,
} from "./troupe.ts";
import { TurnClock } from "./turn-clock.ts";
import type { AgentView, Page, PoolHealthView, PoolView, TaskView } from "./view.ts";

/** What the library door needs besides. */
export interface LocalEngine extends Engine {
  /** As `createPool`; a pool that only the store remembers is taken up again. */
  openPool(options: PoolOptionsInput, functions: ReadonlyMap<string, AgentFunction>): Promise<PoolView>;
  /** Admits one task and gives its id: the short way for callers in this process. */
  admit(pool: string, task: TaskInput): Promise<TaskId>;
  /** Resolves when the task is settled and stored. Rejects when the engine closes before. */
  settlement(id: TaskId): Promise<SettledRow>;
  /** The time of turns. */
  nowMs(): number;
  readonly clock: Clock;
  /** What the core holds: to be looked at by checks, never to be changed. */
  readonly state: NamespaceState;
}

/** A result that a remote agent brings. Bytes. */
const RESULT_LIMIT_BYTES = 16 * 1_048_576;
/** How long a deleted pool may finish its work when nothing is said. */
const DELETE_DRAIN_MS = 30_000;
/** How long a closing engine lets its work finish when nothing is said. */
const CLOSE_DRAIN_MS = 5_000;
const WAIT_LIMIT_MS = 60_000;
const CLAIM_LIMIT = 1_000;

export async function startEngine(options: EngineOptions): Promise<LocalEngine> {
  const { store, clock = systemClock, limits = LIMIT_DEFAULTS } = options;
  const entropy = options.entropy ?? systemEntropy;
  try {
    // Everything that can be refused is refused before anything is touched.
    const pools = (options.pools ?? []).map((pool) => resolvePool(pool, () => `pool-${entropy.hex(8)}`, limits));
    const loaded = await store.load();
    const state = restore(loaded, clock.now());
    const engine = new RunningEngine(options, { state, clock, entropy, lastSeq: loaded.lastSeq });
    await engine.begin(pools);
    return engine;
  } catch (error) {
    await store.close();
    throw error;
  }
}

interface Parts {
  readonly state: NamespaceState;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly lastSeq: number;
}

class RunningEngine implements LocalEngine {
  readonly #options: EngineOptions;
  readonly #store: Store;
  readonly #state: NamespaceState;
  readonly #clock: Clock;
  readonly #turnClock: TurnClock;
  readonly #entropy: Entropy;
  readonly #loop: Loop;
  readonly #crew: Crew;
  readonly #reader: Reader;
  readonly #handover: Handover;
  readonly #payloads = new Payloads();
  readonly #claims = new ClaimDesk();
  readonly #functions = new Map<string, AgentFunction>();
  readonly #waiters = new Map<TaskId, Set<(row: SettledRow | PoolError) => void>>();
  readonly #afterTurn = new Set<() => void>();
  readonly #starts = new Map<PoolId, StartWatch>();
  readonly #refusals = new Map<PoolId, number>();
  /** Pools that were made or taken up since the start. */
  readonly #taken = new Set<PoolId>();
  /** Pools of the file whose agents have not been up yet. */
  readonly #awaited = new Set<PoolId>();
  #closing: Promise<void> | undefined;

  constructor(options: EngineOptions, { state, clock, entropy, lastSeq }: Parts) {
    this.#options = options;
    this.#store = options.store;
    this.#state = state;
    this.#clock = clock;
    this.#entropy = entropy;
    this.#turnClock = new TurnClock(clock);
    for (const [key, run] of options.functions ?? []) this.#functions.set(key, run);
    this.#loop = new Loop({
      state,
      store: this.#store,
      clock,
      turnClock: this.#turnClock,
      random: options.random ?? createSystemRandom(),
      payloads: this.#payloads,
      lastSeq,
      perform: (effect, turn) => this.#perform(effect, turn),
      told: (settled) => this.#told(settled),
      fatal: (error) => this.#fatal(error),
    });
    this.#crew = new Crew({
      state,
      clock,
      entropy,
      dataDir: options.dataDir,
      functions: this.#functions,
      drivers: options.drivers,
      tell: (command) => this.#loop.tell(command),
      keepResult: (fence, result) => this.#payloads.keepResult(fence, result),
      changed: () => {},
      log: (event) => this.#log(event),
    });
    const stored = (): Promise<void> => this.#loop.stored();
    this.#reader = new Reader({ state, store: this.#store, payloads: this.#payloads, stored });
    this.#handover = new Handover({ state, store: this.#store, payloads: this.#payloads });
  }

  /** Ends what died with the engine before, and brings the pools of the file up to date. */
  async begin(pools: readonly PoolOptions[]): Promise<void> {
    await this.#loop.ask({ type: "recover" });
    for (const options of pools) {
      this.#awaited.add(options.id);
      if (this.#state.pools.has(options.id)) await this.#bringUpToDate(options);
      else {
        await checkAgents(options.agents, 0).catch((error: unknown) => {
          throw inPool(options.id, error);
        });
        await this.#make(options);
      }
    }
    this.#log({ level: "info", event: "engine.started", epoch: this.#state.epoch, pools: this.#state.pools.size });
  }

  get clock(): Clock {
    return this.#clock;
  }

  get state(): NamespaceState {
    return this.#state;
  }

  nowMs(): number {
    return this.#turnClock.now();
  }

  // --- pools ---

  async createPool(input: PoolOptionsInput): Promise<PoolView> {
    return this.openPool(input, new Map());
  }

  async openPool(input: PoolOptionsInput, functions: ReadonlyMap<string, AgentFunction>): Promise<PoolView> {
    const { limits = LIMIT_DEFAULTS } = this.#options;
    const options = resolvePool(input, () => `pool-${this.#entropy.hex(8)}`, limits);
    this.#refuseFunctionless(options, functions);
    for (const [name, run] of functions) this.#functions.set(functionKey(options.id, name), run);
    if (functions.size > 0 && this.#state.pools.has(options.id) && !this.#taken.has(options.id)) {
      await this.#bringUpToDate(options);
      return this.pool(options.id);
    }
    if (this.#state.pools.has(options.id)) {
      throw new PoolError("conflict", `a pool ${options.id} is already there`, {
        details: { path: "id", id: options.id },
      });
    }
    await checkAgents(options.agents, 0);
    const watch = await this.#make(options);
    const report = await watch?.decided;
    this.#starts.delete(options.id);
    if (report === undefined || report.started) return this.pool(options.id);
    await this.#loop.ask({ type: "delete_pool", pool: options.id });
    const { ready, needed, total, failures } = report;
    const why = failures.map(({ agent, reason }) => `${agent}: ${reason}`).join("; ");
    throw new PoolError("start_failed", `${ready} of ${total} daemons came up, ${needed} are needed: ${why}`, {
      details: { ready, needed, total, failures },
    });
  }

  /** Functions come with the library's call, by name; nowhere else can they come from. */
  #refuseFunctionless(options: PoolOptions, functions: ReadonlyMap<string, AgentFunction>): void {
    for (const [index, { kind, name }] of options.agents.entries()) {
      if (kind !== "function" || (name !== undefined && functions.has(name))) continue;
      throw invalid(`agents[${index}].kind`, "function agents can only be given in process, by functionAgent()");
    }
  }

  async #make(options: PoolOptions): Promise<StartWatch | undefined> {
    const roll = rollOf(options, this.#entropy);
    const daemons = roll.filter(({ kind }) => kind === "daemon");
    const share = Math.max(0, ...options.agents.map(({ daemon }) => daemon?.readyShare ?? 0));
    const ids = daemons.map(({ id }) => id);
    const watch = ids.length === 0 ? undefined : new StartWatch(ids, Math.ceil(share * ids.length));
    if (watch !== undefined) this.#starts.set(options.id, watch);
    this.#taken.add(options.id);
    const asked: Promise<Reply>[] = [this.#loop.ask({ type: "create_pool", options })];
    for (const agent of roll) asked.push(this.#loop.ask({ type: "add_agent", agent }));
    await allOrFirstError(asked);
    this.#crew.poolCame();
    return watch;
  }

  /** A pool that the store remembers follows its options: agents come, go, or stay. */
  async #bringUpToDate(options: PoolOptions): Promise<void> {
    const pool = this.#state.pools.get(options.id);
    if (pool === undefined) return;
    this.#taken.add(options.id);
    const here = new Map(agentsInOrder(this.#state, pool).map((agent) => [agent.identity.name, agent]));
    const commands: Command[] = [{ type: "change_pool", options }];
    for (const agent of rollOf(options, this.#entropy)) {
      const known = here.get(agent.name);
      here.delete(agent.name);
      if (known !== undefined && sameWork(known.identity, agent)) {
        if (known.identity.kind === "function") await this.#crew.start(known.identity.id);
        continue;
      }
      if (known !== undefined) commands.push({ type: "remove_agent", agentId: known.identity.id });
      commands.push({ type: "add_agent", agent: { ...agent, id: known?.identity.id ?? agent.id } });
    }
    for (const { identity } of here.values()) {
      if (identity.kind !== "remote") commands.push({ type: "remove_agent", agentId: identity.id });
    }
    await allOrFirstError(commands.map((command) => this.#loop.ask(command)));
    this.#crew.poolCame();
  }

  async deletePool(id: string, { timeoutMs = DELETE_DRAIN_MS }: { timeoutMs?: number | undefined } = {}) {
    const pool = asPoolId(id);
    await this.#loop.ask({ type: "drain_pool", pool });
    const before = this.#state.pools.get(pool)?.totals.completed ?? 0;
    await this.#until(() => this.#openIn(pool) === 0, timeoutMs);
    const completed = (this.#state.pools.get(pool)?.totals.completed ?? before) - before;
    const reply = await this.#loop.ask({ type: "delete_pool", pool });
    this.#taken.delete(pool);
    return { cancelled: reply.type === "cancelled" ? reply.count : 0, completed };
  }

  #openIn(id: PoolId): number {
    const counts = this.#state.pools.get(id)?.counts;
    return counts === undefined ? 0 : counts.agent + counts.delay + counts.dependencies + counts.leased + counts.retry;
  }

  pools(): PoolView[] {
    return [...this.#state.pools.values()].map((pool) => {
      const { completed, failed, cancelled } = pool.totals;
      const refusals = this.#refusals.get(pool.id) ?? 0;
      return poolView(this.#state, pool, { completed, failed, cancelled, deadLetters: failed }, refusals);
    });
  }

  async pool(id: string): Promise<PoolView> {
    await this.#loop.stored();
    const history = await this.#store.tally(asPoolId(id));
    return poolView(this.#state, this.#poolOf(id), history, this.#refusals.get(asPoolId(id)) ?? 0);
  }

  #poolOf(id: string) {
    const pool = this.#state.pools.get(asPoolId(id));
    if (pool === undefined) throw new PoolError("not_found", `no pool ${id}`, { details: { pool: id } });
    return pool;
  }

  // --- tasks ---

  async submit(pool: string, input: TaskInput): Promise<Submitted> {
    const [item] = await this.#submit([this.#submission(pool, input, "")], false);
    if (item === undefined || "error" in item) throw item?.error ?? new PoolError("internal", "nothing was submitted");
    return { task: await this.#reader.task(item.taskId), created: item.created };
  }

  async admit(pool: string, input: TaskInput): Promise<TaskId> {
    const [item] = await this.#submit([this.#submission(pool, input, "", true)], false);
    if (item === undefined || "error" in item) throw item?.error ?? new PoolError("internal", "nothing was submitted");
    return item.taskId;
  }

  async submitBatch(
    pool: string,
    inputs: readonly TaskInput[],
    { partial = false }: { partial?: boolean | undefined } = {},
  ): Promise<({ task: TaskView } | { error: unknown })[]> {
    this.#poolOf(pool);
    const parsed = inputs.map((input, index): Submission | { error: unknown } => {
      try {
        return this.#submission(pool, input, `tasks[${index}]`);
      } catch (error) {
        if (!partial) throw error;
        return { error };
      }
    });
    const good = parsed.filter((item): item is Submission => !("error" in item));
    const admitted = good.length === 0 ? [] : await this.#submit(good, partial);
    let next = 0;
    const items = parsed.map((item) => ("error" in item ? item : (admitted[next++] ?? { error: undefined })));
    return Promise.all(
      items.map(async (item) =>
        "error" in item ? { error: item.error } : { task: await this.#reader.task(item.taskId) },
      ),
    );
  }

  #submission(pool: string, input: TaskInput, path: string, inProcess = false): Submission {
    const { options } = this.#poolOf(pool);
    const nowMs = this.#turnClock.now();
    const resolved = resolveTask(options.id, input, nowMs, path);
    const general =
      inProcess &&
      options.unknownType === "general" &&
      !(options.types?.includes(resolved.input.type ?? "general") ?? true);
    const task = general ? { ...resolved, input: { ...resolved.input, type: "general" } } : resolved;
    return submissionOf(task, options, { nowMs, entropy: this.#entropy });
  }

  async #submit(submissions: readonly Submission[], partial: boolean) {
    const specs = submissions.map(({ spec }) => spec);
    const ids = new Set<TaskId>();
    const keys: string[] = [];
    for (const [index, { id, dependencies, idempotencyKey }] of specs.entries()) {
      // An id that was drawn just now is nobody's yet.
      if (submissions[index]?.idGiven) ids.add(id);
      for (const dependency of dependencies) ids.add(dependency);
      if (idempotencyKey !== undefined) keys.push(idempotencyKey);
    }
    const { tasks } = this.#state;
    const unknown = [...ids].filter((id) => !tasks.has(id));
    for (const { spec, body } of submissions) this.#payloads.offer(spec, body);
    return this.#loop.stubs.lookUp(unknown, keys, async (known) => {
      try {
        const reply = await this.#loop.ask({ type: "submit", specs, partial, known });
        if (reply.type !== "submitted") throw new TypeError("a submission is answered by its items");
        for (const item of reply.items) if ("error" in item) this.#countRefusal(specs[0]?.pool, item.error);
        return reply.items;
      } catch (error) {
        this.#countRefusal(specs[0]?.pool, error);
        throw error;
      }
    });
  }

  #countRefusal(pool: PoolId | undefined, error: unknown): void {
    if (pool === undefined || !(error instanceof PoolError) || error.code !== "queue_full") return;
    this.#refusals.set(pool, (this.#refusals.get(pool) ?? 0) + 1);
  }

  task(id: string): Promise<TaskView> {
    return this.#reader.task(asTaskId(id));
  }

  tasks(filter: TaskFilter): Promise<Page<TaskView>> {
    return this.#reader.page(filter);
  }

  async waitFor(
    id: string,
    { waitMs, signal }: { waitMs: number; signal?: AbortSignal | undefined },
  ): Promise<TaskView> {
    if (!Number.isInteger(waitMs) || waitMs < 0 || waitMs > WAIT_LIMIT_MS) {
      throw invalid("waitMs", `expected 0 to ${WAIT_LIMIT_MS}`);
    }
    const taskId = asTaskId(id);
    await this.#loop.stored();
    const open = this.#state.tasks.get(taskId);
    if (waitMs > 0 && open !== undefined && open.state.name !== "settled") {
      const over = new AbortController();
      const settled = this.#onceSettled(taskId);
      const aborted = signal === undefined ? over.signal : AbortSignal.any([over.signal, signal]);
      await Promise.race([settled.row, sleep(this.#clock, waitMs, aborted)]);
      over.abort();
      settled.forget();
    }
    return this.#reader.task(taskId);
  }

  async settlement(id: TaskId): Promise<SettledRow> {
    const { row } = this.#onceSettled(id);
    const open = this.#state.tasks.get(id);
    if (open === undefined) {
      const entry = await this.#store.entry(id);
      if (entry !== undefined) return { facts: entry.facts, result: entry.result };
    }
    const settled = await row;
    if (settled instanceof PoolError) throw settled;
    return settled;
  }

  #onceSettled(id: TaskId): { readonly row: Promise<SettledRow | PoolError>; forget(): void } {
    let listener: (row: SettledRow | PoolError) => void = () => {};
    const row = new Promise<SettledRow | PoolError>((resolve) => {
      listener = resolve;
    });
    const listeners = this.#waiters.get(id) ?? new Set();
    listeners.add(listener);
    this.#waiters.set(id, listeners);
    const forget = (): void => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#waiters.get(id) === listeners) this.#waiters.delete(id);
    };
    return { row, forget };
  }

  async cancel(id: string, reason = "cancelled by its caller"): Promise<TaskView> {
    const taskId = asTaskId(id);
    await this.#withKnown(taskId, (known) => this.#loop.ask({ type: "cancel", taskId, reason, known }));
    return this.#reader.task(taskId);
  }

  async replay(id: string): Promise<TaskView> {
    const taskId = asTaskId(id);
    await this.#loop.stored();
    await this.#loop.stubs.lookUp([taskId], [], (known) => this.#loop.ask({ type: "replay", taskId, known }));
    return this.#reader.task(taskId);
  }

  #withKnown<T>(id: TaskId, use: (known: Known) => Promise<T>): Promise<T> {
    return this.#loop.stubs.lookUp(this.#state.tasks.has(id) ? [] : [id], [], use);
  }

  // --- remote agents ---

  async join(pool: string, input: JoinInput) {
    const { options } = this.#poolOf(pool);
    const name = input.name ?? `remote-${this.#entropy.hex(8)}`;
    const reply = await this.#loop.ask({
      type: "join",
      replace: input.replace ?? false,
      agent: {
        id: asAgentId(input.id ?? this.#entropy.uuid()),
        pool: options.id,
        name,
        kind: "remote",
        capabilities: [...new Set(input.capabilities ?? [])],
        concurrency: input.concurrency ?? 1,
        weight: input.weight ?? 1,
        priority: input.priority ?? 0,
        metadata: input.metadata,
        isolation: newIsolation(this.#entropy),
      },
    });
    if (reply.type !== "agent") throw new TypeError("a join is answered by the agent");
    const { ttlMs, renewMs } = options.lease;
    return { id: reply.agentId, heartbeatMs: renewMs, leaseMs: ttlMs, agent: this.agent(reply.agentId) };
  }

  agents(pool: string): AgentView[] {
    return agentsInOrder(this.#state, this.#poolOf(pool)).map((agent) => this.#agentView(agent));
  }

  agent(id: string): AgentView {
    const agent = this.#state.agents.get(asAgentId(id));
    if (agent === undefined) throw new PoolError("not_found", `no agent ${id}`, { details: { agentId: id } });
    return this.#agentView(agent);
  }

  #agentView(agent: Agent): AgentView {
    return agentView(this.#state, agent, this.#processOf(agent));
  }

  #processOf(agent: Agent): { port?: number | undefined; pid?: number | undefined } {
    const driver = this.#crew.driver(agent.identity.id);
    if (driver === undefined || !("port" in driver)) return {};
    return { port: driver.port as number | undefined, pid: (driver as { pid?: number | undefined }).pid };
  }

  async claim(
    id: string,
    { max, waitMs, types }: { max: number; waitMs: number; types?: readonly string[] | undefined },
    signal: AbortSignal,
  ): Promise<Claimed> {
    if (!Number.isInteger(max) || max < 1 || max > CLAIM_LIMIT) throw invalid("max", `expected 1 to ${CLAIM_LIMIT}`);
    if (!Number.isInteger(waitMs) || waitMs < 0 || waitMs > WAIT_LIMIT_MS) {
      throw invalid("waitMs", `expected 0 to ${WAIT_LIMIT_MS}`);
    }
    const agentId = asAgentId(id);
    const { claimId, answered } = this.#claims.open();
    const untilMs = this.#turnClock.now() + waitMs;
    const close = (): void => this.#loop.tell({ type: "close_claim", agentId, claimId });
    signal.addEventListener("abort", close, { once: true });
    try {
      await this.#loop.ask({
        type: "claim",
        agentId,
        claimId,
        max,
        untilMs,
        types: types === undefined ? undefined : [...types],
      });
      if (signal.aborted || waitMs === 0) close();
      return await this.#claimed(await answered, signal);
    } finally {
      signal.removeEventListener("abort", close);
    }
  }

  async #claimed(leased: readonly LeasedAttempt[], signal: AbortSignal): Promise<Claimed> {
    const attempts: Claimed["attempts"][number][] = [];
    for (const attempt of leased) {
      const task = await this.#handover.compose(attempt);
      if (task === undefined || currentLease(this.#state, attempt) === undefined) continue;
      const { attempt: number, fence, ...shown } = task;
      attempts.push({
        taskId: task.id,
        number,
        fence,
        leaseExpiresAt: iso(attempt.expiresAtMs),
        task: shown as Claimed["attempts"][number]["task"],
      });
    }
    let done = false;
    const finish = (broken: boolean): void => {
      if (done) return;
      done = true;
      for (const attempt of leased) {
        if (broken) this.#giveBack(attempt, "the connection broke before the claim was answered");
        else this.#loop.tell({ type: "started", taskId: attempt.taskId, fence: attempt.fence });
      }
    };
    if (signal.aborted) finish(true);
    return { attempts, written: () => finish(false), broken: () => finish(true) };
  }

  #giveBack({ agentId, taskId, fence }: LeasedAttempt, message: string): void {
    const outcome: Outcome = { name: "released", error: { code: "released", message } };
    this.#loop.tell({ type: "report", agentId, taskId, fence, outcome, known: NOTHING_KNOWN });
  }

  async heartbeat(id: string, attempts: readonly { taskId: string; fence: number }[]): Promise<HeartbeatAnswer> {
    const named = attempts.map(({ taskId, fence }) => ({ taskId: asTaskId(taskId), fence }));
    const reply = await this.#loop.ask({ type: "heartbeat", agentId: asAgentId(id), attempts: named });
    if (reply.type !== "heartbeat") throw new TypeError("a heartbeat is answered by one");
    return { stop: reply.stop, quiet: reply.quiet, leaseExpiresAt: iso(reply.leaseExpiresAtMs) };
  }

  async progress(id: string, fence: number, progress: Parameters<Engine["progress"]>[2]): Promise<void> {
    encodeJson(progress, { limitBytes: RESULT_LIMIT_BYTES, path: "progress" });
    await this.#loop.ask({ type: "progress", taskId: asTaskId(id), fence, progress });
  }

  async complete(id: string, fence: number, result: unknown, usage?: { tokens?: number; costUsd?: number }) {
    const text = encodeJson(result ?? null, { limitBytes: RESULT_LIMIT_BYTES, path: "result" });
    const isCurrent = currentLease(this.#state, { taskId: asTaskId(id), fence }) !== undefined;
    if (isCurrent) this.#payloads.keepResult(fence, text);
    return this.#reportOf(id, fence, { name: "succeeded", resultBytes: text.length, usage });
  }

  async fail(id: string, fence: number, input: FailInput): Promise<TaskView> {
    const { message, code = "failed", blame = "unknown", retryable, retryAfterMs, details } = input;
    const error = { code, message, retryable, details };
    const outcome: Outcome =
      blame === "throttle" ? { name: "throttled", error, retryAfterMs } : { name: "failed", blame, error };
    return this.#reportOf(id, fence, outcome);
  }

  async release(id: string, fence: number): Promise<TaskView> {
    const error = { code: "released", message: "its agent gave it back" };
    return this.#reportOf(id, fence, { name: "released", error });
  }

  async #reportOf(id: string, fence: number, outcome: Outcome): Promise<TaskView> {
    const taskId = asTaskId(id);
    const agentId = this.#holderOf(taskId, fence);
    await this.#withKnown(taskId, (known) =>
      this.#loop.ask({ type: "report", agentId, taskId, fence, outcome, known }),
    );
    return this.#reader.task(taskId);
  }

  /** Whoever runs, or ran, under this fence. */
  #holderOf(id: TaskId, fence: number): AgentId | undefined {
    const task = this.#state.tasks.get(id);
    if (task?.state.name === "leased" && task.state.lease.fence === fence) return task.state.lease.agentId;
    return task?.attempts.find((attempt) => attempt.fence === fence)?.agentId;
  }

  // --- health and end ---

  health(): EngineHealth {
    const sums = { agents: 0, healthyAgents: 0, queued: 0, running: 0 };
    const words = new Set<PoolView["health"]>();
    for (const pool of this.#state.pools.values()) {
      words.add(poolHealthWord(this.#state, pool));
      sums.queued += pool.counts.agent;
      sums.running += pool.counts.leased;
      for (const agent of agentsInOrder(this.#state, pool)) {
        sums.agents += 1;
        if (agent.lifecycle === "ready" && agent.health !== "unhealthy") sums.healthyAgents += 1;
      }
    }
    const bad = words.has("unhealthy");
    const allBad = bad && !words.has("healthy") && !words.has("degraded");
    const status = allBad ? "unhealthy" : bad || words.has("degraded") ? "degraded" : "healthy";
    return { status, pools: this.#state.pools.size, ...sums };
  }

  poolHealth(pool?: string): PoolHealthView {
    const pools = pool === undefined ? [...this.#state.pools.values()] : [this.#poolOf(pool)];
    const agents = pools.flatMap((each) => agentsInOrder(this.#state, each));
    return poolHealthView(agents, (agent) => this.#processOf(agent));
  }

  ready(): boolean {
    return this.#closing === undefined && this.#awaited.size === 0;
  }

  close(options: { drainMs?: number | undefined; signal?: AbortSignal | undefined } = {}): Promise<void> {
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  async #close({
    drainMs = CLOSE_DRAIN_MS,
    signal,
  }: {
    drainMs?: number | undefined;
    signal?: AbortSignal | undefined;
  }) {
    const { durable } = this.#store;
    try {
      // What a store keeps may wait for the next start; what nothing keeps had better be done.
      await this.#loop.ask({ type: "drain", matching: !durable });
      await this.#until(() => this.#isIdle(durable), drainMs, signal);
      await this.#loop.ask({ type: "halt", cancel: !durable });
    } catch (error) {
      this.#log({ level: "warn", event: "engine.not_drained", error: String(error) });
    }
    await this.#crew.close();
    await this.#end(new PoolError("shutting_down", "the engine is closed", { retryable: true }));
    this.#log({ level: "info", event: "engine.closed" });
  }

  #isIdle(runningOnly: boolean): boolean {
    for (const { id, counts } of this.#state.pools.values()) {
      if (runningOnly ? counts.leased > this.#leasedRemotely(id) : this.#openIn(id) > 0) return false;
    }
    return true;
  }

  /** Remote agents go on by themselves. */
  #leasedRemotely(id: PoolId): number {
    let leased = 0;
    for (const { identity, runs } of agentsInOrder(this.#state, this.#poolOf(id))) {
      if (identity.kind === "remote") leased += [...runs.values()].filter((run) => !run.orphaned).length;
    }
    return leased;
  }

  /** Refuses whatever still waits, and lets go of the store. */
  async #end(reason: PoolError): Promise<void> {
    await this.#loop.stop(reason);
    for (const listeners of this.#waiters.values()) for (const listener of listeners) listener(reason);
    this.#waiters.clear();
    await this.#store.close();
  }

  /** Resolves when the condition holds after a turn, or the time is over. */
  async #until(condition: () => boolean, limitMs: number, signal?: AbortSignal): Promise<void> {
    if (condition()) return;
    const over = new AbortController();
    const check = (): void => {
      if (condition()) over.abort();
    };
    this.#afterTurn.add(check);
    await sleep(this.#clock, limitMs, signal === undefined ? over.signal : AbortSignal.any([over.signal, signal]));
    this.#afterTurn.delete(check);
  }

  // --- after the commit ---

  #perform(effect: Effect, turn: Turn): void {
    switch (effect.type) {
      case "run":
        this.#begin(effect.attempt, turn);
        break;
      case "stop":
        this.#crew.stop(effect.fence);
        break;
      case "answer_claim":
        this.#claims.answer(effect.claimId, effect.attempts);
        break;
      case "start_agent":
        void this.#crew.start(effect.agentId);
        break;
      case "kill_agent":
        this.#crew.kill(effect.agentId, effect.reason);
        break;
      case "close_agent":
        void this.#crew.dismiss(effect.agentId);
        break;
      default:
        effect satisfies never;
    }
  }

  /** Starts a run, at once if everything for it is at hand. */
  #begin(attempt: LeasedAttempt, turn: Turn): void {
    const task = this.#handover.compose(attempt);
    if (task instanceof Promise) void this.#beginLater(attempt, task);
    else if (task !== undefined) {
      const { taskId, fence } = attempt;
      turn.record({ type: "task.started_here", taskId, fence, atMs: this.#turnClock.now() });
      this.#crew.run(attempt, task);
    }
  }

  async #beginLater(
    attempt: LeasedAttempt,
    composed: Promise<Awaited<ReturnType<Handover["compose"]>>>,
  ): Promise<void> {
    const { agentId, taskId, fence } = attempt;
    try {
      const task = await composed;
      if (task === undefined || currentLease(this.#state, attempt) === undefined) {
        this.#giveBack(attempt, "it was taken back before it began");
        return;
      }
      this.#loop.tell({ type: "started", taskId, fence });
      this.#crew.run(attempt, task);
    } catch (error) {
      const code = error instanceof PoolError ? error.code : "internal";
      const outcome: Outcome = { name: "failed", blame: "task", error: { code, message: String(error) } };
      this.#loop.tell({ type: "report", agentId, taskId, fence, outcome, known: NOTHING_KNOWN });
    }
  }

  #told(settled: readonly SettledRow[]): void {
    for (const row of settled) {
      const listeners = this.#waiters.get(row.facts.spec.id);
      if (listeners === undefined) continue;
      this.#waiters.delete(row.facts.spec.id);
      for (const listener of listeners) listener(row);
    }
    for (const [pool, watch] of this.#starts) {
      for (const id of this.#state.pools.get(pool)?.agentIds ?? []) {
        const agent = this.#state.agents.get(id);
        if (agent !== undefined) watch.see(agent);
      }
    }
    for (const id of this.#awaited) if (this.#hasBeenReady(id)) this.#awaited.delete(id);
    for (const check of [...this.#afterTurn]) check();
  }

  #hasBeenReady(id: PoolId): boolean {
    const pool = this.#state.pools.get(id);
    if (pool === undefined) return false;
    const agents = agentsInOrder(this.#state, pool);
    const own = agents.filter(({ identity }) => identity.kind !== "remote");
    const ready = own.filter(({ lifecycle }) => lifecycle === "ready").length;
    return ready >= Math.min(own.length, pool.options.size.min);
  }

  #fatal(error: unknown): void {
    this.#log({ level: "error", event: "engine.failed", error: String(error) });
    const reason =
      error instanceof PoolError ? error : new PoolError("internal", "the engine has stopped", { cause: error });
    void this.#crew.close().then(() => this.#end(reason));
    this.#options.onFatal?.(error);
  }

  #log(event: LogEvent): void {
    this.#options.log?.(event);
  }
}

/** Says which of the file's pools is meant. */
function inPool(pool: PoolId, error: unknown): unknown {
  if (!(error instanceof PoolError)) return error;
  return new PoolError(error.code, `pool ${pool}: ${error.message}`, {
    cause: error,
    details: { ...error.details, pool },
  });
}

/** The same agent for all that matters to its work. */
function sameWork(a: AgentIdentity, b: Omit<AgentIdentity, "ordinal">): boolean {
  const key = (agent: Omit<AgentIdentity, "ordinal">): string =>
    JSON.stringify([agent.kind, agent.capabilities, agent.concurrency, agent.weight, agent.priority, agent.metadata]);
  return key(a) === key(b);
}

/** All of them have ended before the first error is thrown. */
async function allOrFirstError(asked: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(asked)) if (result.status === "rejected") throw result.reason;
}
