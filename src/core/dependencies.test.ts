import { expect, test } from "vitest";
import { createWorld, refusal, type SpecInput, type World } from "../testing/world.ts";

const retry = { maxAttempts: 1 };

/** One agent with many slots, so that everything that may run does. */
function wide(): World {
  return createWorld({ agents: [{ name: "ada", concurrency: 100 }], pool: { retry } });
}

const statuses = (world: World, ids: string): string[] => [...ids].map((id) => world.status(id));

test("S3-11 a task waits for its dependency and is released when that completes", () => {
  const world = wide();
  world.submit({ id: "a" });
  world.submit({ id: "b", dependencies: ["a"] });
  expect(world.status("b")).toBe("dependencies");
  world.complete("a");
  expect(world.runner("b")).toBe("ada");
});

test("S3-11 S3-B19 a task with several is released once, when the last has completed", () => {
  const world = wide();
  for (const id of ["a", "b", "c"]) world.submit({ id });
  world.submit({ id: "d", dependencies: ["a", "b", "c"] });
  world.complete("b");
  world.complete("a");
  expect([world.status("d"), world.task("d").unmet]).toEqual(["dependencies", 1]);
  world.complete("c");
  expect(world.order.filter((id) => id === "d")).toEqual(["d"]);
});

test("S3-B19 dependencies that complete in one turn release their dependent once", () => {
  const world = wide();
  for (const id of ["a", "b"]) world.submit({ id });
  world.submit({ id: "c", dependencies: ["a", "b"] });
  const reports = ["a", "b"].map((id) => ({
    type: "report" as const,
    agentId: world.lease(id)?.agentId,
    taskId: world.task(id).spec.id,
    fence: world.lease(id)?.fence ?? 0,
    outcome: { name: "succeeded" as const, resultBytes: 1 },
    known: world.known(),
  }));
  world.turn(reports);
  expect(world.order).toEqual(["a", "b", "c"]);
});

test("S3-11 S3-13 without dependencies, or with only completed ones, a task is ready at once", () => {
  const world = wide();
  world.submit({ id: "a", dependencies: [] });
  world.complete("a");
  world.submit({ id: "b", dependencies: ["a"] });
  world.complete("b");
  world.forget();
  world.submit({ id: "c", dependencies: ["a", "b"] });
  expect(world.status("c")).toBe("leased");
});

test("S3-B18 only unmet dependencies are counted and registered", () => {
  const world = wide();
  for (const id of ["a", "b"]) world.submit({ id });
  world.complete("a");
  world.submit({ id: "c", dependencies: ["a", "b"] });
  expect([world.task("c").unmet, [...world.state.dependents.keys()]]).toEqual([1, ["b"]]);
  world.complete("b");
  expect(world.state.dependents.size).toBe(0);
});

test("S3-66 S4-L04 a diamond runs in order", () => {
  const world = wide();
  world.submitBatch([
    { id: "a" },
    { id: "b", dependencies: ["a"] },
    { id: "c", dependencies: ["a"] },
    { id: "d", dependencies: ["b", "c"] },
  ]);
  for (const id of ["a", "c", "b", "d"]) world.complete(id);
  expect(world.order).toEqual(["a", "b", "c", "d"]);
});

test("a dependency may lie in another pool", () => {
  const world = wide();
  const other = world.addPool({ id: "other" });
  world.addAgent("bob", other);
  world.submit({ id: "a", pool: "other" });
  world.submit({ id: "b", dependencies: ["a"] });
  world.complete("a");
  expect(world.runner("b")).toBe("ada");
});

test("S3-B20 unknown dependencies are refused, named, and nothing is stored", () => {
  const world = wide();
  world.submit({ id: "a" });
  const { events } = world;
  const before = events.length;
  expect(refusal(() => world.submit({ id: "b", dependencies: ["x", "a", "y"] }))).toMatchObject({
    code: "unknown_dependency",
    details: { unknown: ["x", "y"], path: "dependencies" },
  });
  expect(events).toHaveLength(before);
});

test("S3-12 a failed dependency is not met: its dependents are cancelled, naming it", () => {
  const world = wide();
  world.submit({ id: "a" });
  world.submit({ id: "b", dependencies: ["a"] });
  world.fail("a");
  expect(world.settlement("b")).toEqual({
    status: "cancelled",
    deadLettered: false,
    settledAtMs: world.nowMs,
    error: {
      code: "dependency_failed",
      message: "its dependency a did not complete",
      blame: "dependency",
      details: { dependency: "a" },
    },
  });
});

test("S3-12 S3-B10 a cancelled dependency is not met either", () => {
  const world = wide();
  world.submit({ id: "a" });
  world.submit({ id: "b", dependencies: ["a"] });
  world.cancel("a");
  expect(world.settlement("b")).toMatchObject({ status: "cancelled", error: { code: "dependency_failed" } });
});

