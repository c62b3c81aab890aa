/** What draws on a pool's retry budget, one by one, and what earns. */
import { expect, test } from "vitest";
import { createWorld, MAIN, type World } from "../testing/world.ts";
import type { Outcome } from "./outcome.ts";

/** Two retries in a long window, and no more. */
const TWO = { ratio: 0, windowMs: 600_000, floor: 2 };
const AGENTS = ["ada", "bob", "cyd"].map((name) => ({ name, concurrency: 9 }));

function pool(budget: object = TWO): World {
  return createWorld({ agents: AGENTS, pool: { retry: { budget, maxAttempts: 20 } as never } });
}

/** Retries that can still be had at once, two at most: with a third everybody would have failed the task. */
function left(world: World): number {
  const id = world.submit();
  let count = 0;
  for (; count < 2; count++) {
    world.fail(id);
    if (world.status(id) !== "leased") break;
  }
  world.cancel(id);
  return count;
}

const say = (world: World, outcome: Outcome): void => {
  const id = world.submit();
  world.report(id, outcome);
  world.cancel(id);
};
const error = { code: "x", message: "x" };

test("nothing drawn, two are left", () => {
  expect(left(pool())).toBe(2);
});

test("S3-L01 a failure and a timeout draw one each", () => {
  const failed = pool();
  say(failed, { name: "failed", blame: "agent", error });
  expect(left(failed)).toBe(1);
  const late = pool();
  say(late, { name: "timed_out", blame: "agent", error });
  expect(left(late)).toBe(1);
});

test.each([
  { name: "released", error },
  { name: "throttled", error, retryAfterMs: 0 },
  { name: "lost", blame: "agent", kill: false, error },
  { name: "lost", blame: "engine", kill: false, error },
] as const)("S3-L01 what ends as %j draws nothing", (outcome) => {
  const world = pool();
  say(world, outcome);
  expect(left(world)).toBe(2);
});

test("what never ran draws nothing: a delay, a dependency", () => {
  const world = pool();
  world.submit({ id: "root" });
  world.submit({ id: "late", runAtMs: world.nowMs + 100 });
  world.submit({ id: "next", dependencies: ["root"] });
  world.complete("root");
  world.advance(100);
  world.complete("late");
  world.complete("next");
  expect(left(world)).toBe(2);
});

test("a failure draws once, however often its retry is given back", () => {
  const world = pool();
  const id = world.submit();
  world.fail(id);
  world.report(id, { name: "released" });
  world.report(id, { name: "released" });
  world.complete(id);
  expect(left(world)).toBe(1);
});

test.each([0, 3])("a replayed task earns once, however often it is throttled before it runs (%i times)", (times) => {
  const world = pool({ ratio: 1, windowMs: 600_000, floor: 0 });
  world.submit({ id: "t" });
  world.fail("t", { blame: "task" });
  world.advance(1_000);
  world.replay("t");
  for (let n = 0; n < times; n++) {
    world.advance(1);
    world.report("t", { name: "throttled", error, retryAfterMs: 1 });
    world.advance(5_000);
  }
  expect(world.status("t")).toBe("leased");
  const budget = world.state.pools.get(MAIN)?.retryBudget;
  let affordable = 0;
  while (budget?.take(world.nowMs) === true) affordable += 1;
  // The first attempt of each of its two lives.
  expect(affordable).toBe(2);
});

test("also one that is replayed in the very instant in which it failed", () => {
  const world = pool({ ratio: 1, windowMs: 600_000, floor: 0 });
  world.submit({ id: "t" });
  world.fail("t", { blame: "task" });
  world.replay("t");
  const budget = world.state.pools.get(MAIN)?.retryBudget;
  expect([budget?.take(world.nowMs), budget?.take(world.nowMs), budget?.take(world.nowMs)]).toEqual([
    true,
    true,
    false,
  ]);
});

test("nobody overtakes those who wait for the budget, though it has grown meanwhile", () => {
  const world = createWorld({
    agents: AGENTS,
    pool: {
      retry: { budget: { ratio: 0.5, windowMs: 600_000, floor: 0 }, maxAttempts: 20 } as never,
      lease: { ttlMs: 3_600_000 },
    },
  });
  const [first, second] = [world.submit(), world.submit()];
  world.fail(first);
  expect(world.status(first)).toBe("leased");
  world.fail(second);
  expect(world.status(second)).toBe("retry");
  const third = world.submit();
  world.submit();
  world.fail(third);
  expect([world.status(second), world.status(third)]).toEqual(["retry", "retry"]);
  world.advance(100_000);
  expect([world.status(second), world.status(third)]).toEqual(["leased", "retry"]);
});
