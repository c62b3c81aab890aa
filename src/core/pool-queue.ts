/**
 * The queue of one pool: lanes of tasks, groups of agents alike, and for each group a heap of the lanes that it may
 * serve, by their heads. Finding the next task for a free agent costs the same however many tasks wait.
 */
import { Heap } from "../base/heap.ts";
import type { AgentId } from "../base/ids.ts";
import { hashOf } from "../policies/balancer/affinity.ts";
import type { Busy } from "../policies/balancer/hold-back.ts";
import { isQuick } from "../policies/balancer/score.ts";
import type { Agent } from "./agent.ts";
import { Lane, precedes } from "./lane.ts";
import { classKey, mayServe, type Profile, profileKey, type ServiceClass } from "./service-class.ts";
import { PRIORITIES, type Task } from "./task.ts";

/** What a balancer sees of an agent, and where it stands among the free. */
export interface Seat extends Busy {
  readonly agent: Agent;
  inFlight: number;
  capacity: number;
  weight: number;
  priority: number;
  /** Since when its oldest run goes on; brought up to date by `busy` only. */
  sinceMs: number;
  group: Group;
  /** Place in `group.free`; −1 when it can't be given work now. */
  freeAt: number;
}

interface HeadEntry {
  readonly lane: Lane;
  readonly version: number;
  readonly head: Task;
}

/** Lanes by their heads. Entries of heads that have gone are stepped over, and let go once they may be half of all. */
class LaneHeads {
  #heap = LaneHeads.#empty();
  #compactAt = 64;

  static #empty(): Heap<HeadEntry> {
    return new Heap<HeadEntry>((a, b) => precedes(a.head, b.head));
  }

  push(lane: Lane, head: Task): void {
    this.#heap.push({ lane, version: lane.version, head });
    if (this.#heap.size < this.#compactAt) return;
    const kept = LaneHeads.#empty();
    for (let entry = this.#heap.pop(); entry !== undefined; entry = this.#heap.pop()) {
      if (entry.version === entry.lane.version) kept.push(entry);
    }
    this.#heap = kept;
    this.#compactAt = Math.max(64, 2 * kept.size);
  }

  /** The head of the best lane. */
  top(): Task | undefined {
    for (let top = this.#heap.peek(); top !== undefined; top = this.#heap.peek()) {
      if (top.version === top.lane.version) return top.head;
      this.#heap.pop();
    }
    return undefined;
  }
}

/** Agents of one profile. */
export interface Group {
  readonly profile: Profile;
  readonly members: Set<Seat>;
  /** Members that can be given work now. */
  readonly free: Seat[];
  /** The lanes this group may serve, by `kindOf`. */
  readonly heads: readonly LaneHeads[];
}

interface ClassEntry extends ServiceClass {
  readonly groups: Set<Group>;
  readonly lanes: Map<string, Lane>;
}

/** Lanes are alike to a strategy when their tasks are as urgent, and quick or not. */
const kindOf = (lane: Lane): number => lane.priority - 1 + (isQuick(lane.serviceClass.type) ? PRIORITIES.length : 0);
const KINDS = 2 * PRIORITIES.length;

export type Ageing = { readonly stepMs: number } | false;

/** Order between priorities: critical first, then by age with a step per rank; strict without ageing. */
function goesFirst(a: Task, b: Task, ageing: Ageing): boolean {
  const [rankA, rankB] = [a.spec.priority, b.spec.priority];
  if (rankA === rankB) return precedes(a, b);
  if (ageing === false || rankA === 1 || rankB === 1) return rankA < rankB;
  const agedA = a.queuedAtMs + (rankA - 1) * ageing.stepMs;
  const agedB = b.queuedAtMs + (rankB - 1) * ageing.stepMs;
  return agedA === agedB ? a.num < b.num : agedA < agedB;
}

