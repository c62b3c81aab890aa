import fc from "fast-check";
import { expect, test } from "vitest";
import { createWorld, MAIN, type SpecInput } from "../testing/world.ts";
import { leftWaiting } from "./room.ts";
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

/** The largest number of tasks that can be given to slots, by trying everything. */
function mostAssigned(tasks: readonly Kind[], slots: readonly Offer[]): number {
  const [task, ...rest] = tasks;
  if (task === undefined) return 0;
  let best = mostAssigned(rest, slots);
  for (const [index, slot] of slots.entries()) {
    const profile = { key: "", capabilities: new Set(slot.capabilities), claimTypes: undefined };
    if (!mayServe(profile, task)) continue;
    best = Math.max(best, 1 + mostAssigned(rest, slots.toSpliced(index, 1)));
  }
  return best;
}

test("nothing waits where nothing is planned, and everything where nobody is free", () => {
  expect(leftWaiting(queueWith([]), [])).toBe(0);
  expect(leftWaiting(queueWith([]), [{ type: "x", requires: [] }])).toBe(1);
});

test("a slot that two kinds could use is kept for the one that has no other", () => {
  const queue = queueWith([
    { capabilities: ["x", "y"], slots: 1 },
    { capabilities: ["x"], slots: 1 },
  ]);
  expect(
    leftWaiting(queue, [
      { type: "x", requires: [] },
      { type: "y", requires: [] },
    ]),
  ).toBe(0);
  expect(
    leftWaiting(queue, [
      { type: "y", requires: [] },
      { type: "y", requires: [] },
    ]),
  ).toBe(1);
});

test("what is left waiting is what no assignment of tasks to free slots can place", () => {
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
    fc.property(fc.array(kind, { maxLength: 5 }), fc.array(offer, { maxLength: 3 }), (tasks, offers) => {
      const slots = offers.flatMap(({ capabilities, slots: count }) =>
        Array.from({ length: count }, () => ({ capabilities, slots: 1 })),
      );
      expect(leftWaiting(queueWith(offers), tasks)).toBe(tasks.length - mostAssigned(tasks, slots));
    }),
    { numRuns: 300 },
  );
});

test("a queue takes a task exactly when it has room after a best assignment, or when that places the task itself", () => {
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
        const slots = offers.flatMap((each) => Array.from({ length: each.slots }, () => ({ ...each, slots: 1 })));
        const waiting = (kinds: readonly { type: string }[]): number => {
          const plain = kinds.map(({ type }) => ({ type, requires: [] }));
          return plain.length - mostAssigned(plain, slots);
        };
        const items = createWorld({ agents, pool: { queue: { limit } } }).submitBatch(tasks, { partial: true });
        const taken: { type: string }[] = [];
        for (const [index, next] of tasks.entries()) {
          const left = waiting([...taken, next]);
          const fits = left <= limit || left === waiting(taken);
          expect("error" in (items[index] ?? {}), `${index}`).toBe(!fits);
          if (fits) taken.push(next);
        }
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
