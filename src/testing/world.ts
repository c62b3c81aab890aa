/**
 * The core alone, in the hand of a test: no engine, no store, no real time. One call is one turn. After every turn the
 * invariants are checked, and that the events alone give the same durable facts.
 */
import { assert } from "../base/assert.ts";
import { isPoolError, type PoolError } from "../base/errors.ts";
import { type AgentId, asAgentId, asPoolId, asTaskId, type PoolId, type TaskId } from "../base/ids.ts";
import type { Json } from "../base/json.ts";
import { createRandom, type Random } from "../base/random.ts";
import type { Agent, AgentIdentity, AgentKind } from "../core/agent.ts";
import type { Command, Known, Reply } from "../core/command.ts";
import type { Effect, LeasedAttempt } from "../core/effect.ts";
import type { DurableEvent } from "../core/event.ts";
import { checkInvariants } from "../core/invariants.ts";
import type { Failure, Outcome } from "../core/outcome.ts";
import { quarantine } from "../core/quarantine.ts";
import { type OpenFacts, openFacts, type SettledFacts, settledFacts } from "../core/record.ts";
import { restore } from "../core/restore.ts";
import { emptyState, lettersOf, type NamespaceState } from "../core/state.ts";
import { dueFirst, matchLast, step } from "../core/step.ts";
import type { Lease, Settlement, Task, TaskSpec } from "../core/task.ts";
import { Turn } from "../core/turn.ts";
import { type PoolOptionsInput, resolvePool } from "../engine/options/pool.ts";
import { checkStored, Replayed } from "./replayed.ts";

export interface WorldAgent {
  readonly name: string;
  readonly kind?: AgentKind;
  readonly capabilities?: readonly string[];
  readonly concurrency?: number;
  readonly weight?: number;
  readonly priority?: number;
}

export interface WorldOptions {
  readonly seed?: number;
  /** Of the pool `main`; without jitter and by `least_loaded` unless it says otherwise. */
  readonly pool?: PoolOptionsInput;
  /** Agents of `main`, ready; a name alone is a function agent that takes everything. */
  readonly agents?: readonly (string | WorldAgent)[];
  readonly startMs?: number;
  /** `end`: only when the test asks for it by `check`, for worlds of many tasks and turns. */
  readonly checks?: "each turn" | "end";
  /** Told of every turn, at its end. */
  readonly onTurn?: ((turn: Turn, replies: readonly (Reply | Error)[]) => void) | undefined;
}

/** What the core refused with; fails when it refused nothing. */
export function refusal(act: () => unknown): PoolError {
  try {
    act();
  } catch (error) {
    if (isPoolError(error)) return error;
    throw error;
  }
  throw new Error("expected a refusal");
}

/** What a test says of a task; everything else has its default. */
export type SpecInput = Partial<Omit<TaskSpec, "id" | "pool" | "dependencies">> & {
  readonly id?: string;
  readonly pool?: string;
  readonly dependencies?: readonly string[];
};

export const MAIN = asPoolId("main");

/** A look-up that found nothing settled. */
export const NO_KNOWN: Known = { tasks: new Map(), keys: new Map() };

export function createWorld(options: WorldOptions = {}): World {
  return new World(options);
}

export class World {
  state: NamespaceState = emptyState(1);
  readonly random: Random;
  /** Everything durable that has happened. */
  readonly events: DurableEvent[] = [];
  /** Every effect that was requested. */
  readonly effects: Effect[] = [];
  /** Settled tasks, as a store would know them. */
  readonly history = new Map<TaskId, SettledFacts>();
  /** Open tasks, as a store would know them. */
  readonly stored = new Map<TaskId, OpenFacts>();
  nowMs: number;
  /** The newest term in which a task was settled. */
  settledEpoch = 0;
  #tasks = 0;
  #claims = 0;
  #replayed = new Replayed(emptyState(1));
  readonly #checks: "each turn" | "end";
  readonly #onTurn: WorldOptions["onTurn"];

