/** Waits until enough of a new pool's daemons have come up, or too many have failed to. */
import type { AgentId } from "../base/ids.ts";
import type { Agent, LastExit } from "../core/agent.ts";

export interface StartReport {
  readonly started: boolean;
  readonly ready: number;
  readonly needed: number;
  readonly total: number;
  /** Why the others did not come up. */
  readonly failures: readonly {
    readonly agent: string;
    readonly reason: string;
    readonly logTail: readonly string[];
  }[];
}

export class StartWatch {
  /** Resolves once it is decided. */
  readonly decided: Promise<StartReport>;
  readonly #waiting: Set<AgentId>;
  readonly #total: number;
  readonly #needed: number;
  readonly #failures: { agent: string; reason: string; logTail: readonly string[] }[] = [];
  #ready = 0;
  #resolve: (report: StartReport) => void = () => {};

  constructor(ids: readonly AgentId[], needed: number) {
    this.#waiting = new Set(ids);
    this.#total = ids.length;
    this.#needed = needed;
    this.decided = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#decide();
  }

  /** An agent has changed: its first word, up or dead, counts. */
  see(agent: Agent): void {
    const { id, name } = agent.identity;
    if (!this.#waiting.has(id) || agent.lifecycle === "starting") return;
    this.#waiting.delete(id);
    if (agent.lifecycle === "ready") this.#ready += 1;
    else this.#failures.push({ agent: name, ...failureOf(agent.lastExit) });
    this.#decide();
  }

  #decide(): void {
    const started = this.#ready >= this.#needed;
    if (!started && this.#ready + this.#waiting.size >= this.#needed) return;
    const { length: failed } = this.#failures;
    this.#resolve({
      started,
      ready: this.#ready,
      needed: this.#needed,
      total: this.#total,
      failures: this.#failures.slice(0, failed),
    });
  }
}

function failureOf(exit: LastExit | undefined): { reason: string; logTail: readonly string[] } {
  if (exit === undefined) return { reason: "unknown", logTail: [] };
  const how = exit.signal === null ? `exit code ${exit.code}` : exit.signal;
  return { reason: exit.reason === "" ? how : exit.reason, logTail: exit.logTail };
}
