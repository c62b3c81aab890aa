/** A child process that leads a process group of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { resolve } from "node:path";
import { Readable, type Writable } from "node:stream";
import type { Clock } from "../base/clock.ts";
import { isRunning } from "./process-state.ts";
import { within } from "./within.ts";

export interface ChildOptions {
  readonly cwd: string;
  /** The whole environment: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: "pipe" | "ignore";
}

/** How a process ended. With `error` it could not be started. */
export interface ChildExit {
  readonly code: number | null;
  readonly signal: string | null;
  readonly error?: NodeJS.ErrnoException | undefined;
}

/**
 * How long output may still arrive after the exit. What was written before is in the pipe and arrives at once; only
 * a process that left the group can hold the pipe open longer.
 */
const FLUSH_MS = 1_000;

export interface Child {
  /** Undefined when it could not be started. */
  readonly pid: number | undefined;
  /** Takes what the process reads; present with `stdin: "pipe"`. A process that does not read it harms nobody. */
  readonly stdin: Writable | null;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** The process itself has ended; others of its group may be left for a moment. */
  readonly exited: Promise<ChildExit>;
  /** The same as far as it is known by now. */
  readonly exit: ChildExit | undefined;
  /** Not only there, but also not stopped. */
  isRunning(): boolean;
  /** Resolves when it has ended and its output has been taken in, for `flushMs` at most. Never rejects. */
  ended(clock: Clock, flushMs?: number): Promise<ChildExit>;
  /** Asks the group to end, kills it after `stopMs`, resolves when the process has ended. Safe to call twice. */
  stop(clock: Clock, stopMs: number): Promise<void>;
}

/**
 * Starts a program without a shell.
 *
 * @param program - looked up on the `PATH` of `env`, or a path (a relative one starts from our directory, not `cwd`)
 * @throws what `spawn` throws at once: arguments that are too long or hold a NUL
 */
export function spawnChild(program: string, args: readonly string[], { cwd, env, stdin }: ChildOptions): Child {
  const path = program.includes("/") ? resolve(program) : program;
  return new GroupLeader(spawn(path, args, { cwd, env, detached: true, shell: false, stdio: [stdin, "pipe", "pipe"] }));
}

class GroupLeader implements Child {
  readonly pid: number | undefined;
  readonly stdin: Writable | null;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly exited: Promise<ChildExit>;
  readonly #closed: Promise<unknown>;
  #exit: ChildExit | undefined;
  #stopped: Promise<void> | undefined;

  constructor(child: ChildProcess) {
    const { pid, stdin, stdout, stderr } = child;
    this.pid = pid;
    this.stdin = stdin;
    // There are no streams when we ran out of file descriptors.
    this.stdout = stdout ?? Readable.from([]);
    this.stderr = stderr ?? Readable.from([]);
    // A broken pipe to or from the child shows in its exit; it is no failure of ours.
    stdin?.on("error", ignore);
    stdout?.on("error", ignore);
    stderr?.on("error", ignore);
    this.exited = new Promise((settle) => {
      const end = (exit: ChildExit): void => {
        this.#exit ??= exit;
        // What the process leaves behind in its group goes with it.
        this.#signal("SIGKILL");
        settle(this.#exit);
      };
      child.once("exit", (code, signal) => end({ code, signal }));
      child.on("error", (error) => {
        if (pid === undefined) end({ code: null, signal: null, error });
      });
    });
    this.#closed = Promise.all([closed(stdout), closed(stderr)]);
  }

  get exit(): ChildExit | undefined {
    return this.#exit;
  }

  isRunning(): boolean {
    return this.pid !== undefined && this.#exit === undefined && isRunning(this.pid);
  }

  async ended(clock: Clock, flushMs = FLUSH_MS): Promise<ChildExit> {
    const exit = await this.exited;
    if (!(await within(clock, flushMs, this.#closed))) {
      // What was in the pipe is read, however busy we were meanwhile.
      await new Promise<void>((done) => clock.defer(done));
      this.stdout.destroy();
      this.stderr.destroy();
    }
    return exit;
  }

  stop(clock: Clock, stopMs: number): Promise<void> {
    this.#stopped ??= this.#stop(clock, stopMs);
    return this.#stopped;
  }

  async #stop(clock: Clock, stopMs: number): Promise<void> {
    if (this.#exit !== undefined) return;
    this.#signal("SIGTERM");
    if (!(await within(clock, stopMs, this.exited))) this.#signal("SIGKILL");
    await this.exited;
  }

  #signal(name: "SIGTERM" | "SIGKILL"): void {
    if (this.pid === undefined) return;
    try {
      process.kill(-this.pid, name);
    } catch {
      // The group is gone.
    }
  }
}

const ignore = (): void => {};

function closed(stream: Readable | null | undefined): Promise<void> {
  return new Promise((done) => {
    if (stream === null || stream === undefined || stream.closed) done();
    else stream.once("close", () => done());
  });
}
