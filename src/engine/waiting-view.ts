/** What a task waits for, in the contract's order: the first reason that holds is the one that is shown. */

import type { Pool } from "../core/pool.ts";
import { spentOf, WHOLE_POOL } from "../core/spend.ts";
import { type Against, againstAgent, restsUntilMs } from "../core/standing.ts";
import type { NamespaceState } from "../core/state.ts";
import type { Task } from "../core/task.ts";
import { iso } from "./instant.ts";
import type { TaskView } from "./view.ts";

type Waiting = TaskView["waiting"];
type Spec = Task["spec"];

/** @param nowMs - the time of turns */
export function waitingView(
  state: NamespaceState,
  { spec, state: now, awaited }: Pick<Task, "spec" | "state" | "awaited">,
  nowMs: number,
): Waiting {
  if (now.name !== "waiting") return undefined;
  if (now.reason === "agent" || now.reason === "retry") {
    const gates = closedFor(state, spec.type);
    if (gates.length > 0) return { reason: "gate", detail: `closed: ${gates.join(", ")}`, on: gates };
  }
  const pool = state.pools.get(spec.pool);
  switch (now.reason) {
    case "dependencies": {
      const on = spec.dependencies.filter((id) => {
        const open = state.tasks.get(id);
        return open === undefined ? awaited?.ids.includes(id) === true : open.state.name !== "settled";
      });
      return { reason: "dependencies", on };
    }
    case "retry":
      return now.held === undefined
        ? { reason: "retry", until: iso(now.untilMs) }
        : { reason: "retry", detail: "the retry budget of its pool is spent" };
    case "delay":
      return { reason: now.reason, until: iso(now.untilMs) };
    case "agent":
      if (pool === undefined) return { reason: "agent" };
      if (pool.mode === "paused") return { reason: "paused", detail: `pool ${spec.pool} is paused` };
      return spendView(pool, spec) ?? agentView(state, pool, { spec, nowMs });
  }
}

/** Gates that are closed and hold the type. */
function closedFor(state: NamespaceState, type: string): string[] {
  if (!state.heldTypes.has(type)) return [];
  const closed = [...state.gates.values()].filter((gate) => !gate.available && gate.holds.includes(type));
  return closed.map((gate) => gate.name);
}

/** Whose money is spent, and until when its tasks wait. */
function spendView(pool: Pool, { tenant }: Spec): Waiting {
  const whole = spentOf(pool, WHOLE_POOL);
  const own = tenant === undefined ? undefined : spentOf(pool, tenant);
  const spent = whole ?? own;
  if (spent === undefined) return undefined;
  const who = whole === undefined ? `tenant ${tenant}` : `pool ${pool.id}`;
  return { reason: "spend", detail: `${who} has spent ${spent.words}`, until: iso(spent.untilMs) };
}

/** What keeps it from each agent that offers what it needs: `rate` where only time has to pass, for all who are well. */
function agentView(state: NamespaceState, pool: Pool, { spec, nowMs }: { spec: Spec; nowMs: number }): Waiting {
  const against = new Map<Against | "free", number>();
  let restsUntil = Number.POSITIVE_INFINITY;
  let agents = 0;
  let silent = 0;
  for (const { agent } of state.queues.get(pool.id)?.seats.whoFit(spec) ?? []) {
    const reason = againstAgent(pool, agent, nowMs) ?? "free";
    agents += 1;
    against.set(reason, (against.get(reason) ?? 0) + 1);
    if (reason === "rate") restsUntil = Math.min(restsUntil, restsUntilMs(agent, nowMs));
    if (reason === "slot" && agent.runs.size < agent.identity.concurrency) silent += 1;
  }
  if (against.has("rate") && !against.has("free") && !against.has("slot")) {
    return { reason: "rate", detail: `agents that rest: ${against.get("rate")} of ${agents}`, until: iso(restsUntil) };
  }
  const isKeyFull = state.queues.get(pool.id)?.isKeyFull(spec.fairnessKey) === true;
  return { reason: "agent", detail: isKeyFull ? KEY_FULL : agentDetail(spec, { against, agents, silent }) };
}

const KEY_FULL = "as many tasks of its fairness key run as may";

interface Found {
  readonly against: ReadonlyMap<Against | "free", number>;
  readonly agents: number;
  /** Remote agents with a free slot that have not asked for work. */
  readonly silent: number;
}

/** In a few words. */
function agentDetail(spec: Spec, { against, agents, silent }: Found): string {
  const needs = spec.requires.length > 0 ? spec.requires.join(", ") : `type ${spec.type}`;
  if (agents === 0) return `no agent of pool ${spec.pool} offers ${needs}`;
  if (against.get("lifecycle") === agents) return `none of ${agents} agents is up`;
  if (silent === agents) return `none of ${agents} agents asks for work`;
  if (against.get("slot") === agents) return `all of ${agents} agents are taken`;
  const counts = [...against].filter(([reason]) => reason !== "free").map(([reason, count]) => `${reason} ${count}`);
  return `none of ${agents} agents may be given it now: ${counts.join(", ")}`;
}
