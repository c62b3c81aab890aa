/** The bench runs: every case of ours at a fraction of its size. Never how good the figures are. */
import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { CASES } from "../bench/cases/all.ts";
import { intoPage, intoTables, table } from "../bench/report.ts";

/** `claims` and `choices` have a test of their own. */
const OURS = CASES.filter(({ id }) => id !== "claims" && id !== "choices");
const SCALE = 0.001;

test.each(OURS)(
  "the case $id tells a finite figure in each of its columns",
  async ({ subjects, columns, id }) => {
    // Processes of their own, or peers, are for the real run.
    const runnable = subjects.filter(({ kind, name }) => kind !== "peer" && name !== "Troupe, the core alone");
    expect(runnable.length, id).toBeGreaterThan(0);
    for (const subject of runnable) {
      const figures = await subject.run(SCALE);
      for (const { key } of columns) expect(Number.isFinite(figures[key]), `${subject.name}: ${key}`).toBe(true);
    }
  },
  60_000,
);

test("every ratio is of a column, against a subject of its case; names and ids are told apart", () => {
  for (const { ratio, columns, subjects } of CASES) {
    const names = subjects.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    if (ratio === undefined) continue;
    expect(columns.map(({ key }) => key)).toContain(ratio.of);
    expect(names).toContain(ratio.against);
  }
  expect(new Set(CASES.map(({ id }) => id)).size).toBe(CASES.length);
});

test("S4-B17 S3-B42 the command measures each subject in a process of its own, and takes ratios inside each round", () => {
  const words = "--only coordination,small --rounds 1 --scale 0.001 --no-peers --json".split(" ");
  const args = ["--conditions=troupe-source", "bench/main.ts", ...words];
  const { cases } = JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" }));
  expect(cases.map(({ id }: { id: string }) => id)).toEqual(["coordination", "small"]);
  for (const { lines, id } of cases) {
    for (const { rounds, ratios } of lines) {
      expect(rounds).toHaveLength(1);
      expect(ratios).toHaveLength(id === "coordination" ? 1 : 0);
      expect(ratios.every(Number.isFinite)).toBe(true);
    }
  }
}, 60_000);

test("a table tells the middle, and how far the rounds lie apart where that is more than a tenth", () => {
  const found = {
    case: {
      id: "x",
      title: "X",
      says: "Says.",
      columns: [
        { key: "a", title: "A" },
        { key: "b", title: "B", digits: 2 },
      ],
      ratio: { of: "a", better: "less", against: "peer" },
      subjects: [],
    },
    lines: [
      {
        name: "ours",
        kind: "troupe",
        rounds: [
          { a: 1_000, b: 1 },
          { a: 1_050, b: 2 },
          { a: 1_020, b: 3 },
        ],
        ratios: [2, 2, 2],
      },
      { name: "peer", kind: "peer", rounds: [], ratios: [] },
    ],
  } as const;
  const text = table(found);
  expect(text).toContain("| **ours** | 1,020 | 2.00 (1.00 – 3.00) | 2.00 |");
  expect(text).toContain("| peer | – | – | – |");
  const page = `before\n${intoPage("", { machine: "m", found: [], later: [] }).trim()}\nafter\n`;
  const written = intoPage(page, { machine: "this machine", found: [found], later: ["Redis"] });
  expect(written.startsWith("before\n")).toBe(true);
  expect(written.endsWith("\nafter\n")).toBe(true);
  expect(written).toContain(text);
  expect(written).toContain("- Redis: not measured yet.");
  expect(intoPage(written, { machine: "another", found: [], later: [] })).not.toContain("this machine");
  const again = { ...found, lines: [{ name: "ours", kind: "troupe", rounds: [{ a: 7, b: 8 }], ratios: [9] }] } as const;
  const other = { ...found, case: { ...found.case, title: "Y" } };
  const both = intoPage(page, { machine: "this machine", found: [found, other], later: ["Redis"] });
  const partly = intoTables(both, { machine: "a quiet machine", found: [again] });
  expect(partly.match(/\| \*\*ours\*\* \|.*/g)).toEqual([
    "| **ours** | 7 | 8.00 | 9.00 |",
    "| **ours** | 1,020 | 2.00 (1.00 – 3.00) | 2.00 |",
  ]);
  expect(partly).toContain("| 9.00 |\n\na quiet machine\n\n### Y\n");
  expect(intoTables(partly, { machine: "m", found: [again, other] })).not.toContain("a quiet machine");
  expect(partly.slice(partly.indexOf("- Redis"))).toBe(both.slice(both.indexOf("- Redis")));
  expect(() => intoTables(page, { machine: "m", found: [found] })).toThrow('no table "X" yet');
});
