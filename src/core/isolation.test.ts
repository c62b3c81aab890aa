import { describe, expect, test } from "vitest";
import { asAgentId, asPoolId } from "../base/ids.ts";
import { createWorld, type World } from "../testing/world.ts";
import type { AgentChange } from "./command.ts";
import { HISTORY_LIMIT, IsolationBook, NAMED_LIMIT } from "./isolation.ts";
import { firstAgainst } from "./standing.ts";
import { poolOf, queueOf } from "./state.ts";

const change = (world: World, name: string, isolation: AgentChange["isolation"]) =>
  world.ask({ type: "change_agent", agentId: asAgentId(name), change: { isolation } });
const flags = (world: World, ...names: string[]): boolean[] => names.map((name) => world.agent(name).isBreached);
const breaches = (world: World) => [...world.state.isolation.breaches()];

describe("who shares an id", () => {
  test("S0-B12 a collision flags both, and its end clears both and stays in the history", () => {
    const world = createWorld({ agents: ["ada", "bob", "cyd"] });
    expect(flags(world, "ada", "bob", "cyd")).toEqual([false, false, false]);
    change(world, "bob", { toolSessionId: "t-ada" });
    expect(flags(world, "ada", "bob", "cyd")).toEqual([true, true, false]);
    expect(breaches(world)).toEqual([
      {
        field: "toolSessionId",
        value: "t-ada",
        agents: [
          { id: "ada", name: "ada", pool: "main" },
          { id: "bob", name: "bob", pool: "main" },
        ],
        sinceMs: world.nowMs,
      },
    ]);
    world.advance(5);
    change(world, "bob", { toolSessionId: "t-bob" });
    expect(flags(world, "ada", "bob", "cyd")).toEqual([false, false, false]);
    expect(breaches(world)).toMatchObject([{ value: "t-ada", untilMs: world.nowMs, sinceMs: world.nowMs - 5 }]);
  });

  test.each(["contextWindowId", "toolSessionId", "memoryHandleId"] as const)("S0-03 %s alone is enough", (field) => {
    const world = createWorld({ agents: ["ada", "bob"] });
    change(world, "bob", { [field]: world.agent("ada").isolation[field] });
    expect(flags(world, "ada", "bob")).toEqual([true, true]);
  });

  test("one field's id in another field is no collision", () => {
    const world = createWorld({ agents: ["ada", "bob"] });
    change(world, "bob", { contextWindowId: "t-ada", toolSessionId: "c-ada" });
    expect(flags(world, "ada", "bob")).toEqual([false, false]);
  });

  test("of three that share an id two are still flagged when one lets go of it, and none after the second", () => {
    const world = createWorld({ agents: ["ada", "bob", "cyd"] });
    change(world, "bob", { contextWindowId: "c-ada" });
    change(world, "cyd", { contextWindowId: "c-ada" });
    expect(flags(world, "ada", "bob", "cyd")).toEqual([true, true, true]);
    change(world, "ada", { contextWindowId: "c-1" });
    expect(flags(world, "ada", "bob", "cyd")).toEqual([false, true, true]);
    change(world, "cyd", { contextWindowId: "c-2" });
    expect(flags(world, "ada", "bob", "cyd")).toEqual([false, false, false]);
    expect(breaches(world).map(({ agents }) => agents.map(({ name }) => name))).toEqual([["ada", "bob", "cyd"]]);
  });

  test("who collides in two fields is flagged until both are resolved", () => {
    const world = createWorld({ agents: ["ada", "bob"] });
    change(world, "bob", { contextWindowId: "c-ada", memoryHandleId: "m-ada" });
    change(world, "bob", { contextWindowId: "c-bob" });
    expect(flags(world, "ada", "bob")).toEqual([true, true]);
    change(world, "bob", { memoryHandleId: "m-bob" });
    expect(flags(world, "ada", "bob")).toEqual([false, false]);
  });

  test("the agents of all pools are looked at, and whoever is removed lets go of its ids", () => {
    const world = createWorld({ agents: ["ada"] });
    const other = world.addPool({ id: "other" });
    world.join({ name: "rem" }, { pool: other });
    change(world, "rem", { contextWindowId: "c-ada" });
    expect(flags(world, "ada", "rem")).toEqual([true, true]);
    world.remove("rem");
    expect(flags(world, "ada")).toEqual([false]);
  });

  test("S0-01 a spawn brings new ids, which ends a breach; a restart of the engine is a spawn of all but remote agents", () => {
    const world = createWorld({
      agents: [
        { name: "ada", kind: "daemon" },
        { name: "rem", kind: "remote" },
      ],
    });
    change(world, "ada", { contextWindowId: "c-rem" });
    expect(flags(world, "ada", "rem")).toEqual([true, true]);
    world.crash("ada");
    world.advance(60_000);
    expect(world.agent("ada").lifecycle).toBe("restarting");
    expect(flags(world, "ada", "rem")).toEqual([false, false]);
    const spawned = world.agent("ada").isolation;
    expect(new Set([...Object.values(spawned), "c-rem", "t-ada", "m-ada"]).size).toBe(6);
    world.restart();
    world.ask({ type: "recover" });
    for (const [field, id] of Object.entries(spawned))
      expect(world.agent("ada").isolation).not.toMatchObject({ [field]: id });
    expect(world.agent("rem").isolation).toEqual({
      contextWindowId: "c-rem",
      toolSessionId: "t-rem",
      memoryHandleId: "m-rem",
    });
  });

  test("ids that were changed outlive a restart of the engine, for a remote agent", () => {
    const world = createWorld({ agents: [{ name: "rem", kind: "remote" }] });
    change(world, "rem", { memoryHandleId: "mine" });
    world.restart();
    world.ask({ type: "recover" });
    expect(world.agent("rem").isolation).toMatchObject({ contextWindowId: "c-rem", memoryHandleId: "mine" });
  });

  test("what else is said of an agent leaves the ids of its latest spawn alone", () => {
    const world = createWorld({ agents: [{ name: "ada", kind: "daemon" }] });
    world.crash("ada");
    world.advance(60_000);
    world.ready("ada");
    const { isolation } = world.agent("ada");
    world.ask({ type: "fail_agent", agentId: asAgentId("ada"), reason: "x" });
    world.ask({ type: "recover_agent", agentId: asAgentId("ada") });
    world.ask({ type: "verify_capability", agentId: asAgentId("ada"), capability: "gpu" });
    world.ask({ type: "drain_agent", agentId: asAgentId("ada"), keep: true });
    expect(world.agent("ada").isolation).toEqual(isolation);
  });
});

