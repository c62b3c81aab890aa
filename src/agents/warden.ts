/**
 * The warden: one process per engine that knows all children of the engine and ends them when the engine is gone,
 * however it went. Foreign programs need not cooperate.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { parse } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { type Clock, sleep } from "../base/clock.ts";
import { PoolError } from "../base/errors.ts";
import type { Entropy } from "../base/random.ts";
import { type Child, type ChildOptions, spawnChild } from "./child.ts";
import { childEnvironment } from "./environment.ts";
import { MARK_VARIABLE, markOf } from "./mark.ts";
import { PortBook } from "./port.ts";
import { within } from "./within.ts";

export interface Warden {
  /** Ports that the system chose for this engine's daemons. */
  readonly ports: PortBook;
  /** Of the warden's process; undefined before the first child. */
  readonly pid: number | undefined;
  /**
   * Starts a child that does not outlive the engine. Its environment is what is given, and the mark.
   *
   * @throws PoolError `shutting_down` after `close`, and what `spawnChild` throws
   */
  spawn(program: string, args: readonly string[], options: ChildOptions): Ward;
  /** Kills what is left, and ends the warden. Safe to call twice. */
  close(): Promise<void>;
}

/** A child in the warden's book. */
export interface Ward extends Child {
  /** Resolves when nothing of it is left, not even what left its group. Never rejects. */
  readonly gone: Promise<void>;
}

export interface WardenOptions {
  readonly clock: Clock;
  readonly entropy: Entropy;
}

/** The process itself begins with the first child. */
export async function openWarden(options: WardenOptions): Promise<Warden> {
  return new Keeper(options);
}

/** How long the end of a child waits for the warden's word. A sweep takes some 10 ms. */
const RELEASE_MS = 2_000;
/** How long `close` waits for the warden's end; it goes on without us. */
const CLOSE_MS = 10_000;
/** A warden that dies is replaced, but not more often than this. */
const RESPAWN_MS = 1_000;

interface Entry {
  readonly pgid: number;
  readonly mark: string;
  /** Its process has ended; the warden clears up after it. */
  released: boolean;
  readonly settle: () => void;
}

class Keeper implements Warden {
  readonly ports = new PortBook();
  readonly #clock: Clock;
  readonly #mark: string;
  readonly #book = new Map<string, Entry>();
  #children = 0;
  #process: ChildProcess | undefined;
  #startedAtMs = Number.NEGATIVE_INFINITY;
  #closing: Promise<void> | undefined;

  constructor({ clock, entropy }: WardenOptions) {
    this.#clock = clock;
    this.#mark = entropy.hex(32);
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  spawn(program: string, args: readonly string[], options: ChildOptions): Ward {
    if (this.#closing !== undefined) throw new PoolError("shutting_down", "the engine is closing: nothing is started");
    if (this.#startedAtMs === Number.NEGATIVE_INFINITY) this.#start();
    this.#children += 1;
    const mark = markOf(this.#mark, this.#children);
    const child = spawnChild(program, args, { ...options, env: { ...options.env, [MARK_VARIABLE]: mark } });
    return Object.assign(child, { gone: this.#hold(child, mark) });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // Between the death of one warden and the start of the next, children may be without one.
    if (this.#process === undefined && this.#book.size > 0) this.#start();
    const child = this.#process;
    if (child === undefined) return;
    const ended = new Promise<void>((done) => child.once("exit", () => done()));
    child.stdin?.end();
    await within(this.#clock, CLOSE_MS, ended);
    for (const entry of this.#book.values()) entry.settle();
  }

  /** Resolves when nothing is left of the child. */
  async #hold({ pid, exited }: Child, mark: string): Promise<void> {
    if (pid === undefined) return;
    const swept = new Promise<void>((settle) => {
      this.#book.set(mark, { pgid: pid, mark, released: false, settle });
    });
    this.#tell(`hold ${pid} ${mark}`);
    await exited;
    const entry = this.#book.get(mark);
    if (entry === undefined) return;
    entry.released = true;
    this.#tell(`release ${mark}`);
    await within(this.#clock, RELEASE_MS, swept);
    this.#book.delete(mark);
  }

  #tell(line: string): void {
    if (this.#process?.stdin?.writable) this.#process.stdin.write(`${line}\n`);
  }

  #start(): void {
    this.#startedAtMs = this.#clock.monotonic();
    // No mark in its own environment, so that the sweep of an outer engine spares it while it has work to do.
    const child = spawn(process.execPath, [scriptPath(), this.#mark], {
      cwd: parse(process.execPath).root,
      env: childEnvironment({}),
      detached: true,
      stdio: ["pipe", "pipe", "ignore"],
    });
    this.#process = child;
    child.on("error", () => this.#replace(child));
    child.on("exit", () => this.#replace(child));
    child.stdin.on("error", () => {});
    child.stdout.on("error", () => {});
    createInterface({ input: child.stdout }).on("line", (line) => this.#settle(line));
    // It must not keep alive a process that has nothing else to do.
    child.unref();
    unref(child.stdin);
    unref(child.stdout);
    for (const { pgid, mark, released } of this.#book.values()) {
      this.#tell(`hold ${pgid} ${mark}`);
      if (released) this.#tell(`release ${mark}`);
    }
  }

  /** A warden that died leaves the children without one: another takes over the book. */
  #replace(dead: ChildProcess): void {
    if (this.#process !== dead) return;
    this.#process = undefined;
    if (this.#closing === undefined) void this.#restart();
  }

  async #restart(): Promise<void> {
    await sleep(this.#clock, RESPAWN_MS - (this.#clock.monotonic() - this.#startedAtMs));
    if (this.#closing === undefined) this.#start();
  }

  #settle(line: string): void {
    const [verb, mark = ""] = line.split(" ");
    if (verb !== "released") return;
    this.#book.get(mark)?.settle();
  }
}

/** Beside this file, as source or as built. */
function scriptPath(): string {
  const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return fileURLToPath(new URL(`./warden-process.${ending}`, import.meta.url));
}

/** Sockets of children can be let go of; the type does not say so. */
function unref(stream: Writable | Readable): void {
  (stream as { unref?: () => void }).unref?.();
}
