/** Slow start of new and recovered agents, as the pool's work is dealt out. */
import { expect, test } from "vitest";
import { asAgentId } from "../base/ids.ts";
import { SLOW_START_MS } from "../policies/balancer/slow-start.ts";
import { createWorld, type World } from "../testing/world.ts";

const TEN = { concurrency: 10 };

/** A pool whose agents have all shown what they can. */
function warmPool(...names: readonly string[]): World {
  const agents = names.map((name) => ({ name, ...TEN }));
  const world = createWorld({ agents, pool: { strategy: "least_loaded", lease: { ttlMs: 2_000_000_000 } } });
  world.advance(SLOW_START_MS);
  return world;
}

/** Who runs what when so many tasks come at once. */
function burst(world: World, count: number): Record<string, number> {
  const shares: Record<string, number> = {};
  for (const id of Array.from({ length: count }, () => world.submit())) {
    const runner = world.runner(id) ?? "nobody";
    shares[runner] = (shares[runner] ?? 0) + 1;
  }
  return shares;
}

test("an agent that joins is given one task of a burst, not half of it", () => {
  const world = warmPool("old");
  world.addAgent({ name: "new", ...TEN });
  expect(burst(world, 10)).toEqual({ old: 9, new: 1 });
});

test("it takes the rest when the others are full: nobody waits for it to warm up", () => {
  const world = warmPool("old");
  world.addAgent({ name: "new", ...TEN });
  expect(burst(world, 20)).toEqual({ old: 10, new: 10 });
});

test.each([
  { successes: 4, given: { old: 1, new: 8 } },
  { successes: 5, given: { new: 9 } },
])("after five successes it is like any other, after four it is not: $successes", ({ successes, given }) => {
  const world = warmPool("old");
  world.addAgent({ name: "new", ...TEN });
  for (let n = 0; n < successes; n++) world.complete(world.submit({ preferredAgent: "new" }));
  for (let n = 0; n < 9; n++) world.submit({ preferredAgent: "old" });
  expect(burst(world, 9)).toEqual(given);
});

test("where all are new nobody is preferred", () => {
  const world = createWorld({
    agents: ["a", "b"].map((name) => ({ name, ...TEN })),
    pool: { strategy: "least_loaded" },
  });
  expect(burst(world, 8)).toEqual({ a: 4, b: 4 });
});

test("an agent whose breaker closes begins with a small share again", () => {
  const world = createWorld({
    agents: ["a", "b"].map((name) => ({ name, ...TEN })),
    pool: {
      strategy: "least_loaded",
      retry: { maxAttempts: 1 },
      health: false,
      breaker: { consecutive: 1, openMs: 1_000, jitter: "none", successes: 1 },
    },
  });
  world.advance(SLOW_START_MS);
  world.fail(world.submit({ preferredAgent: "b" }));
  world.advance(1_000);
  expect(world.agent("b").breaker.name).toBe("half_open");
  world.complete(world.submit({ preferredAgent: "b" }));
  expect(world.agent("b").breaker.name).toBe("closed");
  expect(burst(world, 10)).toEqual({ a: 8, b: 2 });
});

test("an agent that an operator lets work again begins with a small share again", () => {
  const world = warmPool("a", "b");
  const agentId = asAgentId("b");
  world.ask({ type: "fail_agent", agentId, reason: "on fire" });
  world.ask({ type: "recover_agent", agentId });
  expect(burst(world, 10)).toEqual({ a: 9, b: 1 });
});

test("a word that changes nothing makes nobody new", () => {
  const world = warmPool("a", "b");
  world.ask({ type: "recover_agent", agentId: asAgentId("b") });
  expect(burst(world, 10)).toEqual({ a: 5, b: 5 });
});
