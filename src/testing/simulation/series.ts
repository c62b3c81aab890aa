/** Many seeds, on one thread or on several. */
import { once } from "node:events";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import type { RunReport } from "./chronicle.ts";
import { simulateSeed } from "./run.ts";
import { type Summary, Tally } from "./summary.ts";

export interface SeriesOptions {
  /** First seed. */
  readonly from: number;
  readonly seeds: number;
  /** About how many tasks each run submits. */
  readonly tasks: number;
  /** Threads; 1 when absent. */
  readonly workers?: number | undefined;
  /** Ends the series after the runs that are under way. */
  readonly signal?: AbortSignal | undefined;
  readonly onRun?: ((report: RunReport) => void) | undefined;
}

/** What a thread is given: every `step`th seed. */
interface Share {
  readonly from: number;
  readonly below: number;
  readonly step: number;
  readonly tasks: number;
}

/** Each seed is a run of its own, so that it does not matter which thread runs it. */
export async function simulateSeeds({
  from,
  seeds,
  tasks,
  workers = 1,
  signal,
  onRun,
}: SeriesOptions): Promise<Summary> {
  const tally = new Tally();
  const take = (report: RunReport): void => {
    tally.add(report);
    onRun?.(report);
  };
  const shareOf = (n: number): Share => ({ from: from + n, below: from + seeds, step: workers, tasks });
  if (workers === 1) await run(shareOf(0), take, () => signal?.aborted === true);
  else await Promise.all(Array.from({ length: workers }, (_, n) => runThread(shareOf(n), take, signal)));
  return tally.summary();
}

async function run(share: Share, take: (report: RunReport) => void, isOver: () => boolean): Promise<void> {
  const { from, below, step, tasks } = share;
  for (let seed = from; seed < below && !isOver(); seed += step) take(await simulateSeed({ seed, tasks }));
}

async function runThread(
  share: Share,
  take: (report: RunReport) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const thread = new Worker(new URL(import.meta.url), { workerData: { series: share } });
  const stop = (): void => thread.postMessage("stop");
  signal?.addEventListener("abort", stop, { once: true });
  thread.on("message", take);
  await once(thread, "exit");
  signal?.removeEventListener("abort", stop);
}

const given = workerData as { readonly series?: Share } | null;
if (!isMainThread && given?.series !== undefined && parentPort !== null) {
  const port = parentPort;
  let isOver = false;
  port.once("message", () => {
    isOver = true;
  });
  await run(
    given.series,
    (report) => port.postMessage(report),
    () => isOver,
  );
  port.close();
}
