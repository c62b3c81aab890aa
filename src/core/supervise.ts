/** The life of agents: they come up, die, are started again or left alone, fall silent and go. */
import { PoolError } from "../base/errors.ts";
import type { AgentId, PoolId } from "../base/ids.ts";
import { afterDeath } from "../policies/restart.ts";
import { type Agent, type AgentIdentity, identityNow, isWatched, type LastExit, type Lifecycle } from "./agent.ts";
import { FORGET_SILENT_MS } from "./apply/agents.ts";
import { type Command, DONE, type Reply } from "./command.ts";
import { knownAgent } from "./known-agent.ts";
import { currentLease, endAllOn } from "./lease.ts";
import { stopped } from "./leave.ts";
import type { Outcome } from "./outcome.ts";
import type { AgentTemplate, Pool } from "./pool.ts";
import { newIsolation } from "./spawn.ts";
import { type NamespaceState, poolOf, queueOf } from "./state.ts";
import { restartOptions, templateOf } from "./template.ts";
import type { Turn } from "./turn.ts";
import { beginAnew, probeBreaker } from "./work-record.ts";

export function addAgent(state: NamespaceState, command: Extract<Command, { type: "add_agent" }>, turn: Turn): Reply {
  const { agent, template } = command;
  const pool = existing(state, agent.pool);
  refuseTaken(state, agent);
  if (template !== undefined) {
    refuseCrowd(state, pool);
    const agents = withEntry(state, pool, template);
    turn.record({ type: "pool.changed", pool: pool.id, options: { ...pool.options, agents } });
  }
  turn.record({ type: "agent.added", agent: { ...agent, ordinal: command.ordinal ?? pool.nextOrdinal } });
  turn.request({ type: "start_agent", agentId: agent.id });
  return { type: "agent", agentId: agent.id };
}

/** In the place of an entry by name whose agent is gone, so that they don't pile up; else at the end. The others keep theirs. */
function withEntry(state: NamespaceState, { options, agentIds }: Pool, template: AgentTemplate): AgentTemplate[] {
  const here = new Set([...agentIds].map((id) => state.agents.get(id)?.identity.name));
  const isNamed = (name: string | undefined): boolean => options.agents.some((other) => other.name === name);
  const at = options.agents.findIndex(({ name }) => {
    return isNamed(template.name) ? name === template.name : name !== undefined && !here.has(name);
  });
  return at === -1 ? [...options.agents, template] : options.agents.with(at, template);
}

/** Its pool's options list it elsewhere now. */
export function placeAgent(
  state: NamespaceState,
  { agentId, entry }: Extract<Command, { type: "place_agent" }>,
  turn: Turn,
): Reply {
  const agent = state.agents.get(agentId);
  if (agent === undefined || agent.identity.entry === entry) return DONE;
  turn.record({ type: "agent.changed", agent: { ...identityNow(agent), entry } });
  return DONE;
}

export function removeAgent(state: NamespaceState, agentId: AgentId, turn: Turn): Reply {
  const agent = knownAgent(state, agentId);
  closeClaim(agent, turn);
  const running = [...agent.runs.values()];
  const released = running.filter((run) => currentLease(state, run) !== undefined).length;
  for (const { taskId, fence, orphaned } of running) {
    if (!orphaned) turn.request({ type: "stop", agentId, taskId, fence });
  }
  const error = { code: "agent_removed", message: "its agent was removed" };
  endAllOn(state, agentId, { name: "released", error }, turn);
  turn.record({ type: "agent.removed", agentId, pool: agent.identity.pool });
  if (agent.identity.kind !== "remote") turn.request({ type: "close_agent", agentId });
  return { type: "removed", released };
}

function existing(state: NamespaceState, id: PoolId): Pool {
  const pool = state.pools.get(id);
  if (pool === undefined) throw new PoolError("not_found", `no pool ${id}`, { details: { pool: id } });
  return pool;
}

function refuseTaken(state: NamespaceState, { id, pool, name }: Pick<AgentIdentity, "id" | "pool" | "name">): void {
  if (state.agents.has(id) || namesake(state, pool, name) !== undefined) {
    throw new PoolError("conflict", `pool ${pool} has an agent ${name} already`, { details: { path: "name", name } });
  }
}

const namesake = (state: NamespaceState, pool: PoolId, name: string): Agent | undefined =>
  queueOf(state, pool).seats.named(name)?.agent;