test("S3-B22 the failure of a dependency goes down the whole graph, each naming its own", () => {
  const world = wide();
  world.submitBatch([
    { id: "a" },
    { id: "b", dependencies: ["a"] },
    { id: "c", dependencies: ["b"] },
    { id: "d", dependencies: ["b", "c"] },
  ]);
  world.fail("a");
  expect(statuses(world, "bcd")).toEqual(["cancelled", "cancelled", "cancelled"]);
  expect(["b", "c", "d"].map((id) => world.settlement(id).error?.details)).toEqual([
    { dependency: "a" },
    { dependency: "b" },
    { dependency: "b" },
  ]);
});

test("with `fail` a dependent fails and is a dead letter, and its own dependents go by their own policy", () => {
  const world = wide();
  world.submitBatch([
    { id: "a" },
    { id: "b", dependencies: ["a"], onDependencyFailure: "fail" },
    { id: "c", dependencies: ["b"] },
    { id: "d", dependencies: ["b"], onDependencyFailure: "run" },
  ]);
  world.fail("a");
  expect(world.settlement("b")).toMatchObject({
    status: "failed",
    deadLettered: true,
    error: { code: "dependency_failed" },
  });
  expect(statuses(world, "cd")).toEqual(["cancelled", "leased"]);
});

test("with `run` a dependent runs all the same, and knows which failed", () => {
  const world = wide();
  for (const id of ["a", "b", "c"]) world.submit({ id });
  world.submit({ id: "d", dependencies: ["a", "b", "c"], onDependencyFailure: "run" });
  world.fail("a");
  world.complete("b");
  expect(world.status("d")).toBe("dependencies");
  world.cancel("c");
  expect([world.status("d"), world.task("d").failedDependencies]).toEqual(["leased", ["a", "c"]]);
});

for (const [policy, status] of [
  ["cancel", "cancelled"],
  ["fail", "failed"],
  ["run", "leased"],
] as const) {
  for (const how of ["failed", "cancelled"] as const) {
    test(`a dependency that had ${how} before the submission: ${policy} makes the task ${status}`, () => {
      const world = wide();
      world.submit({ id: "a" });
      world.submit({ id: "open" });
      if (how === "failed") world.fail("a");
      else world.cancel("a");
      for (const [id, forgotten] of [
        ["b", false],
        ["c", true],
      ] as const) {
        if (forgotten) world.forget();
        world.submit({ id, dependencies: ["a"], onDependencyFailure: policy });
        expect(world.status(id)).toBe(status);
        if (policy === "run") expect(world.task(id).failedDependencies).toEqual(["a"]);
        else
          expect(world.settlement(id).error).toMatchObject({ code: "dependency_failed", details: { dependency: "a" } });
      }
      const still = world.submit({ dependencies: ["open", "a"], onDependencyFailure: policy });
      expect(world.status(still)).toBe(policy === "run" ? "dependencies" : status);
    });
  }
}

test("a task whose dependency had failed takes its own dependents of the same batch along", () => {
  const world = wide();
  world.submit({ id: "a" });
  world.fail("a");
  world.submitBatch([
    { id: "c", dependencies: ["b"] },
    { id: "b", dependencies: ["a"] },
  ]);
  expect(statuses(world, "bc")).toEqual(["cancelled", "cancelled"]);
});

test("S3-B22 only the final failure of a dependency counts: while it is tried again its dependents wait", () => {
  const world = createWorld({ agents: ["ada"], pool: { retry: { maxAttempts: 2, backoff: { baseMs: 10 } } } });
  world.submit({ id: "a" });
  world.submit({ id: "b", dependencies: ["a"] });
  world.fail("a");
  expect(world.status("b")).toBe("dependencies");
  world.advance(10);
  world.complete("a");
  expect(world.status("b")).toBe("leased");
});

test("S3-B22 a replay does not revive dependents that were cancelled with its earlier life", () => {
  const world = wide();
  world.submit({ id: "a" });
  world.submit({ id: "b", dependencies: ["a"] });
  world.fail("a");
  world.replay("a");
  world.complete("a");
  expect([world.status("a"), world.status("b")]).toEqual(["completed", "cancelled"]);
});

test("S3-B23 a dependent that was cancelled while it waited is not revived when its dependency completes", () => {
  const world = wide();
  world.submit({ id: "a" });
  world.submit({ id: "b", dependencies: ["a"] });
  world.cancel("b");
  world.forget();
  world.complete("a");
  expect(world.order).toEqual(["a"]);
  expect(world.history.get(world.spec({ id: "b" }).id)?.settlement.status).toBe("cancelled");
});

/** `b` depended on `a`, which failed, and on `late`, which is still open when `b` is replayed. */
function replayedEarly(): World {
  const world = wide();
  for (const id of ["a", "late"]) world.submit({ id });
  world.submit({ id: "b", dependencies: ["a", "late"], onDependencyFailure: "fail" });
  world.fail("a");
  world.replay("b");
  return world;
}

