// Makes `npm start` and `npm test` work on a bare clone: installs what package-lock.json says, when it is not there yet.
// Runs on the Node that happens to be installed, so only old syntax here. Says everything on stderr.
//
//   node scripts/setup.mjs          install if needed, then check the version of Node
//   node scripts/setup.mjs --stamp  only note that node_modules fits the lockfile (npm calls this after its own install)

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, "node_modules");
const stampFile = join(modules, ".troupe-setup");
const oldestNode = [22, 13];

if (process.argv.includes("--stamp")) stamp();
else setUp();

function setUp() {
  if (!isFresh() && !install()) process.exit(1);

  const version = nodeVersion();
  if (isTooOld(version)) {
    say(
      `troupe needs Node ${oldestNode.join(".")} or newer, found ${version}: install a newer Node, then run this again.`,
    );
    process.exit(1);
  }
}

function isFresh() {
  return existsSync(stampFile) && readFileSync(stampFile, "utf8") === lockHash();
}

function install() {
  say("Installing dependencies (once, about 20 seconds) …");
  const result = npm(["ci", "--include=dev", "--loglevel=error", "--foreground-scripts=false"]);
  if (result.status === 0) {
    stamp();
    return true;
  }
  // Npm follows its reason with all its options.
  const reason = `${result.stdout || ""}${result.stderr || ""}`.split(/^.*Clean install a project$/m)[0];
  say(reason.trim());
  say(`npm ci failed: ${result.error ? result.error.message : `exit code ${result.status}`}`);
  return false;
}

/** The npm that called us; the one on the path when a person called us. */
function npm(args) {
  const options = { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] };
  const script = process.env.npm_execpath;
  if (script?.endsWith(".js")) return spawnSync(process.execPath, [script, ...args], options);
  return spawnSync("npm", args, { ...options, shell: process.platform === "win32" });
}

/** An install without the dev dependencies gets no stamp: nothing here runs with it. */
function stamp() {
  if (existsSync(join(modules, "vitest"))) writeFileSync(stampFile, lockHash());
}

function lockHash() {
  return createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
}

/** Version of the `node` that npm scripts find first. */
function nodeVersion() {
  const result = spawnSync(join(modules, ".bin", "node"), ["--version"], { encoding: "utf8" });
  return result.status === 0 ? result.stdout.trim().replace("v", "") : process.versions.node;
}

function isTooOld(version) {
  const [major, minor] = version.split(".").map(Number);
  return major < oldestNode[0] || (major === oldestNode[0] && minor < oldestNode[1]);
}

function say(line) {
  process.stderr.write(`${line}\n`);
}
