import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

interface Locked {
  readonly version: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const text = readFileSync(join(import.meta.dirname, "../package-lock.json"), "utf8");
const packages: Readonly<Record<string, Locked>> = JSON.parse(text).packages;
const installed = Object.entries(packages).filter(([path]) => path !== "");

test("the lockfile names no address of a package", () => {
  expect(installed.filter(([, locked]) => locked.resolved !== undefined)).toEqual([]);
});

test("the lockfile fixes the content of every package", () => {
  expect(installed.filter(([, locked]) => locked.integrity === undefined).map(([path]) => path)).toEqual([]);
});

// A registry that lacks a package for another platform leaves it out of the lockfile without a word, and then `npm ci` refuses.
test("the lockfile holds the packages of all platforms", () => {
  const missing: string[] = [];
  for (const [path, { optionalDependencies = {} }] of installed) {
    for (const name of Object.keys(optionalDependencies)) {
      if (!isInstalledFor(path, name)) missing.push(`${name}, wanted by ${path}`);
    }
  }
  expect(missing).toEqual([]);
});

/** As Node looks: in the package itself, then in every folder above. */
function isInstalledFor(path: string, name: string): boolean {
  const folders = path.split(/\/?node_modules\//);
  return folders.some(
    (_, depth) =>
      `${folders.slice(0, depth + 1).join("/node_modules/")}/node_modules/${name}`.replace(/^\//, "") in packages,
  );
}
