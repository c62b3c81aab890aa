/** Strategies through the library's door: what may be asked for, and what is shown. */
import { expect, test } from "vitest";
import type { PoolError } from "../base/errors.ts";
import { STRATEGIES } from "../policies/balancer/strategies.ts";
import { refusal } from "../testing/world.ts";
import { functionAgent } from "./library/agents.ts";
import { createPool, createTroupe } from "./library/troupe.ts";
import { resolvePool } from "./options/pool.ts";
import { checkedTask } from "./options/task.ts";

const agents = (...names: readonly string[]) => names.map((name) => functionAgent(name, async () => name));
const invalid = (options: unknown): PoolError["details"] => refusal(() => resolvePool(options, () => "p")).details;

test.each(STRATEGIES)("S1-01 a pool by %s runs its tasks", async (strategy) => {
  await using pool = await createPool({ agents: agents("ada", "bob"), strategy });
  const ran = await pool.executeBatch(["one", "two", "three", "four"]);
  expect(ran.every((name) => name === "ada" || name === "bob")).toBe(true);
  expect((await pool.status()).strategy).toBe(strategy);
});

test("a strategy that is not known, and a holdBack that is no boolean, are refused with their path", () => {
  expect(invalid({ strategy: "fastest" })).toEqual({ path: "strategy" });
  expect(invalid({ holdBack: "yes" })).toEqual({ path: "holdBack" });
  expect(resolvePool({ holdBack: true }, () => "p").holdBack).toBe(true);
});

test("S1-B09 a weight is finite and 0 or more", () => {
  const weighing = (weight: unknown) => ({ agents: [{ kind: "function", name: "ada", weight }] });
  for (const weight of [-0.001, -1, Number.NaN, Number.POSITIVE_INFINITY, "1"]) {
    expect(invalid(weighing(weight))).toEqual({ path: "agents[0].weight" });
  }
  for (const weight of [0, 0.5, 1_000_000]) {
    expect(resolvePool(weighing(weight), () => "p").agents[0]?.weight).toBe(weight);
  }
});

test("a task's affinity key is taken, shown, and sends the tasks of one key to one agent", async () => {
  await using pool = await createPool({ agents: agents("ada", "bob", "cyd"), strategy: "affinity" });
  const keys = Array.from({ length: 12 }, (_, n) => `customer-${n}`);
  const homes = new Map<string, unknown>();
  for (const affinityKey of [...keys, ...keys]) {
    const task = await pool.submit({ prompt: "x", affinityKey });
    const settled = await task.settled();
    expect(settled.affinityKey).toBe(affinityKey);
    expect(homes.get(affinityKey) ?? settled.result).toBe(settled.result);
    homes.set(affinityKey, settled.result);
  }
  expect(new Set(homes.values()).size).toBeGreaterThan(1);
});

test("a task without a key shows none, and a key is 1 to 256 characters", async () => {
  await using pool = await createPool({ agents: agents("ada"), strategy: "affinity" });
  const task = await pool.submit("x");
  expect("affinityKey" in (await task.settled())).toBe(false);
  const key = (affinityKey: unknown) => checkedTask({ prompt: "x", affinityKey });
  expect(key("k".repeat(256)).affinityKey).toHaveLength(256);
  for (const bad of ["", "k".repeat(257), 7]) expect(refusal(() => key(bad)).details).toEqual({ path: "affinityKey" });
});

test("a function of the user's may be the strategy: it is shown who is free and names one", async () => {
  const shown: string[][] = [];
  await using pool = await createPool({
    agents: agents("ada", "bob", "cyd"),
    strategy: (candidates, task) => {
      shown.push([task.type, ...candidates.map(({ name }) => name).sort()]);
      return (candidates.find(({ name }) => name === "bob") ?? candidates[0])?.agentId ?? "";
    },
  });
  expect(await pool.execute({ prompt: "x", type: "odd" })).toBe("bob");
  expect(await pool.execute("y")).toBe("bob");
  expect(shown).toEqual([
    ["odd", "ada", "bob", "cyd"],
    ["general", "ada", "bob", "cyd"],
  ]);
  expect((await pool.status()).strategy).toBe("function");
});

test("a strategy that throws is passed over for the least loaded, and a log event says so once", async () => {
  const said: string[] = [];
  await using pool = await createPool({
    agents: agents("ada"),
    strategy: () => {
      throw new Error("out of luck");
    },
    log: ({ event, message }) => {
      if (event === "strategy_failed") said.push(String(message));
    },
  });
  expect(await pool.executeBatch(["x", "y"])).toEqual(["ada", "ada"]);
  expect(said).toEqual(["the strategy threw: out of luck"]);
});

test("a pool that is made again after its end does not keep the strategy of the last one", async () => {
  await using troupe = await createTroupe();
  await troupe.create({ id: "p", agents: agents("ada", "bob"), strategy: ([first]) => first?.agentId ?? "" });
  expect(troupe.list()[0]?.strategy).toBe("function");
  await troupe.delete("p");
  await troupe.create({ id: "p", agents: agents("ada", "bob"), strategy: "priority" });
  expect(troupe.list()[0]?.strategy).toBe("priority");
});
