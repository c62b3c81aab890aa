/** The bench of the strategies runs, and tells figures. Never how good they are: that takes more tasks. */
import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { STRATEGIES } from "../src/policies/balancer/strategies.ts";

interface Told {
  readonly rows: readonly { strategy: string; p50: number; p99: number; p99Ratio: number; failed: number }[];
  readonly goals: readonly { name: string; found: number }[];
}

test("the bench of the strategies tells finite figures for each, and no task fails where one is judged", () => {
  const args = ["--conditions=troupe-source", "bench/balance.ts", "--tasks", "600", "--seeds", "1", "--json"];
  const { rows, goals } = JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" })) as Told;
  expect(rows.map(({ strategy }) => strategy)).toEqual(
    STRATEGIES.flatMap((name) => Array<string>(name === "score" ? 4 : name === "peak_ewma" ? 2 : 1).fill(name)),
  );
  for (const { p50, p99, p99Ratio } of rows) {
    for (const figure of [p50, p99, p99Ratio]) expect(Number.isFinite(figure)).toBe(true);
  }
  const judged = rows.filter(({ strategy }) => strategy === "peak_ewma" || strategy === "score");
  expect(judged.map(({ failed }) => failed)).toEqual([0, 0, 0, 0, 0, 0]);
  expect(goals.filter(({ found }) => !Number.isFinite(found))).toEqual([]);
  expect(goals).toHaveLength(18);
});
