/** What many runs came to. */
import { createHash } from "node:crypto";
import type { RunReport } from "./chronicle.ts";
import { FAULT_NAMES } from "./dice.ts";
import type { RunOptions } from "./run.ts";
import { SITUATIONS, type Situation } from "./situations.ts";

export interface Summary {
  readonly seeds: number;
  readonly steps: number;
  /** Acknowledged. */
  readonly tasks: number;
  readonly attempts: number;
  readonly events: number;
  /** Lives of engines. */
  readonly starts: number;
  readonly lost: number;
  readonly settledTwice: number;
  readonly faults: Readonly<Record<string, number>>;
  /** In how many runs each was met. */
  readonly situations: Readonly<Record<Situation, number>>;
  readonly failures: readonly RunReport[];
  /** Over the traces of all runs, in the order of their seeds. */
  readonly trace: string;
}

export class Tally {
  #seeds = 0;
  #steps = 0;
  #tasks = 0;
  #attempts = 0;
  #events = 0;
  #starts = 0;
  #lost = 0;
  #settledTwice = 0;
  readonly #faults = new Map<string, number>(FAULT_NAMES.map((name) => [name, 0]));
  readonly #situations = new Map<Situation, number>(SITUATIONS.map((name) => [name, 0]));
  readonly #failures: RunReport[] = [];
  readonly #traces = new Map<number, string>();

  add(report: RunReport): void {
    this.#seeds += 1;
    this.#steps += report.steps;
    this.#tasks += report.tasks;
    this.#attempts += report.attempts;
    this.#events += report.events;
    this.#starts += report.starts;
    this.#lost += report.lost;
    this.#settledTwice += report.settledTwice;
    for (const [name, count] of report.faults) this.#faults.set(name, (this.#faults.get(name) ?? 0) + count);
    for (const name of report.situations) this.#situations.set(name, (this.#situations.get(name) ?? 0) + 1);
    this.#traces.set(report.seed, report.trace);
    if (report.violation !== undefined) this.#failures.push(report);
  }

  summary(): Summary {
    return {
      seeds: this.#seeds,
      steps: this.#steps,
      tasks: this.#tasks,
      attempts: this.#attempts,
      events: this.#events,
      starts: this.#starts,
      lost: this.#lost,
      settledTwice: this.#settledTwice,
      faults: Object.fromEntries(this.#faults),
      situations: Object.fromEntries(this.#situations) as Record<Situation, number>,
      failures: this.#failures,
      trace: this.#trace(),
    };
  }

  #trace(): string {
    const hash = createHash("sha256");
    for (const seed of [...this.#traces.keys()].sort((a, b) => a - b)) hash.update(this.#traces.get(seed) ?? "");
    return hash.digest("hex");
  }
}

/** Where it went wrong, and how to see it again. */
export function failureText({ seed, violation }: RunReport, { tasks }: Pick<RunOptions, "tasks">): string {
  if (violation === undefined) return `seed ${seed} holds`;
  const { message, step, atMs } = violation;
  const command = `npm run simulate -- --seed ${seed} --tasks ${tasks}`;
  return `seed ${seed} breaks at step ${step}, ${Math.round(atMs)} ms: not so: ${message}\n  again: ${command}`;
}
