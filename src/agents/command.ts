/** An agent that runs one process per attempt: a headless coding agent, or any program. */
import { join } from "node:path";
import { StringDecoder } from "node:string_decoder";
import type { AgentIdentity } from "../core/agent.ts";
import type { CommandOptions } from "../core/pool.ts";
import type { AgentDriver, AgentEvents, Attempt, AttemptTask, RunEnd } from "./agent.ts";
import type { ChildExit } from "./child.ts";
import { type CommandOutput, commandOutput } from "./command-output.ts";
import { directoryOf, makeDirectory, removeDirectory } from "./directory.ts";
import { childEnvironment } from "./environment.ts";
import { LogTail } from "./log-tail.ts";
import type { ProcessContext } from "./process-context.ts";
import { cancelled, failed, killed, released, throttled, thrownMessage, tooLarge } from "./run-end.ts";
import { encodeRequest, fill, promptOf } from "./run-request.ts";
import type { Ward } from "./warden.ts";

/** A driver that starts the program anew for every attempt. */
export function commandDriver(identity: AgentIdentity, options: CommandOptions, context: ProcessContext): AgentDriver {
  return new Command(identity, options, context);
}

/** How much of what it wrote to stderr is told of a failure. UTF-16 units. */
const EXCERPT = 2_000;

/** Why a run may have to stop: its task is no longer its own, or its agent is closed. */
interface StopReasons {
  readonly signal: AbortSignal;
  readonly closing: AbortSignal;
}

class Command implements AgentDriver {
  readonly identity: AgentIdentity;
  /** What its runs have said besides their results. */
  readonly log = new LogTail();
  readonly #options: CommandOptions;
  readonly #context: ProcessContext;
  readonly #directory: string;
  readonly #wards = new Set<Ward>();
  readonly #runs = new Set<Promise<RunEnd>>();
  #closing = new AbortController();

  constructor(identity: AgentIdentity, options: CommandOptions, context: ProcessContext) {
    this.identity = identity;
    this.#options = options;
    this.#context = context;
    this.#directory = directoryOf(context.dir, identity);
  }

  start(events: AgentEvents): void {
    if (this.#closing.signal.aborted) this.#closing = new AbortController();
    events.ready();
  }

  run(attempt: Attempt): void {
    const run = this.#runIn(attempt, { signal: attempt.signal, closing: this.#closing.signal });
    this.#runs.add(run);
    void run.then((end) => {
      this.#runs.delete(run);
      attempt.ended(end);
    });
  }

  alive(): boolean {
    for (const ward of this.#wards) {
      if (ward.exit === undefined && !ward.isRunning()) return false;
    }
    return true;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#runs);
    if (this.#runs.size === 0) await removeDirectory(this.#directory);
  }

  /** Gives the attempt a directory of its own, for as long as it runs. */
  async #runIn(attempt: Attempt, reasons: StopReasons): Promise<RunEnd> {
    const directory = join(this.#directory, `run-${this.#context.entropy.hex(16)}`);
    try {
      await makeDirectory(this.#directory);
      await makeDirectory(directory);
      return endOfStop(reasons) ?? (await this.#execute(attempt, directory, reasons));
    } catch (thrown) {
      return endOfRefusal(thrown, attempt.task);
    } finally {
      await removeDirectory(directory);
    }
  }

  async #execute(attempt: Attempt, directory: string, reasons: StopReasons): Promise<RunEnd> {
    const { clock, stopMs } = this.#context;
    const { task } = attempt;
    const stop = AbortSignal.any([reasons.signal, reasons.closing]);
    const ward = this.#spawn(task, directory);
    const halt = (): void => void ward.stop(clock, stopMs);
    stop.addEventListener("abort", halt, { once: true });
    this.#wards.add(ward);

    const output = commandOutput(this.#options.output, (value) => {
      if (!stop.aborted) attempt.progress(value);
    });
    let isTooLarge = false;
    ward.stdout.on("data", (chunk: Buffer) => {
      if (isTooLarge || output.take(chunk)) return;
      isTooLarge = true;
      halt();
    });
    const complaints = new LogTail();
    const decoder = new StringDecoder("utf8");
    ward.stderr.on("data", (chunk: Buffer) => {
      const text = decoder.write(chunk);
      complaints.push(text);
      this.log.push(text);
    });
    ward.stdin?.end(this.#options.stdin === "json" ? encodeRequest(task) : promptOf(task));

    await ward.exited;
    // Asked for before the exit; a stop that comes later finds an end of its own making.
    const stopped = endOfStop(reasons);
    const exit = await ward.ended(clock);
    stop.removeEventListener("abort", halt);
    this.#wards.delete(ward);
    // The run has ended when all that it began has.
    await ward.gone;
    if (stopped !== undefined) return stopped;
    return isTooLarge ? tooLarge("the command's output") : this.#endOfExit(exit, output, complaints);
  }

  #spawn(task: AttemptTask, directory: string): Ward {
    const { program, args, stdin } = this.#options;
    const values = { prompt: promptOf(task), taskId: task.id, dir: directory };
    const filled = args.map((arg) => fill(arg, values));
    const env = childEnvironment(this.#context.env);
    const options = { cwd: directory, env, stdin: stdin === "none" ? "ignore" : "pipe" } as const;
    return this.#context.warden.spawn(program, filled, options);
  }

  #endOfExit({ code, signal, error }: ChildExit, output: CommandOutput, complaints: LogTail): RunEnd {
    if (error !== undefined) return failed("agent", { code: "spawn_failed", message: error.message });
    const said = complaints.lines().join("\n").trim().slice(-EXCERPT);
    if (code === null) return killed(said === "" ? `killed by ${signal}` : `killed by ${signal}: ${said}`);
    if (code === 0) return output.end();
    const message = said === "" ? `exited with code ${code}` : said;
    const failure = { code: `exit_${code}`, message, details: { exitCode: code } };
    const { exitCodes } = this.#options;
    if (exitCodes.task.includes(code)) return failed("task", failure);
    if (exitCodes.throttle.includes(code)) return throttled(failure, undefined);
    return failed("unknown", failure);
  }
}

function endOfStop({ signal, closing }: StopReasons): RunEnd | undefined {
  if (signal.aborted) return cancelled();
  return closing.aborted ? released() : undefined;
}

/** It could not even be started: the task's fault when its prompt can't be an argument, else the agent's. */
function endOfRefusal(thrown: unknown, task: AttemptTask): RunEnd {
  const { code } = thrown as NodeJS.ErrnoException;
  const message = thrownMessage(thrown);
  if (code === "E2BIG") return failed("task", { code: "too_large", message: `too long for an argument: ${message}` });
  const hasNul = promptOf(task).includes("\0");
  if (code === "ERR_INVALID_ARG_VALUE" && hasNul) return failed("task", { code: "invalid", message });
  return failed("agent", { code: "spawn_failed", message });
}
