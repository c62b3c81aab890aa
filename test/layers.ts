/** The rules on which correctness rests, each a function from sources to a list of sentences that say where it is broken. */

import { isBuiltin } from "node:module";
import { blankStrings, importsOf, isTest, type Sources } from "./source-scan.ts";

/** Lowest first. Floors of one level do not know each other. `door` is src/index.ts. */
const LEVELS = [
  ["base"],
  ["policies"],
  ["core"],
  ["stores", "agents"],
  ["engine"],
  ["patterns", "federation"],
  ["door"],
  ["interfaces"],
  ["testing"],
];
const PURE_FLOORS = ["policies", "core"];

const OUTSIDE_FILES = ["src/base/clock.ts", "src/base/random.ts"];
const OUTSIDE_MODULES = /^(?:node:)?timers(?:\/|$)/;
const OUTSIDE_WORDS = [
  /\bDate\s*\.\s*now\b/,
  /\bDate\s*\(\s*\)/,
  /\bnew\s+Date\b(?!\s*\()/,
  /\bMath\s*\.\s*random\b/,
  /\bperformance\s*\.\s*now\b/,
  /\bhrtime\b/,
  /\bsetTimeout\b/,
  /\bsetInterval\b/,
  /\bsetImmediate\b/,
  /\bqueueMicrotask\b/,
  /\bAbortSignal\s*\.\s*timeout\b/,
  /\bcrypto\s*\.\s*random\w*|\brandom(?:UUID|Bytes|Int|Fill|FillSync)\b/,
  /\bgetRandomValues\b/,
];

/** The folder below src, or `door` for src/index.ts. */
function floorOf(path: string): string {
  if (path === "src/index.ts") return "door";
  return path.split("/")[1] ?? path;
}

const levelOf = (floor: string): number => LEVELS.findIndex((level) => level.includes(floor));

/** Imports from file to file, without those of tests. */
function* links(sources: Sources): Generator<{ from: string; to: string }> {
  for (const [path, text] of sources) {
    if (isTest(path)) continue;
    for (const { target } of importsOf(path, text)) {
      if (target !== undefined) yield { from: path, to: target };
    }
  }
}

export function unknownFloors(sources: Sources): string[] {
  return [...sources.keys()].filter((path) => levelOf(floorOf(path)) === -1).map((path) => `${path} is on no floor`);
}

export function upwardImports(sources: Sources): string[] {
  return [...links(sources)]
    .filter(({ from, to }) => levelOf(floorOf(to)) > levelOf(floorOf(from)))
    .map(({ from, to }) => `${from} imports ${to}, which is above it`);
}

export function siblingImports(sources: Sources): string[] {
  return [...links(sources)]
    .filter(({ from, to }) => floorOf(from) !== floorOf(to) && levelOf(floorOf(from)) === levelOf(floorOf(to)))
    .map(({ from, to }) => `${from} imports ${to}, which is beside it`);
}

export function testingImports(sources: Sources): string[] {
  return [...links(sources)]
    .filter(({ from, to }) => floorOf(from) !== "testing" && (floorOf(to) === "testing" || isTest(to)))
    .map(({ from, to }) => `${from} imports ${to}, which is for tests`);
}

/** One sentence per cycle found; values and types count alike. */
export function importCycles(sources: Sources): string[] {
  const targets = Map.groupBy(links(sources), ({ from }) => from);
  const finished = new Set<string>();
  const cycles: string[] = [];

  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) {
      cycles.push([...trail.slice(trail.indexOf(path)), path].join(" → "));
      return;
    }
    if (finished.has(path)) return;
    for (const { to } of targets.get(path) ?? []) visit(to, [...trail, path]);
    finished.add(path);
  };
  for (const path of sources.keys()) visit(path, []);
  return cycles;
}

export function outsideWords(sources: Sources): string[] {
  const found: string[] = [];
  for (const [path, text] of sources) {
    if (isTest(path) || OUTSIDE_FILES.includes(path)) continue;
    for (const [index, line] of blankStrings(text).split("\n").entries()) {
      const words = OUTSIDE_WORDS.map((word) => word.exec(line)?.[0]).filter((word) => word !== undefined);
      found.push(...words.map((word) => `${path}:${index + 1} says ${word}`));
    }
    for (const { specifier } of importsOf(path, text)) {
      if (OUTSIDE_MODULES.test(specifier)) found.push(`${path} imports ${specifier}`);
    }
  }
  return found;
}

export function impureImports(sources: Sources): string[] {
  const found: string[] = [];
  for (const [path, text] of sources) {
    if (isTest(path) || !PURE_FLOORS.includes(floorOf(path))) continue;
    for (const { specifier } of importsOf(path, text)) {
      if (isBuiltin(specifier)) found.push(`${path} imports ${specifier}`);
    }
  }
  return found;
}

export function pathsWithoutEnding(sources: Sources): string[] {
  const found: string[] = [];
  for (const [path, text] of sources) {
    for (const { specifier } of importsOf(path, text)) {
      if (specifier.startsWith(".") && !specifier.endsWith(".ts")) found.push(`${path} imports ${specifier}`);
    }
  }
  return found;
}