  constructor(options: WorldOptions) {
    const { seed = 1, pool = {}, agents = [], startMs = 1_000_000, checks = "each turn" } = options;
    this.#onTurn = options.onTurn;
    this.nowMs = startMs;
    this.#checks = checks;
    this.random = createRandom(seed);
    this.addPool({ id: "main", agents: agents.flatMap(templateOf), ...pool });
    for (const agent of agents) this.addAgent(agent);
  }

  addPool(input: PoolOptionsInput): PoolId {
    const retry = { ...input.retry, backoff: { jitter: "none" as const, ...input.retry?.backoff } };
    const options = resolvePool(
      { strategy: "least_loaded", breaker: false, health: false, ...input, retry },
      () => "main",
    );
    this.ask({ type: "create_pool", options });
    return options.id;
  }

  /** What an agent of that name says of itself. */
  identity(agent: string | WorldAgent, pool: PoolId = MAIN): Omit<AgentIdentity, "ordinal"> {
    return identityOf(agent, pool);
  }

  addAgent(agent: string | WorldAgent, pool: PoolId = MAIN): AgentId {
    const identity = identityOf(agent, pool);
    if (identity.kind === "remote") this.ask({ type: "join", agent: identity, replace: false });
    else {
      this.ask({ type: "add_agent", agent: identity });
      this.ready(identity.name);
    }
    return identity.id;
  }

  /** A remote agent joins; returns the id it got. */
  join(agent: WorldAgent & { readonly id?: string }, { replace = false, pool = MAIN } = {}): AgentId {
    const identity = identityOf({ kind: "remote", ...agent }, pool);
    const reply = this.ask({ type: "join", agent: { ...identity, id: asAgentId(agent.id ?? agent.name) }, replace });
    assert(reply.type === "agent", "joining is answered by the agent");
    return reply.agentId;
  }

  /** It has come up. */
  ready(name: string): void {
    this.ask({ type: "agent_ready", agentId: asAgentId(name) });
  }

  remove(name: string): void {
    this.ask({ type: "remove_agent", agentId: asAgentId(name) });
  }

  probe(name: string, good: boolean): void {
    this.ask({ type: "agent_probed", agentId: asAgentId(name), good });
  }

  /** Its driver vouches for it. */
  alive(name: string): void {
    this.ask({ type: "agent_alive", agentId: asAgentId(name) });
  }

  /** A remote agent asks for work; returns the claim's number. */
  claim(name: string, options: { max?: number; waitMs?: number; types?: readonly string[] | undefined } = {}): number {
    const { max = 1, waitMs = 60_000, types } = options;
    this.#claims += 1;
    const claimId = this.#claims;
    const agentId = asAgentId(name);
    this.ask({ type: "claim", agentId, claimId, max, untilMs: this.nowMs + waitMs, types });
    return claimId;
  }

  /** What a claim was answered with; undefined while it waits. */
  answered(claimId: number): readonly LeasedAttempt[] | undefined {
    const answers = this.effectsOf("answer_claim").filter((effect) => effect.claimId === claimId);
    assert(answers.length <= 1, `claim ${claimId} is answered once`);
    return answers[0]?.attempts;
  }

  /** A remote agent shows that it lives, and names what it runs: by task, under the current fence. */
  heartbeat(name: string, ids: readonly string[] = []): Extract<Reply, { type: "heartbeat" }> {
    const attempts = ids.map((id) => ({ taskId: asTaskId(id), fence: this.lease(id)?.fence ?? 0 }));
    return this.heartbeatOf(name, attempts);
  }

  heartbeatOf(
    name: string,
    attempts: readonly { readonly taskId: TaskId; readonly fence: number }[],
  ): Extract<Reply, { type: "heartbeat" }> {
    const reply = this.ask({ type: "heartbeat", agentId: asAgentId(name), attempts });
    assert(reply.type === "heartbeat", "a heartbeat is answered as one");
    return reply;
  }

