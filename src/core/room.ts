/**
 * Whether a full queue can still take a task because somebody free starts it at once. Who gets which slot is decided
 * later, one task at a time, and a task may take the only slot of another: so this counts on no more than any order of
 * giving leaves.
 */
import type { AgentId } from "../base/ids.ts";
import type { PoolQueue } from "./pool-queue.ts";
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
  readonly profile: Parameters<typeof mayServe>[0];
  readonly agentIds: readonly AgentId[];
  readonly free: number;
}

export interface Room {
  /** How many would still wait at most after a match with all that is free. */
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
  const all = [...demands.values()].filter(({ startable }) => startable > 0);
  const offers = freeOf(queue);
  return {
    waiting: total - surelyStarted(all, offers),
    startsLast: last !== undefined && contenders(last, all, offers) <= slotsFor(last, offers),
  };
}

function freeOf(queue: PoolQueue): Offer[] {
  const offers: Offer[] = [];
  for (const { profile, free, freeAiling } of queue.seats.groups()) {
    const seats = [...free, ...freeAiling];
    const slots = seats.reduce((sum, seat) => sum + freeSlots(seat), 0);
    if (slots > 0) offers.push({ profile, agentIds: seats.map(({ agentId }) => agentId), free: slots });
  }
  return offers;
}

interface FreeSeat {
  readonly capacity: number;
  readonly inFlight: number;
  readonly agent: { readonly claim: { readonly max: number; readonly leased: readonly number[] } | undefined };
}

function freeSlots({ agent, capacity, inFlight }: FreeSeat): number {
  const room = capacity - inFlight;
  return agent.claim === undefined ? room : Math.min(room, agent.claim.max - agent.claim.leased.length);
}

/**
 * Two bounds that hold for any order of giving, as a task stays only when all slots that fit it are taken. Of each kind
 * start all, or as many as there are slots that fit it and that others would leave. And of one kind alone: all start, or
 * every slot that fits it is taken, by whomever.
 */
function surelyStarted(demands: readonly Demand[], offers: readonly Offer[]): number {
  let together = 0;
  let most = 0;
  for (const demand of demands) {
    // Whom some have failed on may wait for others than the free.
    if (demand.excluded !== undefined) continue;
    const slots = slotsFor(demand, offers);
    if (slots === 0) continue;
    const others = contenders(demand, demands, offers) - demand.startable;
    together += Math.min(demand.startable, Math.max(0, slots - others));
    most = Math.max(most, Math.min(demand.startable, slots));
  }
  return Math.max(together, most);
}

function slotsFor(demand: Demand, offers: readonly Offer[]): number {
  return offers.reduce((sum, offer) => (fits(offer, demand) ? sum + offer.free : sum), 0);
}

/** Tasks that might take a slot which fits these, themselves included. */
function contenders(demand: Demand, demands: readonly Demand[], offers: readonly Offer[]): number {
  const fitting = offers.filter((offer) => fits(offer, demand));
  if (fitting.length === 0) return demand.startable;
  let count = 0;
  for (const other of demands) if (fitting.some((offer) => fits(offer, other))) count += other.startable;
  return count;
}

function fits({ profile, agentIds }: Offer, { kind, excluded }: Demand): boolean {
  if (!mayServe(profile, kind)) return false;
  return excluded === undefined || agentIds.some((id) => !excluded.has(id));
}
