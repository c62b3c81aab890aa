/**
 * The queue of one pool: lanes of tasks, groups of agents alike, and for each group a heap of the lanes that it may
 * serve, by their heads. Finding the next task for a free agent costs the same however many tasks wait.
 */
import type { AgentId } from "../base/ids.ts";
import { hashOf } from "../policies/balancer/affinity.ts";
import type { Busy } from "../policies/balancer/hold-back.ts";
import { isQuick } from "../policies/balancer/score.ts";
import { Serving } from "../policies/serving.ts";
import type { Agent } from "./agent.ts";
import { isLocal, needsEmptyAgent, needsQuiet, Reservations } from "./company.ts";
import { type FairKey, FairKeys, type KeyRooms } from "./fair-keys.ts";
import { Lane, precedes } from "./lane.ts";
import { LaneHeads } from "./lane-heads.ts";
import { classKey, type Profile, profileKey, type ServiceClass } from "./service-class.ts";
import { againstKind, againstPair } from "./standing.ts";
import { PRIORITIES, PRIORITY_NAMES, type Priority, type PriorityName, type Task } from "./task.ts";

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

/** Agents of one profile. */
export interface Group {
  readonly profile: Profile;
  readonly members: Set<Seat>;
  /** Members that can be given work now. */
  readonly free: Seat[];
  /** Per priority, the lanes this group may serve, by age. */
  readonly heads: Readonly<Record<Priority, LaneHeads>>;
  /** The same by the turns of their fairness keys; empty until a task names one. */
  readonly turns: Readonly<Record<Priority, LaneHeads>>;
  /** The same by `kindOf`, for strategies that rank; empty until one asks. */
  readonly kinds: readonly LaneHeads[];
}

interface ClassEntry extends ServiceClass {
  /** A closed gate holds its type: nobody is offered its tasks. */
  held: boolean;
  /** Tasks that wait in its lanes. */
  size: number;
  readonly groups: Set<Group>;
  readonly lanes: Map<string, Lane>;
}

/** Lanes are alike to a strategy when their tasks are as urgent, and quick or not. */
const kindOf = (lane: Lane): number => lane.priority - 1 + (isQuick(lane.serviceClass.type) ? PRIORITIES.length : 0);
const KINDS = 2 * PRIORITIES.length;

export type Ageing = { readonly stepMs: number } | false;

/** How often each priority is served, in proportion. */
export type ServingWeights = Readonly<Record<PriorityName, number>>;

/** What decides between priorities. */
export interface Order {
  readonly ageing: Ageing;
  /** Replaces the order by age, `critical` included. */
  readonly serving?: ServingWeights | undefined;
}

/** Order between priorities: critical first, then by age with a step per rank; strict without ageing. */
export function goesFirst(a: Task, b: Task, ageing: Ageing): boolean {
  const [rankA, rankB] = [a.priority, b.priority];
  if (rankA === rankB) return precedes(a, b);
  if (ageing === false || rankA === 1 || rankB === 1) return rankA < rankB;
  const agedA = a.queuedAtMs + (rankA - 1) * ageing.stepMs;
  const agedB = b.queuedAtMs + (rankB - 1) * ageing.stepMs;
  return agedA === agedB ? a.num < b.num : agedA < agedB;
}

const weightIn =
  (weights: ServingWeights) =>
  (priority: number): number =>
    weights[PRIORITY_NAMES[priority as Priority]];

const headsBy = (order: "age" | "turn"): Record<Priority, LaneHeads> => ({
  1: new LaneHeads(order),
  2: new LaneHeads(order),
  3: new LaneHeads(order),
  4: new LaneHeads(order),
});
/** The agent has not failed the lane's tasks, or nobody else could serve them. */
function isAllowed({ agentId }: Seat, lane: Lane): boolean {
  return !lane.excluded?.has(agentId) || (lane.again && !lane.couldOthers);
}

/** Kinds of work that may wait in one pool at a time. */
export const CLASS_LIMIT = 10_000;

export class PoolQueue {
  readonly #classes = new Map<string, ClassEntry>();
  readonly #classesByType = new Map<string, Set<ClassEntry>>();
  readonly #heldTypes: ReadonlyMap<string, unknown>;
  #gated = 0;
  readonly #groups = new Map<string, Group>();
  #ranked = false;
  readonly #seats = new Map<AgentId, Seat>();
  readonly #keys = new FairKeys<Lane>();
  readonly #serving = new Serving();
  /** Lanes with exclusions that hold tasks: few, as only failures make them. */
  readonly #excluding = new Set<Lane>();
  /** Agents that keep free for tasks that need to be alone. */
  readonly reservations = new Reservations();
  /** Grows with every change of who could serve. */
  rosterVersion = 0;
  /** `rosterVersion` at which the lanes with exclusions were looked at last. */
  checkedVersion = -1;