  effectsOf<T extends Effect["type"]>(type: T): Extract<Effect, { type: T }>[] {
    return this.effects.filter((effect): effect is Extract<Effect, { type: T }> => effect.type === type);
  }

  eventsOf<T extends DurableEvent["type"]>(type: T): Extract<DurableEvent, { type: T }>[] {
    return this.events.filter((event): event is Extract<DurableEvent, { type: T }> => event.type === type);
  }

  /** Tasks in the order in which they were leased. */
  get order(): string[] {
    return this.eventsOf("task.leased").map(({ taskId }) => taskId);
  }

  spec({ id, pool, dependencies, ...given }: SpecInput = {}): TaskSpec {
    this.#tasks += 1;
    const poolId = asPoolId(pool ?? MAIN);
    return {
      id: asTaskId(id ?? `t${this.#tasks}`),
      pool: poolId,
      type: "general",
      requires: [],
      priority: 3,
      dependencies: (dependencies ?? []).map(asTaskId),
      onDependencyFailure: "cancel",
      maxAttempts: this.state.pools.get(poolId)?.options.retry.maxAttempts ?? 3,
      retryable: true,
      createdAtMs: this.nowMs,
      bodySize: 0,
      ...given,
    };
  }

  /** Stands for what a payload consists of: here there are no bodies. */
  static fingerprint({ type, dependencies }: TaskSpec): string {
    return [type, ...dependencies].join(" ");
  }

  /** Submits one task in a turn of its own. */
  submit(input: SpecInput = {}): TaskId {
    const spec = this.spec(input);
    const known = this.known();
    this.ask({ type: "submit", specs: [spec], partial: false, known, fingerprintOf: World.fingerprint });
    return spec.id;
  }

  /** Submits several as one command. */
  submitBatch(inputs: readonly SpecInput[], { partial = false } = {}): Extract<Reply, { type: "submitted" }>["items"] {
    const specs = inputs.map((input) => this.spec(input));
    const reply = this.ask({ type: "submit", specs, partial, known: this.known(), fingerprintOf: World.fingerprint });
    assert(reply.type === "submitted", "a submission is answered by its items");
    return reply.items;
  }

  task(id: string): Task {
    const task = this.state.tasks.get(asTaskId(id));
    assert(task !== undefined, `task ${id} is in the core`);
    return task;
  }

  agent(name: string): Agent {
    const agent = this.state.agents.get(asAgentId(name));
    assert(agent !== undefined, `agent ${name} is known`);
    return agent;
  }

  /** The running attempt. */
  lease(id: string): Lease | undefined {
    const state = this.state.tasks.get(asTaskId(id))?.state;
    return state?.name === "leased" ? state.lease : undefined;
  }

  /** In one word: what it waits for, `leased`, or how it ended. */
  status(id: string): string {
    const { state } = this.task(id);
    if (state.name === "waiting") return state.reason;
    return state.name === "leased" ? "leased" : state.settlement.status;
  }

  /** How it ended. */
  settlement(id: string): Settlement {
    const { state } = this.task(id);
    assert(state.name === "settled", `task ${id} is settled`);
    return state.settlement;
  }

  /** When it is looked at again, from now. Milliseconds. */
  waitsMs(id: string): number | undefined {
    const { state } = this.task(id);
    return state.name === "waiting" && "untilMs" in state ? state.untilMs - this.nowMs : undefined;
  }

  /** Who runs it. */
  runner(id: string): string | undefined {
    return this.lease(id)?.agentId;
  }

  complete(id: string): void {
    this.report(id, { name: "succeeded", resultBytes: 2 });
  }

  fail(id: string, failure: Partial<Failure> & { blame?: Extract<Outcome, { name: "failed" }>["blame"] } = {}): void {
    const { blame = "agent", code = "failed", message = "it failed", ...rest } = failure;
    this.report(id, { name: "failed", blame, error: { code, message, ...rest } });
  }

