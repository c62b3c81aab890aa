/** Brings waiting tasks and free agents together: the oldest that somebody free may run goes first. */
import type { AgentId, PoolId } from "../base/ids.ts";
import { backoffMs } from "../policies/backoff.ts";
import type { Choice } from "../policies/balancer/balancer.ts";
import { holdBackMs } from "../policies/balancer/hold-back.ts";
import { scoreOf } from "../policies/balancer/score.ts";
import { BALANCERS } from "../policies/balancer/strategies.ts";
import { chosenByUser } from "./chooser.ts";
import { isLocal } from "./company.ts";
import type { Lane } from "./lane.ts";
import { grant } from "./lease.ts";
import { mayStart } from "./may-start.ts";
import { precedes } from "./order.ts";
import type { Pool } from "./pool.ts";
import type { PoolQueue } from "./pool-queue.ts";
import { anotherCouldServe, couldServe } from "./roster.ts";
import type { Seat } from "./seats.ts";
import { type NamespaceState, poolOf, queueOf } from "./state.ts";
import type { Task } from "./task.ts";
import type { Turn } from "./turn.ts";

/** Matches once, in every pool where work may have become possible. */
export function matchReady(state: NamespaceState, turn: Turn): void {
  for (const id of state.dirty) {
    state.dirty.delete(id);
    if (state.draining?.matching !== false) matchPool(state, id, turn);
  }
}

/** One match of one pool. */
interface Matching {
  readonly state: NamespaceState;
  readonly pool: Pool;
  readonly queue: PoolQueue;
  readonly turn: Turn;
  /** Lanes that are passed over for the rest of this match. */
  readonly aside: Lane[];
  /** Tasks that are, because nobody free may run them before their older run is over. */
  readonly barred: Task[];
  readonly poolSuccessRate: number;
}

/** A task and who shall run it. */
interface Pair {
  readonly lane: Lane;
  readonly task: Task;
  readonly seat: Seat;
  readonly choice: Choice;
}

function matchPool(state: NamespaceState, id: PoolId, turn: Turn): void {
  const pool = poolOf(state, id);
  if (!mayStart(pool)) return;
  const queue = queueOf(state, id);
  reviewExclusions(state, pool, turn);
  reviewQuiet(state, pool, turn);
  const scored = pool.options.strategy === "score" && !state.choosers.has(id);
  const poolSuccessRate = scored ? queue.seats.provenSuccessRate : 1;
  const matching: Matching = { state, pool, queue, turn, aside: [], barred: [], poolSuccessRate };
  const next = scored ? bestPair : nextPair;
  let ended: number;
  do {
    ended = queue.reservations.ended;
    for (let pair = next(matching); pair !== undefined; pair = next(matching)) {
      if (isHeldBack(pair, matching)) passOver(pair.lane, matching);
      else {
        queue.served(pair.task, pool.options);
        grant(state, pair.task, pair.seat.agent, turn);
      }
    }
    for (const task of matching.barred.splice(0)) queue.push(task);
    for (const lane of matching.aside.splice(0)) queue.restore(lane);
    // Those who were passed over because an agent was kept for one task may have it now.
  } while (queue.reservations.ended !== ended);
  // What this match itself made dirty has been served.
  state.dirty.delete(id);
}

/** Only the head, when those behind it may be served. */
function passOver(lane: Lane, { state, pool, queue, aside, barred, turn }: Matching): void {
  const head = lane.head();
  if (head !== undefined && (lane.alone || lane.quiet)) makeRoom(state, { pool, lane, task: head }, turn);
  if (head !== undefined && queue.isBarred(lane, head)) {
    queue.leave(head);
    barred.push(head);
    return;
  }
  queue.setAside(lane);
  aside.push(lane);
}

/** The task whose turn it is, and the agent for it. */
function nextPair(matching: Matching): Pair | undefined {
  const { queue, pool } = matching;
  for (let lane = queue.next(pool.options); lane !== undefined; lane = queue.next(pool.options)) {
    const pair = pairFor(lane, matching);
    if (pair !== undefined) return pair;
    passOver(lane, matching);
  }
  return undefined;
}

/** The best pair over the tasks that come first, each of its kind; ties go to the more urgent, then the older task. */
function bestPair(matching: Matching): Pair | undefined {
  let best: Pair | undefined;
  for (let lanes = new Set(matching.queue.firsts()); lanes.size > 0; lanes = new Set(matching.queue.firsts())) {
    for (const lane of lanes) {
      const pair = pairFor(lane, matching);
      if (pair === undefined) passOver(lane, matching);
      else if (best === undefined || goesBefore(pair, best)) best = pair;
    }
    if (best !== undefined) return best;
  }
  return undefined;
}

function goesBefore(a: Pair, b: Pair): boolean {
  const difference = scoreOf(a.seat, a.choice) - scoreOf(b.seat, b.choice);
  if (difference !== 0) return difference > 0;
  const [rankA, rankB] = [a.task.priority, b.task.priority];
  return rankA === rankB ? precedes(a.task, b.task) : rankA < rankB;
}

function pairFor(lane: Lane, matching: Matching): Pair | undefined {
  const task = lane.head() as Task;
  const seats = matching.queue.candidates(lane, task);
  if (!isNonEmpty(seats)) return undefined;
  const choice = choiceOf(task, matching);
  const seat = choose({ lane, task }, seats, choice, matching);
  return seat && { lane, task, seat, choice };
}

const NO_CREW = { inFlight: 0, agents: 1 };

