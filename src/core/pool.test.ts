import { expect, test } from "vitest";
import { resolvePool } from "../engine/options/pool.ts";
import { createWorld, MAIN, refusal, type World } from "../testing/world.ts";

const withPool = (world: World) => world.state.pools.get(MAIN);

test("S4-17 a second pool of one id is a conflict, and nothing is stored", () => {
  const world = createWorld();
  const { length } = world.events;
  expect(refusal(() => world.addPool({ id: "main" }))).toMatchObject({ code: "conflict", details: { id: "main" } });
  expect(world.events).toHaveLength(length);
});

test("S4-03 a new pool has no agents, no tasks and zeroed counts, and its time of creation", () => {
  const world = createWorld();
  expect(withPool(world)).toMatchObject({
    createdAtMs: world.nowMs,
    draining: false,
    counts: { agent: 0, dependencies: 0, delay: 0, retry: 0, leased: 0 },
    totals: { submitted: 0, completed: 0, failed: 0, cancelled: 0 },
  });
  expect(withPool(world)?.agentIds.size).toBe(0);
});

test("S4-06 S4-07 S4-08 submitted rises with admission, the others with each settlement, each once", () => {
  const world = createWorld({ agents: [{ name: "ada", concurrency: 9 }], pool: { retry: { maxAttempts: 1 } } });
  for (const id of ["a", "b", "c", "d", "e"]) world.submit({ id });
  expect(withPool(world)?.totals).toEqual({ submitted: 5, completed: 0, failed: 0, cancelled: 0 });
  world.complete("a");
  world.complete("b");
  world.fail("c");
  world.cancel("d");
  expect(withPool(world)?.totals).toEqual({ submitted: 5, completed: 2, failed: 1, cancelled: 1 });
});

test("deleting a pool cancels what is open as `pool_deleted`, also what depends on it inside the pool, and counts it", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "done" });
  world.complete("done");
  world.submit({ id: "running" });
  world.submit({ id: "waiting" });
  world.submit({ id: "blocked", dependencies: ["running"], onDependencyFailure: "fail" });
  world.submit({ id: "then", dependencies: ["blocked"], onDependencyFailure: "run" });
  world.submit({ id: "delayed", runAtMs: world.nowMs + 100 });
  const reply = world.ask({ type: "delete_pool", pool: MAIN });
  expect(reply).toEqual({ type: "cancelled", count: 5 });
  for (const id of ["running", "waiting", "blocked", "then", "delayed"]) {
    expect(world.settlement(id), id).toMatchObject({ status: "cancelled", error: { code: "pool_deleted" } });
  }
  expect(world.status("done")).toBe("completed");
  expect([world.state.pools.size, world.state.agents.size, world.state.queues.size]).toEqual([0, 0, 0]);
  expect(world.effectsOf("close_agent")).toHaveLength(1);
  expect(world.effectsOf("stop")).toMatchObject([{ taskId: "running" }]);
});

test("dependents in other pools go by their policy when a pool is deleted", () => {
  const world = createWorld();
  world.addPool({ id: "other" });
  world.submit({ id: "a" });
  for (const policy of ["cancel", "fail", "run"] as const) {
    world.submit({ id: policy, pool: "other", dependencies: ["a"], onDependencyFailure: policy });
  }
  world.ask({ type: "delete_pool", pool: MAIN });
  expect(["cancel", "fail", "run"].map((id) => world.status(id))).toEqual(["cancelled", "failed", "agent"]);
  expect(world.settlement("cancel").error?.code).toBe("dependency_failed");
});

test("what was due in a deleted pool is due no more", () => {
  const world = createWorld({ agents: ["ada", { name: "rem", kind: "remote" }], pool: { timeoutMs: 100 } });
  const claimId = world.claim("rem", { types: [] });
  world.submit({ id: "t", deadlineAtMs: world.nowMs + 50 });
  world.start("t");
  world.ask({ type: "delete_pool", pool: MAIN });
  expect(world.answered(claimId)).toEqual([]);
  expect(() => world.advance(10_000_000)).not.toThrow();
});

