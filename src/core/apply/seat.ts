/** Who may be given work now: kept in step with every change of an agent. */
import type { Agent } from "../agent.ts";
import { mayBeChosen } from "../pool.ts";
import { againstAgent } from "../standing.ts";
import { type NamespaceState, poolOf, queueOf } from "../state.ts";

/** Whoever waits for somebody else to serve is looked at again. */
export function rosterChanged(state: NamespaceState, agent: Agent, nowMs: number): void {
  const queue = queueOf(state, agent.identity.pool);
  queue.seats.rosterVersion += 1;
  // Who can't serve is kept free for nobody.
  const reservedFor = queue.reservations.taskOf(agent.identity.id);
  if (reservedFor !== undefined && !isServing(agent, nowMs)) queue.reservations.endOf(reservedFor);
  refresh(state, agent, nowMs);
  state.dirty.add(agent.identity.pool);
}

export function refresh(state: NamespaceState, agent: Agent, nowMs: number): void {
  const pool = poolOf(state, agent.identity.pool);
  const queue = queueOf(state, agent.identity.pool);
  const drains = agent.runs.size > 0 && queue.reservations.taskOf(agent.identity.id) !== undefined;
  const free = mayBeChosen(pool.options, agent.identity) && againstAgent(pool, agent, nowMs) === undefined && !drains;
  queue.seats.refresh(agent, free);
  if (free) state.dirty.add(agent.identity.pool);
}

function isServing({ lifecycle, isBreached, health, cooldownUntilMs }: Agent, nowMs: number): boolean {
  return lifecycle === "ready" && !isBreached && health !== "unhealthy" && cooldownUntilMs <= nowMs;
}
