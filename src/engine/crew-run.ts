/** A run that has not ended yet: the attempt as its driver sees it. */
import type { Attempt, AttemptTask, RunEnd } from "../agents/agent.ts";
import type { AgentId } from "../base/ids.ts";
import type { Json } from "../base/json.ts";
import type { LeasedAttempt } from "../core/effect.ts";

/** Whom a run tells of itself. */
export interface RunListener {
  progressed(run: CrewRun, value: Json): void;
  ended(run: CrewRun, end: RunEnd): void;
}

export class CrewRun implements Attempt {
  readonly leased: LeasedAttempt;
  readonly task: AttemptTask;
  readonly startedAtMs: number;
  readonly #listener: RunListener;
  #control: AbortController | undefined;
  #isStopped = false;

  constructor(leased: LeasedAttempt, task: AttemptTask, startedAtMs: number, listener: RunListener) {
    this.leased = leased;
    this.task = task;
    this.startedAtMs = startedAtMs;
    this.#listener = listener;
  }

  get agentId(): AgentId {
    return this.leased.agentId;
  }

  get signal(): AbortSignal {
    this.#control ??= new AbortController();
    if (this.#isStopped) this.#control.abort();
    return this.#control.signal;
  }

  progress(value: Json): void {
    this.#listener.progressed(this, value);
  }

  ended(end: RunEnd): void {
    this.#listener.ended(this, end);
  }

  /** It is no longer wanted. */
  stop(): void {
    this.#isStopped = true;
    this.#control?.abort();
  }
}