/** The agent has not failed the lane's tasks, or nobody else could serve them. */
function isAllowed({ agentId }: Seat, lane: Lane): boolean {
  return !lane.excluded?.has(agentId) || (lane.again && !lane.couldOthers);
}

/** Kinds of work that may wait in one pool at a time. */
export const CLASS_LIMIT = 10_000;

export class PoolQueue {
  readonly #classes = new Map<string, ClassEntry>();
  readonly #groups = new Map<string, Group>();
  readonly #seats = new Map<AgentId, Seat>();
  /** Lanes with exclusions that hold tasks: few, as only failures make them. */
  readonly #excluding = new Set<Lane>();
  /** Grows with every change of who could serve. */
  rosterVersion = 0;
  /** `rosterVersion` at which the lanes with exclusions were looked at last. */
  checkedVersion = -1;

  // --- tasks ---

  push(task: Task): void {
    const lane = this.#laneOf(task);
    const before = lane.head();
    lane.push(task);
    if (lane.excluded !== undefined) {
      this.#excluding.add(lane);
      this.checkedVersion = -1;
    }
    if (lane.head() !== before) this.#publish(lane);
  }

  /** A task that stands in a lane leaves it. */
  leave(task: Task): void {
    const { lane } = task;
    if (!(lane instanceof Lane)) return;
    const before = lane.head();
    lane.leave(task);
    if (lane.head() !== before) this.#publish(lane);
    this.#dropIfSpent(lane);
  }

  /** The lane whose head is next, among those that somebody free may serve. */
  next(ageing: Ageing): Lane | undefined {
    let best: Task | undefined;
    for (const group of this.#groups.values()) {
      if (group.free.length === 0) continue;
      for (const heads of group.heads) {
        const head = heads.top();
        if (head !== undefined && (best === undefined || goesFirst(head, best, ageing))) best = head;
      }
    }
    return best?.lane instanceof Lane ? best.lane : undefined;
  }

  /** Of each priority, quick or not, the lane whose head is next for each group that has somebody free. */
  *firsts(): Iterable<Lane> {
    for (const group of this.#groups.values()) {
      if (group.free.length === 0) continue;
      for (const heads of group.heads) {
        const lane = heads.top()?.lane;
        if (lane instanceof Lane) yield lane;
      }
    }
  }

