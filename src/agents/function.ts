/** An agent that is a function of this process. */
import type { Json } from "../base/json.ts";
import type { AgentIdentity } from "../core/agent.ts";
import type { AgentDriver, AgentEvents, Attempt, AttemptTask } from "./agent.ts";
import type { Classify } from "./agent-error.ts";
import { Awaiters } from "./awaiters.ts";
import { LogTail } from "./log-tail.ts";

/** What a function gets. */
export interface AgentCall {
  readonly task: AttemptTask;
  /** Aborted when the run is no longer wanted: timeout, cancellation, stop. */
  readonly signal: AbortSignal;
  /** Tells how far it is; the latest value is shown. */
  progress(value: Json): void;
  /** One line for the log. */
  log(message: string): void;
  /** The agent's own, never shared; lives as long as the agent does in this process, or until it is restarted. */
  readonly memory: Map<string, unknown>;
}

/** Does the task; what it returns (or resolves with) is the result. Says blame by throwing `AgentError`. */
export type AgentFunction = (call: AgentCall) => unknown;

export interface FunctionOptions {
  /** Takes what the function logs. */
  readonly log?: ((message: string) => void) | undefined;
  /** Asked about errors that don't speak for themselves. */
  readonly classify?: Classify | undefined;
}

/** A driver that calls the function once per attempt. A function that ignores its signal can't be stopped. */
export function functionDriver(
  identity: AgentIdentity,
  run: AgentFunction,
  options: FunctionOptions = {},
): AgentDriver {
  return new FunctionDriver(identity, run, options);
}

const discard = (): void => {};

/** One call's argument. What is a getter costs nothing to those who never ask for it. */
class Call implements AgentCall {
  readonly task: AttemptTask;
  readonly memory: Map<string, unknown>;
  readonly log: (message: string) => void;
  readonly #attempt: Attempt;

  constructor(attempt: Attempt, memory: Map<string, unknown>, log: (message: string) => void) {
    this.task = attempt.task;
    this.memory = memory;
    this.log = log;
    this.#attempt = attempt;
  }

  get signal(): AbortSignal {
    return this.#attempt.signal;
  }

  /** May be taken out of the object. */
  get progress(): (value: Json) => void {
    const attempt = this.#attempt;
    return (value) => attempt.progress(value);
  }
}

class FunctionDriver implements AgentDriver {
  readonly identity: AgentIdentity;
  /** What it has said by `log`. */
  readonly log = new LogTail();
  readonly #run: AgentFunction;
  readonly #log: (message: string) => void;
  readonly #awaiters: Awaiters;
  #memory = new Map<string, unknown>();

  constructor(identity: AgentIdentity, run: AgentFunction, { log = discard, classify }: FunctionOptions) {
    this.identity = identity;
    this.#run = run;
    this.#log = (message) => {
      this.log.push(`${message}\n`);
      log(message);
    };
    this.#awaiters = new Awaiters(classify);
  }

  start(events: AgentEvents): void {
    // A new spawn remembers nothing of the one before.
    this.#memory = new Map();
    events.ready();
  }

  run(attempt: Attempt): void {
    this.#awaiters.await(this.#begun(attempt), attempt);
  }

  /** What the function gives at once: a value, or a promise of one. */
  #begun(attempt: Attempt): unknown {
    try {
      const run = this.#run;
      return run(new Call(attempt, this.#memory, this.#log));
    } catch (thrown) {
      return Promise.reject(thrown);
    }
  }

  alive(): boolean {
    return true;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
