/** An agent that is a supervised child process and serves HTTP on a port of its own. */
import type { AgentIdentity } from "../core/agent.ts";
import type { DaemonOptions } from "../core/pool.ts";
import type { AgentDriver, AgentEvents, Attempt, RunEnd } from "./agent.ts";
import { authorization, type DaemonEnd, DaemonProcess } from "./daemon-process.ts";
import { directoryOf, removeDirectory } from "./directory.ts";
import { type HttpCall, type HttpEnd, httpCall } from "./http-call.ts";
import { endOfAnswer } from "./http-outcome.ts";
import { LogTail } from "./log-tail.ts";
import type { ProcessContext } from "./process-context.ts";
import { residentBytes } from "./process-state.ts";
import { cancelled, failed, killed, RESULT_LIMIT_BYTES, released, tooLarge } from "./run-end.ts";
import { encodeRequest } from "./run-request.ts";
import { within } from "./within.ts";

export interface DaemonDriver extends AgentDriver {
  /** Where it listens, or listened last; undefined before a port was chosen. */
  readonly port: number | undefined;
  /** Of the running process. */
  readonly pid: number | undefined;
}

/** A driver that starts, watches and stops the daemon. After a death, or after `close`, it may be started again. */
export function daemonDriver(identity: AgentIdentity, options: DaemonOptions, context: ProcessContext): DaemonDriver {
  return new Daemon(identity, options, context);
}

/** A connection breaks a moment before or after the process is seen dead. Milliseconds. */
const DEATH_NOTICE_MS = 500;
/** A kept connection that turns out to be closed does so at once; what breaks later was at work. Milliseconds. */
const STALE_CONNECTION_MS = 1_000;

const MEGABYTE = 1_048_576;

/** From one `start` to the death or the `close` that follows. */
interface Term {
  closed: boolean;
}

class Daemon implements DaemonDriver {
  readonly identity: AgentIdentity;
  /** Over all its incarnations. */
  readonly log = new LogTail();
  readonly #options: DaemonOptions;
  readonly #context: ProcessContext;
  readonly #directory: string;
  #port: number | undefined;
  #term: Term = { closed: true };
  #process: DaemonProcess | undefined;
  /** Attempts that its process was given. */
  #given = 0;
  /** Resolves when the death of the latest term has been told. */
  #life: Promise<void> = Promise.resolve();
  #closing: Promise<void> = Promise.resolve();

  constructor(identity: AgentIdentity, options: DaemonOptions, context: ProcessContext) {
    this.identity = identity;
    this.#options = options;
    this.#context = context;
    this.#directory = directoryOf(context.dir, identity);
    if (options.basePort > 0) this.#port = options.basePort + identity.ordinal;
  }

  get port(): number | undefined {
    return this.#port;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  start(events: AgentEvents): void {
    const term = { closed: false };
    this.#term = term;
    const before = Promise.all([this.#life, this.#closing]);
    this.#life = before.then(() => this.#live(term, events));
  }

  run(attempt: Attempt): void {
    void this.#endOf(attempt).then((end) => attempt.ended(end));
  }

  async #endOf(attempt: Attempt): Promise<RunEnd> {
    const process = this.#process;
    const told = this.#life;
    if (process === undefined || !process.isUp) {
      if (process?.isDead) await told;
      return released("the daemon was not running");
    }
    this.#given += 1;
    const end = await this.#post(process, attempt, attempt.signal);
    switch (end.name) {
      case "answered":
        return endOfAnswer(end, this.#context.clock.now());
      case "too_large":
        if (end.status >= 200 && end.status < 300) return tooLarge("the daemon's answer");
        return endOfAnswer({ ...end, name: "answered", body: Buffer.alloc(0) }, this.#context.clock.now());
      case "aborted":
        return cancelled();
      case "broken": {
        const died = await this.#died(process);
        // The death is told before its victims, so that no task is given to the dead.
        if (died) await told;
        if (process.isStopping) return released();
        if (died) return killed(`the daemon died: ${end.message}`);
        return failed("agent", { code: "broken_connection", message: end.message });
      }
    }
  }

  async probe(signal: AbortSignal): Promise<boolean> {
    return this.#process?.isUp === true && (await this.#process.probe(signal));
  }

  alive(): boolean {
    return this.#process?.isRunning() ?? false;
  }

  worn(): string | undefined {
    const { recycleAfter = Number.POSITIVE_INFINITY, memoryLimitMb } = this.#options;
    if (this.#given >= recycleAfter) return `it was given ${this.#given} attempts, ${recycleAfter} are its share`;
    const { pid } = this;
    const bytes = memoryLimitMb === undefined || pid === undefined ? undefined : residentBytes(pid);
    if (memoryLimitMb === undefined || bytes === undefined || bytes <= memoryLimitMb * MEGABYTE) return undefined;
    return `it holds ${Math.ceil(bytes / MEGABYTE)} MB, ${memoryLimitMb} are its limit`;
  }

  close(): Promise<void> {
    this.#term.closed = true;
    this.#closing = this.#close(this.#life);
    return this.#closing;
  }

  async #close(life: Promise<void>): Promise<void> {
    await this.#process?.stop();
    await life;
    await this.#process?.gone;
    if (this.#options.basePort === 0 && this.#port !== undefined) this.#context.warden.ports.giveBack(this.#port);
    await removeDirectory(this.#directory);
  }

  async #live(term: Term, events: AgentEvents): Promise<void> {
    // What is left of the one before might still hold the port.
    await this.#process?.gone;
    const port = await this.#takePort();
    if (port === undefined) return tell(events, { code: null, signal: null, reason: "no port is free" }, []);
    const place = { ordinal: this.identity.ordinal, port, directory: this.#directory };
    const process = new DaemonProcess(place, this.#options, { ...this.#context, log: this.log });
    this.#process = process;
    this.#given = 0;
    if (term.closed) await process.stop();
    const end = await process.live(() => events.ready());
    tell(events, process.isStopping ? { ...end, asked: true } : end, process.tail.lines());
  }

  /** Fixed, or chosen by the system and then kept over restarts while it is free. */
  async #takePort(): Promise<number | undefined> {
    if (this.#options.basePort > 0) return this.#port;
    const { ports } = this.#context.warden;
    if (this.#port !== undefined) ports.giveBack(this.#port);
    this.#port = await ports.take(this.#port);
    return this.#port;
  }

  async #post(process: DaemonProcess, attempt: Attempt, signal: AbortSignal): Promise<HttpEnd> {
    const { clock } = this.#context;
    const call: HttpCall = {
      port: process.place.port,
      method: "POST",
      path: this.#options.path,
      headers: authorization(this.#options.token),
      body: encodeRequest(attempt.task),
      agent: process.connections,
      limitBytes: RESULT_LIMIT_BYTES,
    };
    const beganMs = clock.monotonic();
    const end = await httpCall(call, signal);
    if (end.name !== "broken" || !end.idle || clock.monotonic() - beganMs > STALE_CONNECTION_MS) return end;
    // The daemon had closed the kept connection before the request came: it never saw it.
    if (await this.#died(process)) return end;
    return httpCall({ ...call, agent: false }, signal);
  }

  #died(process: DaemonProcess): Promise<boolean> {
    return within(this.#context.clock, DEATH_NOTICE_MS, process.exited);
  }
}

function tell(events: AgentEvents, end: DaemonEnd & { readonly asked?: true }, logTail: readonly string[]): void {
  events.exited({ ...end, logTail });
}
