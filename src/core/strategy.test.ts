import { expect, test } from "vitest";
import { asAgentId } from "../base/ids.ts";
import { resolvePool } from "../engine/options/pool.ts";
import type { Strategy } from "../policies/balancer/strategies.ts";
import { createWorld, MAIN, type World, type WorldAgent, type WorldOptions } from "../testing/world.ts";

/** Nothing expires while time passes here. */
const LONG_LEASE = { ttlMs: 2_000_000_000 };

function worldOf(strategy: Strategy, agents: readonly (string | WorldAgent)[], pool: WorldOptions["pool"] = {}): World {
  return createWorld({ agents, pool: { strategy, lease: LONG_LEASE, ...pool } });
}

/** Runs one task to its end and tells who had it. */
function one(
  world: World,
  { tookMs = 100, ...spec }: Parameters<World["submit"]>[0] & { tookMs?: number } = {},
): string {
  const id = world.submit(spec);
  const runner = world.runner(id);
  world.advance(tookMs);
  world.complete(id);
  return runner ?? "nobody";
}

const runs = (world: World, count: number): string[] => Array.from({ length: count }, () => one(world));

/** The pool gets another strategy. */
function change(world: World, strategy: Strategy): void {
  const options = world.state.pools.get(MAIN)?.options;
  if (options === undefined) throw new Error("the pool is there");
  world.ask({ type: "change_pool", options: { ...options, strategy } });
}

test("a pool that says nothing goes by peak_ewma, and holds nothing back", () => {
  const options = resolvePool({}, () => "p");
  expect([options.strategy, options.holdBack]).toEqual(["peak_ewma", false]);
});

test("S1-02 round robin gives a, b, c, a, b, c", () => {
  expect(runs(worldOf("round_robin", ["a", "b", "c"]), 6)).toEqual(["a", "b", "c", "a", "b", "c"]);
});

test("S1-B06 the rotation stays in step when agents are busy, leave or join", () => {
  const world = worldOf("round_robin", ["a", "b", "c"]);
  world.submit({ id: "long" });
  expect([world.runner("long"), ...runs(world, 3)]).toEqual(["a", "b", "c", "b"]);
  world.remove("b");
  world.complete("long");
  world.addAgent("d");
  expect(runs(world, 5)).toEqual(["c", "d", "a", "c", "d"]);
});

test("S1-01 S1-07 priority takes the lowest number, and the next when that one is busy", () => {
  const world = worldOf("priority", [
    { name: "a", priority: 2 },
    { name: "b", priority: 1 },
    { name: "c", priority: 1 },
  ]);
  expect(one(world)).toBe("b");
  for (const id of ["x", "y", "z"]) world.submit({ id });
  expect(["x", "y", "z"].map((id) => world.runner(id))).toEqual(["b", "c", "a"]);
});

test("weighted spreads 5, 1, 1 smoothly over agents that are free", () => {
  const agents = [{ name: "a", weight: 5 }, { name: "b" }, { name: "c" }];
  expect(runs(worldOf("weighted", agents), 14).join("")).toBe("aabacaaaabacaa");
});

test("S1-B09 an agent of weight 0 is given nothing, not even what prefers it", () => {
  const world = worldOf("weighted", [{ name: "off", weight: 0 }, "on"]);
  expect(runs(world, 3)).toEqual(["on", "on", "on"]);
  expect(one(world, { preferredAgent: "off" })).toBe("on");
});

test("S1-B09 where all weigh 0 tasks wait; under another strategy they run at once", () => {
  const world = worldOf("weighted", [
    { name: "a", weight: 0 },
    { name: "b", weight: 0 },
  ]);
  world.submit({ id: "t" });
  expect(world.status("t")).toBe("agent");
  change(world, "least_loaded");
  expect(world.runner("t")).toBe("a");
  change(world, "weighted");
  world.complete("t");
  world.submit({ id: "u" });
  expect(world.status("u")).toBe("agent");
});

test("S1-B09 a full queue does not count on an agent of weight 0", () => {
  const world = worldOf("weighted", [{ name: "off", weight: 0 }], { queue: { limit: 0 } });
  expect(() => world.submit()).toThrow("queue");
});

