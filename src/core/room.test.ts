import fc from "fast-check";
import { expect, test } from "vitest";
import { createWorld, MAIN, type SpecInput } from "../testing/world.ts";
import { roomFor } from "./room.ts";
import { mayServe } from "./service-class.ts";
import { queueOf } from "./state.ts";

interface Kind {
  readonly type: string;
  readonly requires: readonly string[];
}
interface Offer {
  readonly capabilities: readonly string[];
  readonly slots: number;
}

/** A pool with these agents, all free, and nothing in the queue. */
function queueWith(offers: readonly Offer[]) {
  const agents = offers.map(({ capabilities, slots }, n) => ({ name: `a${n}`, capabilities, concurrency: slots }));
  const world = createWorld({ agents });
  return queueOf(world.state, MAIN);
}

/** What waits at most, and whether the last task always starts, over every order in which slots can be given. */
function worst(tasks: readonly Kind[], slots: readonly Offer[]): { waiting: number; startsLast: boolean } {
  const last = tasks[tasks.length - 1];
  let waiting = 0;
  let startsLast = last !== undefined;
  const give = (left: readonly Kind[], free: readonly Offer[]): void => {
    let stuck = true;
    for (const [t, task] of left.entries()) {
      for (const [f, slot] of free.entries()) {
        const profile = { key: "", capabilities: new Set(slot.capabilities), claimTypes: undefined };
        if (!mayServe(profile, task)) continue;
        stuck = false;
        give(left.toSpliced(t, 1), free.toSpliced(f, 1));
      }
    }
    if (!stuck) return;
    waiting = Math.max(waiting, left.length);
    if (last !== undefined && left.includes(last)) startsLast = false;
  };
  give(tasks, slots);
  return { waiting, startsLast };
}

const single = (offers: readonly Offer[]): Offer[] =>
  offers.flatMap((offer) => Array.from({ length: offer.slots }, () => ({ ...offer, slots: 1 })));

test("nothing waits where nothing is planned, and everything where nobody is free", () => {
  expect(roomFor(queueWith([]), [])).toEqual({ waiting: 0, startsLast: false });
  expect(roomFor(queueWith([]), [{ type: "x", requires: [] }])).toEqual({ waiting: 1, startsLast: false });
});

test("a slot that two kinds could use is counted on for neither when there is no other", () => {
  const queue = queueWith([
    { capabilities: ["x", "y"], slots: 1 },
    { capabilities: ["x"], slots: 1 },
  ]);
  const x = { type: "x", requires: [] };
  const y = { type: "y", requires: [] };
  expect(roomFor(queue, [y])).toEqual({ waiting: 0, startsLast: true });
  expect(roomFor(queue, [x, y])).toEqual({ waiting: 1, startsLast: false });
  expect(roomFor(queue, [y, x])).toEqual({ waiting: 1, startsLast: true });
  expect(roomFor(queue, [y, y])).toEqual({ waiting: 1, startsLast: false });
});

test("kinds that share no slot are each counted in full", () => {
  const queue = queueWith([
    { capabilities: ["x"], slots: 2 },
    { capabilities: ["y"], slots: 1 },
  ]);
  const x = { type: "x", requires: [] };
  const y = { type: "y", requires: [] };
  expect(roomFor(queue, [x, x, y])).toEqual({ waiting: 0, startsLast: true });
  expect(roomFor(queue, [x, x, x, y, y, y])).toEqual({ waiting: 3, startsLast: false });
});

test("no order of giving leaves more waiting than was said, or the last one when it was said to start", () => {
  const kind = fc.constantFrom<Kind>(
    { type: "x", requires: [] },
    { type: "y", requires: [] },
    { type: "general", requires: [] },
    { type: "x", requires: ["y"] },
    { type: "x", requires: ["x", "y"] },
  );
  const offer = fc.record({
    capabilities: fc.constantFrom<readonly string[]>(["x"], ["y"], ["x", "y"], ["z"], [], ["*"]),
    slots: fc.integer({ min: 1, max: 2 }),
  });
  fc.assert(
    fc.property(fc.array(kind, { maxLength: 4 }), fc.array(offer, { maxLength: 2 }), (tasks, offers) => {
      // Each its own object, so that the last one is told from others like it.
      const each = tasks.map((task) => ({ ...task }));
      const said = roomFor(queueWith(offers), each);
      const is = worst(each, single(offers));
      expect(said.waiting).toBeGreaterThanOrEqual(is.waiting);
      if (said.startsLast) expect(is.startsLast).toBe(true);
      if (new Set(tasks).size <= 1) expect(said).toEqual(is);
    }),
    { numRuns: 300 },
  );
});

test("whoever takes which slot, a queue never holds more than its limit", () => {
  const types = ["x", "y", "z"];
  const task = fc.record({ type: fc.constantFrom(...types) });
  const offer = fc.record({
    capabilities: fc.subarray(types, { minLength: 1 }),
    slots: fc.integer({ min: 1, max: 2 }),
  });
  fc.assert(
    fc.property(
      fc.array(task, { minLength: 1, maxLength: 7 }),
      fc.array(offer, { maxLength: 2 }),
      fc.nat({ max: 2 }),
      (tasks, offers, limit) => {
        const agents = offers.map(({ capabilities, slots }, n) => ({
          name: `a${n}`,
          capabilities,
          concurrency: slots,
        }));
        const world = createWorld({ agents, pool: { queue: { limit } } });
        const items = world.submitBatch(tasks, { partial: true });
        expect(world.state.pools.get(MAIN)?.counts.agent).toBeLessThanOrEqual(limit);
        const taken = items.filter((item) => !("error" in item)).length;
        expect(taken).toBeGreaterThanOrEqual(Math.min(tasks.length, limit));
      },
    ),
    { numRuns: 150 },
  );
});

test("with agents alike a queue never holds more than its limit, and refuses nothing while it has room", () => {
  fc.assert(
    fc.property(
      fc.nat({ max: 12 }),
      fc.nat({ max: 3 }),
      fc.nat({ max: 3 }),
      fc.nat({ max: 4 }),
      (count, some, slots, limit) => {
        const agents = Array.from({ length: some }, (_, n) => ({ name: `a${n}`, concurrency: slots + 1 }));
        const world = createWorld({ agents, pool: { queue: { limit } } });
        const specs: SpecInput[] = Array.from({ length: count }, () => ({}));
        const taken = world.submitBatch(specs, { partial: true }).filter((item) => !("error" in item)).length;
        expect(taken).toBe(Math.min(count, some * (slots + 1) + limit));
        expect(world.state.pools.get(MAIN)?.counts.agent).toBeLessThanOrEqual(limit);
      },
    ),
    { numRuns: 100 },
  );
});
