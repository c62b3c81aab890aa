/**
 * How many agents a pool has: those made from the one entry that `size` drives. It grows by new ones under the lowest free
 * numbers, and shrinks by those who leave: they take no more work, finish what they have, and go.
 */
import { invalid, PoolError } from "../base/errors.ts";
import { type AgentId, asAgentId } from "../base/ids.ts";
import { AGENT_LIFECYCLE, type Agent, identityNow } from "./agent.ts";
import type { Command, Reply } from "./command.ts";
import type { ScaledBy } from "./event.ts";
import { LAST_PORT, type Pool, type PoolOptions } from "./pool.ts";
import { newIsolation, newUuid } from "./spawn.ts";
import { agentOf, type NamespaceState } from "./state.ts";
import { removeAgent } from "./supervise.ts";
import { identityOf } from "./template.ts";
import type { Turn } from "./turn.ts";

/** Place in `agents` of the entry that `size` drives; −1 when there is none. */
export function sizedEntry({ agents }: Pick<PoolOptions, "agents">): number {
  return agents.findIndex(({ sized }) => sized);
}

/** Those who count to the pool's size, in the order of their numbers. */
export function sizedAgents(state: NamespaceState, pool: Pool): Agent[] {
  const entry = sizedEntry(pool.options);
  if (entry === -1) return [];
  return [...pool.agentIds]
    .map((id) => agentOf(state, id))
    .filter(({ identity }) => identity.entry === entry && identity.dismissed === undefined)
    .sort((a, b) => a.identity.ordinal - b.identity.ordinal);
}

/** The numbers that the next `count` agents get: the lowest that nobody has, under names that nobody has. */
export function freeOrdinals(state: NamespaceState, pool: Pool, count: number): number[] {
  const entry = sizedEntry(pool.options);
  const agents = [...pool.agentIds].map((id) => agentOf(state, id).identity);
  const taken = new Set(agents.map(({ ordinal }) => ordinal));
  const names = new Set([...agents, ...pool.options.agents].map(({ name }) => name));
  const free: number[] = [];
  for (let ordinal = 0; free.length < count; ordinal++) {
    if (!taken.has(ordinal) && !names.has(identityOf(pool.options, entry, ordinal).name)) free.push(ordinal);
  }
  return free;
}

/**
 * An operator's word on the size. Outside 1 to `size.max`, or where no entry is driven by `size`, or only one size is
 * allowed, it is refused; `capped` takes what there is room for instead.
 */
export function scale(state: NamespaceState, command: Extract<Command, { type: "scale" }>, turn: Turn): Reply {
  const pool = state.pools.get(command.pool);
  if (pool === undefined)
    throw new PoolError("not_found", `no pool ${command.pool}`, { details: { pool: command.pool } });
  if (command.by === "options") {
    const target = command.target ?? pool.options.size.default;
    const agentIds = resizeTo(state, pool, target, { by: "options", reason: "its options have changed" }, turn);
    return { type: "scaled", size: target, agentIds };
  }
  const { target } = wantedSize(state, pool, command);
  const agentIds = resizeTo(state, pool, target, { by: "operator", reason: "asked by an operator" }, turn);
  return { type: "scaled", size: target, agentIds };
}

/** @throws PoolError `invalid`, with the path of the word that can't be */
export function wantedSize(
  state: NamespaceState,
  pool: Pool,
  { target, add, capped }: Pick<Extract<Command, { type: "scale" }>, "target" | "add" | "capped">,
): { readonly target: number; readonly size: number } {
  const { min, max } = pool.options.size;
  const path = target === undefined ? "add" : "target";
  if (sizedEntry(pool.options) === -1) {
    throw invalid(path, `size drives no agents of pool ${pool.id}: give it one entry without a name and a count`);
  }
  const size = sizedAgents(state, pool).length;
  if (capped) return { target: Math.max(size, Math.min(max, size + (add ?? 0))), size };
  if (min === max) throw invalid(path, `pool ${pool.id} has a fixed size of ${max}`);
  const wanted = target ?? size + (add ?? 0);
  if (wanted < 1 || wanted > max) {
    throw invalid(
      path,
      `expected a size of 1 to ${max}, got ${wanted}${target === undefined ? ` (${size} + ${add})` : ""}`,
    );
  }
  const last = lastPort(state, pool, wanted - size);
  if (last > LAST_PORT) throw invalid("daemon.basePort", `port ${last} would be needed, ${LAST_PORT} is the last`);
  return { target: wanted, size };
}

/** The highest fixed port that so many more agents would need; 0 when they need none. */
function lastPort(state: NamespaceState, pool: Pool, more: number): number {
  const basePort = pool.options.agents[sizedEntry(pool.options)]?.daemon?.basePort ?? 0;
  if (basePort === 0 || more <= 0) return 0;
  return basePort + (freeOrdinals(state, pool, more).at(-1) ?? 0);
}

/** Brings the pool to a size, which must be one that it may have; returns those that are new. */
export function resizeTo(
  state: NamespaceState,
  pool: Pool,
  target: number,
  why: { readonly by: ScaledBy; readonly reason: string },
  turn: Turn,
): AgentId[] {
  const agents = sizedAgents(state, pool);
  const from = agents.length;
  if (target === from) return [];
  turn.record({ type: "pool.scaled", pool: pool.id, from, to: target, ...why, atMs: turn.nowMs });
  if (target < from) {
    for (const agent of agents.sort(goesSooner).slice(0, from - target)) dismiss(agent, turn);
    return [];
  }
  return freeOrdinals(state, pool, target - from).map((ordinal) => spawn(pool, ordinal, turn));
}

function spawn(pool: Pool, ordinal: number, turn: Turn): AgentId {
  const id = asAgentId(newUuid(turn.random));
  const isolation = newIsolation(turn.random);
  const identity = identityOf(pool.options, sizedEntry(pool.options), ordinal);
  turn.record({ type: "agent.added", agent: { ...identity, id, ordinal, isolation } });
  turn.request({ type: "start_agent", agentId: id });
  return id;
}

/** Who can't work first, then who has least to do, then the newest. */
function goesSooner(a: Agent, b: Agent): number {
  const works = (agent: Agent): number => (agent.lifecycle === "ready" && agent.health !== "unhealthy" ? 1 : 0);
  return works(a) - works(b) || a.runs.size - b.runs.size || b.identity.ordinal - a.identity.ordinal;
}

/** It takes no more work from now on, also after a restart; `letGoDismissed` lets it go once it is idle. */
function dismiss(agent: Agent, turn: Turn): void {
  const { identity, lifecycle } = agent;
  turn.record({ type: "agent.changed", agent: { ...identityNow(agent), dismissed: true } });
  const moves: readonly string[] = AGENT_LIFECYCLE[lifecycle];
  if (!moves.includes("draining")) return;
  turn.record({ type: "agent.lifecycle", agentId: identity.id, lifecycle: "draining", atMs: turn.nowMs });
}

/** Those who were dismissed and have nothing left to do are gone. */
export function letGoDismissed(state: NamespaceState, turn: Turn): void {
  if (state.dismissed.size === 0) return;
  for (const id of [...state.dismissed]) if (agentOf(state, id).runs.size === 0) removeAgent(state, id, turn);
}
