import { describe, expect, test } from "vitest";
import { asPoolId } from "../base/ids.ts";
import type { PoolOptionsInput } from "../engine/options/pool.ts";
import { createWorld, MAIN, type World } from "../testing/world.ts";
import { sizedAgents } from "./size.ts";

const COMMAND = { kind: "command" as const, program: "cat" };

/** A pool of commands that `size` drives and that follows its load, brought to `start` and ready. */
function following(start: number, autoscale: object = {}, more: PoolOptionsInput = {}): World {
  const size = { min: 1, default: start, max: 8, ...more.size };
  // Nobody here vouches for those who work.
  const lease = { ttlMs: 86_400_000 };
  const world = createWorld({ pool: { agents: [COMMAND], lease, ...more, autoscale, size } });
  world.ask({ type: "scale", pool: MAIN, target: start, by: "options" });
  readyAll(world);
  return world;
}

function readyAll(world: World): void {
  for (const [agentId, { lifecycle }] of world.state.agents) {
    if (lifecycle === "starting") world.ask({ type: "agent_ready", agentId });
  }
}

const size = (world: World): number => {
  const pool = world.state.pools.get(MAIN);
  return pool === undefined ? 0 : sizedAgents(world.state, pool).length;
};
const byAutoscale = (world: World) => world.eventsOf("pool.scaled").filter(({ by }) => by === "autoscale");
/** Moves the time in steps, as timers would. */
function pass(world: World, ms: number, stepMs = 500): void {
  for (let left = ms; left > 0; left -= stepMs) world.advance(Math.min(stepMs, left));
}
function submit(world: World, count: number, more: object = {}): string[] {
  return Array.from({ length: count }, () => world.submit(more));
}

describe("by delay", () => {
  test("S4-L01: a pool grows at the instant at which a task has waited for targetWaitMs", () => {
    const world = following(1, { targetWaitMs: 5_000, cooldownMs: 1_000 });
    pass(world, 2_000);
    submit(world, 3);
    pass(world, 4_999);
    expect(size(world)).toBe(1);
    world.advance(1);
    expect(size(world)).toBe(2);
    expect(byAutoscale(world)).toMatchObject([{ from: 1, to: 2, reason: expect.stringContaining("5000 ms") }]);
  });

  test("the task that has waited longest counts, of whatever kind it is and whoever came before it", () => {
    const world = following(1, { targetWaitMs: 5_000, cooldownMs: 1_000 });
    submit(world, 1);
    const [gone] = submit(world, 1, { type: "first kind" });
    pass(world, 1_000);
    submit(world, 1, { type: "second kind" });
    pass(world, 1_000);
    submit(world, 1, { type: "first kind" });
    world.cancel(gone ?? "");
    pass(world, 3_999);
    expect(size(world)).toBe(1);
    world.advance(1);
    expect(byAutoscale(world)[0]?.reason).toContain("5000 ms");
  });

  test("by as many as wait, not by as many as their key has room for", () => {
    const world = following(2, { targetWaitMs: 1_000, cooldownMs: 2_000 }, { keyConcurrency: 5 });
    submit(world, 2);
    pass(world, 2_000);
    submit(world, 1, { fairnessKey: "one" });
    pass(world, 1_000);
    expect(size(world)).toBe(3);
  });

  test("and again only after the cool-down", () => {
    const world = following(1, { targetWaitMs: 1_000, cooldownMs: 10_000 });
    pass(world, 10_000);
    submit(world, 9);
    pass(world, 1_000);
    expect(size(world)).toBe(2);
    pass(world, 9_999);
    expect(size(world)).toBe(2);
    world.advance(1);
    expect(size(world)).toBe(4);
    pass(world, 10_000);
    expect(size(world)).toBe(8);
    pass(world, 100_000);
    expect(size(world)).toBe(8);
  });

  test("not for tasks that more agents would not help", () => {
    const gated = following(1, { targetWaitMs: 100, cooldownMs: 100 });
    gated.ask({ type: "set_gate", name: "net", available: false, holds: ["held"] });
    submit(gated, 3, { type: "held" });
    submit(gated, 3, { requires: ["gpu"] });
    gated.submit({ runAtMs: gated.nowMs + 50_000 });
    pass(gated, 20_000);
    expect(size(gated)).toBe(1);

    const paused = following(1, { targetWaitMs: 100, cooldownMs: 100 });
    paused.ask({ type: "set_mode", pool: MAIN, mode: "paused" });
    submit(paused, 3);
    pass(paused, 20_000);
    expect(size(paused)).toBe(1);

    const keyed = following(1, { targetWaitMs: 100, cooldownMs: 1_000_000 }, { keyConcurrency: 1 });
    submit(keyed, 5, { fairnessKey: "one" });
    pass(keyed, 20_000);
    expect(size(keyed)).toBe(1);
  });

  test.each([
    ["the pool is being deleted", { type: "drain_pool", pool: MAIN }],
    ["the engine stops", { type: "drain", matching: true }],
  ] as const)("not while %s", (_, command) => {
    const world = following(1, { targetWaitMs: 100, cooldownMs: 100 });
    submit(world, 3);
    world.ask(command);
    pass(world, 20_000);
    expect(byAutoscale(world)).toEqual([]);
  });
});

describe("by depth", () => {
  test("S3-67: a pool grows while there is more than targetPerAgent for each", () => {
    const world = following(2, { targetWaitMs: 1_000_000, targetPerAgent: 3, cooldownMs: 5_000 });
    submit(world, 6);
    pass(world, 20_000);
    expect(size(world)).toBe(2);
    submit(world, 1);
    pass(world, 1_000);
    expect(size(world)).toBe(3);
    expect(byAutoscale(world)[0]?.reason).toContain("7 open tasks");
  });
});

