import { expect, test } from "vitest";
import { createWorld, MAIN, type World, type WorldOptions } from "../testing/world.ts";
import { type ChooseAgent, newChooser, type StrategyCandidate, type StrategyTask } from "./chooser.ts";

const LONG_LEASE = { ttlMs: 2_000_000_000 };

function worldWith(choose: ChooseAgent, options: WorldOptions = {}): World {
  const agents = [
    { name: "ada", concurrency: 2 },
    { name: "bob", concurrency: 2 },
    { name: "cyd", concurrency: 2 },
  ];
  const world = createWorld({ agents, ...options, pool: { lease: LONG_LEASE, ...options.pool } });
  world.state.choosers.set(MAIN, newChooser(choose));
  return world;
}

const said = (world: World): string[] => world.effectsOf("strategy_failed").map(({ message }) => message);

test("a user's function chooses, before the strategy that the pool names", () => {
  const world = worldWith(() => "cyd", { pool: { strategy: "round_robin" } });
  for (const id of ["x", "y"]) world.submit({ id });
  expect([world.runner("x"), world.runner("y")]).toEqual(["cyd", "cyd"]);
  expect(said(world)).toEqual([]);
});

test("it is shown who is free and may, with all that is known of them, and the task", () => {
  const seen: { agents: readonly StrategyCandidate[]; task: StrategyTask }[] = [];
  const world = worldWith((agents, task) => {
    seen.push({ agents, task });
    return agents[0]?.agentId ?? "";
  });
  world.submit({ id: "first", preferredAgent: "bob", type: "ingest" });
  world.advance(80);
  world.complete("first");
  world.submit({ id: "t", type: "ingest", priority: 1, affinityKey: "k", requires: [] });
  expect(seen).toHaveLength(1);
  expect(seen[0]?.agents.map(({ name }) => name).sort()).toEqual(["ada", "bob", "cyd"]);
  expect(seen[0]?.agents.find(({ name }) => name === "bob")).toMatchObject({
    agentId: "bob",
    inFlight: 0,
    capacity: 2,
    weight: 1,
    priority: 0,
    capabilities: [],
    metadata: {},
    samples: 1,
    successRate: 1,
    errorShare: 0,
    latencyMs: 80,
    typeLatencyMs: 80,
    expectedMs: 80,
  });
  const fresh = seen[0]?.agents.find(({ name }) => name === "ada");
  expect([fresh?.latencyMs, fresh?.typeLatencyMs, fresh?.expectedMs]).toEqual([undefined, undefined, undefined]);
  expect(seen[0]?.task).toEqual({
    id: "t",
    pool: "main",
    type: "ingest",
    priority: 1,
    requires: [],
    affinityKey: "k",
    attemptCount: 0,
    failedAgentIds: [],
  });
});

test("the preferred agent goes before the user's function, and those that failed the task are not shown", () => {
  let shown: string[] = [];
  const world = worldWith((agents) => {
    shown = agents.map(({ name }) => name).sort();
    return shown[0] ?? "";
  });
  world.submit({ id: "t", preferredAgent: "cyd" });
  expect([world.runner("t"), shown]).toEqual(["cyd", []]);
  world.fail("t");
  expect([world.runner("t"), shown]).toEqual(["ada", ["ada", "bob"]]);
});

test("one that throws falls back to the least loaded, and says so once", () => {
  const world = worldWith(() => {
    throw new Error("out of ideas");
  });
  for (const id of ["x", "y", "z"]) world.submit({ id });
  expect(["x", "y", "z"].map((id) => world.runner(id))).toEqual(["ada", "bob", "cyd"]);
  expect(said(world)).toEqual(["the strategy threw: out of ideas"]);
});

test.each<[string, unknown]>([
  ["nobody", undefined],
  ["an agent that is not there", "eve"],
  ["an agent by its place", 0],
  ["nothing", null],
])("one that picks %s falls back to the least loaded, and says so once", (_, answer) => {
  const world = worldWith((() => answer) as unknown as ChooseAgent);
  for (const id of ["x", "y"]) world.submit({ id });
  expect(["x", "y"].map((id) => world.runner(id))).toEqual(["ada", "bob"]);
  expect(said(world)).toEqual([`the strategy picked ${String(answer)}, who is no candidate`]);
});

test("one that picks an agent that is full falls back too", () => {
  const world = worldWith(() => "bob");
  for (const id of ["x", "y", "z"]) world.submit({ id });
  expect(["x", "y", "z"].map((id) => world.runner(id))).toEqual(["bob", "bob", "ada"]);
  expect(said(world)).toHaveLength(1);
});

test("one that answers later, even with a failure, falls back: a choice is made at once", async () => {
  const world = worldWith((() => Promise.reject(new Error("too late"))) as unknown as ChooseAgent);
  expect(world.runner(world.submit())).toBe("ada");
  expect(said(world)).toEqual(["the strategy answered with a promise, expected an agent's id"]);
  await new Promise((resolve) => setImmediate(resolve));
});

test("one that fails now and then is asked again each time", () => {
  let calls = 0;
  const world = worldWith(() => {
    calls += 1;
    if (calls === 1) throw new Error("not yet");
    return "cyd";
  });
  for (const id of ["x", "y"]) world.submit({ id });
  expect([world.runner("x"), world.runner("y")]).toEqual(["ada", "cyd"]);
});

test("it can change nothing: what it is shown is a copy", () => {
  const world = worldWith((agents, task) => {
    for (const agent of agents) (agent.capabilities as string[]).push("gpu");
    (task as { priority: number }).priority = 1;
    return "ada";
  });
  world.submit({ id: "t" });
  expect(said(world)[0]).toMatch(/^the strategy threw: /);
  expect(world.agent("ada").identity.capabilities).toEqual([]);
  expect(world.task("t").spec.priority).toBe(3);
});

test("nothing is held back from a user's function", () => {
  const world = worldWith(() => "bob", { agents: ["ada", "bob"], pool: { strategy: "peak_ewma", holdBack: true } });
  for (const [preferredAgent, tookMs] of [
    ["ada", 10],
    ["bob", 9_000],
  ] as const) {
    const id = world.submit({ preferredAgent });
    world.advance(tookMs);
    world.complete(id);
  }
  world.submit({ id: "busy", preferredAgent: "ada" });
  expect(world.runner(world.submit())).toBe("bob");
});

test("a user's function goes by the order of the queue, also where the pool names score", () => {
  const world = worldWith((agents) => agents[0]?.agentId ?? "", {
    agents: ["ada"],
    pool: { strategy: "score", ageing: { stepMs: 1 } },
  });
  world.submit({ id: "busy" });
  world.submit({ id: "old", priority: 4 });
  world.advance(1_000);
  world.submit({ id: "young", priority: 2 });
  world.complete("busy");
  expect(world.runner("old")).toBe("ada");
});
