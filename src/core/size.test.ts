import { describe, expect, test } from "vitest";
import { asPoolId } from "../base/ids.ts";
import type { PoolOptionsInput } from "../engine/options/pool.ts";
import { createWorld, MAIN, refusal, type World } from "../testing/world.ts";
import { sizedAgents } from "./size.ts";
import { templateOf } from "./template.ts";

/** A pool of commands that `size` drives, brought to `start` and ready. */
function sized(start: number, pool: PoolOptionsInput = {}, size: PoolOptionsInput["size"] = {}): World {
  const agents = pool.agents ?? [{ kind: "command" as const, program: "cat" }];
  const world = createWorld({ pool: { ...pool, size: { default: start, max: 8, ...size }, agents } });
  world.ask({ type: "scale", pool: MAIN, target: start, by: "options" });
  readyAll(world);
  return world;
}

function readyAll(world: World): void {
  for (const [agentId, { lifecycle }] of world.state.agents) {
    if (lifecycle === "starting") world.ask({ type: "agent_ready", agentId });
  }
}

function scale(world: World, to: { target?: number; add?: number; capped?: boolean }): readonly string[] {
  const reply = world.ask({ type: "scale", pool: MAIN, ...to });
  if (reply.type !== "scaled") throw new Error("scaling is answered by the size");
  expect(reply.size).toBe(members(world).length);
  return reply.agentIds;
}

const members = (world: World) => sizedAgents(world.state, pool(world)).map(({ identity }) => identity.name);
const names = (world: World) => [...world.state.agents.values()].map(({ identity }) => identity.name).sort();
const pool = (world: World) => {
  const main = world.state.pools.get(MAIN);
  if (main === undefined) throw new Error("the pool is there");
  return main;
};
const pathOf = (act: () => unknown) => {
  const { code, details } = refusal(act);
  return [code, details.path];
};

describe("a pool that grows", () => {
  test("S2-L04: gets new agents under the next numbers, and says which are new", () => {
    const world = sized(2);
    const before = new Set(world.state.agents.keys());
    const ids = scale(world, { target: 4 });
    expect(names(world)).toEqual(["main-command-0", "main-command-1", "main-command-2", "main-command-3"]);
    expect([...world.state.agents.keys()].filter((id) => !before.has(id))).toEqual(ids);
    expect(world.effectsOf("start_agent").map(({ agentId }) => agentId)).toEqual(expect.arrayContaining([...ids]));
  });

  test("draws new isolation ids for each", () => {
    const world = sized(4);
    const drawn = [...world.state.agents.values()].flatMap(({ isolation }) => Object.values(isolation));
    expect(new Set(drawn).size).toBe(12);
  });

  test("S0-11: adds to what there is", () => {
    const world = sized(2);
    expect(scale(world, { add: 3 })).toHaveLength(3);
    expect(members(world)).toHaveLength(5);
  });

  test("S0-09, S0-10, R-02: never beyond size.max: refused by an operator's word, capped where that was asked", () => {
    const world = sized(7);
    expect(pathOf(() => scale(world, { target: 9 }))).toEqual(["invalid", "target"]);
    expect(pathOf(() => scale(world, { add: 2 }))).toEqual(["invalid", "add"]);
    expect(members(world)).toHaveLength(7);
    expect(scale(world, { add: 2, capped: true })).toHaveLength(1);
    expect(scale(world, { add: 2, capped: true })).toEqual([]);
    expect(scale(world, { target: 8 })).toEqual([]);
  });

  test("S0-B02: a task that waits goes to whoever comes", () => {
    const world = sized(1);
    world.submit({ id: "a" });
    world.submit({ id: "b" });
    scale(world, { target: 2 });
    expect(world.status("b")).toBe("agent");
    readyAll(world);
    expect(world.status("b")).toBe("leased");
  });

  test("fills the numbers that have become free, and only those", () => {
    const world = sized(3);
    const [, second] = [...world.state.agents.keys()];
    world.remove(String(second));
    scale(world, { target: 4 });
    expect(members(world)).toEqual(["main-command-0", "main-command-1", "main-command-2", "main-command-3"]);
  });

  test("passes over a number whose name somebody has", () => {
    const agents = [
      { kind: "command" as const, program: "cat", name: "main-command-1" },
      { kind: "command" as const, program: "cat" },
    ];
    const world = sized(2, { agents });
    expect(members(world)).toEqual(["main-command-0", "main-command-2"]);
  });

  test("S2-03: refuses ports beyond the last one", () => {
    const daemon = { program: "x", basePort: 65_533 };
    const world = sized(2, { agents: [{ kind: "daemon", daemon }] });
    expect(members(world)).toEqual(["daemon_0", "daemon_1"]);
    expect(pathOf(() => scale(world, { target: 4 }))).toEqual(["invalid", "daemon.basePort"]);
    expect(scale(world, { target: 3 })).toHaveLength(1);
  });

  test("a number is free again only when its agent has gone", () => {
    const world = sized(2, { agents: [{ kind: "daemon", daemon: { program: "x", basePort: 9_000 } }] });
    world.submit({ id: "a" });
    world.submit({ id: "b" });
    scale(world, { target: 1 });
    scale(world, { target: 2 });
    expect(names(world)).toEqual(["daemon_0", "daemon_1", "daemon_2"]);
    world.complete("b");
    expect(names(world)).toEqual(["daemon_0", "daemon_2"]);
  });
});

