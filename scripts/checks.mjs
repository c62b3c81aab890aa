// Everything that is checked without running the tests. `npm run check` runs all of it; `npm test` runs it too.

import { spawnSync } from "node:child_process";

export const CHECKS = [
  { name: "format and lint", command: "biome", args: ["check", "--error-on-warnings", "."] },
  { name: "types", command: "tsc", args: ["--noEmit"] },
  { name: "unused code", command: "knip", args: ["--no-progress"] },
  { name: "requirements", command: "node", args: ["scripts/rows.ts", "--check"] },
];

/** Runs a program of node_modules/.bin, which npm puts on the path, and says whether it ended well. */
export function run(name, command, args) {
  console.log(`\n> ${name}`);
  const result = spawnSync(command, args, { stdio: "inherit", shell: process.platform === "win32" });
  const passed = result.status === 0;
  if (result.error) console.error(result.error.message);
  if (!passed) console.log(`> ${name}: failed`);
  return passed;
}