  /** @param heldTypes - types that closed gates hold; whoever changes it says so by `review` */
  constructor(heldTypes: ReadonlyMap<string, unknown> = new Map()) {
    this.#heldTypes = heldTypes;
  }

  // --- gates ---

  /** Tasks that wait because a closed gate holds their type. */
  get gated(): number {
    return this.#gated;
  }

  holds(type: string): boolean {
    return this.#heldTypes.has(type);
  }

  /** A gate that holds the type may have opened or closed. True when tasks may be offered that were held. */
  review(type: string): boolean {
    const held = this.holds(type);
    let released = false;
    for (const entry of this.#classesByType.get(type) ?? []) {
      if (entry.held === held) continue;
      entry.held = held;
      this.#gated += held ? entry.size : -entry.size;
      released ||= !held && entry.size > 0;
      for (const lane of entry.lanes.values()) this.#publish(lane);
    }
    // Lanes with exclusions are not looked at while they are held.
    if (released) this.checkedVersion = -1;
    return released;
  }

  // --- tasks ---

  push(task: Task): void {
    const lane = this.#laneOf(task);
    const before = lane.head();
    lane.push(task);
    lane.fairKey.lanes.add(lane);
    this.#keys.joined(lane.fairKey, lane.priority);
    this.#count(lane, 1);
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
    this.#keys.left(lane.fairKey, lane.priority);
    if (lane.size === 0) lane.fairKey.lanes.delete(lane);
    this.#count(lane, -1);
    if (lane.head() !== before) this.#publish(lane);
    this.#dropIfSpent(lane);
  }

