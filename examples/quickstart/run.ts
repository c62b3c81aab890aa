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

export interface RunResult {
  readonly indexFile: string;
  /** What did not go as it should, a sentence each. */
  readonly trouble: readonly string[];
}

export async function runPlan({ api, plan, dataDir, out }: RunOptions): Promise<RunResult> {
  const startedAt = performance.now();
  const all = [...plan.tasks, plan.refused];
  const progress = new Progress(all.length, out);
  const before = await readCounts(api);
  const killing = killInTheMiddle(api, progress, { total: all.length, settledBefore: before.settled });
  let views: Map<string, TaskView>;
  try {
    // The one that will be refused goes first: its dead letter must not be what the others wait for.
    await submitAll(api, [plan.refused, ...plan.tasks]);
    views = await collect(
      api,
      all.map(({ task }) => task.id),
    );
  } finally {
    killing.stop();
  }
  const wallMs = performance.now() - startedAt;
  const { victim, recovery } = await killing.result;
  progress.update(all.length, "");
  progress.end();

  const summary = summariseRun(plan, views);
  const indexFile = writeIndex(views.get(plan.indexId)!, dataDir);
  const say = (line: string): void => void out.write(`${line}\n`);
  say("");
  for (const line of summaryLines(summary)) say(`  ${line}`);
  say("");
  say(`  ${summary.tasks} tasks settled in ${(wallMs / 1_000).toFixed(1)} s with ${summary.attempts} attempts`);
  say(`  ${describeFailovers(summary, victim)}`);
  const refused = views.get(plan.refused.task.id)!;
  const deadLetters = await api.get<Page<TaskView>>("/v1/dead-letters?pool=readers&limit=1000");
  const isListed = deadLetters.items.some(({ id }) => id === refused.id);
  say(`  1 dead letter on purpose: ${refused.id}, ${refused.error?.code}`);
  for (const line of attemptLines(refused.attempts)) say(`    ${line}`);
  say(`  the index: ${indexFile}`);
  return { indexFile, trouble: troubleOf({ summary, recovery, victim, isListed }) };
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
  if (failovers.length === 0) return `0 failovers: ${victim.id} had no task when it died`;
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
