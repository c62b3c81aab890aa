/** What is published is what was compiled: it runs by itself, without the sources. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  readonly version: string;
  readonly bin: { readonly troupe: string };
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
};

const run = (...args: string[]): string => execFileSync(process.execPath, args, { cwd: root, encoding: "utf8" }).trim();
const compiled = (path: string): string => pathToFileURL(join(root, path)).href;

/** The contracts register tests, which only a test runner can. */
const entries = Object.entries(manifest.exports).flatMap(([name, entry]) =>
  typeof entry === "string" || name.endsWith("/contracts") ? [] : [[name, entry.default] as const],
);

test.each(entries)("the entry %s can be imported as it was compiled", (_, path) => {
  const names = run(
    "--input-type=module",
    "--eval",
    `console.log(Object.keys(await import("${compiled(path)}")).length)`,
  );
  expect(Number(names)).toBeGreaterThan(0);
});

test.each(["memory:", "sqlite:"])("a pool of the compiled library runs a task, with the store %s", (store) => {
  const dataDir = mkdtempSync(join(tmpdir(), "troupe-package-"));
  try {
    const program = `
      import { createPool, functionAgent } from "${compiled("dist/index.js")}";
      const agents = [functionAgent("ada", ({ task }) => task.prompt.toUpperCase())];
      const pool = await createPool({ store: "${store}", dataDir: ${JSON.stringify(dataDir)}, agents });
      console.log(await pool.execute("hello"));
      await pool.close();`;
    expect(run("--input-type=module", "--eval", program)).toBe("HELLO");
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});

test("the compiled command tells its version", () => {
  expect(run(manifest.bin.troupe, "--version")).toContain(manifest.version);
});
