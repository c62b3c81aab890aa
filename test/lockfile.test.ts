import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

interface Locked {
  readonly version: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Of the product, and of what only the bench installs. */
const FILES = ["package-lock.json", "bench/package-lock.json"];

function packagesOf(file: string): Readonly<Record<string, Locked>> {
  return JSON.parse(readFileSync(join(import.meta.dirname, "..", file), "utf8")).packages;
}

const installed = (file: string): [string, Locked][] =>
  Object.entries(packagesOf(file)).filter(([path]) => path !== "");

test.each(FILES)("%s names no address of a package", (file) => {
  expect(installed(file).filter(([, locked]) => locked.resolved !== undefined)).toEqual([]);
});

test.each(FILES)("%s fixes the content of every package", (file) => {
  expect(
    installed(file)
      .filter(([, locked]) => locked.integrity === undefined)
      .map(([path]) => path),
  ).toEqual([]);
});

// A registry that lacks a package for another platform leaves it out of the lockfile without a word, and then `npm ci` refuses.
test.each(FILES)("%s holds the packages of all platforms", (file) => {
  const missing: string[] = [];
  const packages = packagesOf(file);
  for (const [path, { optionalDependencies = {} }] of installed(file)) {
    for (const name of Object.keys(optionalDependencies)) {
      if (!isInstalledFor(packages, path, name)) missing.push(`${name}, wanted by ${path}`);
    }
  }
  expect(missing).toEqual([]);
});

test("what Troupe is measured beside is no dependency of it", () => {
  const own = new Set(Object.keys(packagesOf("package-lock.json")));
  const { dependencies } = JSON.parse(readFileSync(join(import.meta.dirname, "../bench/package.json"), "utf8"));
  for (const name of Object.keys(dependencies)) expect(own.has(`node_modules/${name}`), name).toBe(false);
});

/** As Node looks: in the package itself, then in every folder above. */
function isInstalledFor(packages: Readonly<Record<string, Locked>>, path: string, name: string): boolean {
  const folders = path.split(/\/?node_modules\//);
  return folders.some(
    (_, depth) =>
      `${folders.slice(0, depth + 1).join("/node_modules/")}/node_modules/${name}`.replace(/^\//, "") in packages,
  );
}
