// `npm run simulate -- --seeds 1000`: runs the engine in worlds where things go wrong, and says what it came to.
import { parseArgs } from "node:util";
import type { RunReport } from "./simulation/chronicle.ts";
import { simulateSeed } from "./simulation/run.ts";
import { simulateSeeds } from "./simulation/series.ts";
import { failureText, type Summary } from "./simulation/summary.ts";

const USAGE = `usage: npm run simulate -- [options]

  --seeds <n>    how many runs (100)
  --from <n>     the first seed (1)
  --tasks <n>    about how many tasks a run submits (60)
  --workers <n>  threads (1)
  --seed <n>     one run, told event by event
  --json         the summary as JSON, and nothing else

ends with 1 when anything happened that must never be, or when a task was lost or settled twice`;

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "100" },
    from: { type: "string", default: "1" },
    tasks: { type: "string", default: "60" },
    workers: { type: "string", default: "1" },
    seed: { type: "string" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

function count(name: "seeds" | "from" | "tasks" | "workers" | "seed", text: string): number {
  const value = Number(text);
  if (/^\d{1,9}$/.test(text) && value >= 1) return value;
  console.error(`--${name}: expected a whole number from 1, got ${text}\n\n${USAGE}`);
  process.exit(2);
}

/** One line that grows on a terminal; elsewhere one line for each twentieth. */
class Progress {
  readonly #seeds: number;
  #done = 0;
  #tasks = 0;

  constructor(seeds: number) {
    this.#seeds = seeds;
  }

  take({ tasks }: RunReport): void {
    this.#done += 1;
    this.#tasks += tasks;
    const line = `${this.#done} of ${this.#seeds} seeds, ${this.#tasks} tasks`;
    if (process.stdout.isTTY) process.stdout.write(`\r${line}`);
    else if (this.#done % Math.max(1, Math.floor(this.#seeds / 20)) === 0) console.log(line);
  }

  say(text: string): void {
    this.end();
    console.log(text);
  }

  end(): void {
    if (process.stdout.isTTY && this.#done > 0) process.stdout.write("\n");
  }
}

if (values.help) console.log(USAGE);
else if (values.seed !== undefined) await one(count("seed", values.seed));
else await many();

async function one(seed: number): Promise<void> {
  const tasks = count("tasks", values.tasks);
  const report = await simulateSeed({ seed, tasks, lines: Number.POSITIVE_INFINITY });
  const { violation, tail, trace, steps, attempts, events, starts } = report;
  if (values.json) {
    const facts = { seed, steps, tasks: report.tasks, attempts, events, starts, trace, violation };
    console.log(
      JSON.stringify({ ...facts, faults: Object.fromEntries(report.faults), situations: [...report.situations] }),
    );
  } else {
    for (const line of tail) console.log(line);
    console.log(
      `${report.tasks} tasks, ${attempts} attempts, ${starts} starts, ${steps} steps; trace ${trace.slice(0, 16)}`,
    );
    console.log(failureText(report, { tasks }));
  }
  process.exitCode = violation === undefined ? 0 : 1;
}

async function many(): Promise<void> {
  const seeds = count("seeds", values.seeds);
  const tasks = count("tasks", values.tasks);
  const stop = new AbortController();
  // Once ends the series with what it has come to; twice ends the process.
  process.once("SIGINT", () => stop.abort());
  const progress = new Progress(seeds);
  const summary = await simulateSeeds({
    from: count("from", values.from),
    seeds,
    tasks,
    workers: Math.min(seeds, count("workers", values.workers)),
    signal: stop.signal,
    onRun: (report) => {
      if (values.json) return;
      progress.take(report);
      if (report.violation !== undefined) progress.say(failureText(report, { tasks }));
    },
  });
  progress.end();
  if (values.json) console.log(JSON.stringify({ ...summary, failures: summary.failures.map(failureFacts) }));
  else print(summary);
  const isBad = summary.failures.length + summary.lost + summary.settledTwice > 0;
  process.exitCode = isBad ? 1 : stop.signal.aborted ? 130 : 0;
}

function failureFacts({ seed, violation, trace }: RunReport) {
  return { seed, ...violation, trace };
}

function print(summary: Summary): void {
  const { seeds, tasks, attempts, events, starts, steps, lost, settledTwice, faults, situations, failures, trace } =
    summary;
  console.log(
    `\n${seeds} seeds, ${tasks} tasks, ${attempts} attempts, ${events} events, ${starts} starts, ${steps} steps`,
  );
  console.log(`\nfaults`);
  for (const [name, times] of Object.entries(faults))
    console.log(`  ${String(times).padStart(8)}  ${name.replaceAll("_", " ")}`);
  console.log(`\nsituations, by the runs that met them`);
  for (const [name, times] of Object.entries(situations)) console.log(`  ${String(times).padStart(8)}  ${name}`);
  console.log(`\ntrace over all ${trace}`);
  console.log(`lost ${lost}, settled twice ${settledTwice}, failed seeds ${failures.length}`);
}