describe("shrinking", () => {
  test("S4-L01: agents that were not needed for a whole cool-down go, down to size.min", () => {
    const world = following(4, { cooldownMs: 60_000 }, { size: { min: 2 } });
    pass(world, 59_999);
    expect(size(world)).toBe(4);
    world.advance(1);
    expect(size(world)).toBe(2);
    pass(world, 600_000);
    expect(size(world)).toBe(2);
    expect(byAutoscale(world)).toHaveLength(1);
  });

  test("to what the busiest moment needed, and busy ones stay", () => {
    const world = following(4, { cooldownMs: 60_000 });
    const ids = submit(world, 3);
    pass(world, 1_000);
    world.complete(ids[0] ?? "");
    pass(world, 59_000);
    expect(size(world)).toBe(3);
    pass(world, 60_000);
    expect(size(world)).toBe(2);
    expect([...world.state.agents.values()].map(({ runs }) => runs.size)).toEqual([1, 1]);
  });

  test("a busy moment counts for the cool-down that it falls into, not for ever", () => {
    const world = following(4, { cooldownMs: 10_000 });
    const ids = submit(world, 4);
    pass(world, 1_000);
    for (const id of ids) world.complete(id);
    pass(world, 9_000);
    expect(size(world)).toBe(4);
    pass(world, 10_000);
    expect(size(world)).toBe(1);
  });

  test("only idle ones go, although fewer agents would have slots enough", () => {
    const world = following(
      4,
      { cooldownMs: 10_000 },
      { agents: [{ ...COMMAND, concurrency: 4 }], strategy: "least_loaded" },
    );
    const ids = submit(world, 4);
    pass(world, 30_000);
    expect([...world.state.agents.values()].map(({ runs }) => runs.size)).toEqual([1, 1, 1, 1]);
    world.complete(ids[0] ?? "");
    pass(world, 20_000);
    expect(size(world)).toBe(3);
  });

  test("a growth begins the cool-down anew", () => {
    const world = following(1, { targetWaitMs: 1_000, cooldownMs: 60_000 });
    pass(world, 60_000);
    const ids = submit(world, 2);
    pass(world, 1_000);
    expect(size(world)).toBe(2);
    readyAll(world);
    for (const id of ids) world.complete(id);
    pass(world, 59_999);
    expect(size(world)).toBe(2);
    pass(world, 60_001);
    expect(size(world)).toBe(1);
  });

  test("so does an operator's word: what was before it does not count, and it is over at the instant", () => {
    const world = following(1, { cooldownMs: 10_000 }, { agents: [{ ...COMMAND, concurrency: 4 }] });
    pass(world, 7_000);
    const ids = submit(world, 4);
    pass(world, 500);
    for (const id of ids) world.complete(id);
    world.ask({ type: "scale", pool: MAIN, target: 4 });
    readyAll(world);
    pass(world, 9_999);
    expect(size(world)).toBe(4);
    world.advance(1);
    expect(size(world)).toBe(1);
  });

  test("the same load makes it neither grow nor shrink", () => {
    const world = following(4, { targetWaitMs: 1_000, targetPerAgent: 1, cooldownMs: 10_000 });
    for (let round = 0; round < 60; round++) {
      const ids = submit(world, 2);
      pass(world, 1_000);
      for (const id of ids) world.complete(id);
      pass(world, 1_000);
    }
    expect(byAutoscale(world).map(({ from, to }) => [from, to])).toEqual([[4, 2]]);
  });
});

describe("bounds", () => {
  test("what an operator has scaled below size.min comes back after the cool-down", () => {
    const world = following(3, { cooldownMs: 10_000 }, { size: { min: 2 } });
    world.ask({ type: "scale", pool: MAIN, target: 1 });
    pass(world, 9_999);
    expect(size(world)).toBe(1);
    pass(world, 1_000);
    expect(size(world)).toBe(2);
  });

  test("without autoscale the size stays, and it may come and go with the options", () => {
    const world = createWorld({ pool: { agents: [COMMAND], size: { default: 3, max: 8 } } });
    world.ask({ type: "scale", pool: MAIN, target: 3, by: "options" });
    pass(world, 600_000, 10_000);
    expect(size(world)).toBe(3);
    expect(world.state.due.nextAtMs).toBeUndefined();
    const options = world.state.pools.get(MAIN)?.options;
    if (options === undefined) throw new Error("the pool is there");
    const autoscale = { targetWaitMs: 5_000, cooldownMs: 60_000 };
    world.ask({ type: "change_pool", options: { ...options, autoscale } });
    pass(world, 61_000);
    expect(size(world)).toBe(1);
    world.ask({ type: "change_pool", options });
    world.ask({ type: "scale", pool: MAIN, target: 3 });
    pass(world, 600_000, 10_000);
    expect(size(world)).toBe(3);
  });

  test("a pool that is gone is not looked at any more", () => {
    const world = following(1, { cooldownMs: 1_000 });
    world.ask({ type: "delete_pool", pool: asPoolId("main") });
    pass(world, 5_000);
    expect(byAutoscale(world)).toEqual([]);
  });

  test("after a restart it goes on, and waits for a whole cool-down before it shrinks", () => {
    const world = following(3, { cooldownMs: 10_000 });
    pass(world, 9_000);
    world.restart();
    pass(world, 9_999);
    expect(size(world)).toBe(3);
    pass(world, 1);
    expect(size(world)).toBe(1);
  });
});
