/** What a task waits for: of all that holds it, the first in the order of the contract, because its limit counts. */
import type { TaskId } from "../base/ids.ts";
import type { Pool } from "./pool.ts";
import { spentOf, WHOLE_POOL } from "./spend.ts";
import { type Against, againstAgent, restsUntilMs } from "./standing.ts";
import type { NamespaceState } from "./state.ts";
import type { Task, TaskSpec } from "./task.ts";

/** Each reason with what there is to say of it. */
export type Waiting =
  | { readonly reason: "dependencies"; readonly on: readonly TaskId[] }
  | { readonly reason: "delay" | "retry"; readonly untilMs: number }
  | { readonly reason: "gate"; readonly on: readonly string[] }
  /** The retry budget of its pool is spent. */
  | { readonly reason: "budget" }
  | { readonly reason: "paused" }
  /** `tenant` is undefined where the whole pool has spent what it may. */
  | { readonly reason: "spend"; readonly tenant: string | undefined; readonly words: string; readonly untilMs: number }
  /** All who are well and could do it rest; `untilMs`: until the first of them does not. */
  | { readonly reason: "rate"; readonly agents: AgentsFound; readonly untilMs: number }
  | { readonly reason: "agent"; readonly agents: AgentsFound };

/** Those who offer what it needs, by what speaks against giving it to them now. */
export interface AgentsFound {
  readonly count: number;
  readonly against: ReadonlyMap<Against | "free", number>;
  /** Remote agents with a free slot that have not asked for work. */
  readonly silent: number;
  /** As many tasks of its fairness key run as may. */
  readonly isKeyFull: boolean;
}

const NOBODY: AgentsFound = { count: 0, against: new Map(), silent: 0, isKeyFull: false };

/** Undefined when it does not wait. */
export function waitingOf(
  state: NamespaceState,
  { spec, state: now, awaited }: Pick<Task, "spec" | "state" | "awaited">,
  nowMs: number,
): Waiting | undefined {
  if (now.name !== "waiting") return undefined;
  if (now.reason === "agent" || now.reason === "retry") {
    const gates = closedFor(state, spec.type);
    if (gates.length > 0) return { reason: "gate", on: gates };
  }
  switch (now.reason) {
    case "dependencies": {
      const on = spec.dependencies.filter((id) => {
        const open = state.tasks.get(id);
        return open === undefined ? awaited?.ids.includes(id) === true : open.state.name !== "settled";
      });
      return { reason: "dependencies", on };
    }
    case "retry":
      return now.held === undefined ? { reason: "retry", untilMs: now.untilMs } : { reason: "budget" };
    case "delay":
      return { reason: "delay", untilMs: now.untilMs };
    case "agent": {
      const pool = state.pools.get(spec.pool);
      if (pool === undefined) return { reason: "agent", agents: NOBODY };
      if (pool.mode === "paused") return { reason: "paused" };
      return forMoney(pool, spec) ?? forAgents(state, pool, { spec, nowMs });
    }
  }
}

/** Gates that are closed and hold the type. */
function closedFor(state: NamespaceState, type: string): string[] {
  if (!state.heldTypes.has(type)) return [];
  const closed = [...state.gates.values()].filter((gate) => !gate.available && gate.holds.includes(type));
  return closed.map((gate) => gate.name);
}

function forMoney(pool: Pool, { tenant }: TaskSpec): Waiting | undefined {
  const whole = spentOf(pool, WHOLE_POOL);
  if (whole !== undefined) return { reason: "spend", tenant: undefined, words: whole.words, untilMs: whole.untilMs };
  const own = tenant === undefined ? undefined : spentOf(pool, tenant);
  return own && { reason: "spend", tenant, words: own.words, untilMs: own.untilMs };
}

/** `rate` where only time has to pass, for all who are well. */
function forAgents(state: NamespaceState, pool: Pool, { spec, nowMs }: { spec: TaskSpec; nowMs: number }): Waiting {
  const queue = state.queues.get(pool.id);
  const against = new Map<Against | "free", number>();
  let untilMs = Number.POSITIVE_INFINITY;
  let count = 0;
  let silent = 0;
  for (const { agent } of queue?.seats.whoFit(spec) ?? []) {
    const reason = againstAgent(pool, agent, nowMs) ?? "free";
    count += 1;
    against.set(reason, (against.get(reason) ?? 0) + 1);
    if (reason === "rate") untilMs = Math.min(untilMs, restsUntilMs(agent, nowMs));
    if (reason === "slot" && agent.runs.size < agent.identity.concurrency) silent += 1;
  }
  const agents = { count, against, silent, isKeyFull: queue?.isKeyFull(spec.fairnessKey) === true };
  const isResting = against.has("rate") && !against.has("free") && !against.has("slot");
  return isResting ? { reason: "rate", agents, untilMs } : { reason: "agent", agents };
}
