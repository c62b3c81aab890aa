/** One path from a report to everything that it means, and the plain way of three agents at one queue. */
import { expect, test } from "vitest";
import { createWorld } from "../testing/world.ts";

test("S3-B07 one report drives status, load, averages, dependents and what is told of it", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "first" });
  world.submit({ id: "second", dependencies: ["first"] });
  world.start("first");
  world.advance(1_000);
  expect(world.agent("ada").runs.size).toBe(1);
  const { length } = world.events;
  world.complete("first");
  expect(world.settlement("first")).toMatchObject({ status: "completed", settledAtMs: world.nowMs });
  expect(world.agent("ada").stats).toMatchObject({ succeeded: 1, failed: 0, latencySumMs: 1_000 });
  expect(world.agent("ada").measure).toMatchObject({ samples: 1, latencyMs: 1_000, successRate: 1 });
  expect(world.state.pools.get(world.task("first").spec.pool)?.totals.completed).toBe(1);
  expect(world.events.slice(length).map(({ type }) => type)).toEqual([
    "task.settled",
    "task.dependency_met",
    "task.waiting",
    "task.leased",
  ]);
  expect([world.runner("second"), world.agent("ada").runs.size]).toEqual(["ada", 1]);
});

test("S3-B27 what has ended is no load, and what is forgotten leaves nothing behind", () => {
  const world = createWorld({ agents: ["ada"] });
  for (let n = 0; n < 3; n++) {
    world.submit({ id: `t${n}`, idempotencyKey: `k${n}`, deadlineAtMs: world.nowMs + 60_000 });
    world.complete(`t${n}`);
  }
  expect(world.agent("ada").runs.size).toBe(0);
  const [pool] = world.state.pools.values();
  expect(pool?.counts).toEqual({ agent: 0, dependencies: 0, delay: 0, retry: 0, leased: 0 });
  world.ask({ type: "forget", taskIds: [...world.state.tasks.keys()] });
  expect([world.state.tasks.size, world.state.keys.size, world.state.needed.size]).toEqual([0, 0, 0]);
  expect(world.state.dependents.size).toBe(0);
});

test("S4-01 three agents with ids of their own take from one queue, first in, first out", () => {
  const world = createWorld({ agents: ["one", "two", "three"] });
  const ids = Array.from({ length: 7 }, () => world.submit());
  expect(new Set(world.state.agents.keys()).size).toBe(3);
  expect(ids.slice(0, 3).map((id) => world.runner(id))).toEqual(["one", "two", "three"]);
  for (const id of ids) world.complete(id);
  expect(world.order).toEqual(ids);
});

test("S4-26 S2-B04 losing one of three agents leaves two at work, and nothing is lost", () => {
  const world = createWorld({ agents: ["one", "two", { name: "three", kind: "daemon" }] });
  const ids = Array.from({ length: 5 }, () => world.submit());
  world.crash("three");
  // What ran there goes before what is newer.
  world.complete(ids[0] as string);
  expect(world.runner(ids[2] as string)).toBe("one");
  for (const id of ids.slice(1)) world.complete(id);
  expect(ids.map((id) => world.status(id))).toEqual(Array(5).fill("completed"));
});
