/** Every example in the docs is a file that runs. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

test("the README's program is examples/hello.ts, and runs", () => {
  const source = readFileSync("examples/hello.ts", "utf8");
  const program = source.slice(source.indexOf("import"));
  expect(readFileSync("README.md", "utf8")).toContain(program.trim());
  const output = execFileSync(process.execPath, ["--conditions=troupe-source", "examples/hello.ts"], {
    encoding: "utf8",
  });
  expect(output.split("\n").slice(0, 2)).toEqual([
    "ada read chapter one",
    expect.stringContaining("ada read chapter two"),
  ]);
  expect(output).toContain("completed");
});

test("every file that README and ARCHITECTURE name is there", () => {
  for (const page of ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"]) {
    const text = readFileSync(page, "utf8");
    for (const [, path = ""] of text.matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)) {
      expect(() => readFileSync(path.endsWith("/") ? `${path}.` : path), `${page} names ${path}`).not.toThrow(/ENOENT/);
    }
  }
});