describe("a pool that shrinks", () => {
  test("lets idle agents go at once, the newest first", () => {
    const world = sized(4);
    expect(scale(world, { target: 2 })).toEqual([]);
    expect(names(world)).toEqual(["main-command-0", "main-command-1"]);
    expect(world.effectsOf("close_agent")).toHaveLength(2);
  });

  test("S2-L04: a busy one takes no more, finishes and goes", () => {
    const world = sized(2, { retry: { maxAttempts: 1 } });
    world.submit({ id: "a" });
    world.submit({ id: "b" });
    world.submit({ id: "c" });
    scale(world, { target: 1 });
    const leaving = world.runner("b") ?? "";
    expect(world.agent(leaving).lifecycle).toBe("draining");
    expect(members(world)).toHaveLength(1);
    expect(names(world)).toHaveLength(2);
    world.complete("b");
    expect(world.status("b")).toBe("completed");
    expect(names(world)).toEqual(["main-command-0"]);
    expect(world.status("c")).toBe("agent");
  });

  test("busy ones stay while there are idle ones to go", () => {
    const world = sized(3);
    world.submit({ id: "a" });
    const busy = world.runner("a") ?? "";
    scale(world, { target: 1 });
    expect([...world.state.agents.keys()]).toEqual([busy]);
  });

  test("those that can't work go before those that can", () => {
    const world = sized(3);
    const [first] = [...world.state.agents.keys()];
    world.ask({ type: "fail_agent", agentId: first as never, reason: "sick" });
    scale(world, { target: 2 });
    expect(members(world)).toEqual(["main-command-1", "main-command-2"]);
  });

  test("one that has not come up yet goes at once", () => {
    const world = sized(1);
    scale(world, { target: 2 });
    scale(world, { target: 1 });
    expect(names(world)).toEqual(["main-command-0"]);
  });

  test("one that dies while it leaves is not started again", () => {
    const world = sized(2, { agents: [{ kind: "daemon", daemon: { program: "x", basePort: 0 } }] });
    world.submit({ id: "a" });
    world.submit({ id: "b" });
    scale(world, { target: 1 });
    world.crash(world.runner("b") ?? "");
    expect(names(world)).toEqual(["daemon_0"]);
    world.advance(600_000);
    expect(names(world)).toEqual(["daemon_0"]);
  });

  test("to 1 at least, whatever size.min is", () => {
    const world = sized(3, {}, { min: 2 });
    expect(pathOf(() => scale(world, { target: 0 }))).toEqual(["invalid", "target"]);
    scale(world, { target: 1 });
    expect(members(world)).toHaveLength(1);
  });

  test("after a restart those who were leaving are gone, and the size is as it was", () => {
    const world = sized(3);
    for (const id of ["a", "b", "c"]) world.submit({ id });
    scale(world, { target: 2 });
    world.restart();
    expect(members(world)).toHaveLength(2);
    world.ask({ type: "recover" });
    expect(names(world)).toHaveLength(2);
    readyAll(world);
    expect([...world.state.agents.values()].map(({ lifecycle }) => lifecycle)).toEqual(["ready", "ready"]);
  });
});

