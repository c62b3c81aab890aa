/** The durable part of a task, as a store keeps it and gives it back. */
import type { AgentId, TaskId } from "../base/ids.ts";
import type { Spent } from "./spend.ts";
import type { Attempt, Awaited, EngineDeaths, Lease, Priority, Settlement, Task, TaskBody, TaskSpec } from "./task.ts";

/** What comes with an admission, and never changes in that life. */
export interface Admitted {
  readonly num: number;
  readonly spec: TaskSpec;
  readonly body: TaskBody;
}

/** What changes of an open task. Narrow: the spec is written once, beside it. */
export interface OpenFacts {
  readonly num: number;
  readonly spec: TaskSpec;
  readonly state:
    | {
        readonly name: "waiting";
        readonly untilMs?: number | undefined;
        readonly reason: string;
        readonly held?: true | undefined;
      }
    | { readonly name: "leased"; readonly lease: Lease };
  readonly priority: Priority;
  readonly queuedAtMs: number;
  readonly nearAtMs?: number | undefined;
  readonly first: boolean;
  readonly attemptCount: number;
  readonly lastNumber: number;
  readonly lastFence: number;
  readonly failedAgentIds: readonly AgentId[];
  readonly again: boolean;
  readonly refunds: number;
  readonly spent?: Spent | undefined;
  readonly killers?: readonly AgentId[] | undefined;
  readonly deaths?: EngineDeaths | undefined;
  readonly replays: number;
  readonly unmet: number;
  /** As `Task.waitsFor`. */
  readonly waitsFor?: readonly TaskId[] | undefined;
  readonly awaited?: Awaited | undefined;
  readonly failedDependencies: readonly TaskId[];
  readonly attempts: readonly Attempt[];
}

/** A task that has ended. */
export interface SettledFacts {
  readonly num: number;
  readonly spec: TaskSpec;
  readonly settlement: Settlement;
  readonly priority: Priority;
  readonly queuedAtMs: number;
  readonly attemptCount: number;
  readonly lastNumber: number;
  readonly lastFence: number;
  readonly failedAgentIds: readonly AgentId[];
  readonly failedDependencies: readonly TaskId[];
  readonly refunds: number;
  readonly spent?: Spent | undefined;
  readonly replays: number;
  readonly attempts: readonly Attempt[];
}

export function openFacts(task: Task): OpenFacts {
  const { state } = task;
  if (state.name === "settled") throw new TypeError("a settled task has no open row");
  return {
    num: task.num,
    spec: task.spec,
    state,
    priority: task.priority,
    queuedAtMs: task.queuedAtMs,
    nearAtMs: task.nearAtMs,
    first: task.first,
    attemptCount: task.attemptCount,
    lastNumber: task.lastNumber,
    lastFence: task.lastFence,
    failedAgentIds: task.failedAgentIds,
    again: task.again,
    refunds: task.refunds,
    spent: task.spent,
    killers: task.killers,
    deaths: task.deaths,
    replays: task.replays,
    unmet: task.unmet,
    waitsFor: task.waitsFor,
    awaited: task.awaited,
    failedDependencies: task.failedDependencies,
    attempts: task.attempts,
  };
}

export function settledFacts(task: Task): SettledFacts {
  const { state } = task;
  if (state.name !== "settled") throw new TypeError("an open task has no history row");
  return {
    num: task.num,
    spec: task.spec,
    settlement: state.settlement,
    priority: task.priority,
    queuedAtMs: task.queuedAtMs,
    attemptCount: task.attemptCount,
    lastNumber: task.lastNumber,
    lastFence: task.lastFence,
    failedAgentIds: task.failedAgentIds,
    failedDependencies: task.failedDependencies,
    refunds: task.refunds,
    spent: task.spent,
    replays: task.replays,
    attempts: task.attempts,
  };
}
