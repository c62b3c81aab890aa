/** The mark in the environment of every child, by which those are found that left their process group. Linux only. */
import { readdirSync, readFileSync } from "node:fs";

export const MARK_VARIABLE = "TROUPE_MARK";

/** Marks of one engine begin with the engine's own, a dot follows. */
export const markOf = (engine: string, child: number): string => `${engine}.${child}`;

/** Processes that carry a mark of this engine, with the mark. */
export function* marked(engine: string): Generator<{ readonly pid: number; readonly mark: string }> {
  const wanted = `${MARK_VARIABLE}=${engine}.`;
  for (const name of processNames()) {
    const environment = environmentOf(name);
    const at = environment.indexOf(wanted);
    if (at === -1) continue;
    const from = at + MARK_VARIABLE.length + 1;
    const end = environment.indexOf(0, from);
    yield { pid: Number(name), mark: environment.toString("latin1", from, end === -1 ? undefined : end) };
  }
}

/** When a process began, in the kernel's own count; tells it from a later one of the same number. */
export function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The 22nd field; the second may hold blanks, so count from its closing bracket.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}

function processNames(): string[] {
  try {
    return readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
}

const NOTHING = Buffer.alloc(0);

function environmentOf(name: string): Buffer {
  try {
    return readFileSync(`/proc/${name}/environ`);
  } catch {
    // It has ended, or belongs to somebody else.
    return NOTHING;
  }
}