test("S4-17 a pool that was deleted can be made again, and one that is unknown can't be deleted, drained or changed", () => {
  const world = createWorld();
  world.ask({ type: "delete_pool", pool: MAIN });
  const options = resolvePool({ id: "main" }, () => "main");
  expect(refusal(() => world.ask({ type: "delete_pool", pool: MAIN })).code).toBe("not_found");
  expect(refusal(() => world.ask({ type: "drain_pool", pool: MAIN })).code).toBe("not_found");
  expect(refusal(() => world.ask({ type: "change_pool", options })).code).toBe("not_found");
  world.addPool({ id: "main" });
  expect(world.status(world.submit())).toBe("agent");
});

test("a pool that is changed goes by its new options at once", () => {
  const world = createWorld({ pool: { queue: { limit: 1 } } });
  world.submit({ id: "a" });
  expect(refusal(() => world.submit()).code).toBe("queue_full");
  const options = resolvePool(
    { id: "main", queue: { limit: 2 }, lease: { ttlMs: 5_000, renewMs: 1_000 } },
    () => "main",
  );
  world.ask({ type: "change_pool", options });
  world.submit({ id: "b" });
  world.addAgent("ada");
  expect(world.lease("a")?.expiresAtMs).toBe(world.nowMs + 5_000);
});

test("an engine that drains takes nothing more, but starts what waits when it is to match", () => {
  const world = createWorld({ agents: ["ada"] });
  for (const id of ["a", "b"]) world.submit({ id });
  world.ask({ type: "drain", matching: true });
  expect(refusal(() => world.submit()).code).toBe("shutting_down");
  world.complete("a");
  expect(world.runner("b")).toBe("ada");
});

test("an engine that drains without matching starts nothing more, what runs may end", () => {
  const world = createWorld({ agents: ["ada"] });
  for (const id of ["a", "b"]) world.submit({ id });
  world.ask({ type: "drain", matching: false });
  world.complete("a");
  expect([world.status("a"), world.status("b")]).toEqual(["completed", "agent"]);
});

test("S0-34 a halt gives back what runs here, uncharged, keeps all that waits, and ends open claims", () => {
  const world = createWorld({ agents: ["ada", { name: "rem", kind: "remote" }] });
  world.submit({ id: "local" });
  world.submit({ id: "remote" });
  world.claim("rem");
  world.submit({ id: "waiting" });
  world.submit({ id: "delayed", runAtMs: world.nowMs + 100 });
  const fence = world.lease("local")?.fence;
  world.ask({ type: "drain", matching: false });
  const claimId = world.claim("rem");
  expect(world.ask({ type: "halt", cancel: false })).toEqual({ type: "cancelled", count: 0 });
  expect(world.answered(claimId)).toEqual([]);
  expect(["local", "remote", "waiting", "delayed"].map((id) => world.status(id))).toEqual([
    "agent",
    "leased",
    "agent",
    "delay",
  ]);
  expect(world.task("local")).toMatchObject({
    attemptCount: 0,
    attempts: [{ outcome: "released", error: { code: "engine_stopped" } }],
  });
  expect(world.effectsOf("stop")).toEqual([{ type: "stop", agentId: "ada", taskId: "local", fence }]);
});

test("S0-34 a halt that keeps nothing cancels everything open, dependents too, and counts it", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "a" });
  world.submit({ id: "b", dependencies: ["a"], onDependencyFailure: "run" });
  world.submit({ id: "c" });
  world.ask({ type: "drain", matching: false });
  expect(world.ask({ type: "halt", cancel: true })).toEqual({ type: "cancelled", count: 3 });
  for (const id of ["a", "b", "c"]) {
    expect(world.settlement(id)).toMatchObject({ status: "cancelled", error: { code: "shutting_down" } });
  }
  expect(world.order).toEqual(["a"]);
});
