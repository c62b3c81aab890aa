/** A running engine over one namespace: its parts, its beginning and its end. */
import type { Classify } from "../agents/agent-error.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { PoolError } from "../base/errors.ts";
import { asPoolId, type PoolId, type TaskId } from "../base/ids.ts";
import type { Json } from "../base/json.ts";
import { createSystemRandom, type Entropy, systemEntropy } from "../base/random.ts";
import type { Health } from "../core/agent.ts";
import type { Command, RunHere } from "../core/command.ts";
import type { PoolMode, PoolOptions } from "../core/pool.ts";
import { restore } from "../core/restore.ts";
import type { NamespaceState } from "../core/state.ts";
import type { Selection } from "../policies/selector.ts";
import type { SettledRow } from "../stores/store.ts";
import { AgentDesk } from "./agent-desk.ts";
import { Crew } from "./crew.ts";
import type { EngineOptions } from "./engine-options.ts";
import { EventHub, type ListenOptions } from "./event-hub.ts";
import { existingPool, type Frame } from "./frame.ts";
import { GateDesk, type GateFunction } from "./gate-desk.ts";
import type { GateInput } from "./gate-options.ts";
import type { Ends } from "./handed.ts";
import { Handover } from "./handover.ts";
import { engineHealth, poolHealth, poolMemory } from "./health.ts";
import { HeldCalls } from "./held-calls.ts";
import { LetterDesk } from "./letter-desk.ts";
import { Loop } from "./loop.ts";
import { Metrics } from "./metrics.ts";
import { MetricsDesk } from "./metrics-desk.ts";
import { type AgentChangeInput, LIMIT_DEFAULTS, type NewAgentInput } from "./options/agent.ts";
import { type PoolOptionsInput, resolvePool } from "./options/pool.ts";
import type { PoolChangeInput } from "./options/pool-change.ts";
import type { ScheduleInput } from "./options/schedule.ts";
import type { EditInput, TaskInput } from "./options/task.ts";
import { Payloads } from "./payloads.ts";
import { Performer } from "./performer.ts";
import { type FunctionsOf, type OwnRules, openIn, PoolDesk } from "./pool-desk.ts";
import { agentsInOrder } from "./present-pool.ts";
import { Reader } from "./reader.ts";
import { Reserve } from "./reserve.ts";
import { Retention } from "./retention.ts";
import type { RouteOptions } from "./routing.ts";
import { RoutingDesk } from "./routing-desk.ts";
import { ScheduleDesk } from "./schedule-desk.ts";
import { TaskDesk } from "./task-desk.ts";
import { taskEvents } from "./task-events.ts";
import { type Fate, Terms } from "./term.ts";
import type { Engine, EngineHealth, FailInput, JoinInput, ScaleInput, StopOptions, TaskFilter } from "./troupe.ts";
import { TurnClock } from "./turn-clock.ts";
import type { GateView, PoolHealthView, PoolMemoryView, PoolView } from "./view.ts";
import { Waiters } from "./waiters.ts";
import { WorkerDesk } from "./worker-desk.ts";

/** What the library door needs besides. */
export interface LocalEngine extends Engine {
  /** As `createPool`; a pool that only the store remembers is taken up again. */
  openPool(options: PoolOptionsInput, functions: FunctionsOf, own?: OwnRules): Promise<PoolView>;
  /** Admits one task and gives its id: the short way for callers in this process. */
  admit(pool: string, task: TaskInput, options?: { signal?: AbortSignal | undefined }): Promise<TaskId>;
  /** Hands in one task and tells how it ends: the shortest way. Throws what is wrong with the task itself. */
  run(pool: string, task: TaskInput, ends: Ends, signal: AbortSignal | undefined): void;
  /** Resolves when the task is settled and stored. Rejects when the engine closes before. */
  settlement(id: TaskId): Promise<SettledRow>;
  /** The pool that `route` would choose now. */
  choosePool(task: TaskInput, options: RouteOptions): Promise<Selection>;
  /** A gate that a function of this process watches. */
  watchGate(
    name: string,
    watch: { ask: GateFunction; intervalMs: number; timeoutMs: number },
    gate: Partial<GateInput>,
  ): Promise<GateView>;
  /** The time of turns. */
  nowMs(): number;
  readonly clock: Clock;
  /** What the core holds: to be looked at by checks, never to be changed. */
  readonly state: NamespaceState;
}

