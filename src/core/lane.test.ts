import fc from "fast-check";
import { expect, test } from "vitest";
import { createWorld } from "../testing/world.ts";
import { Classes } from "./classes.ts";
import { FairKey } from "./fair-keys.ts";
import { Lane } from "./lane.ts";
import { precedes } from "./order.ts";
import { newTask, type Task } from "./task.ts";

const world = createWorld();

function aTask(num: number, { queuedAtMs = num, first = false } = {}): Task {
  const task = newTask(num, world.spec({ id: `task-${num}` }), queuedAtMs);
  task.first = first;
  return task;
}

function aLane(): Lane {
  const serviceClass = new Classes(new Map(), () => []).of({ type: "general", requires: [] });
  const fairKey = new FairKey<Lane>("");
  return new Lane("3", serviceClass, {
    priority: 3,
    fairKey,
    excluded: undefined,
    again: false,
    alone: false,
    quiet: false,
  });
}

/** Takes the head until nothing is left. */
function drain(lane: Lane): number[] {
  const order: number[] = [];
  for (let task = lane.head(); task !== undefined; task = lane.head()) {
    order.push(task.num);
    lane.leave(task);
  }
  return order;
}

test("an empty lane has no head", () => {
  expect([aLane().head(), aLane().size]).toEqual([undefined, 0]);
});

test("S0-17 tasks leave a lane in the order in which they came", () => {
  const lane = aLane();
  for (const num of [1, 2, 3]) lane.push(aTask(num));
  expect(drain(lane)).toEqual([1, 2, 3]);
});

test("the earlier instant goes first, and of one instant the smaller admission number", () => {
  const lane = aLane();
  lane.push(aTask(1, { queuedAtMs: 20 }));
  lane.push(aTask(3, { queuedAtMs: 10 }));
  lane.push(aTask(2, { queuedAtMs: 10 }));
  expect(drain(lane)).toEqual([2, 3, 1]);
});

test("a replay goes before everything older, and replays among themselves by age", () => {
  const lane = aLane();
  lane.push(aTask(1, { queuedAtMs: 1 }));
  lane.push(aTask(2, { queuedAtMs: 60, first: true }));
  lane.push(aTask(3, { queuedAtMs: 50, first: true }));
  expect(drain(lane)).toEqual([3, 2, 1]);
});

test("no task precedes itself", () => {
  expect(precedes(aTask(1), aTask(1))).toBe(false);
});

test("S3-B13 a task leaves from the middle by itself, the others keep their places", () => {
  const lane = aLane();
  const tasks = [1, 2, 3].map((num) => aTask(num));
  for (const task of tasks) lane.push(task);
  lane.leave(tasks[1] as Task);
  expect([lane.size, drain(lane)]).toEqual([2, [1, 3]]);
});

test("a task that comes back finds its old place, and stands there once", () => {
  const lane = aLane();
  const tasks = [1, 2, 3].map((num) => aTask(num));
  for (const task of tasks) lane.push(task);
  for (let round = 0; round < 3; round++) {
    const [first] = tasks as [Task];
    lane.leave(first);
    expect(lane.head()?.num).toBe(2);
    lane.push(first);
    expect([lane.head()?.num, lane.size]).toEqual([1, 3]);
  }
  expect([drain(lane), lane.size]).toEqual([[1, 2, 3], 0]);
});

test("a lane of thousands stays in order while most of it leaves from everywhere", () => {
  const lane = aLane();
  const tasks = Array.from({ length: 6_000 }, (_, num) => aTask(num));
  for (const task of tasks) lane.push(task);
  const stay = tasks.filter(({ num }) => num % 97 === 0);
  for (const task of tasks) if (task.num % 97 !== 0) lane.leave(task);
  expect(lane.size).toBe(stay.length);
  expect(drain(lane)).toEqual(stay.map(({ num }) => num));
});

test("a lane of thousands that is drained from the front takes latecomers at their places", () => {
  const lane = aLane();
  for (let num = 0; num < 5_000; num++) lane.push(aTask(num * 2));
  const order: number[] = [];
  for (let task = lane.head(); task !== undefined; task = lane.head()) {
    order.push(task.num);
    lane.leave(task);
    // Every hundredth brings in one that belongs just behind it, and one that is newer than all.
    if (task.num % 200 === 0) lane.push(aTask(task.num + 1));
    if (task.num === 4_000) lane.push(aTask(20_001));
  }
  expect(order).toEqual([...order].sort((a, b) => a - b));
  expect(order).toHaveLength(5_000 + 50 + 1);
});

test("whatever comes, leaves and comes back, the head is the first by age of all that stand in the lane", () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("push" as const), queuedAtMs: fc.integer({ min: 0, max: 30 }), first: fc.boolean() }),
    fc.record({ do: fc.constantFrom("leave" as const, "return" as const), at: fc.nat() }),
    fc.record({ do: fc.constant("serve" as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const lane = aLane();
      const inside: Task[] = [];
      const outside: Task[] = [];
      let num = 0;
      for (const now of steps) {
        if (now.do === "push") {
          num += 1;
          const task = aTask(num, now);
          lane.push(task);
          inside.push(task);
        } else if (now.do === "return") {
          const [task] = outside.splice(now.at % (outside.length || 1), 1);
          if (task === undefined) continue;
          lane.push(task);
          inside.push(task);
        } else {
          const at = now.do === "leave" ? now.at % (inside.length || 1) : inside.indexOf(lane.head() as Task);
          const [task] = inside.splice(at, inside.length > 0 ? 1 : 0);
          if (task === undefined) continue;
          lane.leave(task);
          outside.push(task);
        }
        const expected = [...inside].sort((a, b) => (precedes(a, b) ? -1 : 1));
        expect(lane.head()).toBe(expected[0]);
        expect(lane.size).toBe(inside.length);
      }
      expect(drain(lane)).toEqual([...inside].sort((a, b) => (precedes(a, b) ? -1 : 1)).map((task) => task.num));
    }),
    { numRuns: 200 },
  );
});
