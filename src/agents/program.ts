/** Where a program is found. */
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { delimiter, resolve } from "node:path";

/**
 * The path of an executable file, or undefined.
 *
 * @param program - a path when it holds a slash, else looked up on the search path
 * @param searchPath - directories as in `PATH`
 */
export async function findProgram(program: string, searchPath: string): Promise<string | undefined> {
  if (program.includes("/")) {
    const path = resolve(program);
    return (await isExecutable(path)) ? path : undefined;
  }
  for (const directory of searchPath.split(delimiter)) {
    const path = resolve(directory, program);
    if (await isExecutable(path)) return path;
  }
  return undefined;
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
