/** The directories that agents' processes work in. */
import { access, chmod, cp, mkdir, rm, symlink } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import type { AgentIdentity } from "../core/agent.ts";

/** Of one agent. A pool's id may be `..`, so it never stands alone. */
export function directoryOf(root: string, { pool, ordinal }: AgentIdentity): string {
  return resolve(root, `${pool}.${ordinal}`);
}

/** Makes it, for us alone. */
export async function makeDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  // An earlier run may have left it with other rights.
  await chmod(path, 0o700);
}

/** Removes it with all that is in it. What can't be removed stays: it is no reason not to go on. */
export async function removeDirectory(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined);
}

/** Puts links to the paths into the directory, under their own names; copies where links are refused. Throws for a path that is not there. */
export async function linkInto(directory: string, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const source = resolve(path);
    await access(source);
    const target = join(directory, basename(source));
    await rm(target, { recursive: true, force: true });
    try {
      await symlink(source, target);
    } catch (refused) {
      if (!LINK_REFUSALS.includes((refused as NodeJS.ErrnoException).code ?? "")) throw refused;
      await cp(source, target, { recursive: true });
    }
  }
}

const LINK_REFUSALS = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"];
