/**
 * The queue of one pool: lanes of tasks, groups of agents alike, and for each group a heap of the lanes that it may
 * serve, by their heads. Finding the next task for a free agent costs the same however many tasks wait.
 *
 * Longer than other files because one invariant is kept here and nowhere else: a lane stands in the heaps of every
 * group that may serve it exactly as long as its head may be offered.
 */
import { Serving } from "../policies/serving.ts";
import { Classes } from "./classes.ts";
import { isLocal, needsEmptyAgent, needsQuiet, Reservations } from "./company.ts";
import { type FairKey, FairKeys, type KeyRooms } from "./fair-keys.ts";
import { Lane } from "./lane.ts";
import { LaneHeads } from "./lane-heads.ts";
import { type Ageing, goesFirst, isSenior, type Order, precedes, type ServingWeights, weightIn } from "./order.ts";
import { type Group, hasFree, kindOf, type Seat, Seats } from "./seats.ts";
import { againstKind, againstPair } from "./standing.ts";
import { PRIORITIES, type Priority, type Task } from "./task.ts";
import { Tenants } from "./tenants.ts";

/** The agent has not failed the lane's tasks, or nobody else could serve them. */
function isAllowed({ agentId }: Seat, lane: Lane): boolean {
  return !lane.excluded?.has(agentId) || (lane.again && !lane.couldOthers);
}

export class PoolQueue {
  readonly seats: Seats;
  readonly #classes: Classes;
  #ranked = false;
  /** A dead letter was replayed: the first of a priority may not be its oldest any more. */
  #replayed = false;
  readonly #keys = new FairKeys<Lane>();
  readonly #serving = new Serving();
  readonly #tenants = new Tenants();
  /** Lanes with exclusions that hold tasks: few, as only failures make them. */
  readonly #excluding = new Set<Lane>();
  /** Agents that keep free for tasks that need to be alone. */
  readonly reservations = new Reservations();
  /** `seats.rosterVersion` at which the lanes with exclusions were looked at last. */
  checkedVersion = -1;

  /** @param heldTypes - types that closed gates hold; whoever changes it says so by `review` */
  constructor(heldTypes: ReadonlyMap<string, unknown> = new Map()) {
    this.seats = new Seats({
      groupCame: (group) => this.#groupCame(group),
      groupWent: (group) => {
        for (const entry of this.#classes.all()) entry.groups = entry.groups.filter((other) => other !== group);
      },
    });
    this.#classes = new Classes(heldTypes, () => this.seats.groups());
  }

  // --- gates ---

  /** Tasks that wait because a closed gate holds their type. */
  get gated(): number {
    return this.#classes.gated;
  }

  holds(type: string): boolean {
    return this.#classes.holds(type);
  }

  /** A gate that holds the type may have opened or closed. True when tasks may be offered that were held. */
  review(type: string): boolean {
    const released = this.#classes.review(type, (lane) => this.#publish(lane));
    // Lanes with exclusions are not looked at while they are held.
    if (released) this.checkedVersion = -1;
    return released;
  }

  /** The tenant has spent what it may, or may spend again. True when tasks may be offered that were held. */
  holdTenant(tenant: string, held: boolean): boolean {
    if (!this.#tenants.hold(tenant, held)) return false;
    for (const lane of this.#tenants.lanesOf(tenant)) this.#publish(lane);
    // As above.
    if (!held) this.checkedVersion = -1;
    return !held;
  }

  /** Its tasks have spent what they may. */
  holdsTenant(tenant: string | undefined): boolean {
    return this.#tenants.holds(tenant);
  }

  /** A gate, or a spent tenant, holds the lane's tasks. */
  isHeld({ serviceClass, tenant }: Lane): boolean {
    return this.holds(serviceClass.type) || this.holdsTenant(tenant);
  }

  // --- tasks ---

  push(task: Task): void {
    const lane = this.#laneOf(task);
    const before = lane.head();
    const senior = this.#oldestOf(lane, before);
    lane.push(task);
    if (task.first) this.#tellOldest();
    lane.fairKey.lanes.add(lane);
    this.#keys.joined(lane.fairKey, lane.priority);
    this.#classes.count(lane, 1);
    if (lane.excluded !== undefined) {
      this.#excluding.add(lane);
      this.checkedVersion = -1;
    }
    this.#publishIfMoved(lane, before, senior);
  }

  /** A task that stands in a lane leaves it. */
  leave(task: Task): void {
    const { lane } = task;
    if (!(lane instanceof Lane)) return;
    const before = lane.head();
    const senior = this.#oldestOf(lane, before);
    lane.leave(task);
    this.#keys.left(lane.fairKey, lane.priority);
    if (lane.size === 0) lane.fairKey.lanes.delete(lane);
    this.#classes.count(lane, -1);
    this.#publishIfMoved(lane, before, senior);
    this.#dropIfSpent(lane);
  }

  /** Until a dead letter is replayed, the first of a lane is its oldest. */
  #oldestOf(lane: Lane, head: Task | undefined): Task | undefined {
    return this.#replayed ? lane.oldest() : head;
  }

  #publishIfMoved(lane: Lane, before: Task | undefined, senior: Task | undefined): void {
    const head = lane.head();
    if (head !== before || this.#oldestOf(lane, head) !== senior) this.#publish(lane);
  }

  /** The lane whose head is next, among those that somebody free may serve. */
  next(order: Order): Lane | undefined {
    const best = order.serving === undefined ? this.#oldest(order.ageing) : this.#inTurn(order.serving);
    if (best === undefined) return undefined;
    const head = this.#keys.used ? (this.#fairest(best.priority) ?? best) : best;
    return head.lane instanceof Lane ? head.lane : undefined;
  }

  /** The first of the priority whose oldest task goes before those of the others. */
  #oldest(ageing: Ageing): Task | undefined {
    let best: { readonly head: Task; readonly senior: Task } | undefined;
    for (const priority of PRIORITIES) {
      const head = this.#firstOf(priority);
      if (head === undefined) continue;
      const senior = this.#replayed ? (this.#seniorOf(priority) ?? head) : head;
      if (best === undefined || goesFirst(senior, best.senior, ageing)) best = { head, senior };
    }
    return best?.head;
  }

  /** The oldest of the priority that has waited longest for its share. */
  #inTurn(weights: ServingWeights): Task | undefined {
    const [first, ...others] = this.#waitingPriorities();
    if (first === undefined) return undefined;
    const next = this.#serving.next([first, ...others], weightIn(weights)) as Priority;
    return this.#firstOf(next);
  }

