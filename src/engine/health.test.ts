/** How pools and the engine are, in a word. */
import { describe, expect, test } from "vitest";
import { poolHealthWord } from "../core/pool-health.ts";
import { createWorld, MAIN, type World } from "../testing/world.ts";
import type { Frame } from "./frame.ts";
import { engineHealth } from "./health.ts";
import { agentView } from "./present-agent.ts";

const wordOf = (world: World): string => {
  const pool = world.state.pools.get(MAIN);
  if (pool === undefined) throw new Error("no pool main");
  return poolHealthWord(world.state, pool);
};

const whole = (world: World): ReturnType<typeof engineHealth> => engineHealth({ state: world.state } as Frame);

const failAgent = (world: World, name: string): void => {
  world.ask({ type: "fail_agent", agentId: world.agent(name).identity.id, reason: "no good" });
};

describe("a pool", () => {
  test("S4-12 is healthy while all of its agents are, degraded when one is not, unhealthy when none is", () => {
    const world = createWorld({ agents: ["ada", "bob"] });
    expect(wordOf(world)).toBe("healthy");
    failAgent(world, "ada");
    expect(wordOf(world)).toBe("degraded");
    failAgent(world, "bob");
    expect(wordOf(world)).toBe("unhealthy");
  });

  test("S4-12 is degraded by a degraded agent, though it serves", () => {
    const world = createWorld({ pool: { stopMs: 1_000, timeoutMs: 1_000 }, agents: ["ada", "bob"] });
    world.submit({ id: "t", maxAttempts: 1 });
    world.start("t");
    world.advance(2_000);
    expect(world.agent("ada").health).toBe("degraded");
    expect(wordOf(world)).toBe("degraded");
  });

  test("S4-12 is not running while it drains, and runs while it is paused", () => {
    const world = createWorld({ agents: ["ada"] });
    world.ask({ type: "set_mode", pool: MAIN, mode: "paused" });
    expect(wordOf(world)).toBe("healthy");
    world.ask({ type: "set_mode", pool: MAIN, mode: "draining" });
    expect(wordOf(world)).toBe("not_running");
    world.ask({ type: "set_mode", pool: MAIN, mode: "running" });
    world.ask({ type: "drain_pool", pool: MAIN });
    expect(wordOf(world)).toBe("not_running");
  });

  test("R-B03 whose agents are all gone is unhealthy, not degraded; one that waits for remote agents is well", () => {
    const world = createWorld({ agents: ["ada"] });
    world.remove("ada");
    expect(wordOf(world)).toBe("unhealthy");
    expect(wordOf(createWorld())).toBe("healthy");
  });
});

describe("the whole", () => {
  const three = (): World => {
    const world = createWorld({ agents: ["ada"] });
    for (const id of ["b", "c"]) world.addAgent(`${id}-agent`, world.addPool({ id, agents: [] }));
    return world;
  };

  test("R-07 S4-20 is healthy with all pools, degraded when some are not, unhealthy when all are", () => {
    const world = three();
    expect(whole(world)).toMatchObject({ status: "healthy", pools: 3, agents: 3, healthyAgents: 3 });
    failAgent(world, "ada");
    expect(whole(world)).toMatchObject({ status: "degraded", pools: 3, agents: 3, healthyAgents: 2 });
    failAgent(world, "b-agent");
    failAgent(world, "c-agent");
    expect(whole(world)).toMatchObject({ status: "unhealthy", pools: 3, agents: 3, healthyAgents: 0 });
  });

  test("R-07 is degraded by a degraded pool, and healthy without pools", () => {
    const world = createWorld({ agents: ["ada", "bob"] });
    failAgent(world, "bob");
    expect(whole(world).status).toBe("degraded");
    world.ask({ type: "delete_pool", pool: MAIN });
    expect(whole(world)).toEqual({ status: "healthy", pools: 0, agents: 0, healthyAgents: 0, queued: 0, running: 0 });
  });

  test("sums what waits and what runs over all pools", () => {
    const world = three();
    for (const pool of ["main", "main", "main", "b"]) world.submit({ pool });
    expect(whole(world)).toMatchObject({ queued: 2, running: 2 });
  });
});

test("S4-B03 the health that is shown is the one by which work is given", () => {
  const world = createWorld({ agents: ["ada"] });
  const shown = (): string =>
    agentView(world.state, world.agent("ada"), { nowMs: world.nowMs, process: {}, counts: undefined }).health;
  failAgent(world, "ada");
  world.submit({ id: "t" });
  expect([shown(), world.status("t")]).toEqual(["unhealthy", "agent"]);
  world.ask({ type: "recover_agent", agentId: world.agent("ada").identity.id });
  expect([shown(), world.status("t")]).toEqual(["healthy", "leased"]);
});

test("S0-L12 an agent shows no figure of memory or processor that nobody measures", () => {
  const world = createWorld({ agents: ["ada"] });
  const shown = JSON.stringify(
    agentView(world.state, world.agent("ada"), { nowMs: world.nowMs, process: {}, counts: undefined }),
  );
  expect(shown).not.toMatch(/cpu|rss|heap|memory(?!HandleId)/i);
});