  /** Those who are free and may serve the lane's head. The list is only valid until somebody is given work. */
  candidates(lane: Lane, head: Task): readonly Seat[] {
    const { groups } = this.#classOf(lane.serviceClass);
    // Nobody has failed, or may still be running, what was never tried.
    if (groups.size === 1 && head.lastNumber === 0) {
      for (const { free } of groups) return free;
    }
    const found: Seat[] = [];
    for (const group of groups) {
      for (const seat of group.free) if (this.#mayTake(seat, lane, head)) found.push(seat);
    }
    return found;
  }

  /** Those who may serve the lane's head once they have a slot again. */
  busy(lane: Lane, head: Task): Seat[] {
    const found: Seat[] = [];
    for (const group of this.#classOf(lane.serviceClass).groups) {
      for (const seat of group.members) {
        const [oldest] = seat.agent.runs.values();
        if (seat.freeAt >= 0 || oldest === undefined || !this.#mayTake(seat, lane, head)) continue;
        seat.sinceMs = oldest.sinceMs;
        found.push(seat);
      }
    }
    return found;
  }

  /** Those free and allowed still run an older attempt of the head; what stands behind it they may take. */
  isBarred(lane: Lane, head: Task): boolean {
    if (head.lastNumber === 0 || this.candidates(lane, head).length > 0) return false;
    for (const group of this.#classOf(lane.serviceClass).groups) {
      if (group.free.some((seat) => isAllowed(seat, lane))) return true;
    }
    return false;
  }

  #mayTake(seat: Seat, lane: Lane, head: Task): boolean {
    const { agent } = seat;
    if (!isAllowed(seat, lane)) return false;
    if (head.lastNumber === 0) return true;
    // An agent gets no task while it may still be running an older attempt of it.
    for (const run of agent.runs.values()) if (run.taskId === head.spec.id) return false;
    return true;
  }

  /** Passes the lane over until `restore`. */
  setAside(lane: Lane): void {
    lane.aside = true;
    lane.version += 1;
  }

  restore(lane: Lane): void {
    lane.aside = false;
    this.#publish(lane);
  }

  lanesWithExclusions(): Iterable<Lane> {
    return this.#excluding;
  }

  /**
   * Waiting tasks by class, for the arithmetic of a full queue: those that whoever fits may take, and those that some
   * have failed, which wait for others than the free.
   */
  *waitingByClass(): Iterable<{
    readonly serviceClass: ServiceClass;
    readonly plain: number;
    readonly failed: number;
  }> {
    for (const entry of this.#classes.values()) {
      let plain = 0;
      let failed = 0;
      for (const lane of entry.lanes.values()) {
        if (lane.excluded === undefined) plain += lane.size;
        else failed += lane.size;
      }
      if (plain + failed > 0) yield { serviceClass: entry, plain, failed };
    }
  }

  /** False when a task of this class, after those of the `planned` classes, would be of one kind too many. */
  hasRoomForClass(wanted: string, planned: ReadonlySet<string>): boolean {
    if (this.#classes.size + planned.size < CLASS_LIMIT) return true;
    if (this.#classes.has(wanted) || planned.has(wanted)) return true;
    for (const [key, entry] of this.#classes) {
      if ([...entry.lanes.values()].every((lane) => lane.size === 0)) this.#classes.delete(key);
    }
    let added = 0;
    for (const key of planned) if (!this.#classes.has(key)) added += 1;
    return this.#classes.size + added < CLASS_LIMIT;
  }

  #laneOf(task: Task): Lane {
    const { type, requires, priority } = task.spec;
    const entry = this.#classOf({ key: classKey(type, requires), type, requires });
    const failed = task.failedAgentIds;
    const key = failed.length === 0 ? `${priority}` : `${priority} ${task.again} ${[...failed].sort().join(" ")}`;
    let lane = entry.lanes.get(key);
    if (lane === undefined) {
      const excluded = failed.length === 0 ? undefined : new Set(failed);
      lane = new Lane(key, entry, { priority, excluded, again: task.again });
      entry.lanes.set(key, lane);
    }
    return lane;
  }

  #classOf({ key, type, requires }: ServiceClass): ClassEntry {
    let entry = this.#classes.get(key);
    if (entry === undefined) {
      entry = { key, type, requires, groups: new Set(), lanes: new Map() };
      for (const group of this.#groups.values()) if (mayServe(group.profile, entry)) entry.groups.add(group);
      this.#classes.set(key, entry);
    }
    return entry;
  }

  #publish(lane: Lane): void {
    lane.version += 1;
    const head = lane.head();
    if (head === undefined || lane.aside) return;
    for (const group of this.#classOf(lane.serviceClass).groups) {
      group.heads[kindOf(lane)]?.push(lane, head);
    }
  }

  /** Lanes with exclusions come and go with their tasks; plain ones stay for the next. */
  #dropIfSpent(lane: Lane): void {
    if (lane.size > 0 || lane.excluded === undefined) return;
    this.#excluding.delete(lane);
    this.#classOf(lane.serviceClass).lanes.delete(lane.key);
  }

  // --- agents ---

  /** The agent has come, or what it offers has changed. */
  seat(agent: Agent): Seat {
    const { id, ordinal, capabilities, concurrency, weight, priority } = agent.identity;
    const group = this.#groupOf(capabilities, agent.claimTypes);
    let seat = this.#seats.get(id);
    if (seat === undefined || seat.agent !== agent) {
      if (seat !== undefined) this.unseat(id);
      seat = {
        agentId: id,
        ordinal,
        agent,
        inFlight: agent.runs.size,
        capacity: concurrency,
        weight,
        priority,
        measure: agent.measure,
        hash: hashOf(id),
        turnWeight: 0,
        sinceMs: 0,
        group,
        freeAt: -1,
      };
      this.#seats.set(id, seat);
    } else if (seat.group !== group) {
      this.#setFree(seat, false);
      this.#leave(seat);
      seat.group = group;
      // Who could serve has changed, for those that wait for somebody else.
      this.rosterVersion += 1;
    }
    seat.weight = weight;
    seat.priority = priority;
    group.members.add(seat);
    return seat;
  }

  unseat(id: AgentId): void {
    const seat = this.#seats.get(id);
    if (seat === undefined) return;
    this.#setFree(seat, false);
    this.#leave(seat);
    this.#seats.delete(id);
  }

  /** Brings an agent's place among the free up to date. */
  refresh(agent: Agent, canTakeWork: boolean): void {
    const seat = this.#seats.get(agent.identity.id);
    if (seat === undefined) return;
    seat.inFlight = agent.runs.size;
    seat.capacity = agent.identity.concurrency;
    this.#setFree(seat, canTakeWork);
  }

  /** Seats whose profile fits, free or not. */
  *seatsFor(task: { readonly type: string; readonly requires: readonly string[] }): Iterable<Seat> {
    for (const group of this.#groups.values()) if (mayServe(group.profile, task)) yield* group.members;
  }

  seats(): Iterable<Seat> {
    return this.#seats.values();
  }

  /** Those who are at work for tasks like this one, or could be, and what they run. */
  crewOf(task: { readonly type: string; readonly requires: readonly string[] }): { inFlight: number; agents: number } {
    const crew = { inFlight: 0, agents: 0 };
    for (const { agent } of this.seatsFor(task)) {
      if (agent.lifecycle !== "ready" || agent.health === "unhealthy") continue;
      crew.agents += 1;
      crew.inFlight += agent.runs.size;
    }
    return crew;
  }

  groups(): Iterable<Group> {
    return this.#groups.values();
  }

  /** Somebody could be given work now. */
  hasFree(): boolean {
    for (const group of this.#groups.values()) if (group.free.length > 0) return true;
    return false;
  }

  #setFree(seat: Seat, free: boolean): void {
    const list = seat.group.free;
    if (free === seat.freeAt >= 0) return;
    if (free) {
      seat.freeAt = list.length;
      list.push(seat);
      return;
    }
    const last = list.pop() as Seat;
    if (last !== seat) {
      list[seat.freeAt] = last;
      last.freeAt = seat.freeAt;
    }
    seat.freeAt = -1;
  }

  #leave(seat: Seat): void {
    const { group } = seat;
    group.members.delete(seat);
    if (group.members.size > 0) return;
    this.#groups.delete(group.profile.key);
    for (const entry of this.#classes.values()) entry.groups.delete(group);
  }

  #groupOf(capabilities: readonly string[], claimTypes: readonly string[] | undefined): Group {
    const key = profileKey(capabilities, claimTypes);
    let group = this.#groups.get(key);
    if (group !== undefined) return group;
    const profile: Profile = {
      key,
      capabilities: new Set(capabilities),
      claimTypes: claimTypes === undefined ? undefined : new Set(claimTypes),
    };
    const heads = Array.from({ length: KINDS }, () => new LaneHeads());
    group = { profile, members: new Set(), free: [], heads };
    this.#groups.set(key, group);
    for (const entry of this.#classes.values()) {
      if (!mayServe(profile, entry)) continue;
      entry.groups.add(group);
      for (const lane of entry.lanes.values()) {
        const head = lane.head();
        if (head !== undefined && !lane.aside) group.heads[kindOf(lane)]?.push(lane, head);
      }
    }
    return group;
  }
}
