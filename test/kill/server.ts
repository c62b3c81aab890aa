/** A real server process for tests that kill it, and its HTTP door as an outsider sees it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";

export interface Server {
  readonly url: string;
  readonly pid: number;
  readonly child: ChildProcess;
  request(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }>;
}

export async function startServer(dataDir: string, config: string): Promise<Server> {
  const args = ["--conditions=troupe-source", "src/interfaces/cli/main.ts", "up", "--port", "0", "--json"];
  const child = spawn(process.execPath, [...args, "--data", dataDir, "--config", config], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => {
    log += chunk.toString();
  });
  const first = once(createInterface({ input: child.stdout }), "line");
  const died = once(child, "exit").then(() => {
    throw new Error(`the server ended before it was ready: ${log}`);
  });
  const [line] = (await Promise.race([first, died])) as [string];
  died.catch(() => {});
  const { url, keyFile, pid } = JSON.parse(line) as { url: string; keyFile: string; pid: number };
  const key = readFileSync(keyFile, "utf8").trim();
  const request: Server["request"] = async (method, path, body) => {
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  };
  return { url, pid, child, request };
}

/** Pids of processes whose environment or command line names `word`, ourselves and the servers excepted. */
export function processesNaming(word: string, except: readonly number[]): number[] {
  const found: number[] = [];
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid || except.includes(pid)) continue;
    try {
      const text = readFileSync(`/proc/${pid}/environ`, "utf8") + readFileSync(`/proc/${pid}/cmdline`, "utf8");
      if (text.includes(word)) found.push(pid);
    } catch {
      // It has gone while we looked, or is not ours.
    }
  }
  return found;
}
