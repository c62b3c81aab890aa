/** A run that has not ended yet: the attempt as its driver sees it. */
import type { Attempt, AttemptTask } from "../agents/agent.ts";
import type { AgentId } from "../base/ids.ts";
import type { Json } from "../base/json.ts";
import type { LeasedAttempt } from "../core/effect.ts";

export class CrewRun implements Attempt {
  readonly leased: LeasedAttempt;
  readonly task: AttemptTask;
  readonly startedAtMs: number;
  readonly #tell: (run: CrewRun, progress: Json) => void;
  #control: AbortController | undefined;
  #isStopped = false;

  constructor(
    leased: LeasedAttempt,
    task: AttemptTask,
    { startedAtMs, tell }: { readonly startedAtMs: number; readonly tell: (run: CrewRun, progress: Json) => void },
  ) {
    this.leased = leased;
    this.task = task;
    this.startedAtMs = startedAtMs;
    this.#tell = tell;
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
    this.#tell(this, value);
  }

  /** It is no longer wanted. */
  stop(): void {
    this.#isStopped = true;
    this.#control?.abort();
  }
}