/** A remote agent joins; a name that fell silent is taken over with its id, a live one only when asked for. */
export function join(state: NamespaceState, command: Extract<Command, { type: "join" }>, turn: Turn): Reply {
  const { agent, replace } = command;
  const pool = existing(state, agent.pool);
  if (state.draining !== undefined) throw new PoolError("shutting_down", "the engine takes no more agents");
  const known = namesake(state, agent.pool, agent.name);
  if (known === undefined) {
    const holder = state.agents.get(agent.id);
    if (holder !== undefined) {
      throw new PoolError("conflict", `agent ${agent.id} is called ${holder.identity.name}`, {
        details: { path: "id" },
      });
    }
    refuseCrowd(state, pool);
    turn.record({ type: "agent.added", agent: { ...agent, ordinal: pool.nextOrdinal } });
    becomeReady(state, agent.id, turn);
    return { type: "agent", agentId: agent.id };
  }
  const { id, ordinal, kind } = known.identity;
  const live = kind !== "remote" || known.lifecycle !== "crashed";
  if (live && (!replace || kind !== "remote")) {
    throw new PoolError("conflict", `an agent ${agent.name} is at work; replace: true ends its attempts`, {
      details: { path: "name", agentId: id },
    });
  }
  if (!live) refuseCrowd(state, pool);
  const error = { code: "replaced", message: "its agent was replaced" };
  endAllOn(state, id, { name: "lost", blame: "agent", kill: false, error }, turn);
  if (known.claim !== undefined) closeClaim(known, turn);
  // What has been said of it and found out about it is its own, not its process's.
  const { failed, drained, verified } = known.identity;
  turn.record({ type: "agent.added", agent: { ...agent, id, ordinal, failed, drained, verified } });
  if (!live) becomeReady(state, id, turn);
  else turn.record({ type: "agent.seen", agentId: id, atMs: turn.nowMs });
  return { type: "agent", agentId: id };
}

/** `size.max` bounds those at work; the silent don't count. */
function refuseCrowd(state: NamespaceState, pool: Pool): void {
  const { max } = pool.options.size;
  let atWork = 0;
  for (const id of pool.agentIds) if (state.agents.get(id)?.lifecycle !== "crashed") atWork += 1;
  if (atWork < max) return;
  throw new PoolError("no_capacity", `pool ${pool.id} has ${atWork} of ${max} agents`, {
    retryable: true,
    details: { agents: atWork, max, path: "size.max" },
  });
}

/** Answers a waiting claim with nothing. */
export function closeClaim(agent: Agent, turn: Turn): void {
  if (agent.claim === undefined) return;
  turn.request({ type: "answer_claim", claimId: agent.claim.claimId, attempts: [] });
  turn.record({ type: "claim.closed", agentId: agent.identity.id });
}

export function becomeReady(state: NamespaceState, agentId: AgentId, turn: Turn): Reply {
  const agent = state.agents.get(agentId);
  if (agent === undefined) return DONE;
  const comesUp = agent.lifecycle === "starting" || agent.lifecycle === "restarting";
  const isBack = agent.lifecycle === "crashed" && agent.identity.kind === "remote";
  if (agent.lifecycle === "restarting") beginAnew(agent, turn);
  if (!comesUp && !isBack) return DONE;
  turn.record({ type: "agent.lifecycle", agentId, lifecycle: "ready", atMs: turn.nowMs });
  if (agent.identity.drained)
    turn.record({ type: "agent.lifecycle", agentId, lifecycle: "draining", atMs: turn.nowMs });
  return DONE;
}

const ALIVE: readonly Lifecycle[] = ["starting", "ready", "draining", "restarting"];

/** Its process died. What ran on it is lost; it is started again after a delay, or left alone for a while. */
export function exited(state: NamespaceState, command: Extract<Command, { type: "agent_exited" }>, turn: Turn): Reply {
  const { agentId, exit } = command;
  const agent = state.agents.get(agentId);
  if (agent === undefined || !ALIVE.includes(agent.lifecycle)) return DONE;
  const { code, signal, reason, logTail } = exit;
  const lastExit: LastExit = { code, signal, reason, logTail, atMs: turn.nowMs };
  if (agent.leaving?.stopping === true) return stopped(state, agentId, lastExit, turn);
  endAllOn(state, agentId, death(exit), turn);
  if (isLeftAlone(state, agent)) {
    turn.record({ type: "agent.lifecycle", agentId, lifecycle: "crashed", atMs: turn.nowMs, lastExit });
    return DONE;
  }
  const decision = afterDeath(
    agent,
    turn.nowMs,
    turn.random,
    restartOptions(poolOf(state, agent.identity.pool), agent.identity),
  );
  const crashed = { type: "agent.lifecycle", agentId, lifecycle: "crashed", atMs: turn.nowMs, lastExit } as const;
  if (decision.name === "restart") {
    turn.record({ ...crashed, restartsAtMs: decision.counted, retryAtMs: turn.nowMs + decision.delayMs });
    return DONE;
  }
  turn.record(crashed);
  const { retryAfterMs } = decision;
  turn.record({
    type: "agent.lifecycle",
    agentId,
    lifecycle: "quarantined",
    atMs: turn.nowMs,
    retryAtMs: retryAfterMs === undefined ? undefined : turn.nowMs + retryAfterMs,
  });
  return DONE;
}