test("S1-B09 a failed task does not wait for an agent of weight 0 to try it", () => {
  const world = worldOf("weighted", [{ name: "off", weight: 0 }, "on"], { retry: { backoff: { baseMs: 500 } } });
  world.submit({ id: "t" });
  world.fail("t");
  expect(world.waitsMs("t")).toBe(500);
  world.advance(500);
  expect(world.runner("t")).toBe("on");
});

test("a remote agent that joins again with another weight and priority is chosen by those", () => {
  const world = worldOf("priority", []);
  for (const name of ["a", "b"]) {
    world.join({ name, priority: name === "a" ? 1 : 2, concurrency: 9 });
    world.claim(name, { max: 9 });
  }
  const first = world.submit();
  expect(world.runner(first)).toBe("a");
  world.complete(first);
  world.join({ name: "a", priority: 3, concurrency: 9 }, { replace: true });
  world.claim("a", { max: 9 });
  expect(world.runner(world.submit())).toBe("b");
});

test("a remote agent that joins again with another weight has that weight", () => {
  const world = worldOf("weighted", []);
  world.join({ name: "a", weight: 5 });
  world.join({ name: "a", weight: 3 }, { replace: true });
  expect([...(world.state.queues.get(MAIN)?.seats.all() ?? [])].map(({ weight }) => weight)).toEqual([3]);
});

test("agents of different capabilities are compared with each other", () => {
  const world = worldOf("priority", [
    { name: "a", priority: 2, capabilities: ["x"] },
    { name: "b", priority: 1 },
  ]);
  for (const id of ["t", "u"]) world.submit({ id, type: "x" });
  expect([world.runner("t"), world.runner("u")]).toEqual(["b", "a"]);
});

test("S1-04 least latency tries everybody, then stays with the fastest", () => {
  const world = worldOf("least_latency", ["a", "b", "c"]);
  const took = { a: 300, b: 100, c: 200 };
  expect(["a", "b", "c"].map((name) => one(world, { tookMs: took[name as keyof typeof took] }))).toEqual([
    "a",
    "b",
    "c",
  ]);
  expect(runs(world, 3)).toEqual(["b", "b", "b"]);
});

test("S1-B07 an agent that fails at once does not win least latency", () => {
  const world = worldOf("least_latency", ["good", "failing"]);
  expect(one(world)).toBe("good");
  world.submit({ id: "t" });
  expect(world.runner("t")).toBe("failing");
  world.advance(1);
  world.fail("t");
  expect(world.runner("t")).toBe("good");
  world.complete("t");
  expect(runs(world, 5)).toEqual(["good", "good", "good", "good", "good"]);
});

test("S1-05 least errors takes the agent with the smallest share of failures", () => {
  const world = worldOf("least_errors", ["a", "b"]);
  world.submit({ id: "t" });
  world.fail("t");
  expect(world.runner("t")).toBe("b");
  world.complete("t");
  expect(runs(world, 2)).toEqual(["b", "b"]);
});

test("S0-16 S0-L11 type latency takes the agent that is fastest at this type, and any for a type that is new", () => {
  const world = worldOf("type_latency", ["a", "b"]);
  for (const [preferredAgent, type, tookMs] of [
    ["a", "ingest", 100],
    ["b", "ingest", 300],
    ["a", "research", 900],
    ["b", "research", 200],
  ] as const) {
    expect(one(world, { preferredAgent, type, tookMs })).toBe(preferredAgent);
  }
  expect([one(world, { type: "ingest" }), one(world, { type: "research" }), one(world, { type: "new" })]).toEqual([
    "a",
    "b",
    "a",
  ]);
});

test("S0-16 while the fastest is busy another idle agent takes the task", () => {
  const world = worldOf("type_latency", ["a", "b"]);
  one(world, { preferredAgent: "a" });
  one(world, { preferredAgent: "b", tookMs: 900 });
  world.submit({ id: "x" });
  world.submit({ id: "y" });
  expect([world.runner("x"), world.runner("y")]).toEqual(["a", "b"]);
});

test("affinity gives the tasks of one key to one agent, and different keys to different agents", () => {
  const world = worldOf("affinity", ["a", "b", "c", "d"]);
  const homes = new Map<string, Set<string>>();
  for (let n = 0; n < 60; n++) {
    const affinityKey = `k${n % 20}`;
    const home = homes.get(affinityKey) ?? new Set();
    homes.set(affinityKey, home.add(one(world, { affinityKey })));
  }
  expect([...homes.values()].every((home) => home.size === 1)).toBe(true);
  expect(new Set([...homes.values()].flatMap((home) => [...home])).size).toBe(4);
});