  #waitingPriorities(): Priority[] {
    return PRIORITIES.filter((priority) => this.#firstOf(priority) !== undefined);
  }

  #seniorOf(priority: Priority): Task | undefined {
    let best: Task | undefined;
    for (const group of this.seats.groups()) {
      const senior = hasFree(group) ? group.seniors[priority].top() : undefined;
      if (senior !== undefined && (best === undefined || isSenior(senior, best))) best = senior;
    }
    return best;
  }

  #firstOf(priority: Priority): Task | undefined {
    let best: Task | undefined;
    for (const group of this.seats.groups()) {
      const head = hasFree(group) ? group.heads[priority].top() : undefined;
      if (head !== undefined && (best === undefined || precedes(head, best))) best = head;
    }
    return best;
  }

  /** The oldest of the key whose turn it is. */
  #fairest(priority: Priority): Task | undefined {
    let best: LaneHeads | undefined;
    for (const group of this.seats.groups()) {
      if (hasFree(group)) best = LaneHeads.better(group.turns[priority], best);
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

  /** From the first replay on, the oldest of each lane is kept apart from its head. */
  #tellOldest(): void {
    if (this.#replayed) return;
    this.#replayed = true;
    for (const lane of this.lanes()) this.#publish(lane);
  }

  /** Of each priority, quick or not, the lane whose head is next for each group that has somebody free. */
  *firsts(): Iterable<Lane> {
    this.#rank();
    for (const group of this.seats.groups()) {
      if (!hasFree(group)) continue;
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

  /**
   * Those who are free and may serve the lane's head: the healthy ones, or the others when no healthy one may. The
   * list is only valid until somebody is given work.
   */
  candidates(lane: Lane, head: Task): readonly Seat[] {
    const { groups } = lane.serviceClass;
    // Nobody has failed, or may still be running, what was never tried.
    const [only] = groups;
    if (only !== undefined && groups.length === 1 && head.lastNumber === 0 && this.reservations.areNone) {
      return only.free.length > 0 ? only.free : only.freeAiling;
    }
    const found: Seat[] = [];
    for (const { free } of groups) this.#addThose(found, free, lane, head);
    if (found.length > 0) return found;
    for (const { freeAiling } of groups) this.#addThose(found, freeAiling, lane, head);
    return found;
  }

  #addThose(found: Seat[], seats: readonly Seat[], lane: Lane, head: Task): void {
    for (const seat of seats) if (this.#mayTake(seat, lane, head)) found.push(seat);
  }

  /** The agent that the task prefers, if it is free and may. */
  preferred(lane: Lane, head: Task): Seat | undefined {
    const { preferredAgent } = head.spec;
    const seat = preferredAgent === undefined ? undefined : this.seats.find(preferredAgent);
    if (seat?.free === undefined || !lane.serviceClass.groups.includes(seat.group)) return undefined;
    return this.#mayTake(seat, lane, head) ? seat : undefined;
  }

  /** Those who might serve the lane's head if nothing else ran where it needs to be alone. */
  inTheWay(lane: Lane, head: Task): Seat[] {
    const found: Seat[] = [];
    for (const group of lane.serviceClass.groups) {
      for (const seat of group.members) if (this.#couldTake(seat, lane, head)) found.push(seat);
    }
    return found;
  }

  /** Those who may serve the lane's head once they have a slot again. */
  busy(lane: Lane, head: Task): Seat[] {
    const found: Seat[] = [];
    for (const group of lane.serviceClass.groups) {
      for (const seat of group.members) {
        const oldest = seat.agent.runs.first();
        if (seat.free !== undefined || oldest === undefined || !this.#mayTake(seat, lane, head)) continue;
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
    for (const { agent } of this.seats.all()) if (isLocal(agent) && agent.runs.size > 0) return true;
    return false;
  }

  #couldTake({ agent }: Seat, lane: Lane, head: Task): boolean {
    if (!this.reservations.allow(agent, head.spec.id)) return false;
    return againstPair(agent, head.spec.id, lane.excludedNow) === undefined;
  }

  /** Those free and allowed still run an older attempt of the head; what stands behind it they may take. */
  isBarred(lane: Lane, head: Task): boolean {
    if (head.lastNumber === 0 || this.candidates(lane, head).length > 0) return false;
    for (const group of lane.serviceClass.groups) {
      if ([group.free, group.freeAiling].some((seats) => seats.some((seat) => isAllowed(seat, lane)))) return true;
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
  lanes(): Iterable<Lane> {
    return this.#classes.lanes();
  }

  /** False when a task of this class, after those of the `planned` classes, would be of one kind too many. */
  hasRoomForClass(wanted: string, planned: ReadonlySet<string>): boolean {
    return this.#classes.hasRoomFor(wanted, planned);
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

  #laneOf(task: Task): Lane {
    const { fairnessKey, tenant } = task.spec;
    const { priority } = task;
    const entry = this.#classes.of(task.spec);
    const failed = task.failedAgentIds;
    const alone = needsEmptyAgent(task);
    const quiet = needsQuiet(task);
    const isPlain = failed.length === 0 && !alone && !quiet && fairnessKey === undefined && tenant === undefined;
    const known = isPlain ? entry.plain[priority] : undefined;
    if (known !== undefined) return known;
    const failing = failed.length === 0 ? `${priority}` : `${priority} ${task.again} ${[...failed].sort().join(" ")}`;
    const plain = alone || quiet ? `${failing} ${alone} ${quiet}` : failing;
    const keyed = fairnessKey === undefined ? plain : `${plain}\t${fairnessKey}`;
    const key = tenant === undefined ? keyed : `${tenant}\n${keyed}`;
    let lane = entry.lanes.get(key);
    if (lane === undefined) {
      const excluded = failed.length === 0 ? undefined : new Set(failed);
      if (fairnessKey !== undefined) this.#takeTurns();
      const fairKey = this.#keys.of(fairnessKey);
      lane = new Lane(key, entry, { priority, fairKey, tenant, excluded, again: task.again, alone, quiet });
      this.#tenants.add(lane);
      entry.lanes.set(key, lane);
      if (isPlain) entry.plain[priority] = lane;
    }
    return lane;
  }

  #publish(lane: Lane): void {
    lane.version += 1;
    const head = lane.head();
    const { held, groups } = lane.serviceClass;
    if (head === undefined || lane.aside || held || this.#rests(lane)) return;
    for (const group of groups) this.#offer(group, lane, head);
  }

  /** Its key has as many tasks running as may, or its tenant has spent what it may. */
  #rests({ fairKey, tenant }: Lane): boolean {
    return this.#keys.isFull(fairKey) || this.#tenants.holds(tenant);
  }

  #offer({ heads, seniors, turns, kinds }: Group, lane: Lane, head: Task): void {
    const { priority, fairKey } = lane;
    heads[priority].push(lane, head);
    if (this.#replayed) seniors[priority].push(lane, lane.oldest() ?? head);
    if (this.#ranked) kinds[kindOf(lane)]?.push(lane, head);
    if (this.#keys.used) turns[priority].push(lane, head, fairKey.turns[priority]);
  }

  /** Lanes with exclusions or a fairness key come and go with their tasks; plain ones stay for the next. */
  #dropIfSpent(lane: Lane): void {
    const isPlain = lane.excluded === undefined && !lane.alone && !lane.quiet && lane.tenant === undefined;
    if (lane.size > 0 || (isPlain && lane.fairKey.isShared)) return;
    this.#excluding.delete(lane);
    lane.serviceClass.lanes.delete(lane.key);
    this.#tenants.remove(lane);
    this.#keys.drop(lane.fairKey);
  }

  #groupCame(group: Group): void {
    for (const entry of this.#classes.all()) {
      if (againstKind(group.profile, entry) !== undefined) continue;
      entry.groups = [...entry.groups, group];
      if (entry.held) continue;
      for (const lane of entry.lanes.values()) {
        const head = lane.head();
        if (head !== undefined && !lane.aside && !this.#rests(lane)) this.#offer(group, lane, head);
      }
    }
  }
}
