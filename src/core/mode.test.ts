import { expect, test } from "vitest";
import { createWorld, MAIN, refusal, type World } from "../testing/world.ts";
import type { PoolMode } from "./pool.ts";

const set = (world: World, mode: PoolMode, pool = MAIN) => world.ask({ type: "set_mode", pool, mode });

test("a paused pool takes tasks and starts none; what runs goes on; resumed, they go in order", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "running" });
  set(world, "paused");
  world.submit({ id: "a" });
  world.submit({ id: "b", priority: 1 });
  world.complete("running");
  expect([world.status("running"), world.status("a"), world.status("b")]).toEqual(["completed", "agent", "agent"]);
  set(world, "running");
  world.complete("b");
  expect(world.order).toEqual(["running", "b", "a"]);
});

test("tasks of a paused pool count in the queue's limit, also while its agents are idle", () => {
  const world = createWorld({ agents: ["ada", "bob"], pool: { queue: { limit: 1 } } });
  set(world, "paused");
  world.submit({ id: "a" });
  expect(refusal(() => world.submit({ id: "b" })).details).toMatchObject({ limit: "queue", depth: 1, bound: 1 });
  set(world, "running");
  world.submit({ id: "b" });
  expect(world.status("b")).toBe("leased");
});

test("a drained pool takes no more and finishes what is there, what was paused before too", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "running" });
  set(world, "paused");
  world.submit({ id: "waits" });
  world.complete("running");
  expect(world.status("waits")).toBe("agent");
  set(world, "draining");
  expect(refusal(() => world.submit({})).code).toBe("not_running");
  expect(world.status("waits")).toBe("leased");
  world.fail("waits");
  world.advance(1_000);
  world.complete("waits");
  expect([world.status("running"), world.status("waits")]).toEqual(["completed", "completed"]);
});

test("a drained pool gives no new life to dead letters", () => {
  const world = createWorld({ agents: ["ada"], pool: { retry: { maxAttempts: 1 } } });
  world.submit({ id: "t" });
  world.fail("t");
  set(world, "draining");
  expect(refusal(() => world.replay("t")).code).toBe("not_running");
  set(world, "paused");
  world.replay("t");
  expect(world.status("t")).toBe("agent");
});

test("a drained pool tells its remote agents to be quiet once nothing waits for them, a paused one does not", () => {
  const world = createWorld();
  world.join({ name: "far" });
  const quiet = () => world.heartbeat("far").quiet;
  expect(quiet()).toBe(false);
  set(world, "paused");
  expect(quiet()).toBe(false);
  world.submit({ id: "t" });
  set(world, "draining");
  expect(quiet()).toBe(false);
  world.cancel("t");
  expect(quiet()).toBe(true);
});

test("pause and drain survive a restart", () => {
  for (const mode of ["paused", "draining"] as const) {
    const world = createWorld({ agents: ["ada"] });
    set(world, "paused");
    world.submit({ id: "t" });
    set(world, mode);
    world.restart();
    world.ask({ type: "recover" });
    world.ready("ada");
    expect(world.status("t")).toBe(mode === "paused" ? "agent" : "leased");
    expect(world.state.pools.get(MAIN)?.mode).toBe(mode);
    set(world, "running");
    expect(world.status("t")).toBe("leased");
  }
});

test("saying it twice is once, and an unknown pool is not found", () => {
  const world = createWorld();
  set(world, "paused");
  set(world, "paused");
  expect(world.eventsOf("pool.mode")).toHaveLength(1);
  expect(refusal(() => set(world, "paused", "none" as never)).code).toBe("not_found");
});

test("other pools are not held up", () => {
  const world = createWorld({ agents: ["ada"] });
  world.addPool({ id: "side" });
  world.addAgent("bob", "side" as never);
  set(world, "paused");
  world.submit({ id: "t", pool: "side" });
  expect(world.status("t")).toBe("leased");
});
