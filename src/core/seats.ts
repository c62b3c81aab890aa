/** The agents of one pool: grouped by what they offer, each with its place among the free. */
import type { AgentId } from "../base/ids.ts";
import { RecentMap } from "../base/recent-map.ts";
import { hashOf } from "../policies/balancer/affinity.ts";
import type { Busy } from "../policies/balancer/hold-back.ts";
import { isProven, isQuick } from "../policies/balancer/score.ts";
import type { Warming } from "../policies/balancer/slow-start.ts";
import type { Agent } from "./agent.ts";
import { LaneHeads } from "./lane-heads.ts";
import { type Profile, profileKey, type ServiceClass } from "./service-class.ts";
import { againstKind } from "./standing.ts";
import { PRIORITIES, type Priority } from "./task.ts";

/** What a balancer sees of an agent, and where it stands among the free. */
export interface Seat extends Busy {
  readonly agent: Agent;
  inFlight: number;
  capacity: number;
  weight: number;
  priority: number;
  warming: Warming | undefined;
  /** Since when its oldest run goes on; brought up to date by `busy` only. */
  sinceMs: number;
  group: Group;
  /** What it runs, as the crew of its group counts it; undefined while it does not serve. */
  serving: number | undefined;
  /** Its success rate as the pool's mean counts it; undefined while it is not proven. */
  provenRate: number | undefined;
  /** The list of its group in which it stands; undefined when it can't be given work now. */
  free: Seat[] | undefined;
  /** Its place in that list. */
  freeAt: number;
}

/** Agents of one profile. */
export interface Group {
  readonly profile: Profile;
  readonly members: Set<Seat>;
  /** Members that can be given work now, the healthy ones. */
  readonly free: Seat[];
  /** Those that can be given work now although they are not: taken when no healthy one may. */
  readonly freeAiling: Seat[];
  /** Members that serve, free or not, and what they run. */
  readonly crew: { agents: number; inFlight: number };
  /** Per priority, the lanes this group may serve, by age. */
  readonly heads: Readonly<Record<Priority, LaneHeads>>;
  /** The same by their oldest task; empty until a dead letter is replayed. */
  readonly seniors: Readonly<Record<Priority, LaneHeads>>;
  /** The same by the turns of their fairness keys; empty until a task names one. */
  readonly turns: Readonly<Record<Priority, LaneHeads>>;
  /** The same by `kindOf`, for strategies that rank; empty until one asks. */
  readonly kinds: readonly LaneHeads[];
}

/** Lanes are alike to a strategy when their tasks are as urgent, and quick or not. */
export const kindOf = ({ priority, serviceClass }: { priority: Priority; serviceClass: ServiceClass }): number =>
  priority - 1 + (isQuick(serviceClass.type) ? PRIORITIES.length : 0);
const KINDS = 2 * PRIORITIES.length;

/** Somebody of the group could be given work now. */
export const hasFree = ({ free, freeAiling }: Pick<Group, "free" | "freeAiling">): boolean =>
  free.length > 0 || freeAiling.length > 0;

const headsBy = (order: ConstructorParameters<typeof LaneHeads>[0]): Record<Priority, LaneHeads> => ({
  1: new LaneHeads(order),
  2: new LaneHeads(order),
  3: new LaneHeads(order),
  4: new LaneHeads(order),
});

/** Told of groups that come and go, so that they are offered what they may serve. */
interface GroupWatcher {
  groupCame(group: Group): void;
  groupWent(group: Group): void;
}

export class Seats {
  readonly #groups = new Map<string, Group>();
  /** The same: walked for every choice. */
  #groupList: readonly Group[] = [];
  readonly #seats = new RecentMap<AgentId, Seat>();
  /** Names are unique in a pool, and stay with their agents. */
  readonly #byName = new Map<string, Seat>();
  readonly #watcher: GroupWatcher;
  /** Of those that are proven: kept as they change, as there may be many. */
  readonly #proven = { rates: 0, agents: 0 };
  /** Grows with every change of who could serve. */
  rosterVersion = 0;

  constructor(watcher: GroupWatcher) {
    this.#watcher = watcher;
  }