describe("who is counted", () => {
  test("only those made from the entry that size drives", () => {
    const agents = [
      { kind: "command" as const, program: "cat", count: 2 },
      { kind: "command" as const, program: "cat" },
      { kind: "command" as const, program: "cat", name: "ada" },
    ];
    const world = sized(2, { agents });
    world.addAgent({ name: "ada", kind: "command" });
    world.addAgent({ name: "rem", kind: "remote" });
    scale(world, { target: 3 });
    expect(members(world)).toHaveLength(3);
    expect(names(world)).toHaveLength(5);
    expect(templateOf(pool(world), world.agent("ada").identity)?.name).toBe("ada");
    expect(templateOf(pool(world), world.agent("rem").identity)).toBeUndefined();
  });

  test("R-02: a pool of named, counted or remote agents has no size to change", () => {
    const named = [{ kind: "command" as const, program: "cat", name: "ada" }];
    const counted = [{ kind: "command" as const, program: "cat", count: 2 }];
    for (const agents of [named, counted, []]) {
      const world = createWorld({ pool: { agents } });
      for (const to of [{ target: 2 }, { target: 4 }]) {
        expect(pathOf(() => scale(world, to))).toEqual(["invalid", "target"]);
      }
      expect(pathOf(() => scale(world, { add: 1, capped: true }))).toEqual(["invalid", "add"]);
    }
  });

  test("S4-01, R-02: nor has one of a fixed size", () => {
    const world = sized(3, {}, { min: 3, max: 3 });
    for (const target of [1, 2, 3, 4]) expect(pathOf(() => scale(world, { target }))).toEqual(["invalid", "target"]);
    expect(pathOf(() => scale(world, { add: 1 }))).toEqual(["invalid", "add"]);
    expect(scale(world, { add: 1, capped: true })).toEqual([]);
    expect(members(world)).toHaveLength(3);
  });

  test("a pool that is not there is not found", () => {
    const world = createWorld();
    expect(refusal(() => world.ask({ type: "scale", pool: asPoolId("other"), target: 1 })).code).toBe("not_found");
  });

  test("each change is one event with its reason", () => {
    const world = sized(2);
    scale(world, { target: 4 });
    scale(world, { target: 4 });
    scale(world, { target: 3 });
    const told = world.eventsOf("pool.scaled").map(({ from, to, by }) => [from, to, by]);
    expect(told).toEqual([
      [0, 2, "options"],
      [2, 4, "operator"],
      [4, 3, "operator"],
    ]);
    expect(world.eventsOf("pool.scaled").every(({ reason }) => reason !== "")).toBe(true);
  });

  test("an agent is found under its entry again when the options list that elsewhere", () => {
    const world = sized(1);
    const [agentId] = [...world.state.agents.keys()];
    world.ask({ type: "place_agent", agentId: agentId as never, entry: 5 });
    expect(members(world)).toEqual([]);
    world.ask({ type: "place_agent", agentId: agentId as never, entry: 0 });
    expect(members(world)).toEqual(["main-command-0"]);
    world.ask({ type: "place_agent", agentId: "nobody" as never, entry: 0 });
    expect(world.eventsOf("agent.changed")).toHaveLength(2);
  });
});

test("S4-01: the workers of a trio are called after their pool", () => {
  const world = createWorld({ pool: { preset: "trio", id: "quick", agents: [{ kind: "command", program: "cat" }] } });
  world.ask({ type: "scale", pool: asPoolId("quick"), target: 3, by: "options" });
  expect(names(world)).toEqual(["quick-worker-0", "quick-worker-1", "quick-worker-2"]);
});
