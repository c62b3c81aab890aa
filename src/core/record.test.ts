import { expect, test } from "vitest";
import { createWorld } from "../testing/world.ts";
import { isDurable } from "./event.ts";
import { openFacts, settledFacts } from "./record.ts";

test("an open task has an open row and no history row, a settled one the other way round", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t" });
  expect(openFacts(world.task("t"))).toMatchObject({ num: 1, spec: { id: "t" }, state: { name: "leased" } });
  expect(() => settledFacts(world.task("t"))).toThrow(TypeError);
  world.complete("t");
  expect(settledFacts(world.task("t"))).toMatchObject({
    num: 1,
    spec: { id: "t" },
    settlement: { status: "completed" },
  });
  expect(() => openFacts(world.task("t"))).toThrow(TypeError);
});

test("what a task has gone through is in its rows", () => {
  const world = createWorld({ agents: ["ada", "bob"], pool: { retry: { maxAttempts: 2 } } });
  world.submit({ id: "t" });
  world.report("t", { name: "released" });
  world.fail("t");
  expect(openFacts(world.task("t"))).toMatchObject({
    attemptCount: 1,
    refunds: 1,
    lastNumber: 3,
    failedAgentIds: ["ada"],
    again: false,
  });
  world.fail("t");
  const { lastFence } = world.task("t");
  expect(settledFacts(world.task("t"))).toMatchObject({
    attemptCount: 2,
    refunds: 1,
    lastNumber: 3,
    lastFence,
    replays: 0,
  });
});

test("what must outlive the engine is durable: pools, agents, tasks, attempts, settlements, replays, remote starts", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t" });
  world.start("t");
  world.complete("t");
  expect(world.events.map(({ type }) => type)).toEqual([
    "pool.created",
    "agent.added",
    "task.submitted",
    "task.leased",
    "task.settled",
  ]);
  expect(world.events.every(isDurable)).toBe(true);
});

test("a refused command leaves nothing durable behind", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t" });
  const { length } = world.events;
  const taskId = world.task("t").spec.id;
  world.turn([
    { type: "report", agentId: undefined, taskId, fence: 7, outcome: { name: "released" }, known: world.known() },
    { type: "submit", specs: [world.spec({ id: "t" })], partial: false, known: world.known() },
    { type: "replay", taskId, known: world.known() },
    { type: "tick" },
  ]);
  expect(world.events).toHaveLength(length);
});