  /** Reports under the current fence, or under the one that is given. */
  report(id: string, outcome: Outcome, fence = this.lease(id)?.fence ?? 0): Reply {
    const agentId = this.lease(id)?.agentId;
    return this.ask({ type: "report", agentId, taskId: asTaskId(id), fence, outcome, known: this.known() });
  }

  /** The run has begun. */
  start(id: string): void {
    this.ask({ type: "started", taskId: asTaskId(id), fence: this.lease(id)?.fence ?? 0 });
  }

  /** Its process died. */
  crash(name: string): void {
    const exit = { code: null, signal: "SIGKILL", reason: "", logTail: [] };
    this.ask({ type: "agent_exited", agentId: asAgentId(name), exit });
  }

  /** Its run on the agent has ended at last, as its driver tells: nobody wants to know how any more. */
  endRun(name: string, id: string, fence = this.task(id).lastFence): void {
    const outcome = { name: "cancelled", error: { code: "cancelled", message: "the run was stopped" } } as const;
    const known = this.known();
    this.turn([{ type: "report", agentId: asAgentId(name), taskId: asTaskId(id), fence, outcome, known }]);
  }

  progress(id: string, progress: Json, fence = this.lease(id)?.fence ?? 0): void {
    this.ask({ type: "progress", taskId: asTaskId(id), fence, progress });
  }

  cancel(id: string): void {
    this.ask({ type: "cancel", taskId: asTaskId(id), reason: "no longer wanted", known: this.known() });
  }

  discard(id: string): void {
    this.ask({ type: "discard", taskId: asTaskId(id), known: this.known() });
  }

  replay(id: string, edit?: Partial<TaskSpec>): void {
    const known = this.known();
    const spec = known.tasks.get(asTaskId(id))?.spec;
    const fingerprint = spec === undefined ? undefined : World.fingerprint(spec);
    const edited = edit === undefined || spec === undefined ? undefined : { ...spec, ...edit };
    const fingerprintOf = World.fingerprint;
    this.ask({ type: "replay", taskId: asTaskId(id), known, fingerprint, edited, fingerprintOf });
  }

  /** Time passes; what falls due happens at its own instant. */
  advance(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (let atMs = this.state.due.nextAtMs; atMs !== undefined && atMs <= untilMs; atMs = this.state.due.nextAtMs) {
      this.nowMs = Math.max(this.nowMs, atMs);
      this.turn([{ type: "tick" }]);
    }
    this.nowMs = untilMs;
  }

  /** One command, one turn. Throws what the core refuses it with. */
  ask(command: Command): Reply {
    const [reply] = this.turn([command]);
    assert(reply !== undefined, "every command is answered");
    if (reply instanceof Error) throw reply;
    return reply;
  }

  /** Several commands in one turn; a refused one is answered by its error. */
  turn(commands: readonly Command[]): (Reply | Error)[] {
    const turn = new Turn(this.state, this.nowMs, this.random);
    // As the engine does: whose lease ended while no engine was there to renew it gets another.
    const [first] = commands;
    const goesFirst = first?.type === "recover" || first?.type === "extend_leases";
    const extended = goesFirst ? step(this.state, first, turn) : undefined;
    dueFirst(this.state, turn);
    const replies = commands.map((command, index): Reply | Error => {
      if (index === 0 && extended !== undefined) return extended;
      try {
        return step(this.state, command, turn);
      } catch (error) {
        if (!(error instanceof Error) || error.name !== "PoolError") throw error;
        return error;
      }
    });
    matchLast(this.state, turn);
    for (const id of turn.poisoned) {
      const task = this.task(id);
      quarantine(this.state, task, World.fingerprint(task.spec), turn);
    }
    if (turn.durable.some(({ type }) => type === "task.settled")) this.settledEpoch = this.state.epoch;
    this.events.push(...turn.durable);
    this.effects.push(...turn.effects);
    this.#replayed.take(turn.durable, this.nowMs);
    for (const { spec } of turn.touched) this.#store(spec.id);
    for (const event of turn.durable) if (event.type === "dead_letter.dropped") this.#drop(event.id);
    if (this.#checks === "each turn") this.check();
    this.#onTurn?.(turn, replies);
    return replies;
  }

  #drop(id: TaskId): void {
    const facts = this.history.get(id);
    if (facts === undefined) return;
    this.history.set(id, { ...facts, settlement: { ...facts.settlement, deadLettered: false } });
  }