/** How long a closing engine lets its work finish when nothing is said. */
const CLOSE_DRAIN_MS = 5_000;
/** What runs beside on an agent that is recycled may take so long; then it is given back. */
const RECYCLE_DRAIN_MS = 30_000;

interface CloseOptions {
  readonly drainMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export async function startEngine(options: EngineOptions): Promise<LocalEngine> {
  const { store, clock = systemClock, limits = LIMIT_DEFAULTS } = options;
  const entropy = options.entropy ?? systemEntropy;
  let engine: RunningEngine;
  let pools: readonly PoolOptions[];
  try {
    // Everything that can be refused is refused before anything is touched.
    pools = (options.pools ?? []).map((pool) => resolvePool(pool, () => `pool-${entropy.hex(8)}`, limits));
    const loaded = await store.load();
    const state = restore(loaded, clock.now());
    engine = new RunningEngine(options, { state, clock, entropy, lastSeq: loaded.lastSeq });
  } catch (error) {
    await store.close();
    throw error;
  }
  try {
    await engine.begin(pools);
  } catch (error) {
    await engine.close({ drainMs: 0 });
    throw error;
  }
  return engine;
}

interface Parts {
  readonly state: NamespaceState;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly lastSeq: number;
}

class RunningEngine implements LocalEngine {
  readonly #frame: Frame;
  readonly #pools: PoolDesk;
  readonly #tasks: TaskDesk;
  readonly #letters: LetterDesk;
  readonly #workers: WorkerDesk;
  readonly #agents: AgentDesk;
  readonly #metrics: MetricsDesk;
  readonly #events: EventHub;
  readonly #routing: RoutingDesk;
  readonly #gates: GateDesk;
  readonly #schedules: ScheduleDesk;
  readonly #performer: Performer;
  readonly #retention: Retention;
  readonly #onFatal: (error: unknown) => void;
  #closing: Promise<void> | undefined;
  #begun = false;
  #ended = false;

