import { expect, test } from "vitest";
import { createWorld, type World } from "../testing/world.ts";
import { apply } from "./apply/apply.ts";
import type { Outcome } from "./outcome.ts";
import { emptyState } from "./state.ts";

const LONG_LEASE = { ttlMs: 2_000_000_000 };
const aWorld = (pool = {}): World => createWorld({ agents: ["ada"], pool: { lease: LONG_LEASE, ...pool } });
const ERROR = { code: "failed", message: "it failed" };

test("S3-19 an attempt is measured from its start, and the agent's load is the number of its runs", () => {
  const world = createWorld({ agents: [{ name: "ada", concurrency: 5 }], pool: { lease: LONG_LEASE } });
  for (const id of ["x", "y"]) world.submit({ id });
  expect(world.agent("ada").runs.size).toBe(2);
  world.advance(300);
  world.start("x");
  world.advance(200);
  world.complete("x");
  world.complete("y");
  expect(world.agent("ada").runs.size).toBe(0);
  const { samples, successMs } = world.agent("ada").measure;
  expect(samples).toBe(2);
  // 200 from its start; then 500 from the lease, as no start was told.
  expect(successMs).toBeCloseTo(230, 9);
});

test("the pool's median comes of successes, and a failure is charged by it", () => {
  const world = aWorld();
  world.submit({ id: "x" });
  world.advance(40);
  world.complete("x");
  expect(world.state.pools.get(world.task("x").spec.pool)?.latency.medianMs).toBe(40);
  world.submit({ id: "y", maxAttempts: 1 });
  world.advance(90);
  world.fail("y");
  expect(world.agent("ada").measure.latencyMs).toBeCloseTo(40 + (400 - 40) / 10, 9);
  expect(world.state.pools.get(world.task("x").spec.pool)?.latency.medianMs).toBe(40);
});

test.each<[string, Outcome]>([
  ["a failure of the task itself", { name: "failed", blame: "task", error: ERROR }],
  ["a failure of a dependency", { name: "failed", blame: "dependency", error: ERROR }],
  ["throttling", { name: "throttled", error: ERROR }],
  ["a release", { name: "released" }],
  ["what the engine lost", { name: "lost", blame: "engine", kill: false, error: ERROR }],
])("%s says nothing of the agent", (_, outcome) => {
  const world = aWorld();
  world.submit({ id: "t" });
  world.report("t", outcome);
  expect(world.agent("ada").measure.samples).toBe(0);
});

test.each<[string, Outcome]>([
  ["a failure by the agent's fault", { name: "failed", blame: "agent", error: ERROR }],
  ["a failure by nobody's known fault", { name: "failed", blame: "unknown", error: ERROR }],
  ["a timeout", { name: "timed_out", blame: "agent", error: ERROR }],
  ["the agent's death", { name: "lost", blame: "agent", kill: true, error: ERROR }],
])("%s counts as a failure of the agent", (_, outcome) => {
  const world = aWorld();
  world.submit({ id: "t" });
  world.report("t", outcome);
  expect(world.agent("ada").measure).toMatchObject({ samples: 1, errorShare: 1, successMs: undefined });
});

test("cancelling a task says nothing of the agent that ran it", () => {
  const world = aWorld();
  world.submit({ id: "t" });
  world.cancel("t");
  expect(world.agent("ada").measure.samples).toBe(0);
});

test("the figures are learned by type of task", () => {
  const world = aWorld();
  world.submit({ id: "t", type: "ingest" });
  world.advance(70);
  world.complete("t");
  expect([...world.agent("ada").measure.typeLatencyMs]).toEqual([["ingest", 70]]);
});

test("the same events give the same figures: a replay learns what the engine knew", () => {
  const world = createWorld({ agents: ["ada", "bob", "cyd"], seed: 7, pool: { lease: LONG_LEASE } });
  for (let n = 0; n < 60; n++) {
    const id = world.submit({ type: `t${n % 3}`, maxAttempts: 2 });
    world.advance(10 + ((n * 37) % 200));
    if (n % 5 === 0) world.fail(id);
    if (world.status(id) === "leased") world.complete(id);
  }
  const again = emptyState(1);
  for (const event of world.events) apply(again, event, world.nowMs);
  for (const [id, agent] of world.state.agents) expect(again.agents.get(id)?.measure).toEqual(agent.measure);
  expect(world.agent("ada").measure.samples).toBeGreaterThan(0);
});

test("a restart learns anew, and knows since when what was left running goes on", () => {
  const world = createWorld({ pool: { lease: LONG_LEASE } });
  world.join({ name: "far", concurrency: 2 });
  world.claim("far", { max: 2 });
  world.submitBatch([{ id: "x" }, { id: "y" }]);
  world.advance(500);
  world.start("x");
  const startedAtMs = world.nowMs;
  const leasedAtMs = world.lease("y")?.assignedAtMs;
  world.advance(100);
  world.restart();
  const since = [...world.agent("far").runs.values()].map(({ taskId, sinceMs }) => [taskId, sinceMs]);
  expect(since).toEqual([
    ["x", startedAtMs],
    ["y", leasedAtMs],
  ]);
  expect(world.agent("far").measure.samples).toBe(0);
});
