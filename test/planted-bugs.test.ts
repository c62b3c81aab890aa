/** What is broken on purpose is found by the simulation, each bug by the seed that found it first. */
import { afterEach, expect, test, vi } from "vitest";
import found from "./plants.json" with { type: "json" };
import { PLANTS, type Plant } from "./plants.ts";

const TASKS = 40;
const SEEDS = 2_000;
const PATIENCE_MS = 600_000;

const planted: string[] = [];
afterEach(() => {
  for (const path of planted.splice(0)) vi.doUnmock(path);
  vi.resetModules();
});

/** The simulation of a product in which something is broken. */
async function simulationWith({ path, override }: Plant) {
  vi.resetModules();
  vi.doMock(path, async (original) => {
    const module = await original<object>();
    return { ...module, ...override(module as never) };
  });
  planted.push(path);
  return await import("../src/testing/simulation/run.ts");
}

/** The recorded seed first: a product that has changed may need another. */
function seedsFor(recorded: number | undefined): number[] {
  const all = Array.from({ length: SEEDS }, (_, n) => n + 1);
  return recorded === undefined ? all : [recorded, ...all.filter((seed) => seed !== recorded)];
}

test("there are many, and each has a recorded seed", () => {
  expect(PLANTS.length).toBeGreaterThanOrEqual(24);
  expect(Object.keys(found).sort()).toEqual(PLANTS.map(({ title }) => title).sort());
});

test.each(PLANTS)(
  "found within 2,000 seeds: $title",
  async (plant) => {
    const { simulateSeed } = await simulationWith(plant);
    const recorded = (found as Readonly<Record<string, number>>)[plant.title];
    for (const seed of seedsFor(recorded)) {
      const { violation } = await simulateSeed({ seed, tasks: TASKS });
      if (violation === undefined) continue;
      if (process.env.TROUPE_TEST_VERBOSE) console.log(`FOUND\t${plant.title}\t${seed}\t${violation.message}`);
      return;
    }
    expect.fail("no seed of 2,000 has found it");
  },
  PATIENCE_MS,
);