/** Its pool replaces the dead only while fewer than `size.min` others can work. */
function isLeftAlone(state: NamespaceState, { identity }: Agent): boolean {
  const pool = poolOf(state, identity.pool);
  return restartOptions(pool, identity).upTo === "min" && working(state, pool, identity.id) >= pool.options.size.min;
}

/** Agents that can work, or will by themselves; without one that doesn't count. */
export function working(state: NamespaceState, pool: Pool, without?: AgentId): number {
  let count = 0;
  for (const id of pool.agentIds) {
    const agent = state.agents.get(id);
    if (agent === undefined || id === without || agent.health === "unhealthy" || agent.identity.dismissed) continue;
    if (SERVING.includes(agent.lifecycle) || agent.retryAtMs !== undefined) count += 1;
  }
  return count;
}

const SERVING: readonly Lifecycle[] = ["starting", "ready", "restarting"];

function death({ code, signal, reason, asked }: Extract<Command, { type: "agent_exited" }>["exit"]): Outcome {
  const how = signal === null ? `with code ${code}` : `by ${signal}`;
  const message = `its agent died ${how}${reason === "" ? "" : `: ${reason}`}`;
  return { name: "lost", blame: "agent", kill: asked !== true, error: { code: "agent_died", message } };
}

/** The delay is over: it is started again, with nothing of what it had. */
export function startAgain(state: NamespaceState, agent: Agent, turn: Turn): void {
  if (agent.lifecycle !== "crashed" && agent.lifecycle !== "quarantined") return;
  if (agent.identity.kind === "remote" || state.draining !== undefined) return;
  const agentId = agent.identity.id;
  turn.record({
    type: "agent.lifecycle",
    agentId,
    lifecycle: "restarting",
    atMs: turn.nowMs,
    restartsAtMs: [...agent.restartsAtMs, turn.nowMs],
    isolation: newIsolation(turn.random),
  });
  turn.request({ type: "start_agent", agentId });
}

/** A remote agent gives no sign of life: no open claim, no heartbeat, no report. */
export function checkSilence(state: NamespaceState, agent: Agent, turn: Turn): void {
  if (!isWatched(agent) || agent.identity.kind !== "remote") return;
  const agentId = agent.identity.id;
  const { ttlMs } = poolOf(state, agent.identity.pool).options.lease;
  const silentAtMs = (agent.claim === undefined ? agent.lastSeenAtMs : turn.nowMs) + ttlMs;
  if (silentAtMs > turn.nowMs) {
    state.due.add({ kind: "silent", atMs: silentAtMs, agentId });
    return;
  }
  turn.record({ type: "agent.lifecycle", agentId, lifecycle: "crashed", atMs: turn.nowMs });
}

/** It has been silent for so long that nobody expects it back. */
export function forgetSilent(state: NamespaceState, agent: Agent, turn: Turn): void {
  if (agent.lifecycle !== "crashed" || agent.identity.kind !== "remote") return;
  if (agent.lastSeenAtMs + FORGET_SILENT_MS > turn.nowMs) return;
  removeAgent(state, agent.identity.id, turn);
}

/** Bad probes in a row make a daemon unhealthy and end its process; those of a full one don't count. */
export function probed(state: NamespaceState, command: Extract<Command, { type: "agent_probed" }>, turn: Turn): Reply {
  const agent = state.agents.get(command.agentId);
  if (agent === undefined || !isWatched(agent) || agent.leaving?.stopping === true) return DONE;
  const agentId = agent.identity.id;
  if (!command.good && agent.runs.size >= agent.identity.concurrency) return DONE;
  const good = command.good ? agent.probes.good + 1 : 0;
  const bad = command.good ? 0 : agent.probes.bad + 1;
  turn.record({ type: "agent.probed", agentId, good, bad });
  if (command.good) probeBreaker(state, agent, turn);
  const pool = poolOf(state, agent.identity.pool);
  const probe = templateOf(pool, agent.identity)?.probe ?? pool.options.probe;
  if (probe === false) return DONE;
  const { fall, rise } = probe;
  if (bad === fall) {
    const reason = `${fall} probes in a row failed`;
    turn.record({ type: "agent.health", agentId, source: "probe", health: "unhealthy", reason });
    turn.request({ type: "kill_agent", agentId, reason });
  } else if (good >= rise && agent.findings.has("probe")) {
    turn.record({ type: "agent.health", agentId, source: "probe", health: "healthy", reason: "" });
  }
  return DONE;
}
