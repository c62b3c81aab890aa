/** Counts what has been committed, pool by pool: constant work per event, bounded memory. Starts anew with the engine. */
import type { AgentId, PoolId, TaskId } from "../base/ids.ts";
import type { DurableEvent } from "../core/event.ts";
import type { NamespaceState } from "../core/state.ts";
import { type Attempt, PRIORITY_NAMES, type PriorityName, type Settlement, type TaskSpec } from "../core/task.ts";
import { ActivityRing } from "../policies/analytics.ts";
import { Histogram } from "../policies/histogram.ts";
import type { Commit } from "../stores/store.ts";

/** Types that are counted by themselves; all others are `other`. */
export const TYPE_LIMIT = 1_000;
/** The same for one agent. */
export const AGENT_TYPE_LIMIT = 100;
const OTHER = "other";

export interface TypeCounts {
  started: number;
  completed: number;
  failed: number;
}

/** What is counted of one pool. */
export interface PoolCounts {
  readonly byPriority: Record<PriorityName, number>;
  readonly byType: Map<string, TypeCounts>;
  /** From creation to the first assignment. */
  readonly assignment: Histogram;
  /** Of attempts that came to an end of their own. */
  readonly duration: Histogram;
  readonly activity: ActivityRing;
}

interface AgentTypeCounts {
  succeeded: number;
  failed: number;
  latencySumMs: number;
}

/** What is counted of one agent, of attempts that ended well or by its own fault. */
export interface AgentCounts {
  /** Of successes. */
  readonly latency: Histogram;
  readonly byType: Map<string, AgentTypeCounts>;
}

/** An attempt that was lost, cancelled or given back does not say how long the work takes. */
const TELLS_DURATION: Readonly<Record<Attempt["outcome"], boolean>> = {
  succeeded: true,
  failed: true,
  timed_out: true,
  lost: false,
  throttled: false,
  released: false,
  cancelled: false,
};

export class Metrics {
  readonly #state: NamespaceState;
  readonly #startedAtMs: number;
  readonly #pools = new Map<PoolId, PoolCounts>();
  readonly #agents = new Map<AgentId, AgentCounts>();

  /** @param state - as it was restored: what is open already is counted once, here */
  constructor(state: NamespaceState, startedAtMs: number) {
    this.#state = state;
    this.#startedAtMs = startedAtMs;
    for (const { spec } of state.tasks.values()) this.#of(spec.pool).byPriority[PRIORITY_NAMES[spec.priority]] += 1;
  }

  /** @returns counts of an existing pool */
  of(pool: PoolId): PoolCounts {
    return this.#of(pool);
  }

  /** Undefined while nothing has been counted. */
  ofAgent(id: AgentId): AgentCounts | undefined {
    return this.#agents.get(id);
  }

  /** Its counts begin anew. */
  forgetAgent(id: AgentId): void {
    this.#agents.delete(id);
  }

  /** Called for every commit, while all that it names is in the state. */
  take({ events, atMs }: Pick<Commit, "events" | "atMs">): void {
    for (const event of events) this.#count(event, atMs);
  }

