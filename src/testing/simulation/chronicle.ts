/** What a run has to tell: its story, what it met, and what broke it. */
import { createHash } from "node:crypto";
import type { Fault } from "./dice.ts";
import type { Situation } from "./situations.ts";
import type { WorldTime } from "./time.ts";

export interface RunReport {
  readonly seed: number;
  /** What must never be, and was. */
  readonly violation: { readonly message: string; readonly step: number; readonly atMs: number } | undefined;
  readonly steps: number;
  /** Acknowledged. */
  readonly tasks: number;
  readonly attempts: number;
  readonly events: number;
  readonly starts: number;
  readonly settledTwice: number;
  readonly lost: number;
  readonly faults: ReadonlyMap<Fault, number>;
  readonly situations: ReadonlySet<Situation>;
  /** Of all that happened, in order: the same seed gives the same one. */
  readonly trace: string;
  /** The last of what happened. */
  readonly tail: readonly string[];
}

/** Lines of the story that are kept unless a run asks for more. */
const LINES = 40;

export class Chronicle {
  readonly situations = new Set<Situation>();
  violation: RunReport["violation"];
  steps = 0;
  readonly #seed: number;
  readonly #time: WorldTime;
  readonly #lines: number;
  readonly #hash = createHash("sha256");
  readonly #tail: string[] = [];

  constructor({ seed, time, lines = LINES }: { seed: number; time: WorldTime; lines?: number | undefined }) {
    this.#seed = seed;
    this.#time = time;
    this.#lines = lines;
  }

  trace(line: string): void {
    const text = `${this.#time.monotonic()} ${line}\n`;
    this.#hash.update(text);
    this.#tail.push(text);
    if (this.#tail.length > 2 * this.#lines) this.#tail.splice(0, this.#tail.length - this.#lines);
  }

  /** Only the first counts: what follows may follow from it. */
  violate(message: string): void {
    if (this.violation !== undefined) return;
    this.violation = { message, step: this.steps, atMs: this.#time.monotonic() };
    this.trace(`VIOLATION: ${message}`);
  }

  report(counts: Omit<RunReport, "seed" | "violation" | "steps" | "situations" | "trace" | "tail">): RunReport {
    return {
      seed: this.#seed,
      violation: this.violation,
      steps: this.steps,
      ...counts,
      situations: this.situations,
      trace: this.#hash.digest("hex"),
      tail: this.#tail.slice(-this.#lines).map((line) => line.trimEnd()),
    };
  }
}