  #store(id: TaskId): void {
    const task = this.state.tasks.get(id);
    if (task === undefined) return;
    this.stored.delete(id);
    this.history.delete(id);
    if (task.state.name === "settled") this.history.set(id, settledFacts(task));
    else this.stored.set(id, openFacts(task));
  }

  /** What must hold after every turn. */
  check(): void {
    checkInvariants(this.state);
    this.#replayed.check(this.state);
    checkStored(this.state, this.stored);
  }

  /** The engine dies: what is open comes back from the store under the next epoch, and nothing else. */
  restart(): void {
    const { epoch, lastNum, pools, agents, gates, schedules, leftLetters } = this.state;
    const stored = {
      epoch: epoch + 1,
      lastNum,
      pools: [...pools.values()].map(({ options, createdAtMs, mode }) => ({ options, createdAtMs, mode })),
      agents: [...agents.values()].map(({ identity }) => identity),
      gates: [...gates.values()],
      schedules: [...schedules.values()],
      spending: [...pools.values()].flatMap(({ id, spending }) => {
        return [...spending].map(([tenant, window]) => ({ pool: id, tenant, window }));
      }),
      open: [...this.stored.values()].sort((a, b) => a.num - b.num),
      quarantine: [...pools.values()].flatMap(({ quarantine }) => [...quarantine.values()]),
      deadLetters: [...pools.keys(), ...leftLetters.keys()].flatMap((pool) => {
        return [...(lettersOf(this.state, pool) ?? [])].map(([id, num]) => ({ pool, id, num }));
      }),
      settledEpoch: this.settledEpoch,
    };
    this.state = restore(stored, this.nowMs);
    this.#replayed = new Replayed(restore(stored, this.nowMs));
    this.check();
  }

  /** Lets go of settled tasks, as the engine does once they are stored. */
  forget(): void {
    const taskIds = [...this.history.keys()].filter((id) => this.state.tasks.get(id)?.state.name === "settled");
    this.ask({ type: "forget", taskIds });
  }

  /** What a look-up would find at this moment, whatever happens later. */
  snapshotKnown(): Known {
    const { tasks, keys } = this.known();
    return { tasks: new Map(tasks), keys };
  }

  known(): Known {
    const keys = new Map<string, SettledFacts>();
    for (const facts of this.history.values()) {
      if (facts.spec.idempotencyKey !== undefined) keys.set(facts.spec.idempotencyKey, facts);
    }
    return { tasks: this.history, keys };
  }
}

/** The entry of the pool that an agent is made from; remote ones have none. */
function templateOf(agent: string | WorldAgent): { kind: "function"; name: string }[] {
  const { name, kind } = typeof agent === "string" ? { name: agent } : { kind: "function", ...agent };
  return kind === "remote" ? [] : [{ kind: "function", name }];
}

function identityOf(agent: string | WorldAgent, pool: PoolId): Omit<AgentIdentity, "ordinal"> {
  const {
    name,
    kind = "function",
    capabilities = [],
    concurrency = 1,
    weight = 1,
    priority = 0,
  } = typeof agent === "string" ? { name: agent } : agent;
  const isolation = { contextWindowId: `c-${name}`, toolSessionId: `t-${name}`, memoryHandleId: `m-${name}` };
  return { id: asAgentId(name), pool, name, kind, capabilities, concurrency, weight, priority, isolation };
}