function choiceOf({ spec, priority }: Task, { pool, queue, turn, poolSuccessRate }: Matching): Choice {
  const { type, affinityKey } = spec;
  return {
    type,
    priority,
    affinityKey,
    nowMs: turn.nowMs,
    lastOrdinal: pool.lastOrdinal,
    halfLifeMs: pool.latency.halfLifeMs,
    crew: affinityKey !== undefined && pool.options.strategy === "affinity" ? queue.seats.crewOf(spec) : NO_CREW,
    poolSuccessRate,
  };
}

/** The preferred agent if it is free and may, else what the strategy picks. */
function choose(
  pair: { lane: Lane; task: Task },
  seats: readonly [Seat, ...Seat[]],
  choice: Choice,
  matching: Matching,
): Seat | undefined {
  const { lane, task } = pair;
  const { state, pool, queue, turn } = matching;
  const preferred = queue.preferred(lane, task);
  if (preferred !== undefined) return preferred;
  const chooser = state.choosers.get(pool.id);
  if (chooser !== undefined) return chosenByUser(chooser, task, seats, { choice, turn });
  return BALANCERS[pool.options.strategy](seats, choice, turn.random);
}

function isPreferred({ agentId, agent }: Seat, { spec: { preferredAgent } }: Task): boolean {
  return (
    preferredAgent !== undefined && (agentId === (preferredAgent as AgentId) || agent.identity.name === preferredAgent)
  );
}

/** It waits for a faster agent, and is looked at again when that has not come as soon as expected. */
function isHeldBack({ lane, task, seat, choice }: Pair, { state, pool, queue, turn }: Matching): boolean {
  const { strategy, holdBack } = pool.options;
  if (!holdBack || (strategy !== "peak_ewma" && strategy !== "score") || state.choosers.has(pool.id)) return false;
  if (isPreferred(seat, task)) return false;
  const busy = queue
    .busy(lane, task)
    .filter(({ agent }) => couldServe(agent, { nowMs: turn.nowMs, untilMs: turn.nowMs }));
  const waitMs = holdBackMs(seat, busy, { ...choice, waiting: pool.counts.agent });
  if (waitMs === undefined) return false;
  if (pool.reviewAtMs === undefined) {
    turn.record({ type: "pool.held_back", pool: pool.id, untilMs: turn.nowMs + Math.max(1, Math.ceil(waitMs)) });
  }
  return true;
}

/**
 * Tasks that some agents have failed wait for the others only while there are others. Looked at whenever the roster
 * has changed; where nobody else is left, the tasks back off and may then go to those that failed them.
 */
function reviewExclusions(state: NamespaceState, pool: Pool, turn: Turn): void {
  const queue = queueOf(state, pool.id);
  if (queue.checkedVersion === queue.seats.rosterVersion) return;
  for (const lane of [...queue.lanesWithExclusions()]) {
    const head = lane.head();
    if (head === undefined || queue.isHeld(lane)) continue;
    lane.couldOthers = othersCould(state, lane, head, turn.nowMs);
    if (!lane.couldOthers && !lane.again) backOffAll(lane, pool, turn);
  }
  queue.checkedVersion = queue.seats.rosterVersion;
}

function othersCould(state: NamespaceState, lane: Lane, head: Task, nowMs: number): boolean {
  const agentIds = [...(lane.excluded ?? [])];
  const { backoff } = poolOf(state, head.spec.pool).options.retry;
  return anotherCouldServe(state, head, { agentIds, patienceMs: backoff.baseMs }, nowMs);
}

function backOffAll(lane: Lane, pool: Pool, turn: Turn): void {
  const { backoff } = pool.options.retry;
  for (let task = lane.head(); task !== undefined; task = lane.head()) {
    const untilMs = turn.nowMs + backoffMs(Math.max(1, task.attemptCount), turn.random, backoff);
    turn.record({ type: "task.waiting", taskId: task.spec.id, resting: { reason: "retry", untilMs }, again: false });
  }
}

/** It is a task's turn that needs to be alone: others must not fill the place before it is empty. */
function makeRoom(
  state: NamespaceState,
  { pool, lane, task }: { pool: Pool; lane: Lane; task: Task },
  turn: Turn,
): void {
  const queue = queueOf(state, pool.id);
  const { reservations } = queue;
  const now = { nowMs: turn.nowMs, untilMs: turn.nowMs };
  const seats = queue.inTheWay(lane, task).filter(({ agent }) => couldServe(agent, now));
  const taskId = task.spec.id;
  const here = seats.some(({ agent }) => isLocal(agent));
  if (lane.quiet && here && reservations.quietFor === undefined) {
    turn.record({ type: "pool.quieted", pool: pool.id, taskId });
  }
  if (!lane.alone || reservations.has(taskId)) return;
  const open = seats.filter(({ agent }) => reservations.taskOf(agent.identity.id) === undefined && agent.runs.size > 0);
  // Whoever will be empty first, as far as one can tell.
  open.sort((a, b) => a.inFlight - b.inFlight || a.ordinal - b.ordinal);
  const [seat] = open;
  if (seat !== undefined) turn.record({ type: "agent.reserved", agentId: seat.agentId, taskId });
}

/** Quiet is kept for a task only while somebody here could run it. */
function reviewQuiet(state: NamespaceState, pool: Pool, turn: Turn): void {
  const queue = queueOf(state, pool.id);
  const { quietFor } = queue.reservations;
  const task = quietFor === undefined ? undefined : state.tasks.get(quietFor);
  if (task?.state.name !== "waiting") return;
  const now = { nowMs: turn.nowMs, untilMs: turn.nowMs };
  for (const { agent } of queue.seats.whoFit(task.spec)) if (isLocal(agent) && couldServe(agent, now)) return;
  turn.record({ type: "pool.quieted", pool: pool.id, taskId: undefined });
}

function isNonEmpty<T>(list: readonly T[]): list is readonly [T, ...T[]] {
  return list.length > 0;
}
