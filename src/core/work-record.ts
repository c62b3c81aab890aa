/** What an agent's work says of it: its breaker, its passive health, and the trials that let it come back. */
import type { AgentId } from "../base/ids.ts";
import {
  acquire,
  type BreakerOutcome,
  NEW_BREAKER,
  probe,
  reset,
  retract,
  ripen,
  type Step,
  settle,
  stateOf,
} from "../policies/breaker/breaker.ts";
import type { BreakerOptions } from "../policies/breaker/options.ts";
import { judge, TRIAL_MS } from "../policies/health.ts";
import { NO_OUTCOMES } from "../policies/outcomes.ts";
import { isHalfOpen } from "./admits.ts";
import type { Agent } from "./agent.ts";
import { type Command, DONE, type Reply } from "./command.ts";
import { knownAgent } from "./known-agent.ts";
import { blameOf, type Outcome } from "./outcome.ts";
import type { Pool } from "./pool.ts";
import { agentOf, type NamespaceState, poolOf } from "./state.ts";
import type { Attempt, Task } from "./task.ts";
import type { Turn } from "./turn.ts";

/** The agent was just given a run: takes a permit of a half-open breaker, or the trial of an unhealthy agent. */
export function takePermit(state: NamespaceState, agent: Agent, fence: number, turn: Turn): void {
  const { breaker: options } = poolOf(state, agent.identity.pool).options;
  const agentId = agent.identity.id;
  if (agent.health === "unhealthy" && !isHalfOpen(agent, turn.nowMs)) {
    turn.record({ type: "agent.trial", agentId, untilMs: turn.nowMs + TRIAL_MS });
  }
  if (options === false || agent.breaker.name === "closed") return;
  const { breaker, permit, transition } = acquire(agent.breaker, turn.nowMs, options);
  turn.record({ type: "agent.breaker", agentId, breaker, transition, run: permit && { fence, permit } });
}

/** An attempt on the agent has ended: breaker and passive health learn of it. */
export function learn(
  state: NamespaceState,
  task: Task,
  ended: { attempt: Attempt; outcome: Outcome },
  turn: Turn,
): void {
  const { attempt, outcome } = ended;
  const agent = state.agents.get(attempt.agentId);
  if (agent === undefined) return;
  const others = outcome.name === "failed" && outcome.blame === "unknown" ? unknownBefore(task, attempt) : NO_OTHERS;
  const word = others.length > 0 ? IGNORED : wordOf(outcome);
  if (word.name !== "ignored") learnPassive(state, agent, word.name === "failed", turn);
  // After the window, because a breaker that closes empties it.
  learnBreaker(state, agent, { fence: attempt.fence, word }, turn);
  for (const other of others) forgive(state, other, turn);
}

const SUCCEEDED: BreakerOutcome = { name: "succeeded" };
const FAILED: BreakerOutcome = { name: "failed" };
const IGNORED: BreakerOutcome = { name: "ignored" };

/** What an outcome says of its agent. */
function wordOf(outcome: Outcome): BreakerOutcome {
  if (outcome.name === "succeeded") return SUCCEEDED;
  const blame = blameOf(outcome);
  return blame === "agent" || blame === "unknown" ? FAILED : IGNORED;
}

const NO_OTHERS: readonly Attempt[] = [];

/** Earlier failures of the same task by other agents with nobody to blame: it may well be the task. */
function unknownBefore(task: Task, { agentId }: Attempt): readonly Attempt[] {
  return task.attempts.filter(
    (earlier) =>
      earlier.blame === "unknown" && earlier.agentId !== agentId && task.failedAgentIds.includes(earlier.agentId),
  );
}

function learnBreaker(
  state: NamespaceState,
  agent: Agent,
  { fence, word }: { fence: number; word: BreakerOutcome },
  turn: Turn,
): void {
  const { breaker: options } = poolOf(state, agent.identity.pool).options;
  const permit = agent.runs.get(fence)?.permit;
  if (options === false || permit === undefined) return;
  const { nowMs, random } = turn;
  tellBreaker(agent, settle(agent.breaker, permit, word, { nowMs, random, options }), turn);
}

/** A breaker that closes empties the window: the agent begins anew. */
function tellBreaker(agent: Agent, { breaker, transition }: Step, turn: Turn): void {
  if (breaker === agent.breaker) return;
  const agentId = agent.identity.id;
  turn.record({ type: "agent.breaker", agentId, breaker, transition });
  if (transition?.to !== "closed" || agent.outcomes.length === 0) return;
  turn.record({ type: "agent.outcomes", agentId, outcomes: NO_OUTCOMES });
  hearWork(agent, { health: "healthy", reason: "" }, turn);
}

function learnPassive(state: NamespaceState, agent: Agent, failed: boolean, turn: Turn): void {
  const { health } = poolOf(state, agent.identity.pool).options;
  if (health === false) return;
  const outcomes = agent.outcomes.with({ atMs: turn.nowMs, failed }, health);
  turn.record({ type: "agent.outcomes", agentId: agent.identity.id, outcomes });
  judgeWork(state, agent, turn);
}

