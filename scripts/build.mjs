// Compiles src to dist, from nothing. With --install a failure is told but does not fail the install.

import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
const isInstall = process.argv.includes("--install");

process.exit(build() || isInstall ? 0 : 1);

function build() {
  if (!existsSync(compiler)) {
    console.error("dist is not built: the TypeScript compiler is not installed");
    return false;
  }
  rmSync(join(root, "dist"), { recursive: true, force: true });
  const args = [compiler, "--project", "tsconfig.build.json"];
  return spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" }).status === 0;
}
