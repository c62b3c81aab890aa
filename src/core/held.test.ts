import { expect, test } from "vitest";
import { createWorld, type World } from "../testing/world.ts";

const AGENTS = ["ada", "bob", "cyd", "dan"];
/** One retry a second, whatever the load. */
const ONE = { ratio: 0, windowMs: 1_000, floor: 1 };

/** Tasks `t1`, `t2` … run; each fails on its agent. */
function failing(count: number, budget: object | false, retry: object = {}): World {
  const world = createWorld({ agents: AGENTS, pool: { retry: { budget, maxAttempts: 10, ...retry } as never } });
  for (let n = 1; n <= count; n++) world.submit({ id: `t${n}` });
  return world;
}

const waiting = (world: World, id: string): unknown => world.task(id).state;

test("S3-L01 a retry within the budget goes to another agent at once", () => {
  const world = failing(1, ONE);
  world.fail("t1");
  expect(world.status("t1")).toBe("leased");
});

test("S3-L01 with the budget spent a task waits, is not dropped, and goes on when the window allows", () => {
  const world = failing(2, ONE);
  world.fail("t1");
  world.fail("t2");
  expect(waiting(world, "t2")).toMatchObject({ reason: "retry", held: true });
  world.advance(999);
  expect(world.status("t2")).toBe("retry");
  world.advance(1);
  expect(world.status("t2")).toBe("leased");
  expect(world.task("t2").attemptCount).toBe(1);
});

test("without a budget every retry goes on at once", () => {
  const world = failing(2, false);
  world.fail("t1");
  world.fail("t2");
  expect([world.status("t1"), world.status("t2")]).toEqual(["leased", "leased"]);
});

test("those who are held go on in order, as many as the budget allows, and nobody overtakes them", () => {
  const world = failing(4, { ...ONE, floor: 2 });
  for (const id of ["t3", "t1", "t4", "t2"]) world.fail(id);
  expect(["t1", "t2", "t3", "t4"].map((id) => world.status(id))).toEqual(["leased", "retry", "leased", "retry"]);
  world.complete("t1");
  world.complete("t3");
  world.advance(500);
  world.submit({ id: "late" });
  world.advance(499);
  world.fail("late");
  expect(world.status("late")).toBe("retry");
  world.advance(1);
  expect(["t4", "t2", "late"].map((id) => world.status(id))).toEqual(["leased", "leased", "retry"]);
  world.advance(1_000);
  expect(world.status("late")).toBe("leased");
});

test("a backoff draws when it is over, not when it begins", () => {
  const world = failing(2, ONE, { failover: "backoff", backoff: { baseMs: 3_000, factor: 1, jitter: "none" } });
  world.fail("t1");
  world.advance(100);
  world.fail("t2");
  world.advance(2_900);
  expect([world.status("t1"), world.status("t2")]).toEqual(["leased", "retry"]);
  world.advance(100);
  expect(waiting(world, "t2")).toMatchObject({ held: true });
  world.advance(899);
  expect(world.status("t2")).toBe("retry");
  world.advance(1);
  expect(world.status("t2")).toBe("leased");
});

test("a timeout draws on the budget; a release, a throttling and a loss do not", () => {
  const world = failing(4, { ...ONE, floor: 0 });
  world.report("t1", { name: "released" });
  expect(world.status("t1")).toBe("leased");
  world.report("t2", { name: "throttled", error: { code: "throttled", message: "slow down" } });
  expect(world.status("t2")).not.toBe("retry");
  world.crash("cyd");
  expect(world.status("t3")).toBe("agent");
  world.report("t4", { name: "timed_out", blame: "agent", error: { code: "timeout", message: "too late" } });
  expect(waiting(world, "t4")).toMatchObject({ reason: "retry", held: true });
});

test("first attempts earn retries, also for those who wait already", () => {
  const world = failing(1, { ratio: 0.5, windowMs: 60_000, floor: 0 });
  world.fail("t1");
  expect(world.status("t1")).toBe("retry");
  world.submit({ id: "t2" });
  world.advance(1_000);
  expect(world.status("t1")).toBe("leased");
  // Its retry is no first attempt: it earns nothing.
  world.fail("t1");
  world.advance(30_000);
  expect(world.status("t1")).toBe("retry");
});

test("a task that is cancelled, or whose deadline passes, while it is held leaves its place", () => {
  const world = failing(3, { ...ONE, floor: 0 });
  world.submit({ id: "t4", deadlineAtMs: world.nowMs + 500 });
  for (const id of ["t1", "t2", "t3", "t4"]) world.fail(id);
  world.cancel("t2");
  world.advance(500);
  expect(world.settlement("t4").error?.code).toBe("deadline_exceeded");
  expect([...(world.state.pools.get("main" as never)?.held ?? [])]).toEqual(["t1", "t3"]);
});

test("what is held goes on after a restart of the engine", () => {
  const world = failing(1, { ...ONE, floor: 0 });
  world.fail("t1");
  world.restart();
  expect(waiting(world, "t1")).toMatchObject({ reason: "retry", held: true });
  world.ask({ type: "recover" });
  world.ask({
    type: "change_pool",
    options: { ...optionsOf(world), retry: { ...optionsOf(world).retry, budget: ONE } },
  });
  for (const name of AGENTS) world.ready(name);
  world.advance(1_000);
  expect(world.status("t1")).toBe("leased");
});

test("a pool whose budget is taken away lets everybody go on", () => {
  const world = failing(2, { ...ONE, floor: 0 });
  world.fail("t1");
  world.fail("t2");
  world.ask({
    type: "change_pool",
    options: { ...optionsOf(world), retry: { ...optionsOf(world).retry, budget: false } },
  });
  world.advance(1_000);
  expect([world.status("t1"), world.status("t2")]).toEqual(["leased", "leased"]);
});

test("changing other options of a pool leaves its budget as spent as it was", () => {
  const world = failing(2, ONE);
  world.fail("t1");
  world.ask({ type: "change_pool", options: { ...optionsOf(world), stopMs: 1 } });
  world.fail("t2");
  expect(world.status("t2")).toBe("retry");
});

test("a replay begins a new life, whose first attempt earns again", () => {
  const world = failing(1, { ratio: 1, windowMs: 10_000, floor: 0 }, { maxAttempts: 1 });
  world.fail("t1", { retryable: false });
  world.advance(20_000);
  world.replay("t1");
  world.complete("t1");
  world.submit({ id: "t2", maxAttempts: 5 });
  world.fail("t2");
  world.submit({ id: "t3", maxAttempts: 5 });
  world.cancel("t3");
  world.fail("t2");
  world.fail("t2");
  // Three first attempts were begun: three retries.
  expect(world.status("t2")).toBe("leased");
  world.fail("t2");
  expect(world.status("t2")).toBe("retry");
});

function optionsOf(world: World) {
  const pool = world.state.pools.get("main" as never);
  if (pool === undefined) throw new Error("the pool is there");
  return pool.options;
}