/** Judges by what is still fresh. At most half of a pool is unhealthy by its share of failures. */
function judgeWork(state: NamespaceState, agent: Agent, turn: Turn): void {
  const pool = poolOf(state, agent.identity.pool);
  const { health: options } = pool.options;
  if (options === false) return;
  let judgement = judge(agent.outcomes, options);
  if (judgement.health === "unhealthy" && judgement.by === "share" && !mayLoseOneMore(state, pool, agent)) {
    judgement = { ...judgement, health: "degraded" };
  }
  hearWork(agent, judgement, turn);
}

function mayLoseOneMore(state: NamespaceState, pool: Pool, agent: Agent): boolean {
  let lost = 1;
  for (const id of pool.agentIds) {
    if (id !== agent.identity.id && agentOf(state, id).findings.get("passive")?.health === "unhealthy") lost += 1;
  }
  return lost <= Math.max(1, Math.floor(pool.agentIds.size / 2));
}

function hearWork(agent: Agent, { health, reason }: ReturnType<typeof judge>, turn: Turn): void {
  const earlier = agent.findings.get("passive");
  if ((earlier?.health ?? "healthy") === health && (earlier?.reason ?? "") === reason) return;
  turn.record({ type: "agent.health", agentId: agent.identity.id, source: "passive", health, reason });
}

/** The failure was counted when it was the only one of its kind; now it says nothing about the agent. */
function forgive(state: NamespaceState, { agentId, endedAtMs }: Attempt, turn: Turn): void {
  const agent = state.agents.get(agentId);
  if (agent === undefined) return;
  tellBreaker(agent, { breaker: retract(agent.breaker, agent.breaker.generation, endedAtMs) }, turn);
  const outcomes = agent.outcomes.withoutFailure(endedAtMs);
  if (outcomes === agent.outcomes) return;
  turn.record({ type: "agent.outcomes", agentId, outcomes });
  judgeWork(state, agent, turn);
}

/** Time has passed: an open breaker may be half-open, old outcomes forgotten, a trial possible. */
export function recheck(state: NamespaceState, agent: Agent, turn: Turn): void {
  const agentId = agent.identity.id;
  const { health } = poolOf(state, agent.identity.pool).options;
  tellBreaker(agent, ripen(agent.breaker, turn.nowMs), turn);
  const outcomes = health === false ? agent.outcomes : agent.outcomes.within(turn.nowMs, health.maxAgeMs);
  if (outcomes.length < agent.outcomes.length) {
    turn.record({ type: "agent.outcomes", agentId, outcomes });
    judgeWork(state, agent, turn);
  }
  turn.record({ type: "agent.refreshed", agentId });
}

/** A good probe may end the open time early; it never closes the breaker. */
export function probeBreaker(state: NamespaceState, agent: Agent, turn: Turn): void {
  const { breaker: options } = poolOf(state, agent.identity.pool).options;
  if (options !== false) tellBreaker(agent, probe(agent.breaker, turn.nowMs, options), turn);
}

/** A new incarnation of an agent has no past. */
export function beginAnew(agent: Agent, turn: Turn): void {
  const agentId = agent.identity.id;
  if (agent.breaker !== NEW_BREAKER) tellBreaker(agent, reset(agent.breaker, turn.nowMs), turn);
  if (agent.outcomes.length > 0) turn.record({ type: "agent.outcomes", agentId, outcomes: NO_OUTCOMES });
}

/**
 * An operator clears what an agent's work has said of it. An open breaker may try at once, with its permits and no more,
 * and one that is unhealthy by its outcomes gets its trial at once: nobody is healthy because it is said so.
 */
export function resetAgent(state: NamespaceState, agentId: AgentId, turn: Turn): Reply {
  const agent = knownAgent(state, agentId);
  const { breaker: options } = poolOf(state, agent.identity.pool).options;
  turn.record({ type: "agent.reset", agentId });
  if (agent.findings.get("passive")?.health === "unhealthy") {
    turn.record({ type: "agent.trial", agentId, untilMs: turn.nowMs });
  } else {
    turn.record({ type: "agent.outcomes", agentId, outcomes: NO_OUTCOMES });
    hearWork(agent, { health: "healthy", reason: "" }, turn);
  }
  const word = stateOf(agent.breaker, turn.nowMs);
  if (options !== false && word === "open") tellBreaker(agent, halfOpened(agent, turn, options), turn);
  else if (word === "closed" && agent.breaker !== NEW_BREAKER) {
    tellBreaker(agent, reset(agent.breaker, turn.nowMs), turn);
  }
  return DONE;
}

function halfOpened({ breaker }: Agent, turn: Turn, options: BreakerOptions): Step {
  return probe(breaker, turn.nowMs, { ...options, probeHalfOpens: true });
}

/** An operator lets open breakers try at once, with their permits and no more; answers how many were open. */
export function resetBreakers(
  state: NamespaceState,
  command: Extract<Command, { type: "reset_breakers" }>,
  turn: Turn,
): Reply {
  let count = 0;
  for (const agent of state.agents.values()) {
    if (command.pool !== undefined && agent.identity.pool !== command.pool) continue;
    const { breaker: options } = poolOf(state, agent.identity.pool).options;
    if (options === false || stateOf(agent.breaker, turn.nowMs) !== "open") continue;
    count += 1;
    tellBreaker(agent, halfOpened(agent, turn, options), turn);
  }
  return { type: "count", count };
}
