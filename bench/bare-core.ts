/** The core of one pool in a bench's hand: no engine, no store, virtual time. One command per turn. */
import { asAgentId, asPoolId, asTaskId } from "../src/base/ids.ts";
import { createRandom, type Random } from "../src/base/random.ts";
import type { Command, Known } from "../src/core/command.ts";
import type { LeasedAttempt } from "../src/core/effect.ts";
import { emptyState, type NamespaceState } from "../src/core/state.ts";
import { dueFirst, matchLast, step } from "../src/core/step.ts";
import type { Priority, TaskSpec } from "../src/core/task.ts";
import { Turn } from "../src/core/turn.ts";
import { type PoolOptionsInput, resolvePool } from "../src/engine/options/pool.ts";
import type { Candidate } from "../src/policies/balancer/balancer.ts";

const NOTHING_KNOWN: Known = { tasks: new Map(), keys: new Map() };
const POOL = asPoolId("bench");
/** Nobody renews here. Milliseconds. */
const LEASE = { ttlMs: 20 * 24 * 3_600_000 };
const MOST = 2_000_000;

export interface BareAgent {
  readonly name: string;
  readonly concurrency?: number;
  readonly capabilities?: readonly string[];
  readonly weight?: number;
  readonly priority?: number;
}

export interface BareTask {
  readonly type?: string;
  readonly requires?: readonly string[];
  readonly priority?: Priority;
  readonly affinityKey?: string | undefined;
}

export class BareCore {
  readonly state: NamespaceState = emptyState(1);
  readonly #random: Random = createRandom(1);
  #nowMs = 1_000_000;
  #submitted = 0;

  constructor(options: Omit<PoolOptionsInput, "id" | "lease" | "queue">, agents: readonly BareAgent[]) {
    const queue = { limit: MOST, gatedLimit: MOST };
    this.turn({ type: "create_pool", options: resolvePool({ ...options, id: POOL, lease: LEASE, queue }, () => POOL) });
    for (const agent of agents) this.add(agent);
  }

  /** Time passes. */
  pass(ms: number): void {
    this.#nowMs += ms;
  }

  /** What was leased in the turn. */
  turn(command: Command): readonly LeasedAttempt[] {
    const turn = new Turn(this.state, this.#nowMs, this.#random);
    dueFirst(this.state, turn);
    step(this.state, command, turn);
    matchLast(this.state, turn);
    return turn.effects.flatMap((effect) => (effect.type === "run" ? [effect.attempt] : []));
  }

  submit(task: BareTask = {}): readonly LeasedAttempt[] {
    const { type = "general", requires = [], priority = 3, affinityKey } = task;
    const spec: TaskSpec = {
      id: asTaskId(`t${this.#submitted++}`),
      pool: POOL,
      type,
      requires,
      priority,
      dependencies: [],
      onDependencyFailure: "cancel",
      affinityKey,
      maxAttempts: 3,
      retryable: true,
      createdAtMs: this.#nowMs,
      bodySize: 0,
    };
    return this.turn({ type: "submit", specs: [spec], partial: false, known: NOTHING_KNOWN });
  }

  succeed({ agentId, taskId, fence }: LeasedAttempt): readonly LeasedAttempt[] {
    const outcome = { name: "succeeded", resultBytes: 0 } as const;
    return this.turn({ type: "report", agentId, taskId, fence, outcome, known: NOTHING_KNOWN });
  }

  fail({ agentId, taskId, fence }: LeasedAttempt): readonly LeasedAttempt[] {
    const error = { code: "failed", message: "it failed" };
    const outcome = { name: "failed", blame: "agent", error } as const;
    return this.turn({ type: "report", agentId, taskId, fence, outcome, known: NOTHING_KNOWN });
  }

  /** Lets go of settled tasks, as the engine does once they are stored. */
  forget(attempts: readonly LeasedAttempt[]): void {
    this.turn({ type: "forget", taskIds: attempts.map(({ taskId }) => taskId) });
  }

  /** Tasks of the type wait until further notice. */
  closeGate(type: string): void {
    this.turn({ type: "set_gate", name: "gate", available: false, holds: [type] });
  }

  /** Tasks that wait, gated ones included. */
  get waiting(): number {
    const { agent, retry } = this.state.pools.get(POOL)?.counts ?? { agent: 0, retry: 0 };
    return agent + retry;
  }

  /** The agents as a strategy sees them. */
  seats(): readonly Candidate[] {
    return [...(this.state.queues.get(POOL)?.seats.all() ?? [])];
  }

  add({ name, concurrency = 1, capabilities = [], weight = 1, priority = 0 }: BareAgent): void {
    const agentId = asAgentId(name);
    const isolation = { contextWindowId: `c-${name}`, toolSessionId: `t-${name}`, memoryHandleId: `m-${name}` };
    const kind = "function" as const;
    const agent = { id: agentId, pool: POOL, name, kind, capabilities, concurrency, weight, priority, isolation };
    this.turn({ type: "add_agent", agent });
    this.turn({ type: "agent_ready", agentId });
  }
}