  #count(lane: Lane, by: 1 | -1): void {
    const entry = this.#classOf(lane.serviceClass);
    entry.size += by;
    if (entry.held) this.#gated += by;
  }

  /** The lane whose head is next, among those that somebody free may serve. */
  next(order: Order): Lane | undefined {
    const best = order.serving === undefined ? this.#oldest(order.ageing) : this.#inTurn(order.serving);
    if (best === undefined) return undefined;
    const head = this.#keys.used ? (this.#fairest(best.priority) ?? best) : best;
    return head.lane instanceof Lane ? head.lane : undefined;
  }

  #oldest(ageing: Ageing): Task | undefined {
    let best: Task | undefined;
    for (const group of this.#groups.values()) {
      if (group.free.length === 0) continue;
      for (const priority of PRIORITIES) {
        const head = group.heads[priority].top();
        if (head !== undefined && (best === undefined || goesFirst(head, best, ageing))) best = head;
      }
    }
    return best;
  }

  /** The oldest of the priority that has waited longest for its share. */
  #inTurn(weights: ServingWeights): Task | undefined {
    const [first, ...others] = this.#waitingPriorities();
    if (first === undefined) return undefined;
    const next = this.#serving.next([first, ...others], weightIn(weights)) as Priority;
    return this.#oldestOf(next);
  }

  #waitingPriorities(): Priority[] {
    return PRIORITIES.filter((priority) => this.#oldestOf(priority) !== undefined);
  }

  #oldestOf(priority: Priority): Task | undefined {
    let best: Task | undefined;
    for (const { free, heads } of this.#groups.values()) {
      const head = free.length === 0 ? undefined : heads[priority].top();
      if (head !== undefined && (best === undefined || precedes(head, best))) best = head;
    }
    return best;
  }

  /** The oldest of the key whose turn it is. */
  #fairest(priority: Priority): Task | undefined {
    let best: LaneHeads | undefined;
    for (const { free, turns } of this.#groups.values()) {
      if (free.length > 0) best = LaneHeads.better(turns[priority], best);
    }
    return best?.top();
  }

  /** The task that `next` named is about to be leased: its priority has had its share. */
  served({ priority }: Task, { serving }: Order): void {
    if (serving !== undefined) this.#serving.served(priority, this.#waitingPriorities(), weightIn(serving));
  }

  // --- fairness keys ---

  /** Tasks of one key that may run at a time; undefined = any number. */
  limitKeys(concurrency: number | undefined): void {
    this.#keys.limit(concurrency);
    for (const key of this.#keys.all()) for (const lane of key.lanes) this.#publish(lane);
  }

  /** A task runs: its key has had its turn. */
  began(task: Task): void {
    const key = this.#keys.of(task.spec.fairnessKey);
    const wasFull = this.#keys.isFull(key);
    key.running += 1;
    if (this.#keys.used) this.#keys.goesLast(key, task.priority);
    if (!wasFull && this.#keys.isFull(key)) for (const lane of key.lanes) this.#publish(lane);
    else if (this.#keys.used) this.#publishAll(key, task.priority);
  }

  /** It runs no more. */
  ended(task: Task): void {
    const key = this.#keys.of(task.spec.fairnessKey);
    const wasFull = this.#keys.isFull(key);
    key.running -= 1;
    if (wasFull && !this.#keys.isFull(key)) for (const lane of key.lanes) this.#publish(lane);
    this.#keys.drop(key);
  }

  #publishAll(key: FairKey<Lane>, priority: Priority): void {
    for (const lane of key.lanes) if (lane.priority === priority) this.#publish(lane);
  }

  /** Where tasks name keys, turns are kept from the first one on. */
  #takeTurns(): void {
    if (this.#keys.used) return;
    this.#keys.used = true;
    for (const key of this.#keys.all()) for (const lane of key.lanes) this.#publish(lane);
  }

  /** Of each priority, quick or not, the lane whose head is next for each group that has somebody free. */
  *firsts(): Iterable<Lane> {
    this.#rank();
    for (const group of this.#groups.values()) {
      if (group.free.length === 0) continue;
      for (const kind of group.kinds) {
        const lane = kind.top()?.lane;
        if (lane instanceof Lane) yield lane;
      }
    }
  }

  /** Where a strategy ranks, kinds are kept apart from the first time on. */
  #rank(): void {
    if (this.#ranked) return;
    this.#ranked = true;
    for (const lane of this.lanes()) this.#publish(lane);
  }

  /** Those who are free and may serve the lane's head. The list is only valid until somebody is given work. */
  candidates(lane: Lane, head: Task): readonly Seat[] {
    const { groups } = this.#classOf(lane.serviceClass);
    // Nobody has failed, or may still be running, what was never tried.
    if (groups.size === 1 && head.lastNumber === 0 && this.reservations.areNone) {
      for (const { free } of groups) return free;
    }
    const found: Seat[] = [];
    for (const group of groups) {
      for (const seat of group.free) if (this.#mayTake(seat, lane, head)) found.push(seat);
    }
    return found;
  }

  /** Those who might serve the lane's head if nothing else ran where it needs to be alone. */
  inTheWay(lane: Lane, head: Task): Seat[] {
    const found: Seat[] = [];
    for (const group of this.#classOf(lane.serviceClass).groups) {
      for (const seat of group.members) if (this.#couldTake(seat, lane, head)) found.push(seat);
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

  #mayTake(seat: Seat, lane: Lane, head: Task): boolean {
    if (lane.alone && seat.agent.runs.size > 0) return false;
    if (lane.quiet && isLocal(seat.agent) && this.#runsHere()) return false;
    return this.#couldTake(seat, lane, head);
  }

  /** Something runs in this engine. Asked for tasks that need quiet only, which are few. */
  #runsHere(): boolean {
    for (const { agent } of this.#seats.values()) if (isLocal(agent) && agent.runs.size > 0) return true;
    return false;
  }

  #couldTake({ agent }: Seat, lane: Lane, head: Task): boolean {
    if (!this.reservations.allow(agent, head.spec.id)) return false;
    return againstPair(agent, head.spec.id, lane.excludedNow) === undefined;
  }

  /** Those free and allowed still run an older attempt of the head; what stands behind it they may take. */
  isBarred(lane: Lane, head: Task): boolean {
    if (head.lastNumber === 0 || this.candidates(lane, head).length > 0) return false;
    for (const group of this.#classOf(lane.serviceClass).groups) {
      if (group.free.some((seat) => isAllowed(seat, lane))) return true;
    }
    return false;
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

  /**
   * Waiting tasks by class, those held by a gate excepted: those that whoever fits may take, and how many of them could start if there were slots for
   * all; and those that some have failed, which wait for others than the free.
   */
  *waitingByClass(room: KeyRooms): Iterable<{
    readonly serviceClass: ServiceClass;
    readonly plain: { readonly count: number; readonly startable: number };
    readonly failed: number;
  }> {
    for (const entry of this.#classes.values()) {
      if (entry.held) continue;
      const plain = { count: 0, startable: 0 };
      let failed = 0;
      for (const lane of entry.lanes.values()) {
        if (lane.excluded !== undefined) failed += lane.size;
        else {
          plain.count += lane.size;
          plain.startable += room(lane.fairKey, lane.size);
        }
      }
      if (plain.count + failed > 0) yield { serviceClass: entry, plain, failed };
    }
  }

  /** Counts down how many more tasks of each fairness key may start. */
  keyRooms(): KeyRooms {
    return this.#keys.rooms();
  }

  /** Keys that have tasks waiting or running. */
  get keyCount(): number {
    return this.#keys.size;
  }

  /** As many tasks of the key run as may. */
  isKeyFull(name: string | undefined): boolean {
    return this.#keys.isFull(this.#keys.find(name));
  }

  keyOf(name: string | undefined): Pick<FairKey<Lane>, "name" | "running"> {
    return this.#keys.find(name);
  }

  /** False when a task of this class, after those of the `planned` classes, would be of one kind too many. */
  hasRoomForClass(wanted: string, planned: ReadonlySet<string>): boolean {
    if (this.#classes.size + planned.size < CLASS_LIMIT) return true;
    if (this.#classes.has(wanted) || planned.has(wanted)) return true;
    for (const [key, entry] of this.#classes) {
      if (entry.size > 0) continue;
      this.#classes.delete(key);
      this.#unfile(entry);
    }
    let added = 0;
    for (const key of planned) if (!this.#classes.has(key)) added += 1;
    return this.#classes.size + added < CLASS_LIMIT;
  }

  #laneOf(task: Task): Lane {
    const { type, requires, fairnessKey } = task.spec;
    const { priority } = task;
    const entry = this.#classOf({ key: classKey(type, requires), type, requires });
    const failed = task.failedAgentIds;
    const alone = needsEmptyAgent(task);
    const quiet = needsQuiet(task);
    const failing = failed.length === 0 ? `${priority}` : `${priority} ${task.again} ${[...failed].sort().join(" ")}`;
    const plain = alone || quiet ? `${failing} ${alone} ${quiet}` : failing;
    const key = fairnessKey === undefined ? plain : `${plain}\t${fairnessKey}`;
    let lane = entry.lanes.get(key);
    if (lane === undefined) {
      const excluded = failed.length === 0 ? undefined : new Set(failed);
      if (fairnessKey !== undefined) this.#takeTurns();
      const fairKey = this.#keys.of(fairnessKey);
      lane = new Lane(key, entry, { priority, fairKey, excluded, again: task.again, alone, quiet });
      entry.lanes.set(key, lane);
    }
    return lane;
  }

  #classOf({ key, type, requires }: ServiceClass): ClassEntry {
    let entry = this.#classes.get(key);
    if (entry === undefined) {
      entry = { key, type, requires, held: this.holds(type), size: 0, groups: new Set(), lanes: new Map() };
      for (const group of this.#groups.values())
        if (againstKind(group.profile, entry) === undefined) entry.groups.add(group);
      this.#classes.set(key, entry);
      const alike = this.#classesByType.get(type);
      if (alike === undefined) this.#classesByType.set(type, new Set([entry]));
      else alike.add(entry);
    }
    return entry;
  }

  #unfile(entry: ClassEntry): void {
    const alike = this.#classesByType.get(entry.type);
    alike?.delete(entry);
    if (alike?.size === 0) this.#classesByType.delete(entry.type);
  }

  #publish(lane: Lane): void {
    lane.version += 1;
    const head = lane.head();
    const { held, groups } = this.#classOf(lane.serviceClass);
    if (head === undefined || lane.aside || held || this.#keys.isFull(lane.fairKey)) return;
    for (const group of groups) this.#offer(group, lane, head);
  }

  #offer({ heads, turns, kinds }: Group, lane: Lane, head: Task): void {
    const { priority, fairKey } = lane;
    heads[priority].push(lane, head);
    if (this.#ranked) kinds[kindOf(lane)]?.push(lane, head);
    if (this.#keys.used) turns[priority].push(lane, head, fairKey.turns[priority]);
  }

  /** Lanes with exclusions or a fairness key come and go with their tasks; plain ones stay for the next. */
  #dropIfSpent(lane: Lane): void {
    const isPlain = lane.excluded === undefined && !lane.alone && !lane.quiet;
    if (lane.size > 0 || (isPlain && lane.fairKey.isShared)) return;
    this.#excluding.delete(lane);
    this.#classOf(lane.serviceClass).lanes.delete(lane.key);
    this.#keys.drop(lane.fairKey);
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
    for (const group of this.#groups.values()) if (againstKind(group.profile, task) === undefined) yield* group.members;
  }

  profileOf(id: AgentId): Profile | undefined {
    return this.#seats.get(id)?.group.profile;
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
    const kinds = Array.from({ length: KINDS }, () => new LaneHeads("age"));
    group = { profile, members: new Set(), free: [], heads: headsBy("age"), turns: headsBy("turn"), kinds };
    this.#groups.set(key, group);
    for (const entry of this.#classes.values()) {
      if (againstKind(profile, entry) !== undefined) continue;
      entry.groups.add(group);
      if (entry.held) continue;
      for (const lane of entry.lanes.values()) {
        const head = lane.head();
        if (head !== undefined && !lane.aside && !this.#keys.isFull(lane.fairKey)) this.#offer(group, lane, head);
      }
    }
    return group;
  }
}
