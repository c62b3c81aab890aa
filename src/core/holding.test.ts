import { expect, test } from "vitest";
import type { Strategy } from "../policies/balancer/strategies.ts";
import { createWorld, MAIN, type World, type WorldOptions } from "../testing/world.ts";

const LONG_LEASE = { ttlMs: 2_000_000_000 };
const FAST_MS = 100;
const SLOW_MS = 5_000;

/** `slow` and `fast` have run a task each, and `fast` runs another, `busy`. */
function fastIsBusy({ strategy = "peak_ewma", holdBack = true, ...pool }: WorldOptions["pool"] = {}): World {
  const world = createWorld({ agents: ["fast", "slow"], pool: { strategy, holdBack, lease: LONG_LEASE, ...pool } });
  for (const [preferredAgent, tookMs] of [
    ["slow", SLOW_MS],
    ["fast", FAST_MS],
  ] as const) {
    const id = world.submit({ preferredAgent });
    world.advance(tookMs);
    world.complete(id);
  }
  world.submit({ id: "busy", preferredAgent: "fast" });
  return world;
}

test.each(["peak_ewma", "score"] as const)("%s with holdBack waits for the faster agent", (strategy) => {
  const world = fastIsBusy({ strategy });
  world.submit({ id: "t" });
  expect([world.status("t"), world.agent("slow").runs.size]).toEqual(["agent", 0]);
  world.advance(FAST_MS);
  world.complete("busy");
  expect(world.runner("t")).toBe("fast");
});

test("without holdBack a task never waits while an agent is free", () => {
  const world = fastIsBusy({ holdBack: false });
  expect(world.runner(world.submit())).toBe("slow");
});

test.each(["least_loaded", "least_latency", "round_robin"] as const)("%s holds nothing back", (strategy: Strategy) => {
  expect(fastIsBusy({ strategy }).runner("busy")).toBe("fast");
  const world = fastIsBusy({ strategy });
  expect(world.runner(world.submit())).toBe("slow");
});

test("a task that prefers the slow agent is given to it", () => {
  const world = fastIsBusy();
  expect(world.runner(world.submit({ preferredAgent: "slow" }))).toBe("slow");
});

test("a task that only the slow agent can do is given to it", () => {
  const world = fastIsBusy();
  world.addAgent({ name: "gpu", capabilities: ["gpu"] });
  world.submit({ id: "a", requires: ["gpu"] });
  expect(world.runner("a")).toBe("gpu");
});

test("a task that the fast agent has failed does not wait for it", () => {
  const world = fastIsBusy();
  world.fail("busy");
  expect(world.runner("busy")).toBe("slow");
});

test("a task does not wait for a busy agent that has failed it", () => {
  const world = fastIsBusy({ retry: { failover: "backoff", backoff: { baseMs: 10 } } });
  // So that a failure costs ten times what `fast` takes, and not what `slow` does.
  for (const id of ["busy", "b", "c"]) {
    if (id !== "busy") world.submit({ id, preferredAgent: "fast" });
    world.advance(FAST_MS);
    world.complete(id);
  }
  world.submit({ id: "t", preferredAgent: "fast" });
  world.fail("t");
  world.submit({ id: "other", preferredAgent: "fast" });
  expect([world.status("t"), world.runner("other")]).toEqual(["retry", "fast"]);
  world.submit({ id: "u" });
  expect(world.status("u")).toBe("agent");
  world.advance(10);
  expect(world.runner("t")).toBe("slow");
});

test("an agent that has slots left is not waited for: it could have been chosen", () => {
  const world = createWorld({
    agents: ["slow", { name: "fast", concurrency: 100 }],
    pool: { strategy: "peak_ewma", holdBack: true, lease: LONG_LEASE },
  });
  for (const [preferredAgent, tookMs] of [
    ["slow", SLOW_MS],
    ["fast", FAST_MS],
  ] as const) {
    const id = world.submit({ preferredAgent });
    world.advance(tookMs);
    world.complete(id);
  }
  world.submitBatch(Array.from({ length: 60 }, () => ({ preferredAgent: "fast" })));
  // 100 × 61 is more than 5,000.
  expect(world.runner(world.submit())).toBe("slow");
});

