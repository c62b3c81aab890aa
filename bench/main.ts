/**
 * Troupe beside what one might take instead, in one run, on this machine.
 *
 *   npm run bench [-- --only dispatch,durable --rounds 3 --scale 1 --no-peers --json --write]
 *
 * Rounds are interleaved (A B C … A B C …), each run is a process of its own, the middle of the rounds is quoted with
 * the lowest and highest beside it, and ratios are taken inside a round before their middle is. The peers are pinned
 * in `bench/package.json` and installed when they are missing. `--write` puts the tables into `docs/performance.md`,
 * with `--only` just those; `--scale 0.01` only looks whether everything runs.
 */
import { execFile, execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs, promisify } from "node:util";
import type { Case, Figures, Subject } from "./case.ts";
import { CASES, LATER } from "./cases/all.ts";
import { type Found, factsOfMachine, intoPage, intoTables, type Line, table } from "./report.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    rounds: { type: "string", default: "3" },
    scale: { type: "string", default: "1" },
    peers: { type: "boolean", default: true },
    json: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
  },
  allowNegative: true,
});
const here = (path: string): string => new URL(path, import.meta.url).pathname;
const PAGE = here("../docs/performance.md");
const FLAGS = ["--expose-gc", "--max-old-space-size=8192", "--conditions=troupe-source", here("one.ts")];

if (values.peers && !existsSync(here("node_modules"))) {
  console.error("Installing the peers into bench/ (once) …");
  execFileSync("npm", ["ci", "--loglevel=error"], { cwd: here("."), stdio: "inherit" });
}

const run = promisify(execFile);

async function figuresOf(one: Case, subject: Subject): Promise<Figures | undefined> {
  const args = [...FLAGS, one.id, String(one.subjects.indexOf(subject)), values.scale];
  try {
    const { stdout } = await run(process.execPath, args);
    return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Figures;
  } catch (error) {
    console.error(`${one.id}, ${subject.name}: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

async function measure(one: Case): Promise<Found> {
  const subjects = one.subjects.filter(({ kind }) => values.peers || kind !== "peer");
  const rounds = new Map<string, Figures[]>(subjects.map(({ name }) => [name, []]));
  const ratios = new Map<string, number[]>(subjects.map(({ name }) => [name, []]));
  for (let round = 0; round < Number(values.rounds); round++) {
    const found = new Map<string, Figures>();
    for (const subject of subjects) {
      const figures = await figuresOf(one, subject);
      if (figures === undefined) continue;
      found.set(subject.name, figures);
      rounds.get(subject.name)?.push(figures);
    }
    if (one.ratio === undefined) continue;
    const { of, better, against } = one.ratio;
    const base = found.get(against)?.[of];
    for (const [name, figures] of found) {
      const own = figures[of];
      if (base !== undefined && own !== undefined) ratios.get(name)?.push(better === "less" ? base / own : own / base);
    }
  }
  const lines = subjects.map(
    ({ name, kind }): Line => ({ name, kind, rounds: rounds.get(name) ?? [], ratios: ratios.get(name) ?? [] }),
  );
  return { case: one, lines };
}

const only = values.only?.split(",");
const unknown = only?.filter((id) => !CASES.some((one) => one.id === id)) ?? [];
if (unknown.length > 0) {
  console.error(`--only: no case ${unknown.join(", ")}; there are ${CASES.map(({ id }) => id).join(", ")}`);
  process.exit(2);
}
const wanted = CASES.filter(({ id }) => only?.includes(id) ?? true);
const machine = factsOfMachine({ rounds: Number(values.rounds), scale: Number(values.scale) });
if (!values.json) console.log(`${machine}\n`);
const found: Found[] = [];
for (const one of wanted) {
  const result = await measure(one);
  found.push(result);
  if (!values.json) console.log(table(result));
}
if (values.json) {
  const cases = found.map(({ case: { id }, lines }) => ({ id, lines }));
  console.log(JSON.stringify({ machine, scale: Number(values.scale), cases }));
}
if (values.write) {
  const page = readFileSync(PAGE, "utf8");
  const written =
    only === undefined ? intoPage(page, { machine, found, later: LATER }) : intoTables(page, { machine, found });
  writeFileSync(PAGE, written);
}
