import { expect, test } from "vitest";
import { createWorld, refusal, type World } from "../testing/world.ts";

const WAIT_MS = 1_000;
const aWorld = (): World =>
  createWorld({
    agents: [{ name: "ada", concurrency: 100 }],
    pool: { forwardReferencesMs: WAIT_MS, lease: { ttlMs: 3_600_000, renewMs: 1_000 }, retry: { maxAttempts: 1 } },
  });

test("S3-B20 a task waits for a dependency that nobody has submitted yet, and runs after it", () => {
  const world = aWorld();
  world.submit({ id: "b", dependencies: ["a"] });
  expect(world.status("b")).toBe("dependencies");
  world.advance(WAIT_MS - 1);
  world.submit({ id: "a" });
  world.advance(10 * WAIT_MS);
  expect(world.status("b")).toBe("dependencies");
  world.complete("a");
  expect(world.status("b")).toBe("leased");
  expect(world.task("b").awaited).toBeUndefined();
});

test.each([
  ["cancel", "cancelled", false],
  ["fail", "failed", true],
] as const)(
  "S3-B20 under %s it is %s when the dependency has not come in time",
  (onDependencyFailure, status, dead) => {
    const world = aWorld();
    world.submit({ id: "b", dependencies: ["a"], onDependencyFailure });
    world.submit({ id: "c", dependencies: ["b"] });
    world.advance(WAIT_MS - 1);
    expect(world.status("b")).toBe("dependencies");
    world.advance(1);
    expect(world.settlement("b")).toMatchObject({
      status,
      deadLettered: dead,
      error: { code: "unknown_dependency", blame: "dependency", details: { unknown: ["a"] } },
    });
    expect(world.status("c")).toBe("cancelled");
    expect(world.state.dependents.size).toBe(0);
    world.submit({ id: "a" });
    world.complete("a");
    expect(world.status("b")).toBe(status);
  },
);

test("under run it goes on without the dependency, and a later arrival changes nothing", () => {
  const world = aWorld();
  world.submit({ id: "z" });
  world.submit({ id: "b", dependencies: ["a", "z"], onDependencyFailure: "run" });
  world.advance(WAIT_MS);
  expect(world.task("b")).toMatchObject({ unmet: 1, failedDependencies: ["a"] });
  world.submit({ id: "a" });
  world.complete("a");
  expect(world.status("b")).toBe("dependencies");
  world.complete("z");
  expect(world.status("b")).toBe("leased");
});

test("waiting for what may come is kept over a restart, before and after it has come", () => {
  const world = aWorld();
  world.submit({ id: "b", dependencies: ["a"] });
  world.submit({ id: "c", dependencies: ["never"] });
  world.restart();
  world.ready("ada");
  world.submit({ id: "a" });
  world.restart();
  world.ready("ada");
  world.complete("a");
  expect([world.status("b"), world.status("c")]).toEqual(["leased", "dependencies"]);
  world.advance(WAIT_MS);
  expect(world.status("c")).toBe("cancelled");
});

test("a submission that would close a cycle with what waits for it is refused, and names it", () => {
  const world = aWorld();
  world.submit({ id: "a", dependencies: ["b"] });
  world.submit({ id: "b", dependencies: ["c"] });
  expect(refusal(() => world.submit({ id: "c", dependencies: ["a"] }))).toMatchObject({
    code: "dependency_cycle",
    details: { cycle: ["c", "a", "b", "c"], path: "dependencies" },
  });
  const [cyclic, other] = world.submitBatch([{ id: "c", dependencies: ["a"] }, { id: "d" }], { partial: true });
  expect([cyclic, other]).toMatchObject([{ error: { code: "dependency_cycle" } }, { created: true }]);
  world.submit({ id: "c" });
  for (const id of ["c", "b", "a"]) world.complete(id);
  expect(world.order.filter((id) => id !== "d")).toEqual(["c", "b", "a"]);
});

test("a task that is cancelled awaits nothing any more", () => {
  const world = aWorld();
  world.submit({ id: "b", dependencies: ["a"] });
  world.cancel("b");
  expect(world.state.dependents.size).toBe(0);
});

test("S3-B20 without forward references unknown dependencies are refused", () => {
  const world = createWorld({ pool: { forwardReferencesMs: 0 } });
  expect(refusal(() => world.submit({ id: "b", dependencies: ["a"] })).code).toBe("unknown_dependency");
});

test("who waits no longer for an id does not take it away from the others that do", () => {
  const world = aWorld();
  world.submit({ id: "first", dependencies: ["late"], onDependencyFailure: "run" });
  world.advance(WAIT_MS / 2);
  world.submit({ id: "second", dependencies: ["late"] });
  world.advance(WAIT_MS / 2);
  expect([world.status("first"), world.status("second")]).toEqual(["leased", "dependencies"]);
  world.submit({ id: "late" });
  world.complete("late");
  expect([world.status("first"), world.status("second")]).toEqual(["leased", "leased"]);
});

test("each of several ids has until the same instant; those that have come are waited for longer", () => {
  const world = aWorld();
  world.submit({ id: "t", dependencies: ["one", "two"], onDependencyFailure: "run" });
  world.submit({ id: "one" });
  world.advance(WAIT_MS);
  expect(world.status("t")).toBe("dependencies");
  world.complete("one");
  expect(world.status("t")).toBe("leased");
  expect(world.task("t").failedDependencies).toEqual(["two"]);
});
