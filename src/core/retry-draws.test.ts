/** What draws on a pool's retry budget, one by one, and what earns. */
import { expect, test } from "vitest";
import { createWorld, type World } from "../testing/world.ts";
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

test("a replayed task earns once in its new life, not again after it was given back or has failed", () => {
  const world = pool({ ratio: 1, windowMs: 600_000, floor: 0 });
  const id = world.submit();
  world.fail(id, { blame: "task" });
  world.replay(id);
  world.report(id, { name: "released" });
  // Begun: one first attempt in each life.
  world.fail(id);
  expect(world.status(id)).toBe("leased");
  const other = world.submit();
  world.fail(other);
  world.fail(other);
  // Three first attempts have begun by now, and that were three retries.
  expect(world.status(other)).toBe("leased");
  world.complete(other);
  const last = world.submit();
  world.fail(last);
  expect(world.status(last)).toBe("leased");
  world.fail(last);
  expect(world.task(last).state).toMatchObject({ reason: "retry", held: true });
});

test("a task that is throttled again and again has earned once", () => {
  const world = pool({ ratio: 1, windowMs: 600_000, floor: 0 });
  const id = world.submit();
  for (let n = 0; n < 3; n++) world.report(id, { name: "throttled", error, retryAfterMs: 0 });
  world.fail(id);
  expect(world.status(id)).toBe("leased");
  world.fail(id);
  expect(world.task(id).state).toMatchObject({ reason: "retry", held: true });
});

test("nobody overtakes those who wait for the budget, though it has grown meanwhile", () => {
  const world = pool({ ratio: 0.5, windowMs: 600_000, floor: 1 });
  const [one, two, three] = [world.submit(), world.submit(), world.submit()];
  world.fail(one);
  world.fail(two);
  expect(world.task(two).state).toMatchObject({ reason: "retry", held: true });
  for (let n = 0; n < 3; n++) world.submit();
  world.fail(three);
  expect(world.task(three).state).toMatchObject({ reason: "retry", held: true });
  world.advance(10_000);
  expect([world.status(two), world.status(three)]).toEqual(["leased", "leased"]);
});

test("a task that waited for the budget behind its backoff goes to the agent that failed it, without another backoff", () => {
  const backoff = { baseMs: 100, factor: 1 };
  const budget = { ratio: 0, windowMs: 1_000, floor: 1 };
  const world = createWorld({ agents: ["ada"], pool: { retry: { budget, backoff, maxAttempts: 9 } } });
  const id = world.submit();
  world.fail(id);
  world.advance(100);
  world.fail(id);
  world.advance(100);
  expect(world.task(id).state).toMatchObject({ reason: "retry", held: true });
  world.advance(900);
  expect(world.runner(id)).toBe("ada");
});
