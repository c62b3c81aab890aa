/** The agents of one pool: grouped by what they offer, each with its place among the free. */
import type { AgentId } from "../base/ids.ts";
import { hashOf } from "../policies/balancer/affinity.ts";
import type { Busy } from "../policies/balancer/hold-back.ts";
import { isQuick } from "../policies/balancer/score.ts";
import type { Warming } from "../policies/balancer/slow-start.ts";
import type { Agent } from "./agent.ts";
import type { Lane } from "./lane.ts";
import { LaneHeads } from "./lane-heads.ts";
import { type Profile, profileKey } from "./service-class.ts";
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

/** Lanes are alike to a strategy when their tasks are as urgent, and quick or not. */
export const kindOf = (lane: Lane): number =>
  lane.priority - 1 + (isQuick(lane.serviceClass.type) ? PRIORITIES.length : 0);
const KINDS = 2 * PRIORITIES.length;

const headsBy = (order: "age" | "turn"): Record<Priority, LaneHeads> => ({
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
  readonly #seats = new Map<AgentId, Seat>();
  readonly #watcher: GroupWatcher;
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
    seat.warming = agent.warming;
    this.#setFree(seat, canTakeWork);
  }

  /** Seats whose profile fits, free or not. */
  *whoFit(task: { readonly type: string; readonly requires: readonly string[] }): Iterable<Seat> {
    for (const group of this.#groups.values()) if (againstKind(group.profile, task) === undefined) yield* group.members;
  }

  profileOf(id: AgentId): Profile | undefined {
    return this.#seats.get(id)?.group.profile;
  }

  all(): Iterable<Seat> {
    return this.#seats.values();
  }

  /** Those who are at work for tasks like this one, or could be, and what they run. */
  crewOf(task: { readonly type: string; readonly requires: readonly string[] }): { inFlight: number; agents: number } {
    const crew = { inFlight: 0, agents: 0 };
    for (const { agent } of this.whoFit(task)) {
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
    group = { profile, members: new Set(), free: [], heads: headsBy("age"), turns: headsBy("turn"), kinds };
    this.#groups.set(key, group);
    this.#watcher.groupCame(group);
    return group;
  }
}
