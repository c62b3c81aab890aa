/** What the core owns. Maps by id are facts; `queues`, `dependents` and `due` are indexes over them. */

import { broken } from "../base/assert.ts";
import type { AgentId, PoolId, TaskId } from "../base/ids.ts";
import { RecentMap } from "../base/recent-map.ts";
import { SlotMap } from "../base/slot-map.ts";
import type { Agent } from "./agent.ts";
import type { Chooser } from "./chooser.ts";
import { Due } from "./due.ts";
import type { Gate } from "./gate.ts";
import type { HeldLine } from "./held-line.ts";
import { IsolationBook } from "./isolation.ts";
import type { Pool } from "./pool.ts";
import type { PoolQueue } from "./pool-queue.ts";
import type { Rate } from "./rate.ts";
import { Retired } from "./retired.ts";
import type { Schedule } from "./schedule.ts";
import type { Task } from "./task.ts";

export interface NamespaceState {
  /** Number of this engine's term: the high part of every fence it issues. */
  readonly epoch: number;
  readonly pools: Map<PoolId, Pool>;
  /** Open tasks, and settled ones whose commit isn't stored yet. */
  readonly tasks: SlotMap<TaskId, Task>;
  readonly agents: Map<AgentId, Agent>;
  /** Agents that are to be started anew once they are empty. */
  readonly leaving: Set<AgentId>;
  /** Idempotency keys of `tasks`. */
  readonly keys: SlotMap<string, TaskId>;
  readonly queues: Map<PoolId, PoolQueue>;
  /** Limits per minute, by the key that agents share or by the agent. */
  readonly rates: Map<string, Rate>;
  /** Who has which context window, tool session and memory. */
  readonly isolation: IsolationBook;
  readonly gates: Map<string, Gate>;
  readonly schedules: Map<string, Schedule>;
  /** Types that closed gates hold, and how many of them do. */
  readonly heldTypes: Map<string, number>;
  /** Tasks that wait for a dependency, by the dependency. */
  readonly dependents: SlotMap<TaskId, TaskId[]>;
  /** Submissions that wait for room; pools without any are not there. */
  readonly overflow: Map<PoolId, HeldLine>;
  /** How many open tasks depend on a task. */
  readonly needed: Map<TaskId, number>;
  /** Dead letters of pools that were deleted, as `Pool.deadLetters`. */
  readonly leftLetters: Map<PoolId, Map<TaskId, number>>;
  /** Tasks that left the store lately. */
  readonly retired: Retired;
  /** Agents that have become unhealthy in this turn. */
  readonly ailing: Set<AgentId>;
  /** Agents that go once they are idle. */
  readonly dismissed: Set<AgentId>;
  readonly due: Due;
  /** Pools in which work may have become possible since the last match. */
  readonly dirty: Set<PoolId>;
  /** Strategies of the user's own, given in process; they go before the pool's option. */
  readonly choosers: Map<PoolId, Chooser>;
  /** Highest admission number given. */
  lastNum: number;
  /** The newest term before this one in which a task was settled. */
  settledEpoch: number;
  /** Fences issued in this term. */
  fences: number;
  /** Turns taken in this term. */
  turns: number;
  /** No new work; with `matching` what waits may still start. */
  draining: { readonly matching: boolean } | undefined;
}

/** Fences grow over restarts, because the epoch does. */
const FENCES_PER_EPOCH = 2 ** 32;

export function emptyState(epoch: number): NamespaceState {
  return {
    epoch,
    pools: new RecentMap(),
    tasks: new SlotMap(),
    agents: new RecentMap(),
    leaving: new Set(),
    keys: new SlotMap(),
    queues: new RecentMap(),
    rates: new Map(),
    isolation: new IsolationBook(),
    gates: new Map(),
    schedules: new Map(),
    heldTypes: new Map(),
    dependents: new SlotMap(),
    overflow: new Map(),
    needed: new Map(),
    leftLetters: new Map(),
    retired: new Retired(),
    dismissed: new Set(),
    ailing: new Set(),
    due: new Due(),
    dirty: new Set(),
    choosers: new Map(),
    lastNum: 0,
    settledEpoch: 0,
    fences: 0,
    turns: 0,
    draining: undefined,
  };
}

/** A new term begins: `state` is `next` from now on, but for the strategies, which this process was given. */
export function becomeState(state: NamespaceState, next: NamespaceState): void {
  Object.assign(state, next, { choosers: state.choosers });
}

/** The term in which a fence was issued. */
export function epochOf(fence: number): number {
  return Math.floor(fence / FENCES_PER_EPOCH);
}

/** The fence the next lease gets. */
export function nextFence(state: NamespaceState): number {
  return state.epoch * FENCES_PER_EPOCH + state.fences + 1;
}

export function taskOf(state: NamespaceState, id: TaskId): Task {
  return state.tasks.get(id) ?? broken(`task ${id} is open`);
}

export function agentOf(state: NamespaceState, id: AgentId): Agent {
  return state.agents.get(id) ?? broken(`agent ${id} is known`);
}

export function poolOf(state: NamespaceState, id: PoolId): Pool {
  return state.pools.get(id) ?? broken(`pool ${id} exists`);
}

/** Dead letters of a pool, also of one that is there no more; oldest first, with their admission numbers. */
export function lettersOf(state: NamespaceState, id: PoolId): Map<TaskId, number> | undefined {
  return state.pools.get(id)?.deadLetters ?? state.leftLetters.get(id);
}

export function queueOf(state: NamespaceState, id: PoolId): PoolQueue {
  return state.queues.get(id) ?? broken(`pool ${id} has a queue`);
}