  #count(event: DurableEvent, atMs: number): void {
    switch (event.type) {
      case "pool.created":
        this.#pools.set(event.pool, newCounts(event.atMs));
        break;
      case "pool.deleted":
        this.#pools.delete(event.pool);
        break;
      case "agent.removed":
        this.forgetAgent(event.agentId);
        break;
      case "task.submitted":
        this.#of(event.spec.pool).byPriority[PRIORITY_NAMES[event.spec.priority]] += 1;
        break;
      case "task.leased":
        if (event.number === 1) this.#firstLease(event.taskId, event.atMs);
        break;
      case "attempt.ended": {
        const spec = this.#specOf(event.taskId);
        if (spec !== undefined) this.#attemptEnded(spec, event.attempt);
        break;
      }
      case "task.settled": {
        const spec = this.#specOf(event.taskId);
        if (spec === undefined) break;
        if (event.attempt !== undefined) this.#attemptEnded(spec, event.attempt);
        this.#settled(spec, event.settlement, event.attempt ?? { endedAtMs: atMs, assignedAtMs: atMs });
        break;
      }
      default:
    }
  }

  #firstLease(id: TaskId, atMs: number): void {
    const spec = this.#specOf(id);
    if (spec === undefined) return;
    const counts = this.#of(spec.pool);
    const tookMs = atMs - spec.createdAtMs;
    counts.assignment.add(tookMs);
    counts.activity.assigned(atMs, tookMs);
    typeOf(counts, spec.type).started += 1;
  }

  #attemptEnded({ pool, type }: TaskSpec, attempt: Attempt): void {
    const { startedAtMs, endedAtMs, outcome } = attempt;
    this.#agentEnded(type, attempt);
    if (startedAtMs === undefined) return;
    const counts = this.#of(pool);
    counts.activity.worked(endedAtMs, endedAtMs - startedAtMs);
    if (TELLS_DURATION[outcome]) counts.duration.add(endedAtMs - startedAtMs);
  }

  #agentEnded(type: string, { agentId, outcome, blame, startedAtMs, assignedAtMs, endedAtMs }: Attempt): void {
    const succeeded = outcome === "succeeded";
    if (!succeeded && blame !== "agent" && blame !== "unknown") return;
    const counts = this.#ofAgent(agentId);
    const each = countsOf(type, counts.byType, AGENT_TYPE_LIMIT, noneOfAgent);
    if (!succeeded) {
      each.failed += 1;
      return;
    }
    const tookMs = endedAtMs - (startedAtMs ?? assignedAtMs);
    each.succeeded += 1;
    each.latencySumMs += tookMs;
    counts.latency.add(tookMs);
  }

  #settled(
    { pool, type }: TaskSpec,
    { status, settledAtMs }: Settlement,
    last: Pick<Attempt, "assignedAtMs" | "startedAtMs" | "endedAtMs">,
  ): void {
    const counts = this.#of(pool);
    if (status === "cancelled") counts.activity.cancelled(settledAtMs);
    else if (status === "failed") {
      counts.activity.failed(settledAtMs);
      typeOf(counts, type).failed += 1;
    } else {
      counts.activity.completed(settledAtMs, last.endedAtMs - (last.startedAtMs ?? last.assignedAtMs));
      typeOf(counts, type).completed += 1;
    }
  }

  #ofAgent(id: AgentId): AgentCounts {
    let counts = this.#agents.get(id);
    if (counts === undefined) {
      counts = { latency: new Histogram(), byType: new Map() };
      this.#agents.set(id, counts);
    }
    return counts;
  }

  #specOf(id: TaskId): TaskSpec | undefined {
    return this.#state.tasks.get(id)?.spec;
  }

  #of(pool: PoolId): PoolCounts {
    let counts = this.#pools.get(pool);
    if (counts === undefined) {
      counts = newCounts(this.#startedAtMs);
      this.#pools.set(pool, counts);
    }
    return counts;
  }
}

function newCounts(sinceMs: number): PoolCounts {
  return {
    byPriority: { critical: 0, high: 0, medium: 0, low: 0 },
    byType: new Map(),
    assignment: new Histogram(),
    duration: new Histogram(),
    activity: new ActivityRing(sinceMs),
  };
}

const typeOf = ({ byType }: PoolCounts, type: string): TypeCounts => countsOf(type, byType, TYPE_LIMIT, noneOfPool);

/** Of the type, which is counted as `other` once so many have counts of their own. */
function countsOf<T>(type: string, byType: Map<string, T>, limit: number, none: () => T): T {
  const known = byType.get(type);
  if (known !== undefined) return known;
  const name = byType.size < limit ? type : OTHER;
  const counts = byType.get(name) ?? none();
  byType.set(name, counts);
  return counts;
}

const noneOfPool = (): TypeCounts => ({ started: 0, completed: 0, failed: 0 });
const noneOfAgent = (): AgentTypeCounts => ({ succeeded: 0, failed: 0, latencySumMs: 0 });
