import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  importCycles,
  impureImports,
  outsideWords,
  pathsWithoutEnding,
  siblingImports,
  testingImports,
  unknownFloors,
  upwardImports,
} from "./layers.ts";
import { publicNames } from "./public-names.ts";
import { blankStrings, exportedNames, importsOf, readSources, type Sources } from "./source-scan.ts";

const root = join(import.meta.dirname, "..");
const sources = readSources(root);

describe("the sources", () => {
  test("every file is on a floor", () => {
    expect(unknownFloors(sources)).toEqual([]);
  });

  test("imports point down", () => {
    expect(upwardImports(sources)).toEqual([]);
  });

  test("floors of one level do not know each other", () => {
    expect(siblingImports(sources)).toEqual([]);
  });

  test("nothing but tests uses testing", () => {
    expect(testingImports(sources)).toEqual([]);
  });

  test("imports never lead back to where they began", () => {
    expect(importCycles(sources)).toEqual([]);
  });

  test("time, chance and timers come in only through base", () => {
    expect(outsideWords(sources)).toEqual([]);
  });

  test("policies and core import nothing of Node", () => {
    expect(impureImports(sources)).toEqual([]);
  });

  test("paths end in .ts", () => {
    expect(pathsWithoutEnding(sources)).toEqual([]);
  });

  test("the published names are the listed ones (`npm run names` lists them anew)", () => {
    expect(publicNames(sources)).toEqual(JSON.parse(readFileSync(join(root, "test/public-names.json"), "utf8")));
  });
});

describe("each rule can fail", () => {
  /** Files named by their path below src. */
  const files = (texts: Record<string, string>): Sources =>
    new Map(Object.entries(texts).map(([path, text]) => [`src/${path}`, text]));

  test("a new folder and a stray file are on no floor", () => {
    const found = unknownFloors(files({ "utils/a.ts": "", "stray.ts": "", "index.ts": "", "core/step.ts": "" }));
    expect(found).toEqual(["src/utils/a.ts is on no floor", "src/stray.ts is on no floor"]);
  });

  test.each([
    ["core/step.ts", "../engine/engine.ts"],
    ["base/clock.ts", "../policies/backoff.ts"],
    ["engine/engine.ts", "../index.ts"],
    ["index.ts", "./interfaces/http/app.ts"],
    ["index.ts", "./testing/world.ts"],
    ["stores/memory.ts", "troupe"],
  ])("%s importing %s points up", (from, to) => {
    expect(upwardImports(files({ [from]: `import type { A } from "${to}";` }))).toHaveLength(1);
  });

  test.each([
    ["core/step.ts", "../base/clock.ts"],
    ["core/step.ts", "./lease.ts"],
    ["index.ts", "./engine/engine.ts"],
    ["interfaces/http/app.ts", "../../index.ts"],
    ["testing/world.ts", "../interfaces/cli/main.ts"],
    ["core/step.test.ts", "../testing/world.ts"],
    ["core/step.ts", "zod"],
  ])("%s may import %s", (from, to) => {
    const allowed = files({ [from]: `import { a } from "${to}";` });
    expect([...upwardImports(allowed), ...siblingImports(allowed), ...testingImports(allowed)]).toEqual([]);
  });

  test.each([
    ["stores/memory.ts", "../agents/script.ts"],
    ["agents/script.ts", "../stores/memory.ts"],
    ["patterns/debate.ts", "../federation/peer.ts"],
  ])("%s importing %s looks beside", (from, to) => {
    expect(siblingImports(files({ [from]: `export { a } from "${to}";` }))).toHaveLength(1);
  });

  test.each(["../testing/index.ts", "troupe/testing", "./step.test.ts"])("core importing %s uses testing", (to) => {
    expect(testingImports(files({ "core/step.ts": `import("${to}");` }))).toHaveLength(1);
  });

  test("a cycle is found through types and through other files", () => {
    const cycle = files({
      "core/a.ts": `import type { B } from "./b.ts";`,
      "core/b.ts": `export * from "./c.ts";`,
      "core/c.ts": `type A = import("./a.ts").A;`,
    });
    expect(importCycles(cycle)).toEqual(["src/core/a.ts → src/core/b.ts → src/core/c.ts → src/core/a.ts"]);
  });

  test("two ways to one file are no cycle", () => {
    const diamond = files({
      "core/a.ts": `import "./b.ts"; import "./c.ts";`,
      "core/b.ts": `import "./d.ts";`,
      "core/c.ts": `import "./d.ts";`,
      "core/d.ts": "",
    });
    expect(importCycles(diamond)).toEqual([]);
  });

  test.each([
    "Date.now()",
    "new Date()",
    "new Date",
    "Math.random()",
    "performance.now()",
    "process.hrtime.bigint()",
    "globalThis.setTimeout(f, 1)",
    "setInterval(f, 1)",
    "setImmediate(f)",
    "queueMicrotask(f)",
    "AbortSignal.timeout(1)",
    "crypto.randomInt(9)",
    "randomUUID()",
    "randomBytes(8)",
    "crypto.getRandomValues(a)",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the example is source text.
    "const text = `at ${Date.now()}`;",
    `import { scheduler } from "node:timers/promises";`,
  ])("%s comes from outside", (text) => {
    expect(outsideWords(files({ "engine/engine.ts": text }))).toHaveLength(1);
  });

  test.each([
    "new Date(nowMs)",
    "// Date.now()",
    "/* setTimeout */",
    `"Math.random()"`,
    "/setTimeout/.test(text)",
    "clock.now()",
    "const randomness = turn.random.next();",
  ])("%s does not", (text) => {
    expect(outsideWords(files({ "engine/engine.ts": text }))).toEqual([]);
  });

  test("the clock file and tests may touch the outside", () => {
    const text = "Date.now()";
    expect(outsideWords(files({ "base/clock.ts": text, "base/random.ts": text, "core/a.test.ts": text }))).toEqual([]);
  });

  test.each(["node:fs", "fs/promises", "node:sqlite"])("core importing %s is impure", (name) => {
    expect(impureImports(files({ "core/step.ts": `import { a } from "${name}";` }))).toHaveLength(1);
    expect(impureImports(files({ "engine/engine.ts": `import { a } from "${name}";` }))).toEqual([]);
  });

  test.each(["./lease", "./lease.js", "."])("the path %s does not end in .ts", (path) => {
    expect(pathsWithoutEnding(files({ "core/step.ts": `import { a } from "${path}";` }))).toHaveLength(1);
  });

  test("a name more at a door changes the list", () => {
    expect(publicNames(files({ "index.ts": "export { a };" }))).toEqual({ troupe: ["a"], "troupe/testing": [] });
  });
});

