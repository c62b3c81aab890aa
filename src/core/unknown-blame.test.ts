/** Failures that nobody explains: two agents that fail one task so are both cleared, and only they. */
import { expect, test } from "vitest";
import { createWorld, type World } from "../testing/world.ts";
import type { Blame } from "./outcome.ts";

const breaker = { consecutive: 2, ratio: null, openMs: 60_000, jitter: "none" } as const;

/** A breaker opens at the second failure. */
function pool(agents: readonly string[] = ["ada", "bob"]): World {
  const retry = { maxAttempts: 9, backoff: { baseMs: 10, factor: 1 } };
  return createWorld({ agents, pool: { breaker, retry } });
}

/** Failures in a row that its breaker counts. */
const counted = (world: World, name: string): number => {
  const { breaker: state } = world.agent(name);
  return state.name === "closed" ? state.consecutive : Number.POSITIVE_INFINITY;
};

function fail(world: World, blames: readonly Blame[]): void {
  world.submit({ id: "t", preferredAgent: "ada" });
  for (const blame of blames) {
    world.advance(world.waitsMs("t") ?? 0);
    world.fail("t", { blame });
  }
}

test("one unknown failure counts; when a second agent fails it so too, neither does", () => {
  const one = pool();
  fail(one, ["unknown"]);
  expect([counted(one, "ada"), counted(one, "bob")]).toEqual([1, 0]);
  const two = pool();
  fail(two, ["unknown", "unknown"]);
  expect([counted(two, "ada"), counted(two, "bob")]).toEqual([0, 0]);
});

test("a second failure that is known to be its agent's clears nobody", () => {
  const world = pool();
  fail(world, ["unknown", "agent"]);
  expect([counted(world, "ada"), counted(world, "bob")]).toEqual([1, 1]);
});

test("a first failure that is known to be its agent's is not cleared by an unknown one, which counts too", () => {
  const world = pool();
  fail(world, ["agent", "unknown"]);
  expect([counted(world, "ada"), counted(world, "bob")]).toEqual([1, 1]);
});

test("the same agent twice is no second agent: both count", () => {
  const world = pool(["ada"]);
  fail(world, ["unknown", "unknown"]);
  expect(world.agent("ada").breaker.name).toBe("open");
});

test("what an agent failed in an earlier life of the task clears nobody in this one", () => {
  const world = pool();
  world.submit({ id: "t", preferredAgent: "ada", maxAttempts: 1 });
  world.fail("t", { blame: "unknown" });
  world.submit({ id: "busy", preferredAgent: "ada" });
  world.replay("t");
  expect(world.runner("t")).toBe("bob");
  world.fail("t", { blame: "unknown" });
  expect([counted(world, "ada"), counted(world, "bob")]).toEqual([1, 1]);
});
