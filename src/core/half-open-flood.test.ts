/** A thousand tasks at the moment in which a breaker lets through a few. */
import { expect, test } from "vitest";
import { createWorld } from "../testing/world.ts";

test.each([1, 3])("S1-B10 with 1,000 tasks waiting a half-open agent of 1,000 slots is given exactly %i", (permits) => {
  const breaker = { consecutive: 1, ratio: null, openMs: 1_000, jitter: "none" as const, permits, successes: permits };
  const world = createWorld({
    pool: { breaker, health: false, retry: { maxAttempts: 2 } },
    agents: [{ name: "ada", concurrency: 1_000 }],
    checks: "end",
  });
  world.fail(world.submit({ maxAttempts: 1 }));
  const ids = Array.from({ length: 1_000 }, () => world.submit());
  const leased = () => ids.filter((id) => world.task(id).state.name === "leased");
  world.advance(999);
  expect(leased()).toEqual([]);
  world.advance(1);
  expect(leased()).toEqual(ids.slice(0, permits));
  for (const id of leased()) world.complete(id);
  expect(world.agent("ada").breaker.name).toBe("closed");
  expect(leased()).toHaveLength(1_000 - permits);
});
