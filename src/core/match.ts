/** Brings waiting tasks and free agents together: the oldest that somebody free may run goes first. */
import type { AgentId, PoolId } from "../base/ids.ts";
import { backoffMs } from "../policies/backoff.ts";
import type { Balancer } from "../policies/balancer/balancer.ts";
import { leastLoaded } from "../policies/balancer/least-loaded.ts";
import { roundRobin } from "../policies/balancer/round-robin.ts";
import { poolOf, queueOf } from "./apply.ts";
import { isLocal } from "./company.ts";
import type { Lane } from "./lane.ts";
import { grant } from "./lease.ts";
import type { Pool, Strategy } from "./pool.ts";
import type { Seat } from "./pool-queue.ts";
import { anotherCouldServe, couldServe } from "./roster.ts";
import type { NamespaceState } from "./state.ts";
import type { Task } from "./task.ts";
import type { Turn } from "./turn.ts";

const BALANCERS: Readonly<Record<Strategy, Balancer>> = { round_robin: roundRobin, least_loaded: leastLoaded };

/** Matches once, in every pool where work may have become possible. */
export function matchReady(state: NamespaceState, turn: Turn): void {
  for (const id of state.dirty) {
    state.dirty.delete(id);
    if (state.draining?.matching !== false) matchPool(state, id, turn);
  }
}

function matchPool(state: NamespaceState, id: PoolId, turn: Turn): void {
  const pool = poolOf(state, id);
  const queue = queueOf(state, id);
  reviewExclusions(state, pool, turn);
  reviewQuiet(state, pool, turn);
  const aside: Lane[] = [];
  const { options } = pool;
  for (let lane = queue.next(options); lane !== undefined; lane = queue.next(options)) {
    const task = lane.head() as Task;
    const seats = queue.candidates(lane, task);
    if (isNonEmpty(seats)) {
      queue.served(task, options);
      grant(state, task, choose(pool, task, seats, turn).agent, turn);
    } else {
      if (lane.alone || lane.quiet) makeRoom(state, { pool, lane, task }, turn);
      queue.setAside(lane);
      aside.push(lane);
    }
  }
  for (const lane of aside) queue.restore(lane);
  // What this match itself made dirty has been served.
  state.dirty.delete(id);
}

/** The preferred agent if it is free, healthy ones before degraded ones, then the strategy. */
function choose(pool: Pool, task: Task, seats: readonly [Seat, ...Seat[]], turn: Turn): Seat {
  const { preferredAgent } = task.spec;
  if (preferredAgent !== undefined) {
    const preferred = seats.find(
      ({ agentId, agent }) => agentId === (preferredAgent as AgentId) || agent.identity.name === preferredAgent,
    );
    if (preferred !== undefined) return preferred;
  }
  const healthy = seats.some((seat) => seat.agent.health !== "healthy")
    ? seats.filter((seat) => seat.agent.health === "healthy")
    : seats;
  const candidates = isNonEmpty(healthy) ? healthy : seats;
  return BALANCERS[pool.options.strategy](candidates, pool, turn.random) as Seat;
}

/**
 * Tasks that some agents have failed wait for the others only while there are others. Looked at whenever the roster
 * has changed; where nobody else is left, the tasks back off and may then go to those that failed them.
 */
function reviewExclusions(state: NamespaceState, pool: Pool, turn: Turn): void {
  const queue = queueOf(state, pool.id);
  if (queue.checkedVersion === queue.rosterVersion) return;
  for (const lane of [...queue.lanesWithExclusions()]) {
    const head = lane.head();
    if (head === undefined) continue;
    lane.couldOthers = othersCould(state, lane, head, turn.nowMs);
    if (!lane.couldOthers && !lane.again) backOffAll(lane, pool, turn);
  }
  queue.checkedVersion = queue.rosterVersion;
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
  for (const { agent } of queue.seatsFor(task.spec)) if (isLocal(agent) && couldServe(agent, now)) return;
  turn.record({ type: "pool.quieted", pool: pool.id, taskId: undefined });
}

function isNonEmpty<T>(list: readonly T[]): list is readonly [T, ...T[]] {
  return list.length > 0;
}