describe("the scanner", () => {
  const specifiers = (text: string): string[] => importsOf("src/core/step.ts", text).map(({ specifier }) => specifier);

  test("every form of import is seen", () => {
    const text = `
      import a from "1";
      import b, * as c from '2';
      import { d, type E } from "3";
      import type {
        F, // from "no"
        G,
      } from "4";
      import "5";
      export { h } from "6";
      export * as i from "7";
      const j = await import("8");
      type K = import("9").K;
      const l = require("10");
    `;
    expect(specifiers(text)).toEqual(["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]);
  });

  test("an import in a comment, a string or a template is none", () => {
    const text = `
      // import a from "1";
      /* import "2"; */
      const b = 'import "3";';
      const c = \`import "4"; \${f("5")}\`;
      const d = /import "6"/;
      const e = "it's \\" from '7'";
    `;
    expect(specifiers(text)).toEqual([]);
  });

  test("blanking keeps every line where it was", () => {
    const text = 'const a = "b"; // c\nconst d = e / f / g; /* h\n i */ const j = /["/]/;\n}';
    const blanked = 'const a = " ";     \nconst d = e / f / g;     \n      const j = /    /;\n}';
    expect(blankStrings(text)).toBe(blanked);
  });

  test("blanking keeps the code inside a template", () => {
    const text = `\`a\${{ b: "c" }.b}d\\\`e\`; f;`;
    const blanked = `\` \${{ b: " " }.b}    \`; f;`;
    expect(blankStrings(text)).toBe(blanked);
  });

  test("every form of export is seen", () => {
    const text = `
      export { b, type C, d as e } from "./x.ts";
      export type { F } from "./y.ts";
      export const a = 1;
      export async function g() {}
      export abstract class H {}
      export interface I {}
      export type J = 1;
      export * from "./z.ts";
      const k = "export { l }";
    `;
    expect(exportedNames(text)).toEqual(["*", "C", "F", "H", "I", "J", "a", "b", "e", "g"]);
  });
});
