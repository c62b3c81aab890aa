/** Whether a full queue can still take a task because somebody free would start it at once. */
import type { PoolQueue } from "./pool-queue.ts";
import { mayServe, type ServiceClass } from "./service-class.ts";

type Kind = Pick<ServiceClass, "type" | "requires"> & {
  readonly fairnessKey?: string | undefined;
  readonly tenant?: string | undefined;
};

/**
 * How many of these tasks would still wait after a match with all that is free: the size of the queue less a largest
 * assignment of kinds to free slots.
 */
export function leftWaiting(queue: PoolQueue, planned: readonly Kind[]): number {
  const slots = [...queue.seats.groups()]
    .map((group) => ({ profile: group.profile, free: freeSlots(group.free) + freeSlots(group.freeAiling) }))
    .filter((group) => group.free > 0);
  const kinds = new Map<string, { kind: Kind; count: number }>();
  let total = 0;
  const room = queue.keyRooms();
  const add = (kind: Kind, count: number): void => {
    const key = `${kind.type}\n${kind.requires.join("\n")}`;
    const known = kinds.get(key);
    if (known === undefined) kinds.set(key, { kind, count });
    else known.count += count;
  };
  for (const { serviceClass, plain, failed } of queue.waitingByClass(room)) {
    total += plain.count + failed;
    add(serviceClass, plain.startable);
  }
  for (const kind of planned) {
    total += 1;
    add(kind, queue.holdsTenant(kind.tenant) ? 0 : room(queue.keyOf(kind.fairnessKey), 1));
  }
  return total - largestAssignment([...kinds.values()], slots);
}

function freeSlots(seats: readonly FreeSeat[]): number {
  let slots = 0;
  for (const { agent, capacity, inFlight } of seats) {
    const room = capacity - inFlight;
    slots += agent.claim === undefined ? room : Math.min(room, agent.claim.max - agent.claim.leased.length);
  }
  return slots;
}

interface FreeSeat {
  readonly capacity: number;
  readonly inFlight: number;
  readonly agent: { readonly claim: { readonly max: number; readonly leased: readonly number[] } | undefined };
}

/** Maximum flow over kinds and groups, by augmenting paths over the few kinds and groups there are. */
function largestAssignment(
  kinds: readonly { kind: Kind; count: number }[],
  groups: readonly { profile: Parameters<typeof mayServe>[0]; free: number }[],
): number {
  const given = kinds.map(() => groups.map(() => 0));
  const left = groups.map((group) => group.free);
  let assigned = 0;
  const augment = (kind: number, seen: Set<number>): boolean => {
    const wanted = kinds[kind];
    if (wanted === undefined) return false;
    for (const [g, group] of groups.entries()) {
      if (seen.has(g) || !mayServe(group.profile, wanted.kind)) continue;
      seen.add(g);
      if ((left[g] ?? 0) > 0) {
        left[g] = (left[g] ?? 0) - 1;
        return bump(kind, g, 1);
      }
      for (const other of kinds.keys()) {
        if (other === kind || (given[other]?.[g] ?? 0) === 0 || !augment(other, seen)) continue;
        bump(other, g, -1);
        return bump(kind, g, 1);
      }
    }
    return false;
  };
  const bump = (kind: number, g: number, by: number): true => {
    const row = given[kind] as number[];
    row[g] = (row[g] ?? 0) + by;
    return true;
  };
  for (const [k, { count }] of kinds.entries()) {
    for (let n = 0; n < count && augment(k, new Set()); n++) assigned += 1;
  }
  return assigned;
}