test("affinity loads no agent above 1.25 times the mean, counting agents that are full, but not those that are down", () => {
  const agents = ["a", "b", "c", "d", "e"].map((name) => ({ name, concurrency: 1_000 }));
  const world = worldOf("affinity", agents);
  world.crash("e");
  world.submitBatch(Array.from({ length: 80 }, () => ({ affinityKey: "one" })));
  const loads = ["a", "b", "c", "d"].map((name) => world.agent(name).runs.size).sort((a, b) => a - b);
  expect(loads).toEqual([5, 25, 25, 25]);
});

test("peak_ewma tries everybody once, then keeps away from the slow one until the others are busy", () => {
  const world = worldOf("peak_ewma", ["slow", "a", "b"]);
  expect([one(world, { tookMs: 1_000 }), one(world), one(world)]).toEqual(["slow", "a", "b"]);
  expect(runs(world, 4)).toEqual(["a", "a", "a", "a"]);
  for (const id of ["x", "y", "z"]) world.submit({ id });
  expect(["x", "y", "z"].map((id) => world.runner(id))).toEqual(["a", "b", "slow"]);
});

test("peak_ewma spreads a burst over agents that are alike: there is no herd", () => {
  const agents = ["a", "b", "c", "d"].map((name) => ({ name, concurrency: 50 }));
  const world = worldOf("peak_ewma", agents);
  runs(world, 4);
  world.submitBatch(Array.from({ length: 100 }, () => ({})));
  expect(agents.map(({ name }) => world.agent(name).runs.size)).toEqual([25, 25, 25, 25]);
});

test("an agent that fails fast does not attract work: everybody else first, and it is left alone", () => {
  const agents = ["bad", "a", "b", "c"].map((name) => ({ name, concurrency: 10 }));
  const world = worldOf("peak_ewma", agents, { retry: { maxAttempts: 3 } });
  let onBad = 0;
  for (let n = 0; n < 200; n++) {
    const id = world.submit();
    world.advance(1);
    if (world.runner(id) === "bad") {
      onBad += 1;
      world.fail(id);
    }
    world.advance(50);
    world.complete(id);
  }
  expect(onBad).toBe(1);
});

test("healthy agents go before degraded ones, whatever the strategy says", () => {
  const world = worldOf("priority", [{ name: "a", priority: -5, concurrency: 2 }, "b"]);
  world.submit({ id: "hangs", timeoutMs: 100, maxAttempts: 1 });
  world.start("hangs");
  world.advance(100 + 5_000);
  expect(world.agent("a").health).toBe("degraded");
  world.submit({ id: "t" });
  expect(world.runner("t")).toBe("b");
});

test("with more than 64 free agents a pool still runs everything, each task once", () => {
  const agents = Array.from({ length: 80 }, (_, n) => `a${n}`);
  const world = createWorld({ agents, pool: { strategy: "peak_ewma" }, checks: "end" });
  world.submitBatch(Array.from({ length: 80 }, () => ({})));
  expect(agents.every((name) => world.agent(name).runs.size === 1)).toBe(true);
  world.check();
});

test("what every strategy chose is in the events: replaying them decides nothing", () => {
  const world = worldOf("random", ["a", "b", "c"]);
  const chosen = runs(world, 12);
  expect(world.eventsOf("task.leased").map(({ agentId }) => agentId)).toEqual(chosen.map((name) => asAgentId(name)));
  world.check();
});

test("a replayed task is not given to an agent that may still be running its earlier life", () => {
  const world = worldOf("peak_ewma", [{ name: "ada", concurrency: 2 }]);
  world.submit({ id: "t", timeoutMs: 50, maxAttempts: 1 });
  world.start("t");
  world.advance(50);
  expect(world.status("t")).toBe("failed");
  world.replay("t");
  expect([world.status("t"), world.agent("ada").runs.size]).toEqual(["agent", 1]);
  world.endRun("ada", "t");
  expect(world.runner("t")).toBe("ada");
});
