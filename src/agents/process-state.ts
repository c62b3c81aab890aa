/** What the system says of a process. */
import { readFileSync } from "node:fs";

/** True while a process exists that is neither stopped (SIGSTOP) nor a zombie; without /proc: while it exists. */
export function isRunning(pid: number): boolean {
  const state = processState(pid);
  if (state !== undefined) return !["T", "t", "Z", "X"].includes(state);
  return process.platform !== "linux" && exists(pid);
}

/** What a process holds of the machine's memory, in bytes; undefined where the system does not tell. */
export function residentBytes(pid: number): number | undefined {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1_024;
  } catch {
    return undefined;
  }
}

/** What all processes here may hold together: the limit of the container, or of the group, if there is one. */
export function memoryLimitBytes(): number | undefined {
  const limit = process.constrainedMemory();
  // Without a limit some systems name a number that no machine has.
  return limit > 0 && limit < Number.MAX_SAFE_INTEGER ? limit : undefined;
}

/** The letter of /proc/<pid>/stat; undefined when there is none. */
function processState(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name before the state is in brackets and may hold anything, brackets too.
    return stat.slice(stat.lastIndexOf(")") + 2)[0];
  } catch {
    return undefined;
  }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