test("a task that is replayed before all of its dependencies ended waits for those that are open, and is released once", () => {
  const world = replayedEarly();
  expect([world.status("b"), world.task("b").unmet]).toEqual(["dependencies", 1]);
  world.complete("late");
  expect(world.order.filter((id) => id === "b")).toEqual(["b"]);
});

test("a replayed task fails again with a dependency that it waits for", () => {
  const world = replayedEarly();
  world.fail("late");
  expect(world.settlement("b")).toMatchObject({ status: "failed", error: { details: { dependency: "late" } } });
});

test("a task that is replayed after its dependency was waits for the dependency's new life", () => {
  const world = wide();
  world.submit({ id: "a" });
  world.submit({ id: "b", dependencies: ["a"], onDependencyFailure: "fail" });
  world.fail("a");
  world.replay("a");
  world.replay("b");
  expect(world.status("b")).toBe("dependencies");
  world.complete("a");
  expect(world.status("b")).toBe("leased");
});

test("a task that is replayed before its `runAt` still waits for that", () => {
  const world = wide();
  world.submit({ id: "a" });
  const runAtMs = world.nowMs + 500;
  world.submit({ id: "b", dependencies: ["a"], onDependencyFailure: "fail", runAtMs });
  world.fail("a");
  world.replay("b");
  expect([world.status("b"), world.waitsMs("b")]).toEqual(["delay", 500]);
  world.advance(500);
  expect(world.status("b")).toBe("leased");
});

test("a released dependent with a `runAt` in the future waits for that, with one in the past it does not", () => {
  const world = wide();
  world.submit({ id: "a" });
  world.submit({ id: "later", dependencies: ["a"], runAtMs: world.nowMs + 500 });
  world.submit({ id: "past", dependencies: ["a"], runAtMs: world.nowMs + 10 });
  world.advance(10);
  world.complete("a");
  expect([world.status("later"), world.waitsMs("later"), world.status("past")]).toEqual(["delay", 490, "leased"]);
  world.advance(490);
  expect(world.status("later")).toBe("leased");
});

test("a released dependent keeps the place of its admission", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "a" });
  world.submit({ id: "older", dependencies: ["a"] });
  world.advance(5);
  world.submit({ id: "newer" });
  world.complete("a");
  expect(world.runner("older")).toBe("ada");
});

test("S3-B17 blocked tasks are told from ready ones, and come back blocked from a restart", () => {
  const world = wide();
  world.submit({ id: "a" });
  world.submit({ id: "b", dependencies: ["a"] });
  world.restart();
  expect([world.status("b"), world.task("b").unmet]).toEqual(["dependencies", 1]);
  world.ask({ type: "recover" });
  world.ready("ada");
  world.complete("a");
  expect(world.status("b")).toBe("leased");
});

test("a chain of ten thousand is cancelled to its end by one failure, without a stack of that depth", () => {
  const world = createWorld({ agents: ["ada"], pool: { retry, queue: { blockedLimit: 20_000 } }, checks: "end" });
  const chain: SpecInput[] = Array.from({ length: 10_000 }, (_, n) => ({
    id: `c${n}`,
    dependencies: n === 0 ? [] : [`c${n - 1}`],
  }));
  world.submitBatch(chain.reverse());
  world.fail("c0");
  expect(world.status("c9999")).toBe("cancelled");
  expect(world.history.size).toBe(10_000);
  world.check();
});

test("ten thousand dependents of one task are all released by its end", () => {
  const world = createWorld({
    agents: [{ name: "ada", concurrency: 1 }],
    pool: { queue: { blockedLimit: 20_000 } },
    checks: "end",
  });
  world.submit({ id: "a" });
  world.submitBatch(Array.from({ length: 10_000 }, (_, n) => ({ id: `d${n}`, dependencies: ["a"] })));
  world.complete("a");
  expect([world.runner("d0"), world.status("d9999"), world.state.dependents.size]).toEqual(["ada", "agent", 0]);
  world.check();
});

test.each([false, true])(
  "a replayed task waits for those that were open then, not for one that was replayed since (restart: %s)",
  (restarts) => {
    const world = createWorld({ agents: ["ada", "bob", "cyd"] });
    world.submit({ id: "a" });
    world.fail("a", { blame: "task" });
    world.submit({ id: "x", runAtMs: world.nowMs + 60_000 });
    world.submit({ id: "b", dependencies: ["a", "x"], onDependencyFailure: "fail" });
    expect(world.status("b")).toBe("failed");
    world.advance(1);
    world.replay("b");
    world.advance(1);
    world.replay("a");
    if (restarts) {
      world.restart();
      world.ask({ type: "recover" });
      for (const name of ["ada", "bob", "cyd"]) world.ready(name);
    }
    if (world.status("a") !== "leased") world.advance(60_000 - 100);
    world.complete("a");
    expect(world.task("b")).toMatchObject({ state: { name: "waiting", reason: "dependencies" }, unmet: 1 });
    world.advance(60_000);
    world.complete("x");
    expect(world.status("b")).toBe("leased");
  },
);
