/**
 * The queue of one pool: lanes of tasks, groups of agents alike, and for each group a heap of the lanes that it may
 * serve, by their heads. Finding the next task for a free agent costs the same however many tasks wait.
 */
import { Heap } from "../base/heap.ts";
import type { AgentId } from "../base/ids.ts";
import type { Agent } from "./agent.ts";
import { Lane, precedes } from "./lane.ts";
import { classKey, type Profile, profileKey, type ServiceClass } from "./service-class.ts";
import { againstKind, againstPair } from "./standing.ts";
import { PRIORITIES, type Priority, type Task } from "./task.ts";

/** What a balancer sees of an agent, and where it stands among the free. */
export interface Seat {
  readonly agentId: AgentId;
  readonly ordinal: number;
  readonly agent: Agent;
  inFlight: number;
  capacity: number;
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
  /** Per priority, the lanes this group may serve. */
  readonly heads: Readonly<Record<Priority, LaneHeads>>;
}

interface ClassEntry extends ServiceClass {
  readonly groups: Set<Group>;
  readonly lanes: Map<string, Lane>;
}

export type Ageing = { readonly stepMs: number } | false;

/** Order between priorities: critical first, then by age with a step per rank; strict without ageing. */
export function goesFirst(a: Task, b: Task, ageing: Ageing): boolean {
  const [rankA, rankB] = [a.spec.priority, b.spec.priority];
  if (rankA === rankB) return precedes(a, b);
  if (ageing === false || rankA === 1 || rankB === 1) return rankA < rankB;
  const agedA = a.queuedAtMs + (rankA - 1) * ageing.stepMs;
  const agedB = b.queuedAtMs + (rankB - 1) * ageing.stepMs;
  return agedA === agedB ? a.num < b.num : agedA < agedB;
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
      for (const priority of PRIORITIES) {
        const head = group.heads[priority].top();
        if (head !== undefined && (best === undefined || goesFirst(head, best, ageing))) best = head;
      }
    }
    return best?.lane instanceof Lane ? best.lane : undefined;
  }

  /** Those who are free and may serve the lane's head. */
  candidates(lane: Lane, head: Task): Seat[] {
    const found: Seat[] = [];
    const taskId = head.spec.id;
    for (const group of this.#classOf(lane.serviceClass).groups) {
      for (const seat of group.free)
        if (againstPair(seat.agent, taskId, lane.excludedNow) === undefined) found.push(seat);
    }
    return found;
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

  /** Lanes in which somebody waits, in no order. */
  *lanes(): Iterable<Lane> {
    for (const entry of this.#classes.values()) for (const lane of entry.lanes.values()) if (lane.size > 0) yield lane;
  }

  /** Waiting tasks by class, for the arithmetic of a full queue. */
  *waitingByClass(): Iterable<{ readonly serviceClass: ServiceClass; readonly count: number }> {
    for (const entry of this.#classes.values()) {
      let count = 0;
      for (const lane of entry.lanes.values()) count += lane.size;
      if (count > 0) yield { serviceClass: entry, count };
    }
  }

  /** False when the task would be of one kind too many. */
  hasRoomForClass(type: string, requires: readonly string[]): boolean {
    if (this.#classes.size < CLASS_LIMIT || this.#classes.has(classKey(type, requires))) return true;
    for (const [key, entry] of this.#classes) {
      if ([...entry.lanes.values()].every((lane) => lane.size === 0)) this.#classes.delete(key);
    }
    return this.#classes.size < CLASS_LIMIT;
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
      for (const group of this.#groups.values())
        if (againstKind(group.profile, entry) === undefined) entry.groups.add(group);
      this.#classes.set(key, entry);
    }
    return entry;
  }

  #publish(lane: Lane): void {
    lane.version += 1;
    const head = lane.head();
    if (head === undefined || lane.aside) return;
    for (const group of this.#classOf(lane.serviceClass).groups) {
      group.heads[lane.priority].push(lane, head);
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
    const { id, ordinal, capabilities, concurrency } = agent.identity;
    const group = this.#groupOf(capabilities, agent.claimTypes);
    let seat = this.#seats.get(id);
    if (seat === undefined || seat.agent !== agent) {
      if (seat !== undefined) this.unseat(id);
      seat = { agentId: id, ordinal, agent, inFlight: agent.runs.size, capacity: concurrency, group, freeAt: -1 };
      this.#seats.set(id, seat);
    } else if (seat.group !== group) {
      this.#setFree(seat, false);
      this.#leave(seat);
      seat.group = group;
    }
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
    for (const group of this.#groups.values()) if (againstKind(group.profile, task) === undefined) yield* group.members;
  }

  profileOf(id: AgentId): Profile | undefined {
    return this.#seats.get(id)?.group.profile;
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
    const heads = { 1: new LaneHeads(), 2: new LaneHeads(), 3: new LaneHeads(), 4: new LaneHeads() };
    group = { profile, members: new Set(), free: [], heads };
    this.#groups.set(key, group);
    for (const entry of this.#classes.values()) {
      if (againstKind(profile, entry) !== undefined) continue;
      entry.groups.add(group);
      for (const lane of entry.lanes.values()) {
        const head = lane.head();
        if (head !== undefined && !lane.aside) group.heads[lane.priority].push(lane, head);
      }
    }
    return group;
  }
}
