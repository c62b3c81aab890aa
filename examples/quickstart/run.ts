/** One run: submits the work, shows how far it is, kills a daemon in the middle of it, and sums up. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Page, TaskView } from "../../src/engine/view.ts";
import type { Api } from "./api.ts";
import { killOne, type Recovery, type Victim, watchRecovery } from "./failover.ts";
import { type Index, indexPage } from "./index-page.ts";
import { collect, readCounts, submitAll } from "./job.ts";
import type { Plan } from "./plan.ts";
import { Progress } from "./progress.ts";
import { attemptLines, type Summary, summariseRun, summaryLines } from "./summary.ts";

/** Share of the tasks after which a daemon is killed. */
const KILL_AT = 0.25;
/** Between two looks at the counts. */
const LOOK_MS = 50;

export interface RunOptions {
  readonly api: Api;
  readonly plan: Plan;
  readonly dataDir: string;
  readonly out: NodeJS.WriteStream;
}

/** @returns what did not go as it should, a sentence each */
export async function runPlan({ api, plan, dataDir, out }: RunOptions): Promise<readonly string[]> {
  const startedAt = performance.now();
  // The one that will be refused goes first, so that its dead letter is there long before the end.
  const all = [plan.refused, ...plan.tasks];
  const progress = new Progress(all.length, out);
  const { settled: settledBefore, running, waiting } = await readCounts(api);
  if (running + waiting > 0) out.write(`  ${running + waiting} tasks of an earlier run were left and go on as well\n`);
  const killing = killInTheMiddle(api, progress, { total: all.length, settledBefore });
  let views: Map<string, TaskView>;
  try {
    await submitAll(api, all);
    views = await collect(
      api,
      all.map(({ task }) => task.id),
    );
  } finally {
    killing.stop();
  }
  const wallMs = performance.now() - startedAt;
  const { victim, recovery } = await killing.result;
  progress.end();

  const summary = summariseRun(plan, views);
  const refused = views.get(plan.refused.task.id)!;
  const indexFile = writeIndex(views.get(plan.indexId)!, dataDir);
  const lines = [
    "",
    ...summaryLines(summary),
    "",
    `${summary.tasks} tasks settled in ${(wallMs / 1_000).toFixed(1)} s with ${summary.attempts} attempts`,
    describeFailovers(summary, victim),
    `1 dead letter on purpose: ${refused.id}, ${refused.error?.code}`,
    ...attemptLines(refused.attempts).map((line) => `  ${line}`),
    `the index: ${indexFile}`,
  ];
  for (const line of lines) out.write(line === "" ? "\n" : `  ${line}\n`);
  return troubleOf({ summary, recovery, victim, isListed: await isDeadLetter(api, refused.id) });
}

/** The list is a page of at most a thousand, oldest first, so all pages are looked at. */
async function isDeadLetter(api: Api, id: string): Promise<boolean> {
  let cursor = "";
  for (;;) {
    const page = await api.get<Page<TaskView>>(`/v1/dead-letters?pool=readers&limit=1000${cursor}`);
    if (page.items.some((task) => task.id === id)) return true;
    if (page.nextCursor === undefined) return false;
    cursor = `&cursor=${encodeURIComponent(page.nextCursor)}`;
  }
}

interface Killing {
  readonly result: Promise<{ victim: Victim; recovery: Recovery }>;
  /** The work is done: what has not been killed by now is killed at once. */
  stop(): void;
}

/** Shows the progress until the work is done; kills one reader on the way. */
function killInTheMiddle(
  api: Api,
  progress: Progress,
  { total, settledBefore }: { total: number; settledBefore: number },
): Killing {
  let done = false;
  const watch = async (): Promise<{ victim: Victim; recovery: Recovery }> => {
    let victim: Victim | undefined;
    let recovery: Promise<Recovery> | undefined;
    while (!done || victim === undefined) {
      const counts = await readCounts(api);
      const settled = Math.min(total, counts.settled - settledBefore);
      progress.update(settled, `${counts.running} running, ${counts.waiting} waiting`);
      if (victim === undefined && (done || settled >= KILL_AT * total)) {
        victim = await killOne(api, "readers");
        progress.say(describeKill(victim, settled, total));
        recovery = watchRecovery(api, "readers", victim);
        recovery.catch(() => {});
      }
      await sleep(LOOK_MS);
    }
    const recovered = await recovery!;
    progress.say(describeRecovery(victim, recovered));
    return { victim, recovery: recovered };
  };
  const result = watch();
  // Whoever submits or collects fails of the same reason first, and is the one to tell it.
  result.catch(() => {});
  return {
    result,
    stop: () => {
      done = true;
    },
  };
}

function writeIndex({ id, result }: TaskView, dataDir: string): string {
  const directory = join(dataDir, "quickstart");
  mkdirSync(directory, { recursive: true });
  const file = join(directory, "index.md");
  const page =
    result === undefined ? "# No index\n\nIts task did not complete.\n" : indexPage(result as unknown as Index, id);
  writeFileSync(file, page);
  return file;
}

function describeKill({ id, pid, port, busy }: Victim, settled: number, total: number): string {
  const when = `after ${settled} of ${total} tasks, ${busy ? "while it was working" : "while it was idle"}`;
  return `  killed ${id} with SIGKILL ${when} (pid ${pid}, port ${port})`;
}

function describeRecovery({ id, port }: Victim, { states, pid, port: newPort, recovered }: Recovery): string {
  const story = states.map(({ state, afterMs }) => `${state} (${afterMs} ms)`).join(" → ");
  if (!recovered) return `  ${id} has not come back: ${story}`;
  return `  ${id} is back: ${story}, pid ${pid}, ${newPort === port ? "same port" : "port"} ${newPort}`;
}

function describeFailovers({ failovers }: Summary, victim: Victim): string {
  if (failovers.length === 0) return `0 failovers: ${victim.id} had no task of this run when it died`;
  const [first] = failovers;
  const [lost, ...rest] = first?.attempts ?? [];
  const story = `${first?.id}: ${lost?.outcome} on ${lost?.agentName}, then ${rest.at(-1)?.outcome} on ${rest.at(-1)?.agentName}`;
  return `${failovers.length} ${failovers.length === 1 ? "failover" : "failovers"}, such as ${story}`;
}

interface Facts {
  readonly summary: Summary;
  readonly recovery: Recovery;
  readonly victim: Victim;
  readonly isListed: boolean;
}

function troubleOf({ summary, recovery, victim, isListed }: Facts): string[] {
  const trouble = summary.unexpected.map(
    ({ id, status, error }) => `${id} is ${status}${error === undefined ? "" : `: ${error.code}: ${error.message}`}`,
  );
  if (!recovery.recovered) trouble.push(`${victim.id} was not restarted`);
  else if (recovery.port !== victim.port)
    trouble.push(`${victim.id} came back on port ${recovery.port}, not ${victim.port}`);
  if (!isListed) trouble.push("the refused task is not among the dead letters");
  return trouble;
}
