/** One incarnation of a daemon: from the check of its port to the end of its process. */
import { createWriteStream, type WriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { Agent } from "node:http";
import { dirname, resolve } from "node:path";
import { StringDecoder } from "node:string_decoder";
import { sleep } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import type { DaemonOptions } from "../core/pool.ts";
import type { ChildExit } from "./child.ts";
import { linkInto, makeDirectory } from "./directory.ts";
import { childEnvironment } from "./environment.ts";
import { httpCall } from "./http-call.ts";
import { LogTail } from "./log-tail.ts";
import { isPortFree } from "./port.ts";
import type { ProcessContext } from "./process-context.ts";
import { fill } from "./run-request.ts";
import type { Ward } from "./warden.ts";

/** What it is started with. */
export interface DaemonPlace {
  readonly ordinal: number;
  readonly port: number;
  readonly directory: string;
}

/** How it ended, or why it did not start. */
export interface DaemonEnd {
  readonly code: number | null;
  readonly signal: string | null;
  readonly reason: string;
}

/** Kept connections: 20 idle ones for 30 s (S2-29). How many are used at once follows from the concurrency. */
const CONNECTIONS = { keepAlive: true, maxFreeSockets: 20, timeout: 30_000 };
/**
 * How long the death of a daemon is kept back for its last lines. Only a process that left its group holds the pipe open
 * longer, until it is swept; nobody should take the daemon for alive meanwhile.
 */
const LAST_LINES_MS = 20;
/** How long after the death of a daemon its last answers may be read. */
const LAST_ANSWER_MS = 200;
/** A disk that does not keep up costs log lines, not memory. Bytes. */
const LOG_BUFFER_LIMIT = 4 * 1_048_576;
/** Of a health answer. Bytes. */
const HEALTH_LIMIT_BYTES = 1_048_576;

export class DaemonProcess {
  readonly place: DaemonPlace;
  readonly connections = new Agent(CONNECTIONS);
  readonly tail = new LogTail();
  readonly #options: DaemonOptions;
  readonly #context: ProcessContext & { readonly log: LogTail };
  readonly #stopping = new AbortController();
  #ward: Ward | undefined;
  #ready = false;

  constructor(place: DaemonPlace, options: DaemonOptions, context: ProcessContext & { readonly log: LogTail }) {
    this.place = place;
    this.#options = options;
    this.#context = context;
  }

  get pid(): number | undefined {
    return this.#ward?.exit === undefined ? this.#ward?.pid : undefined;
  }

  /** It has become ready and has not ended. */
  get isUp(): boolean {
    return this.#ready && this.pid !== undefined;
  }

  /** It had a process, and that has ended. */
  get isDead(): boolean {
    return this.#ward?.exit !== undefined;
  }

  get isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** Resolves when its process has ended; at once when there is none. */
  get exited(): Promise<unknown> {
    return this.#ward?.exited ?? Promise.resolve();
  }

  /** Resolves when nothing of it is left, neither its group nor what left that. */
  get gone(): Promise<void> {
    return this.#ward?.gone ?? Promise.resolve();
  }

  isRunning(): boolean {
    return this.#ward?.isRunning() ?? false;
  }

  /** Lives it; resolves when it has ended and its output has been taken in, never rejects. */
  async live(onReady: () => void): Promise<DaemonEnd> {
    try {
      const problem = await this.#prepare();
      if (problem !== undefined) return notStarted(problem);
      if (this.isStopping) return notStarted("stopped");
      const ward = this.#spawn();
      const late = await this.#becomeReady(ward, onReady);
      return this.#describe(await ward.ended(this.#context.clock, LAST_LINES_MS), late);
    } catch (thrown) {
      return notStarted(`could not be started: ${messageOf(thrown)}`);
    }
  }

  /** Ends it wherever it stands; `live` resolves after that. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#ward?.stop(this.#context.clock, this.#context.stopMs);
  }

  /** True when the health path answers 200. */
  async probe(signal: AbortSignal): Promise<boolean> {
    const { port } = this.place;
    const { healthPath: path, token } = this.#options;
    const headers = authorization(token);
    const call = { port, method: "GET", path, headers, agent: false, limitBytes: HEALTH_LIMIT_BYTES } as const;
    const end = await httpCall(call, signal);
    return end.name === "answered" && end.status === 200;
  }

  /** What stands in the way of its start. */
  async #prepare(): Promise<string | undefined> {
    const { port, directory } = this.place;
    await makeDirectory(directory);
    await linkInto(directory, this.#options.link);
    const log = this.#logPath();
    if (log !== undefined) await mkdir(dirname(log), { recursive: true });
    return (await isPortFree(port)) ? undefined : `port ${port} is in use`;
  }

  #spawn(): Ward {
    const { ordinal, port, directory } = this.place;
    const { program, args } = this.#options;
    const values = { port: String(port), id: String(ordinal), dir: directory };
    const filled = args.map((arg) => fill(arg, values));
    const env = childEnvironment({ ...this.#context.env, PORT: String(port) });
    const ward = this.#context.warden.spawn(program, filled, { cwd: directory, env, stdin: "ignore" });
    this.#ward = ward;
    void this.#hangUp(ward);
    void this.#drain(ward);
    return ward;
  }

  /** An answer that the dead gave in time is still read; a connection that somebody else holds open is not waited for. */
  async #hangUp(ward: Ward): Promise<void> {
    await ward.exited;
    await sleep(this.#context.clock, LAST_ANSWER_MS);
    this.connections.destroy();
  }

  /** Takes in all that it writes: into the tail, and into its log file if it has one. */
  async #drain(ward: Ward): Promise<void> {
    const log = this.#openLog();
    for (const stream of [ward.stdout, ward.stderr]) {
      const decoder = new StringDecoder("utf8");
      stream.on("data", (chunk: Buffer) => {
        const text = decoder.write(chunk);
        this.tail.push(text);
        this.#context.log.push(text);
        if (log !== undefined && log.writableLength < LOG_BUFFER_LIMIT) log.write(chunk);
      });
    }
    await ward.ended(this.#context.clock);
    log?.end();
  }

  #openLog(): WriteStream | undefined {
    const path = this.#logPath();
    if (path === undefined) return undefined;
    const log = createWriteStream(path, { flags: "a", mode: 0o600 });
    // A log that can't be written must not stop the daemon; its tail is still there.
    log.on("error", (error) => this.tail.push(`log: ${error.message}\n`));
    return log;
  }

  #logPath(): string | undefined {
    const { logTemplate } = this.#options;
    return logTemplate === undefined ? undefined : resolve(fill(logTemplate, { id: String(this.place.ordinal) }));
  }

  /** Polls its health until it is ready, has ended or is late. True when it was late and has been stopped. */
  async #becomeReady(ward: Ward, onReady: () => void): Promise<boolean> {
    const { clock, stopMs } = this.#context;
    const { readyTimeoutMs, readyIntervalMs, readyProbeMs } = this.#options;
    const over = new AbortController();
    const giveUp = (): void => over.abort();
    void ward.exited.then(giveUp);
    this.#stopping.signal.addEventListener("abort", giveUp, { once: true });
    let late = false;
    const limit = clock.timer(readyTimeoutMs, () => {
      late = true;
      giveUp();
    });
    while (!over.signal.aborted) {
      const probeLimit = new AbortController();
      const timer = clock.timer(readyProbeMs, () => probeLimit.abort());
      const good = await this.probe(AbortSignal.any([over.signal, probeLimit.signal]));
      timer.cancel();
      // The answer may be somebody else's who took the port: only a living child can have given it.
      if (good && ward.isRunning() && !over.signal.aborted) {
        this.#ready = true;
        onReady();
        break;
      }
      await sleep(clock, readyIntervalMs, over.signal);
    }
    limit.cancel();
    this.#stopping.signal.removeEventListener("abort", giveUp);
    if (late && ward.exit === undefined) await ward.stop(clock, stopMs);
    return late && !this.isStopping;
  }

  #describe({ code, signal, error }: ChildExit, late: boolean): DaemonEnd {
    if (error !== undefined) return notStarted(`could not be started: ${error.message}`);
    const how = signal === null ? `exited with code ${code}` : `killed by ${signal}`;
    if (this.isStopping) return { code, signal, reason: "stopped" };
    if (late) return { code, signal, reason: "start timeout" };
    return { code, signal, reason: this.#ready ? how : `${how} during its start` };
  }
}

function notStarted(reason: string): DaemonEnd {
  return { code: null, signal: null, reason };
}

export function authorization(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}
