/** The bench of deep queues runs, and tells figures. Never how good they are: that takes deep queues. */
import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";

interface Told {
  readonly claims: readonly { backlog: string; nanos: number; bytes: number }[];
  readonly choices: readonly { strategy: string; nanos: number; turnNanos: number }[];
}

test("the bench of deep queues tells finite figures for every kind of backlog and for choosing", () => {
  const words = "--depths 120 --agents 12 --rounds 2 --strategies score --json".split(" ");
  const args = ["--conditions=troupe-source", "bench/queue-depth.ts", ...words];
  const { claims, choices } = JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" })) as Told;
  expect(claims.map(({ backlog }) => backlog)).toEqual(["plain", "ranked", "types", "capability", "gate", "failed"]);
  expect(choices.map(({ strategy }) => strategy)).toEqual(["score"]);
  const figures = [...claims.map(({ nanos }) => nanos), ...choices.flatMap((pick) => [pick.nanos, pick.turnNanos])];
  for (const figure of figures) expect(Number.isFinite(figure) && figure > 0).toBe(true);
}, 60_000);
