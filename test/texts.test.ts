/** The texts of the project: whole letters, and links that lead somewhere. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
const FOLDERS = ["src", "test", "docs", "scripts", "examples", "bench"];
const TEXT = /\.(?:ts|mjs|md|txt|json|yaml)$/;

function texts(): string[] {
  const below = FOLDERS.filter((folder) => existsSync(join(root, folder))).flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)),
  );
  return [...readdirSync(root), ...below].filter((path) => TEXT.test(path) && !path.includes("node_modules"));
}

/** Two bytes of one letter read as two letters, and what stands for a letter that could not be read. */
const DAMAGED = /[\u00c2\u00c3][\u0080-\u00bf]|\u00e2[\u0080-\u00bf\u20ac\u2030]|\ufffd/;

test("S0-B22 no text has damaged letters", () => {
  const damaged = texts().filter((path) => DAMAGED.test(readFileSync(join(root, path), "utf8")));
  expect(damaged).toEqual([]);
});

/** `[text](path#anchor)` without those that lead to the web. */
const LINK = /\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#L(\d+)|#[^)\s]*)?\)/g;

test("S1-B20 S4-B19 every link of the documents leads to a file that is there, and to a line that it has", () => {
  const documents = texts().filter((path) => path.endsWith(".md"));
  const broken = documents.flatMap((path) => {
    const source = readFileSync(join(root, path), "utf8");
    return [...source.matchAll(LINK)]
      .filter(([, target = "", line]) => {
        const file = join(root, dirname(path), target);
        if (!existsSync(file)) return true;
        return line !== undefined && readFileSync(file, "utf8").split("\n").length < Number(line);
      })
      .map(([link]) => `${path}: ${link}`);
  });
  expect(documents.length).toBeGreaterThan(3);
  expect(broken).toEqual([]);
});
