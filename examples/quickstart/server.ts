/** The real server, as a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

/** Daemons have 30 s to come up, and a slow machine a little more. */
const READY_LIMIT_MS = 60_000;
/** Above what the server drains and its agents need to stop. */
const STOP_LIMIT_MS = 30_000;
/** Lines of the log that are shown when something goes wrong. */
const TAIL_LINES = 15;
/** Between two looks at what should be gone. */
const LOOK_MS = 25;

export interface ServerOptions {
  /** Of the repository: programs of the configuration are found from here. */
  readonly root: string;
  readonly config: string;
  readonly dataDir: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Server {
  readonly logFile: string;
  /** How it ended, whenever that is. Never rejects. */
  readonly ended: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #logStart: number;
  #announced: Announcement | undefined;
  #exit: Exit | undefined;

  /** Starts the process; `ready` tells when it serves. */
  constructor({ root, config, dataDir, port }: ServerOptions) {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    this.logFile = join(dataDir, "server.log");
    const log = openSync(this.logFile, "a");
    this.#logStart = statSync(this.logFile).size;
    const args = ["--conditions=troupe-source", join(root, "src/interfaces/cli/main.ts"), "up", "--json"];
    args.push("--config", config, "--data", dataDir, "--port", String(port));
    // A group of its own: Ctrl-C reaches only this program, which then asks the server to stop, once.
    this.#child = spawn(process.execPath, args, { cwd: root, detached: true, stdio: ["ignore", "pipe", log] });
    closeSync(log);
    this.ended = new Promise((resolve) => {
      const end = (exit: Exit): void => {
        this.#exit = exit;
        resolve(exit);
      };
      this.#child.once("exit", (code, signal) => end({ code, signal }));
      this.#child.once("error", () => end({ code: null, signal: null }));
    });
  }

  get url(): string {
    return this.#known().url;
  }

  get pid(): number {
    return this.#known().pid;
  }

  get keyFile(): string {
    return this.#known().keyFile;
  }

  get key(): string {
    return readFileSync(this.keyFile, "utf8").trim();
  }

  /** Waits until it has told where it serves. Throws when it ends before, or is too slow. */
  async ready(): Promise<void> {
    const announced = this.#announcement();
    const tooSlow = sleep(READY_LIMIT_MS, undefined, { ref: false });
    this.#announced = await Promise.race([announced, this.ended.then(() => undefined), tooSlow]);
    if (this.#announced !== undefined) return;
    throw new Error(
      this.#exit === undefined ? `the server was not ready after ${READY_LIMIT_MS} ms` : this.describeEnd(this.#exit),
    );
  }

  /** Asks it to stop and waits; kills it when it does not. */
  async stop(): Promise<Exit> {
    if (this.#exit !== undefined) return this.#exit;
    this.askToStop();
    const late = sleep(STOP_LIMIT_MS, undefined, { ref: false });
    const exit = await Promise.race([this.ended, late]);
    if (exit !== undefined) return exit;
    this.#child.kill("SIGKILL");
    return this.ended;
  }

  askToStop(): void {
    this.#child.kill("SIGTERM");
  }

  describeEnd({ code, signal }: Exit): string {
    if (signal !== null) return `the server was ended by ${signal}`;
    return code === null ? "the server could not be started" : `the server ended with exit code ${code}`;
  }

  /** The last lines it has logged since this start. */
  logTail(): string[] {
    const written = readFileSync(this.logFile).subarray(this.#logStart).toString("utf8");
    return written.trimEnd().split("\n").slice(-TAIL_LINES);
  }

  /** The first line on its stdout. What follows is read and dropped, so that it never blocks. */
  #announcement(): Promise<Announcement> {
    const lines = createInterface({ input: this.#child.stdout! });
    return new Promise((resolve, reject) => {
      lines.once("line", (line) => {
        try {
          resolve(JSON.parse(line) as Announcement);
        } catch {
          reject(new Error(`expected the server to say where it is, got ${line.slice(0, 200)}`));
        }
      });
    });
  }

  #known(): Announcement {
    if (this.#announced === undefined) throw new Error("the server is not ready");
    return this.#announced;
  }
}

interface Announcement {
  readonly url: string;
  readonly keyFile: string;
  readonly pid: number;
}

/** The port if nobody listens on it, else 0: any. */
export async function freePort(port: number): Promise<number> {
  return port === 0 || (await canListen(port)) ? port : 0;
}

function canListen(port: number): Promise<boolean> {
  const probe = createServer();
  return new Promise((resolve) => {
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}

/**
 * What of these is still there after `limitMs`, in words; nothing when all is gone.
 *
 * @param pids - processes that should have ended
 * @param ports - on 127.0.0.1, where nobody should listen any more
 */
export async function leftovers(pids: readonly number[], ports: readonly number[], limitMs: number): Promise<string[]> {
  const untilMs = performance.now() + limitMs;
  for (;;) {
    const left = pids.filter(isRunning).map((pid) => `process ${pid} is still running`);
    for (const port of ports) if (!(await canListen(port))) left.push(`port ${port} is still taken`);
    if (left.length === 0 || performance.now() > untilMs) return left;
    await sleep(LOOK_MS);
  }
}

/** A process that has ended but was not yet collected by its parent does not run any more. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(")") + 2));
  } catch {
    // No /proc here, or it has just gone: the signal's answer stands.
    return process.platform !== "linux";
  }
}
