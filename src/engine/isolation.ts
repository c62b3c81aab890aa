/** Who shares with whom what no two agents may share: the report of a pool. */
import type { Agent } from "../core/agent.ts";
import type { Breach } from "../core/isolation.ts";
import type { Pool } from "../core/pool.ts";
import type { NamespaceState } from "../core/state.ts";
import { iso } from "./instant.ts";
import { agentsInOrder } from "./present-pool.ts";
import type { BreachView, IsolationView } from "./view.ts";

/** Other agents that are named of one agent, per id that it shares. */
const NOTES_LIMIT = 10;

/** From what is so now: nothing stays of a breach that is over but its place in the history. */
export function isolationView(state: NamespaceState, pool: Pool, nowMs: number): IsolationView {
  const agents = agentsInOrder(state, pool);
  const history: BreachView[] = [];
  for (const breach of state.isolation.breaches()) {
    if (breach.agents.some((agent) => agent.pool === pool.id)) history.push(breachView(breach));
  }
  return {
    at: iso(nowMs),
    total: agents.length,
    breached: agents.filter(({ isBreached }) => isBreached).length,
    agents: agents.map((agent) => ({
      id: agent.identity.id,
      name: agent.identity.name,
      ...agent.isolation,
      isolated: !agent.isBreached,
      notes: notesOf(state, agent),
    })),
    history,
  };
}

/** One note per agent that it shares something with, naming that and the fields; none while it is isolated. */
export function notesOf(state: NamespaceState, { identity, isBreached }: Agent): string[] {
  if (!isBreached) return [];
  const others = state.isolation.othersOf(identity.id, NOTES_LIMIT);
  return [...others].map(([id, { name, pool, fields }]) => {
    const elsewhere = pool === identity.pool ? "" : ` of pool ${pool}`;
    return `shares ${fields.join(", ")} with ${name} (${id})${elsewhere}`;
  });
}

function breachView({ field, value, agents, sinceMs, untilMs }: Breach): BreachView {
  const shown = { field, value, agents, since: iso(sinceMs) };
  return untilMs === undefined ? shown : { ...shown, until: iso(untilMs) };
}
