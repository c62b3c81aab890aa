/**
 * The core alone, in the hand of a test: no engine, no store, no real time. One call is one turn, and after every turn
 * the invariants are checked.
 */
import { assert } from "../base/assert.ts";
import { type AgentId, asAgentId, asPoolId, asTaskId, type PoolId, type TaskId } from "../base/ids.ts";
import { createRandom, type Random } from "../base/random.ts";
import type { Agent, AgentKind } from "../core/agent.ts";
import type { Command, Known, Reply } from "../core/command.ts";
import type { Effect } from "../core/effect.ts";
import type { DurableEvent } from "../core/event.ts";
import { checkInvariants } from "../core/invariants.ts";
import type { Failure, Outcome } from "../core/outcome.ts";
import { type SettledFacts, settledFacts } from "../core/record.ts";
import { emptyState, type NamespaceState } from "../core/state.ts";
import { dueFirst, matchLast, step } from "../core/step.ts";
import type { Lease, Task, TaskSpec } from "../core/task.ts";
import { Turn } from "../core/turn.ts";
import { type PoolOptionsInput, resolvePool } from "../engine/options.ts";

export interface WorldAgent {
  readonly name: string;
  readonly kind?: AgentKind;
  readonly capabilities?: readonly string[];
  readonly concurrency?: number;
}

export interface WorldOptions {
  readonly seed?: number;
  /** Of the pool `main`; without jitter unless it says otherwise. */
  readonly pool?: PoolOptionsInput;
  /** Agents of `main`, ready; a name alone is a function agent that takes everything. */
  readonly agents?: readonly (string | WorldAgent)[];
  readonly startMs?: number;
}

/** What a test says of a task; everything else has its default. */
export type SpecInput = Partial<Omit<TaskSpec, "id" | "pool" | "dependencies">> & {
  readonly id?: string;
  readonly pool?: string;
  readonly dependencies?: readonly string[];
};

export const MAIN = asPoolId("main");

export function createWorld(options: WorldOptions = {}): World {
  return new World(options);
}

export class World {
  readonly state: NamespaceState = emptyState(1);
  readonly random: Random;
  /** Everything durable that has happened. */
  readonly events: DurableEvent[] = [];
  /** Every effect that was requested. */
  readonly effects: Effect[] = [];
  /** Settled tasks, as a store would know them. */
  readonly history = new Map<TaskId, SettledFacts>();
  nowMs: number;
  #tasks = 0;

  constructor({ seed = 1, pool = {}, agents = [], startMs = 1_000_000 }: WorldOptions) {
    this.nowMs = startMs;
    this.random = createRandom(seed);
    this.addPool({ id: "main", ...pool });
    for (const agent of agents) this.addAgent(agent);
  }

  addPool(input: PoolOptionsInput): PoolId {
    const retry = { ...input.retry, backoff: { jitter: "none" as const, ...input.retry?.backoff } };
    const options = resolvePool({ ...input, retry }, () => "main");
    this.ask({ type: "create_pool", options });
    return options.id;
  }

  addAgent(agent: string | WorldAgent, pool: PoolId = MAIN): AgentId {
    const { name, kind = "function", capabilities = [], concurrency = 1 } = typeof agent === "string" ? { name: agent } : agent;
    const id = asAgentId(name);
    const isolation = { contextWindowId: `c-${name}`, toolSessionId: `t-${name}`, memoryHandleId: `m-${name}` };
    const identity = { id, pool, name, kind, capabilities, concurrency, weight: 1, priority: 0, isolation };
    if (kind === "remote") this.ask({ type: "join", agent: identity, replace: false });
    else this.turn([{ type: "add_agent", agent: identity }, { type: "agent_ready", agentId: id }]);
    return id;
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

  /** Submits one task in a turn of its own. */
  submit(input: SpecInput = {}): TaskId {
    const spec = this.spec(input);
    this.ask({ type: "submit", specs: [spec], partial: false, known: this.known() });
    return spec.id;
  }

  /** Submits several as one command. */
  submitBatch(inputs: readonly SpecInput[], { partial = false } = {}): Extract<Reply, { type: "submitted" }>["items"] {
    const specs = inputs.map((input) => this.spec(input));
    const reply = this.ask({ type: "submit", specs, partial, known: this.known() });
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
    const { state } = this.task(id);
    return state.name === "leased" ? state.lease : undefined;
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

  cancel(id: string): void {
    this.ask({ type: "cancel", taskId: asTaskId(id), reason: "no longer wanted", known: this.known() });
  }

  replay(id: string): void {
    this.ask({ type: "replay", taskId: asTaskId(id), known: this.known() });
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
    dueFirst(this.state, turn);
    const replies = commands.map((command): Reply | Error => {
      try {
        return step(this.state, command, turn);
      } catch (error) {
        if (!(error instanceof Error) || error.name !== "PoolError") throw error;
        return error;
      }
    });
    matchLast(this.state, turn);
    this.events.push(...turn.durable);
    this.effects.push(...turn.effects);
    for (const id of turn.touched) {
      const task = this.state.tasks.get(id);
      if (task === undefined) continue;
      if (task.state.name === "settled") this.history.set(id, settledFacts(task));
      else this.history.delete(id);
    }
    checkInvariants(this.state);
    return replies;
  }

  /** Lets go of settled tasks, as the engine does once they are stored. */
  forget(): void {
    const taskIds = [...this.history.keys()].filter((id) => this.state.tasks.get(id)?.state.name === "settled");
    this.ask({ type: "forget", taskIds });
  }

  known(): Known {
    const keys = new Map<string, SettledFacts>();
    for (const facts of this.history.values()) {
      if (facts.spec.idempotencyKey !== undefined) keys.set(facts.spec.idempotencyKey, facts);
    }
    return { tasks: this.history, keys };
  }
}
