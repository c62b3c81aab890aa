/** The engine in worlds where things go wrong: a thousand seeds hold. */
import { describe, expect, test } from "vitest";
import type { RunReport } from "../src/testing/simulation/chronicle.ts";
import { simulateSeed } from "../src/testing/simulation/run.ts";
import { SITUATIONS } from "../src/testing/simulation/situations.ts";
import { failureText, Tally } from "../src/testing/simulation/summary.ts";

const SEEDS = Number(process.env.TROUPE_TEST_SEEDS ?? 1_000);
const CHUNK = 50;
const TASKS = 40;
/** A chunk takes two seconds; a machine that does much else is no failure. */
const PATIENCE_MS = 120_000;

describe("the engine in a world that goes wrong", () => {
  const tally = new Tally();
  const chunks = Array.from({ length: Math.ceil(SEEDS / CHUNK) }, (_, n) => n * CHUNK + 1);

  test.each(chunks)(
    "S3-10 from seed %i on no invariant breaks, and everything ends once things go well",
    async (from) => {
      const broken: string[] = [];
      for (let seed = from; seed < from + CHUNK; seed++) {
        const report = await simulateSeed({ seed, tasks: TASKS });
        tally.add(report);
        if (report.violation !== undefined) broken.push(failureText(report, { tasks: TASKS }));
      }
      expect(broken).toEqual([]);
    },
    PATIENCE_MS,
  );

  test("nothing that was acknowledged is lost, nothing is settled twice in a life", () => {
    const { lost, settledTwice, tasks } = tally.summary();
    expect({ lost, settledTwice }).toEqual({ lost: 0, settledTwice: 0 });
    expect(tasks).toBeGreaterThan(SEEDS * 10);
  });

  test.runIf(SEEDS >= 1_000)("every situation that matters was met", () => {
    const { situations } = tally.summary();
    expect(SITUATIONS.filter((name) => situations[name] === 0)).toEqual([]);
  });

  test.runIf(SEEDS >= 1_000)("every fault has happened", () => {
    const { faults } = tally.summary();
    expect(Object.keys(faults).filter((name) => faults[name] === 0)).toEqual([]);
  });
});

test(
  "the same seed gives the same run, another seed another one",
  async () => {
    const traceOf = async (seed: number): Promise<string> => (await simulateSeed({ seed, tasks: TASKS })).trace;
    const seeds = Array.from({ length: 20 }, (_, n) => n + 1);
    const once: string[] = [];
    const again: string[] = [];
    for (const seed of seeds) once.push(await traceOf(seed));
    for (const seed of seeds) again.push(await traceOf(seed));
    expect(again).toEqual(once);
    expect(new Set(once).size).toBe(seeds.length);
  },
  PATIENCE_MS,
);

test("a failure names its seed, its step and the command that plays it again", async () => {
  const report = await simulateSeed({ seed: 7, tasks: 1 });
  const broken: RunReport = { ...report, violation: { message: "all is well", step: 12, atMs: 345.6 } };
  const text = failureText(broken, { tasks: 1 });
  expect(text).toContain("seed 7 breaks at step 12, 346 ms: not so: all is well");
  expect(text).toContain("npm run simulate -- --seed 7 --tasks 1");
});
