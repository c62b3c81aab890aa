/** Strategies through the library's door: what may be asked for, and what is shown. */
import { expect, test } from "vitest";
import type { PoolError } from "../base/errors.ts";
import { asPoolId } from "../base/ids.ts";
import { STRATEGIES } from "../policies/balancer/strategies.ts";
import { refusal } from "../testing/world.ts";
import { functionAgent } from "./library/agents.ts";
import { createPool } from "./library/troupe.ts";
import { resolvePool } from "./options/pool.ts";
import { resolveTask } from "./options/task.ts";

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
  const key = (affinityKey: unknown) => resolveTask(asPoolId("p"), { prompt: "x", affinityKey }, 0);
  expect(key("k".repeat(256)).input.affinityKey).toHaveLength(256);
  for (const bad of ["", "k".repeat(257), 7]) expect(refusal(() => key(bad)).details).toEqual({ path: "affinityKey" });
});