  constructor(options: EngineOptions, { state, clock, entropy, lastSeq }: Parts) {
    const { store, random = createSystemRandom(), limits = LIMIT_DEFAULTS, log = () => {} } = options;
    const turnClock = new TurnClock(clock);
    const payloads = new Payloads();
    const functions = new Map(options.functions);
    const classifiers = new Map<string, Classify>();
    const waiters = new Waiters(clock);
    this.#events = new EventHub(store, lastSeq);
    const metrics = new Metrics(state, turnClock.now());
    const loop = new Loop({
      state,
      store,
      clock,
      turnClock,
      random,
      payloads,
      lastSeq,
      terms: new Terms({ state, store, clock, payloads, log }),
      recovery: (retold) => this.#recovery(retold),
      renewed: (reason, fate) => this.#renewed(reason, fate),
      perform: (effect, turn) => this.#performer.perform(effect, turn),
      committed: (commit) => metrics.take(commit),
      told: (settled, happened) => {
        this.#events.publish(happened);
        this.#retention.saw(settled);
        this.#pools.look();
        waiters.tell(settled);
      },
      fatal: (error) => this.#fail(error),
    });
    const crew = new Crew({
      state,
      clock,
      entropy,
      dataDir: options.dataDir,
      functions,
      classifiers,
      drivers: options.drivers,
      tell: (command) => loop.tell(command),
      recycle: (agentId) => {
        // While the engine drains nobody is started anew.
        if (state.draining !== undefined) return;
        loop.tell({ type: "restart_agent", agentId, untilMs: turnClock.now() + RECYCLE_DRAIN_MS });
      },
      keepResult: (fence, result) => payloads.keepResult(fence, result),
      log,
    });
    const reader = new Reader({ state, store, payloads, turnClock, stored: () => loop.stored() });
    const heldCalls = new HeldCalls();
    const handover = new Handover({ state, store, payloads });
    const shared = {
      state,
      store,
      clock,
      turnClock,
      entropy,
      limits,
      loop,
      crew,
      reader,
      handover,
      payloads,
      waiters,
      heldCalls,
      reserve: new Reserve(store, clock),
    };
    this.#frame = { ...shared, functions, classifiers, refusals: new Map(), log };
    this.#pools = new PoolDesk(this.#frame);
    this.#tasks = new TaskDesk(this.#frame);
    this.#letters = new LetterDesk(this.#frame);
    this.#workers = new WorkerDesk(this.#frame);
    this.#agents = new AgentDesk(this.#frame, metrics);
    this.#metrics = new MetricsDesk(this.#frame, metrics, (id) => this.#pools.get(id));
    this.#routing = new RoutingDesk(this.#frame, { metrics, random, routing: options.routing });
    this.#gates = new GateDesk(this.#frame);
    this.#schedules = new ScheduleDesk(this.#frame, this);
    this.#performer = new Performer(this.#frame, {
      workers: this.#workers,
      gates: this.#gates,
      schedules: this.#schedules,
    });
    this.#retention = new Retention({ state, store, clock, loop, log });
    this.#onFatal = options.onFatal ?? (() => {});
  }

  /** Ends what died with the engine before, and brings the pools of the file up to date. */
  async begin(pools: readonly PoolOptions[]): Promise<void> {
    const { loop, state, log } = this.#frame;
    await loop.ask({ type: "recover" });
    for (const options of pools) await this.#pools.follow(options);
    this.#gates.begin();
    this.#retention.lookLater();
    this.#begun = true;
    log({ level: "info", event: "engine.started", epoch: state.epoch, pools: state.pools.size });
  }

  get clock(): Clock {
    return this.#frame.clock;
  }

  get state(): NamespaceState {
    return this.#frame.state;
  }

  nowMs(): number {
    return this.#frame.turnClock.now();
  }

  createPool = (options: PoolOptionsInput) => this.#pools.create(options);
  openPool = (options: PoolOptionsInput, functions: FunctionsOf, own?: OwnRules) =>
    this.#pools.open(options, functions, own);
  deletePool = (id: string, options?: { timeoutMs?: number | undefined }) => this.#pools.delete(id, options);
  changePool = (id: string, change: PoolChangeInput) => this.#pools.change(id, change);
  scale = (id: string, to: ScaleInput, options?: { capped?: boolean }) => this.#pools.scale(id, to, options);
  setMode = (id: string, mode: PoolMode) => this.#pools.setMode(id, mode);
  schedules = () => this.#schedules.list();
  schedule = (id: string) => this.#schedules.get(id);
  createSchedule = (schedule: ScheduleInput) => this.#schedules.create(schedule);
  pauseSchedule = (id: string, paused: boolean) => this.#schedules.pause(id, paused);
  deleteSchedule = (id: string) => this.#schedules.delete(id);
  gates = () => this.#gates.list();
  gate = (name: string) => this.#gates.get(name);
  putGate = (name: string, gate: GateInput) => this.#gates.put(name, gate);
  watchGate = (
    name: string,
    watch: { ask: GateFunction; intervalMs: number; timeoutMs: number },
    gate: Partial<GateInput>,
  ) => this.#gates.putFunction(name, watch, gate);
  pools = () => this.#pools.list();
  pool = (id: string) => this.#pools.get(id);
  quarantine = (pool: string) => this.#pools.quarantine(pool);
  releasePayload = (pool: string, fingerprint: string) => this.#pools.releasePayload(pool, fingerprint);
  metrics = (pool: string) => this.#metrics.metrics(pool);
  analytics = (pool: string) => this.#metrics.analytics(pool);

  submit = (pool: string, task: TaskInput, options?: { signal?: AbortSignal | undefined }) =>
    this.#tasks.submit(pool, task, options);
  admit = (pool: string, task: TaskInput, options?: { signal?: AbortSignal | undefined }) =>
    this.#tasks.admit(pool, task, options);
  run = (pool: string, task: TaskInput, ends: Ends, signal: AbortSignal | undefined) =>
    this.#tasks.run(pool, task, ends, signal);
  submitBatch = (
    pool: string,
    tasks: readonly TaskInput[],
    options?: { partial?: boolean | undefined; signal?: AbortSignal | undefined },
  ) => this.#tasks.submitBatch(pool, tasks, options);
  choosePool = (task: TaskInput, options: RouteOptions) => this.#routing.choose(task, options);
  route = async (task: TaskInput, options: RouteOptions = {}) => {
    const chosen = await this.#routing.choose(task, options);
    return { ...(await this.#tasks.submit(chosen.pool, task)), ...chosen };
  };
  task = (id: string) => this.#tasks.get(id);
  events = (options: ListenOptions = {}) => this.#events.listen(options);
  taskEvents = (id: string, options: ListenOptions = {}) => taskEvents(this.#frame, this.#events, id, options);
  explain = (id: string) => this.#tasks.explain(id);
  tasks = (filter: TaskFilter) => this.#tasks.list(filter);
  waitFor = (id: string, options: { waitMs: number; signal?: AbortSignal | undefined }) =>
    this.#tasks.waitFor(id, options);
  settlement = (id: TaskId) => this.#tasks.settlement(id);
  cancel = (id: string, reason?: string) => this.#tasks.cancel(id, reason);
  replay = (id: string, edit?: EditInput) => this.#letters.replay(id, edit);
  discard = (id: string) => this.#letters.discard(id);

  join = async (pool: string, agent: JoinInput) => {
    const joined = await this.#workers.join(pool, agent);
    return { ...joined, agent: this.#agents.get(joined.id) };
  };
  agents = (pool: string) => this.#agents.list(pool);
  agent = (id: string) => this.#agents.get(id);
  addAgent = (pool: string, agent: NewAgentInput) => this.#agents.add(pool, agent);
  changeAgent = (id: string, change: AgentChangeInput) => this.#agents.change(id, change);
  verifyCapability = (id: string, capability: string) => this.#agents.verify(id, capability);
  removeAgent = (id: string, options?: StopOptions) => this.#agents.remove(id, options);
  failAgent = (id: string, reason?: string) => this.#agents.fail(id, reason);
  recoverAgent = (id: string) => this.#agents.recover(id);
  drainAgent = (id: string) => this.#agents.drain(id);
  restartAgent = (id: string, options?: StopOptions) => this.#agents.restart(id, options);
  restartPool = (pool: string, options?: StopOptions) => this.#agents.restartPool(pool, options);
  resetAgent = (id: string) => this.#agents.reset(id);
  logs = (id: string, options?: { after?: number | undefined }) => this.#agents.logs(id, options);
  isolation = (pool: string) => this.#agents.isolation(pool);
  claim = (
    id: string,
    claim: { max: number; waitMs: number; types?: readonly string[] | undefined },
    signal: AbortSignal,
  ) => this.#workers.claim(id, claim, signal);
  heartbeat = (id: string, attempts: readonly { taskId: string; fence: number }[], health?: Health) =>
    this.#workers.heartbeat(id, attempts, health);
  progress = (id: string, fence: number, progress: Json) => this.#workers.progress(id, fence, progress);
  complete = (id: string, fence: number, result: unknown, usage?: { tokens?: number; costUsd?: number }) =>
    this.#workers.complete(id, fence, result, usage);
  fail = (id: string, fence: number, error: FailInput) => this.#workers.fail(id, fence, error);
  release = (id: string, fence: number) => this.#workers.release(id, fence);

  async resetBreakers(pool?: string): Promise<number> {
    if (pool !== undefined) existingPool(this.#frame.state, pool);
    const id = pool === undefined ? undefined : asPoolId(pool);
    const reply = await this.#frame.loop.ask({ type: "reset_breakers", pool: id });
    return reply.type === "count" ? reply.count : 0;
  }

  health(): EngineHealth {
    if (this.#ended) throw new PoolError("shutting_down", "the engine is closed");
    return engineHealth(this.#frame);
  }

  poolHealth(pool?: string): PoolHealthView {
    return poolHealth(this.#frame, pool);
  }

  poolMemory(pool?: string): PoolMemoryView {
    return poolMemory(this.#frame, pool);
  }

  ready(): boolean {
    const isUp = this.#closing === undefined && !this.#ended && !this.#frame.loop.isBetweenTerms;
    return isUp && this.#pools.allHaveBeenUp;
  }

  /** How a new term of this process begins: with what runs here, and with what was told and not confirmed. */
  #recovery(retold: readonly Command[]): Command[] {
    const { crew, store } = this.#frame;
    const over = retold.flatMap((command): RunHere[] => {
      if (command.type !== "report" || command.agentId === undefined) return [];
      const { agentId, taskId, fence, startedAtMs } = command;
      return [{ agentId, taskId, fence, startedAtMs, isOver: true }];
    });
    const commands: Command[] = [{ type: "recover", here: [...crew.here(), ...over] }];
    if (this.#closing !== undefined) commands.push({ type: "drain", matching: !store.durable });
    return commands;
  }

  /** The state is that of a new term. Whose task is neither open nor stored waits for nothing. */
  #renewed(reason: PoolError, fate: Fate): void {
    const { crew, heldCalls, loop, state, store, waiters } = this.#frame;
    if (fate === "strange") this.#events.skipTo(loop.lastSeq);
    heldCalls.refuse(reason);
    this.#workers.endTerm();
    crew.review();
    this.#gates.review();
    for (const id of waiters.ids) {
      if (state.tasks.has(id)) continue;
      store.entry(id).then(
        (entry) => {
          if (entry !== undefined) waiters.tell([entry]);
          else if (!state.tasks.has(id)) waiters.refuseOne(id, reason);
        },
        () => waiters.refuseOne(id, reason),
      );
    }
    waiters.tell([]);
  }

  close(options: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  async #close({ drainMs = CLOSE_DRAIN_MS, signal }: CloseOptions): Promise<void> {
    const { store, loop, waiters, crew, log } = this.#frame;
    try {
      // What a store keeps may wait for the next start; what nothing keeps had better be done.
      await loop.ask({ type: "drain", matching: !store.durable });
      await waiters.until(() => this.#isIdle(store.durable), drainMs, signal);
      await loop.ask({ type: "halt", cancel: !store.durable });
    } catch (error) {
      log({ level: "warn", event: "engine.not_drained", error: String(error) });
    }
    this.#gates.close();
    await this.#retention.close();
    await crew.close();
    await this.#end(new PoolError("shutting_down", "the engine is closed", { retryable: true }));
    // One that never began has nothing to tell but why.
    if (this.#begun) log({ level: "info", event: "engine.closed" });
  }

  #isIdle(runningOnly: boolean): boolean {
    const { state } = this.#frame;
    for (const { id, counts } of state.pools.values()) {
      if (runningOnly ? counts.leased > this.#leasedRemotely(id) : openIn(state, id) > 0) return false;
    }
    return true;
  }

  /** Remote agents go on by themselves. */
  #leasedRemotely(id: PoolId): number {
    const { state } = this.#frame;
    const pool = state.pools.get(id);
    let leased = 0;
    for (const { identity, runs } of pool === undefined ? [] : agentsInOrder(state, pool)) {
      if (identity.kind === "remote") leased += [...runs.values()].filter((run) => !run.orphaned).length;
    }
    return leased;
  }

  /** Refuses whatever still waits, and lets go of the store. */
  async #end(reason: PoolError): Promise<void> {
    const { loop, waiters, heldCalls, store } = this.#frame;
    this.#ended = true;
    this.#events.close();
    await loop.stop(reason);
    await this.#retention.close();
    waiters.refuse(reason);
    heldCalls.refuse(reason);
    await store.close();
  }

  #fail(error: unknown): void {
    this.#gates.close();
    const { log, crew } = this.#frame;
    log({ level: "error", event: "engine.failed", error: String(error) });
    this.#ended = true;
    const reason =
      error instanceof PoolError ? error : new PoolError("internal", "the engine has stopped", { cause: error });
    void crew.close().then(() => this.#end(reason));
    this.#onFatal(error);
  }
}
