/**
 * Whether a full queue can still take a task because somebody free starts it at once. Who gets which slot is decided
 * later, one task at a time, and a task may take the only slot of another: so this counts on no more than any order of
 * giving leaves.
 */
import type { AgentId } from "../base/ids.ts";
import type { PoolQueue } from "./pool-queue.ts";
import type { Group, Seat } from "./seats.ts";
import { mayServe, type ServiceClass } from "./service-class.ts";

type Kind = Pick<ServiceClass, "type" | "requires">;

interface Planned extends Kind {
  readonly fairnessKey?: string | undefined;
  readonly tenant?: string | undefined;
}

/** Tasks that wait, or would, and that the same slots fit. */
interface Demand {
  readonly kind: Kind;
  /** Who may not be given them, as they have failed on it. */
  readonly excluded: ReadonlySet<AgentId> | undefined;
  /** How many could start if there were slots for all. */
  startable: number;
}

/** Free slots of agents that fit the same tasks. */
interface Offer {
  readonly group: Pick<Group, "profile" | "free" | "freeAiling">;
  readonly slots: number;
}

/** A demand, and who is free for it. */
interface Fitted {
  readonly demand: Demand;
  readonly offers: readonly Offer[];
}

export interface Room {
  /** How many would still wait at most after a match with all that is free. Reckoned when it is asked for. */
  readonly waiting: number;
  /** The last planned one is certain to start with that match. */
  readonly startsLast: boolean;
}

/** What is left of the queue, with these tasks in it, after a match with all that is free. */
export function roomFor(queue: PoolQueue, planned: readonly Planned[]): Room {
  const demands = new Map<string, Demand>();
  const add = (kind: Kind, startable: number, excluded?: ReadonlySet<AgentId>): Demand => {
    const key = [kind.type, ...kind.requires, "", ...(excluded ?? [])].join("\n");
    const known = demands.get(key) ?? { kind, excluded, startable: 0 };
    demands.set(key, known);
    known.startable += startable;
    return known;
  };
  const room = queue.keyRooms();
  let total = planned.length;
  for (const { serviceClass, tenant, fairKey, excludedNow, size } of queue.lanes()) {
    if (queue.holds(serviceClass.type)) continue;
    total += size;
    add(serviceClass, queue.holdsTenant(tenant) ? 0 : room(fairKey, size), excludedNow);
  }
  let last: Demand | undefined;
  for (const task of planned) {
    const startable = queue.holdsTenant(task.tenant) ? 0 : room(queue.keyOf(task.fairnessKey), 1);
    const demand = add(task, startable);
    last = startable === 0 ? undefined : demand;
  }
  const offers = freeOf(queue);
  const fitted: Fitted[] = [];
  for (const demand of demands.values()) {
    const fitting = demand.startable === 0 ? [] : offers.filter((offer) => fits(offer, demand));
    if (fitting.length > 0) fitted.push({ demand, offers: fitting });
  }
  const lastFitted = fitted.find(({ demand }) => demand === last);
  return {
    startsLast: lastFitted !== undefined && contenders(lastFitted, fitted) <= slotsOf(lastFitted),
    get waiting() {
      return total - surelyStarted(fitted);
    },
  };
}

function freeOf(queue: PoolQueue): Offer[] {
  const offers: Offer[] = [];
  for (const group of queue.seats.groups()) {
    const slots = freeSlots(group.free) + freeSlots(group.freeAiling);
    if (slots > 0) offers.push({ group, slots });
  }
  return offers;
}

function freeSlots(seats: readonly Pick<Seat, "agent" | "capacity" | "inFlight">[]): number {
  let slots = 0;
  for (const { agent, capacity, inFlight } of seats) {
    const room = capacity - inFlight;
    slots += agent.claim === undefined ? room : Math.min(room, agent.claim.max - agent.claim.leased.length);
  }
  return slots;
}

/**
 * Two bounds that hold for any order of giving, as a task stays only when all slots that fit it are taken. Of each kind
 * start all, or as many as there are slots that fit it and that others would leave. And of one kind alone: all start, or
 * every slot that fits it is taken, by whomever.
 */
function surelyStarted(fitted: readonly Fitted[]): number {
  let together = 0;
  let most = 0;
  // Those whom the same slots fit have the same contenders: kinds may be many, what is free is seldom of many sorts.
  const counted = new Map<string, number>();
  for (const one of fitted) {
    const { startable, excluded } = one.demand;
    // Whom some have failed on may wait for others than the free.
    if (excluded !== undefined) continue;
    const key = one.offers.map(({ group }) => group.profile.key).join("\n");
    const all = counted.get(key) ?? contenders(one, fitted);
    counted.set(key, all);
    const slots = slotsOf(one);
    together += Math.min(startable, Math.max(0, slots - (all - startable)));
    most = Math.max(most, Math.min(startable, slots));
  }
  return Math.max(together, most);
}

function slotsOf({ offers }: Fitted): number {
  let slots = 0;
  for (const offer of offers) slots += offer.slots;
  return slots;
}

/** Tasks that might take a slot which fits these, themselves included. */
function contenders({ offers }: Fitted, fitted: readonly Fitted[]): number {
  let count = 0;
  for (const other of fitted) if (other.offers.some((offer) => offers.includes(offer))) count += other.demand.startable;
  return count;
}

function fits({ group }: Offer, { kind, excluded }: Demand): boolean {
  if (!mayServe(group.profile, kind)) return false;
  if (excluded === undefined) return true;
  const isAllowed = ({ agentId }: Seat): boolean => !excluded.has(agentId);
  return group.free.some(isAllowed) || group.freeAiling.some(isAllowed);
}