test("an agent never tried is tried at once", () => {
  const world = fastIsBusy();
  world.submit({ id: "t" });
  expect(world.status("t")).toBe("agent");
  world.addAgent("new");
  expect(world.runner("t")).toBe("new");
});

test("when so many wait that the last would not end sooner, the slow agent is used", () => {
  const world = fastIsBusy();
  let waiting = 0;
  while (world.agent("slow").runs.size === 0 && waiting < 100) {
    world.submit();
    waiting += 1;
  }
  // 5,000 against 2 × 100 for each that waits and 100 to run.
  expect(waiting).toBe(25);
});

test("nobody waits for an agent that hangs: without any event the task is given to the slow one", () => {
  const world = fastIsBusy();
  world.submit({ id: "t" });
  world.advance(1_000);
  expect(world.status("t")).toBe("agent");
  world.advance(SLOW_MS);
  expect(world.runner("t")).toBe("slow");
  expect(world.lease("busy")).toBeDefined();
});

test("looking again takes few turns, however long the wait", () => {
  const world = fastIsBusy();
  world.submit({ id: "t" });
  let reviews = 0;
  while (world.status("t") === "agent") {
    const untilMs = world.state.pools.get(MAIN)?.reviewAtMs;
    if (untilMs === undefined) throw new Error("what is held back is looked at again");
    world.advance(untilMs - world.nowMs);
    reviews += 1;
  }
  expect(reviews).toBeGreaterThan(1);
  expect(reviews).toBeLessThan(10);
});

test("several that are held back are looked at again once, not once each", () => {
  const world = fastIsBusy();
  const before = world.state.due.size;
  for (const type of ["a", "b", "c"]) world.submit({ type });
  expect(world.state.due.size).toBe(before + 1);
});

test("when the fast agent dies, or falls ill, what waited for it goes to the slow one at once", () => {
  const world = fastIsBusy();
  world.submit({ id: "t" });
  expect(world.status("t")).toBe("agent");
  world.remove("fast");
  expect(["busy", "t"].map((id) => world.runner(id))).toContain("slow");
});

test("nobody waits for an agent that rests", () => {
  const world = createWorld({
    agents: [{ name: "fast", concurrency: 2 }, "slow"],
    pool: { strategy: "peak_ewma", holdBack: true, lease: LONG_LEASE },
  });
  for (const [preferredAgent, tookMs] of [
    ["fast", FAST_MS],
    ["slow", SLOW_MS],
  ] as const) {
    const id = world.submit({ preferredAgent });
    world.advance(tookMs);
    world.complete(id);
  }
  world.submit({ id: "x", preferredAgent: "fast" });
  world.submit({ id: "y", preferredAgent: "fast" });
  world.report("y", { name: "throttled", retryAfterMs: 60_000, error: { code: "throttled", message: "later" } });
  expect(world.runner("x")).toBe("fast");
  expect(world.runner("y")).toBe("slow");
});

test("a pool that is deleted while something is held back leaves nothing behind", () => {
  const world = fastIsBusy();
  world.submit({ id: "t" });
  world.ask({ type: "delete_pool", pool: MAIN });
  world.advance(10 * SLOW_MS);
  expect(world.status("t")).toBe("cancelled");
});

test("also by its name in the pool, when its id is another", () => {
  for (const preferredAgent of ["slow", "id-of-slow"]) {
    const world = createWorld({ agents: [], pool: { strategy: "peak_ewma", holdBack: true, lease: LONG_LEASE } });
    for (const name of ["fast", "slow"]) world.join({ name, id: `id-of-${name}` });
    for (const [name, tookMs] of [
      ["slow", SLOW_MS],
      ["fast", FAST_MS],
    ] as const) {
      world.claim(`id-of-${name}`);
      const id = world.submit({ preferredAgent: name });
      world.advance(tookMs);
      world.complete(id);
    }
    world.claim("id-of-fast");
    world.submit({ id: "busy", preferredAgent: "fast" });
    world.claim("id-of-slow");
    expect(world.runner(world.submit({ preferredAgent }))).toBe("id-of-slow");
  }
});