describe("work", () => {
  test("S0-04 S0-B12 a breach keeps both from new work, not from what they run; its end lets them have it", () => {
    const world = createWorld({ agents: [{ name: "ada", concurrency: 2 }, "bob"] });
    world.submit({ id: "running" });
    change(world, "bob", { contextWindowId: "c-ada" });
    world.submit({ id: "t" });
    world.submit({ id: "u" });
    expect([world.status("running"), world.status("t"), world.status("u")]).toEqual(["leased", "agent", "agent"]);
    for (const name of ["ada", "bob"]) expect(against(world, name, "t")).toBe("isolation");
    change(world, "bob", { contextWindowId: "c-bob" });
    expect([world.status("t"), world.status("u")]).toEqual(["leased", "leased"]);
  });

  test("nobody waits for an agent that shares an id: the one that failed the task serves it again", () => {
    const world = createWorld({ agents: ["ada", "bob"] });
    change(world, "bob", { contextWindowId: "c-elsewhere" });
    world.submit({ id: "t" });
    const [failed, other] = world.runner("t") === "ada" ? ["ada", "bob"] : ["bob", "ada"];
    world.join({ name: "rem" });
    change(world, "rem", { contextWindowId: world.agent(other as string).isolation.contextWindowId });
    world.fail("t");
    expect(world.status("t")).toBe("retry");
    world.advance(1_000);
    expect(world.runner("t")).toBe(failed);
  });
});

test("the history keeps the latest breaches, and each names so many agents and no more", () => {
  const book = new IsolationBook();
  const agent = (n: number) => ({ id: asAgentId(`a${n}`), name: `a${n}`, pool: asPoolId("p") });
  const ids = (contextWindowId: string, n: number) => ({
    contextWindowId,
    toolSessionId: `t${n}`,
    memoryHandleId: `m${n}`,
  });
  for (let n = 0; n < NAMED_LIMIT + 2; n++) book.set(agent(n), ids("same", n), 0);
  expect([...book.breaches()].map(({ agents }) => agents.length)).toEqual([NAMED_LIMIT]);
  for (let n = 1; n < NAMED_LIMIT + 2; n++) book.set(agent(n), undefined, 1);
  expect(book.isBreached(asAgentId("a0"))).toBe(false);
  for (let n = 0; n < HISTORY_LIMIT; n++) {
    book.set(agent(1), ids("same", 1), n);
    book.set(agent(1), undefined, n);
  }
  const kept = [...book.breaches()];
  expect([kept.length, kept[0]?.sinceMs, kept.at(-1)?.sinceMs]).toEqual([HISTORY_LIMIT, 0, HISTORY_LIMIT - 1]);
  expect(kept[0]?.agents).toHaveLength(2);
});

function against(world: World, name: string, id: string) {
  const agent = world.agent(name);
  const { spec } = world.task(id);
  const profile = queueOf(world.state, spec.pool).seats.profileOf(agent.identity.id);
  if (profile === undefined) throw new Error("no profile");
  const wanted = {
    pool: poolOf(world.state, spec.pool),
    taskId: spec.id,
    kind: spec,
    excluded: undefined,
    gated: false,
  };
  return firstAgainst(agent, profile, wanted, world.nowMs);
}