  /** The agent has come, or what it offers has changed. */
  seat(agent: Agent): Seat {
    const { id, ordinal, concurrency, weight, priority } = agent.identity;
    const group = this.#groupOf(agent);
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
        warming: agent.warming,
        measure: agent.measure,
        hash: hashOf(id),
        turnWeight: 0,
        sinceMs: 0,
        group,
        serving: undefined,
        provenRate: undefined,
        free: undefined,
        freeAt: 0,
      };
      this.#seats.set(id, seat);
      this.#byName.set(agent.identity.name, seat);
    } else if (seat.group !== group) {
      setFree(seat, undefined);
      setServing(seat, undefined);
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
    setFree(seat, undefined);
    setServing(seat, undefined);
    this.#count(seat, undefined);
    this.#leave(seat);
    this.#seats.delete(id);
    if (this.named(seat.agent.identity.name) === seat) this.#byName.delete(seat.agent.identity.name);
  }

  /** Brings an agent's place among the free up to date. */
  refresh(agent: Agent, canTakeWork: boolean): void {
    const seat = this.#seats.get(agent.identity.id);
    if (seat === undefined) return;
    seat.inFlight = agent.runs.size;
    seat.capacity = agent.identity.concurrency;
    seat.warming = agent.warming;
    if (isProven(seat)) this.#count(seat, seat.measure.successRate);
    const serves = agent.lifecycle === "ready" && agent.health !== "unhealthy";
    setServing(seat, serves ? seat.inFlight : undefined);
    const { free, freeAiling } = seat.group;
    const list = agent.health === "healthy" ? free : freeAiling;
    setFree(seat, canTakeWork ? list : undefined);
  }

  /** Mean success rate of those with samples enough to be believed; 1 while there are none. */
  get provenSuccessRate(): number {
    const { rates, agents } = this.#proven;
    return agents === 0 ? 1 : Math.min(1, rates / agents);
  }

  #count(seat: Seat, rate: number | undefined): void {
    this.#proven.rates += (rate ?? 0) - (seat.provenRate ?? 0);
    this.#proven.agents += Number(rate !== undefined) - Number(seat.provenRate !== undefined);
    // Nothing that rounding has left stays when nobody is left.
    if (this.#proven.agents === 0) this.#proven.rates = 0;
    seat.provenRate = rate;
  }

  /** Seats whose profile fits, free or not. */
  *whoFit(task: { readonly type: string; readonly requires: readonly string[] }): Iterable<Seat> {
    for (const group of this.#groups.values()) if (againstKind(group.profile, task) === undefined) yield* group.members;
  }

  profileOf(id: AgentId): Profile | undefined {
    return this.#seats.get(id)?.group.profile;
  }

  /** By the agent's id, or by its name in the pool. */
  find(idOrName: string): Seat | undefined {
    return this.#seats.get(idOrName as AgentId) ?? this.named(idOrName);
  }

  named(name: string): Seat | undefined {
    return this.#byName.get(name);
  }

  all(): Iterable<Seat> {
    return this.#seats.values();
  }

  /** Those who are at work for tasks like this one, or could be, and what they run. */
  crewOf(task: { readonly type: string; readonly requires: readonly string[] }): { inFlight: number; agents: number } {
    const found = { inFlight: 0, agents: 0 };
    for (const { profile, crew } of this.#groups.values()) {
      if (againstKind(profile, task) !== undefined) continue;
      found.agents += crew.agents;
      found.inFlight += crew.inFlight;
    }
    return found;
  }

  groups(): readonly Group[] {
    return this.#groupList;
  }

  /** Somebody could be given work now. */
  hasFree(): boolean {
    for (const group of this.#groupList) if (hasFree(group)) return true;
    return false;
  }

  #leave(seat: Seat): void {
    const { group } = seat;
    group.members.delete(seat);
    if (group.members.size > 0) return;
    this.#groups.delete(group.profile.key);
    this.#groupList = [...this.#groups.values()];
    this.#watcher.groupWent(group);
  }

  #groupOf({ identity, claimTypes }: Agent): Group {
    const { capabilities, verified = [] } = identity;
    const key = profileKey(capabilities, claimTypes, verified);
    let group = this.#groups.get(key);
    if (group !== undefined) return group;
    const profile: Profile = {
      key,
      capabilities: new Set(capabilities),
      verified: new Set(verified),
      claimTypes: claimTypes === undefined ? undefined : new Set(claimTypes),
    };
    const kinds = Array.from({ length: KINDS }, () => new LaneHeads("age"));
    group = {
      profile,
      members: new Set(),
      free: [],
      freeAiling: [],
      crew: { agents: 0, inFlight: 0 },
      heads: headsBy("age"),
      seniors: headsBy("seniority"),
      turns: headsBy("turn"),
      kinds,
    };
    this.#groups.set(key, group);
    this.#groupList = [...this.#groups.values()];
    this.#watcher.groupCame(group);
    return group;
  }
}

/** Moves the seat from the list in which it stands to another one, or to none. */
function setFree(seat: Seat, list: Seat[] | undefined): void {
  if (seat.free === list) return;
  const last = seat.free?.pop();
  if (seat.free !== undefined && last !== undefined && last !== seat) {
    seat.free[seat.freeAt] = last;
    last.freeAt = seat.freeAt;
  }
  seat.free = list;
  if (list !== undefined) seat.freeAt = list.push(seat) - 1;
}

/** The crew of its group counts it anew, with so many runs or not at all. */
function setServing(seat: Seat, inFlight: number | undefined): void {
  const { crew } = seat.group;
  crew.agents += Number(inFlight !== undefined) - Number(seat.serving !== undefined);
  crew.inFlight += (inFlight ?? 0) - (seat.serving ?? 0);
  seat.serving = inFlight;
}
