/** What a replay takes along from the life before, and what it leaves behind. */
import { expect, test } from "vitest";
import { asTaskId } from "../base/ids.ts";
import { createWorld, MAIN, type World } from "../testing/world.ts";

const marked = (world: World, ids: readonly string[]): string[] =>
  ids.filter((id) => world.history.get(asTaskId(id))?.settlement.deadLettered === true);
const fail = (world: World, ...ids: string[]): void => {
  for (const id of ids) {
    if (!world.state.tasks.has(asTaskId(id))) world.submit({ id });
    world.fail(id, { blame: "task" });
  }
};

test("who dies again after a replay is the youngest of the dead letters", () => {
  const world = createWorld({ agents: ["ada"], pool: { deadLetters: { limit: 2 } } });
  fail(world, "a", "b");
  world.replay("a");
  fail(world, "a", "c");
  expect(marked(world, ["a", "b", "c"])).toEqual(["a", "c"]);
});

test("S3-L10 a dead letter that goes by age takes no room among the others", () => {
  const world = createWorld({ agents: ["ada"], pool: { deadLetters: { limit: 2 }, retention: { count: 1 } } });
  fail(world, "a", "b");
  world.forget();
  const oldest = [...world.history.values()].map(({ num, spec: { id }, settlement: { status, settledAtMs } }) => {
    return { num, id, status, settledAtMs, bytes: 1, idempotencyKey: undefined, bodyHash: undefined };
  });
  world.ask({ type: "retire", pool: MAIN, oldest, kept: { count: 2, bytes: 2 } });
  expect(world.eventsOf("tasks.retired").flatMap(({ tasks }) => tasks.map(({ id }) => id))).toEqual(["a"]);
  fail(world, "c");
  expect(world.eventsOf("dead_letter.dropped")).toEqual([]);
});

test("a task that waited for two, ended and waits for them anew is released by the second, not by the first twice", () => {
  const world = createWorld({ agents: ["ada", "bob"] });
  for (const id of ["a", "b"]) world.submit({ id });
  world.submit({ id: "t", dependencies: ["a", "b"], deadlineAtMs: world.nowMs + 1_000 });
  world.advance(1_000);
  expect(world.status("t")).toBe("failed");
  world.replay("t");
  world.complete("a");
  expect([world.status("t"), world.task("t").unmet]).toEqual(["dependencies", 1]);
  world.complete("b");
  expect(world.status("t")).toBe("leased");
});

test("a dependency that failed, was replayed and completed is not told as failed", () => {
  const world = createWorld({ agents: ["ada"], pool: { retry: { maxAttempts: 1 } } });
  world.submit({ id: "a" });
  world.submit({ id: "t", dependencies: ["a"], onDependencyFailure: "run" });
  world.fail("a");
  expect(world.task("t").failedDependencies).toEqual(["a"]);
  world.fail("t");
  world.replay("a");
  world.replay("t");
  expect(world.status("t")).toBe("dependencies");
  world.complete("a");
  expect([world.status("t"), world.task("t").failedDependencies]).toEqual(["leased", []]);
});

test("what several open tasks depend on stays until the last of them has ended", () => {
  const world = createWorld({ agents: ["ada", "bob"], pool: { retention: { count: 0 } } });
  world.submit({ id: "root" });
  for (const id of ["x", "y"]) world.submit({ id, dependencies: ["root"] });
  world.complete("root");
  expect(world.state.needed.get(asTaskId("root"))).toBe(2);
  world.complete("x");
  expect(world.state.needed.get(asTaskId("root"))).toBe(1);
  world.complete("y");
  expect(world.state.needed.has(asTaskId("root"))).toBe(false);
});

test("a task that its gate holds is held once, also when its deadline comes near", () => {
  const world = createWorld({ agents: ["ada"] });
  world.ask({ type: "set_gate", name: "db", available: false, holds: ["migration"] });
  const escalate = { atShare: 0.5, priority: 1 } as const;
  world.submit({ id: "t", type: "migration", deadlineAtMs: world.nowMs + 1_000, escalate });
  world.advance(600);
  expect(world.task("t").priority).toBe(1);
  expect(world.state.queues.get(MAIN)?.gated).toBe(1);
  world.ask({ type: "set_gate", name: "db", available: true });
  expect([world.state.queues.get(MAIN)?.gated, world.status("t")]).toEqual([0, "leased"]);
});

test("a dependency that stays failed is told to a new life as well", () => {
  const world = createWorld({ agents: ["ada"], pool: { retry: { maxAttempts: 1 } } });
  world.submit({ id: "a" });
  world.submit({ id: "t", dependencies: ["a"], onDependencyFailure: "run" });
  world.fail("a");
  world.fail("t");
  world.replay("t");
  expect([world.status("t"), world.task("t").failedDependencies]).toEqual(["leased", ["a"]]);
});
