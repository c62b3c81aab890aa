/** A run as people see it: a bar on a terminal, else a line now and then; and the summary at the end. */
import type { Clock } from "../../base/clock.ts";
import type { RunSummary } from "./run-record.ts";
import type { Progress } from "./task-run.ts";
import { duration, fields, shorten, table } from "./text.ts";

const BAR_WIDTH = 30;
/** Between two drawings of the bar. */
const REDRAW_MS = 50;
/** Lines without a terminal: one for each tenth. */
const STEPS = 10;
/** Tasks that the summary lists. */
const PROBLEMS_SHOWN = 20;

/** Writes progress to stderr. */
export class ProgressDisplay {
  readonly #stream: NodeJS.WriteStream;
  readonly #clock: Clock;
  #drawnAtMs = Number.NEGATIVE_INFINITY;
  #step = 0;

  constructor(stream: NodeJS.WriteStream, clock: Clock) {
    this.#stream = stream;
    this.#clock = clock;
  }

  show(progress: Progress): void {
    if (this.#stream.isTTY) this.#draw(progress);
    else this.#tell(progress);
  }

  /** Leaves the line of the bar. */
  end(): void {
    if (this.#stream.isTTY && this.#drawnAtMs > Number.NEGATIVE_INFINITY) this.#stream.write("\n");
  }

  #draw(progress: Progress): void {
    const now = this.#clock.monotonic();
    if (now - this.#drawnAtMs < REDRAW_MS && progress.settled < progress.total) return;
    this.#drawnAtMs = now;
    const full = Math.floor((BAR_WIDTH * progress.settled) / progress.total);
    this.#stream.write(`\r[${"█".repeat(full)}${"░".repeat(BAR_WIDTH - full)}] ${progressText(progress)}\u001b[K`);
  }

  #tell(progress: Progress): void {
    const step = Math.floor((STEPS * progress.settled) / progress.total);
    if (step === this.#step) return;
    this.#step = step;
    this.#stream.write(`${progressText(progress)}\n`);
  }
}

function progressText({ total, submitted, settled, bad }: Progress): string {
  const waiting = submitted < total ? `, ${total - submitted} not yet submitted` : "";
  return `${settled} of ${total} settled${bad > 0 ? `, ${bad} badly` : ""}${waiting}`;
}

export function summaryText({ total, byStatus, attempts, failovers, queueMs, runMs, problems }: RunSummary): string {
  const parts = [
    fields([
      ["tasks", String(total)],
      ...Object.entries(byStatus).map(
        ([status, count]) => [`  ${status}`, count === 0 ? undefined : String(count)] as const,
      ),
      ["attempts", `${attempts}, ${failovers} on another agent after a failure`],
      ["queue time", quantileText(queueMs)],
      ["run time", quantileText(runMs)],
    ]),
  ];
  if (problems.length > 0) {
    const rows = problems
      .slice(0, PROBLEMS_SHOWN)
      .map(({ line, pool, id, status, error }) => [
        String(line),
        pool,
        id ?? "",
        status,
        error === undefined ? "" : shorten(`${error.code}: ${error.message}`, 100),
      ]);
    parts.push(table(["LINE", "POOL", "ID", "STATUS", "ERROR"], rows));
  }
  if (problems.length > PROBLEMS_SHOWN) parts.push(`and ${problems.length - PROBLEMS_SHOWN} more; --json lists all`);
  return parts.join("\n\n");
}

function quantileText(quantiles: RunSummary["queueMs"]): string | undefined {
  return quantiles === null ? undefined : `p50 ${duration(quantiles.p50)}, p99 ${duration(quantiles.p99)}`;
}
