/**
 * The load that the origins of the project promised to carry (S0-32, S3-25, S3-68, S4-24, S4-25): 20 agents, 200 active
 * tasks, 1,000 queued. And the same work pushed, first in first out, to the agents in turn, which is what "40 % better
 * coordination" is measured against.
 */
import { createPool, functionAgent, type Pool } from "../../src/index.ts";
import { type Case, type Figures, quantile, type Subject, scaled } from "../case.ts";
import { agentsOf, inDirectory, withPool } from "../pools.ts";

const AGENTS = 20;
const SLOTS = 10;
const ACTIVE = AGENTS * SLOTS;
const QUEUED = 1_000;
/** Mean of a good agent's work. Milliseconds. */
const WORK_MS = 50;
const HOUR_MS = 3_600_000;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** As long as the n-th task takes, from half of the mean to one and a half. */
const workMs = (n: number): number => WORK_MS * (0.5 + ((n * 7_919) % 1_000) / 1_000);

/** All at once: 200 run, 1,000 wait. Then what a full pool can't show: parents and children, one task alone. */
async function load(scale: number): Promise<Figures> {
  return inDirectory(async (dataDir) => {
    const gapsMs: number[] = [];
    const freeSince = new Map<string, number[]>();
    const runs: { readonly from: number; readonly to: number }[] = [];
    const agents = Array.from({ length: AGENTS }, (_, agent) =>
      functionAgent(
        `a${agent}`,
        async ({ task }) => {
          const from = performance.now();
          const free = freeSince.get(`a${agent}`)?.shift();
          if (free !== undefined) gapsMs.push(from - free);
          await sleep(workMs(Number(task.prompt)));
          const to = performance.now();
          runs.push({ from, to });
          freeSince.set(`a${agent}`, [...(freeSince.get(`a${agent}`) ?? []), to]);
          return "done";
        },
        { concurrency: SLOTS },
      ),
    );
    const pool = await createPool({ store: "sqlite:", dataDir, agents });
    try {
      const tasks = scaled(ACTIVE + QUEUED, scale, 2 * ACTIVE);
      const acceptedMs: number[] = [];
      const from = performance.now();
      const handed = await Promise.all(
        Array.from({ length: tasks }, async (_, n) => {
          const called = performance.now();
          const task = await pool.submit({ prompt: String(n) });
          acceptedMs.push(performance.now() - called);
          return task;
        }),
      );
      const ends = await Promise.all(handed.map((task) => task.settled()));
      const tookMs = performance.now() - from;
      const assigned = quantile(gapsMs, 0.99);
      const utilisation = 100 * shareBusy(runs, Math.min(ACTIVE, tasks));
      const completed = ends.filter(({ status }) => status === "completed").length / tasks;
      const releasedMs = await releases(pool, scaled(100, scale, 5));
      return {
        assigned,
        released: quantile(releasedMs, 0.99),
        accepted: quantile(acceptedMs, 0.99),
        completed: 100 * completed,
        utilisation,
        perHour: (tasks * HOUR_MS) / tookMs,
        megabytes: process.memoryUsage().rss / 1e6,
      };
    } finally {
      await pool.close({ drainMs: 0 });
    }
  });
}

/** Of so many slots, while anything waited: from the first start to the last. */
function shareBusy(runs: readonly { readonly from: number; readonly to: number }[], slots: number): number {
  const first = Math.min(...runs.map(({ from }) => from));
  const last = Math.max(...runs.map(({ from }) => from));
  const busyMs = runs.reduce((sum, { from, to }) => sum + Math.min(to, last) - from, 0);
  return last === first ? 1 : busyMs / ((last - first) * slots);
}

/** From the settlement of the last dependency, as it is stored, to the assignment of the task that waited for it. */
async function releases(pool: Pool, pairs: number): Promise<number[]> {
  const releasedMs: number[] = [];
  for (let n = 0; n < pairs; n++) {
    const first = await pool.submit({ prompt: "0" });
    const second = await pool.submit({ prompt: "0", dependencies: [first.id] });
    const [parent, child] = [await first.settled(), await second.settled()];
    releasedMs.push(Date.parse(child.assignedAt ?? "") - Date.parse(parent.settledAt ?? ""));
  }
  return releasedMs;
}

export const origins: Case = {
  id: "origins",
  title: "The origins' load",
  says: "20 agents of ten slots, SQLite, 1,200 tasks of 25 to 75 ms at once: 200 run, 1,000 wait. Assigned: from a freed slot to the next start on that agent; released: from the settlement of a dependency to the assignment of what waited for it; accepted: from the call to the synced answer, all 1,200 at once; utilisation: of all slots, while tasks wait. Promised were p99 below 10, 10 and 100 ms, 99 % completed, 85 % utilisation, 500 MB, 1,000 tasks per hour (later: per minute).",
  columns: [
    { key: "assigned", title: "assigned, p99 ms", digits: 1 },
    { key: "released", title: "released, p99 ms", digits: 1 },
    { key: "accepted", title: "accepted, p99 ms", digits: 1 },
    { key: "completed", title: "completed %", digits: 1 },
    { key: "utilisation", title: "utilisation %", digits: 1 },
    { key: "perHour", title: "tasks per hour" },
    { key: "megabytes", title: "process, MB" },
  ],
  subjects: [{ name: "Troupe on SQLite", kind: "troupe", run: load }],
};

/** One agent ten times as slow, one that fails every fifth task in no time. */
function workOf(agent: number): (n: number) => Promise<void> {
  let calls = 0;
  return async (n) => {
    calls += 1;
    if (agent === 1 && calls % 5 === 0) throw new Error("it failed");
    await sleep(agent === 0 ? 10 * workMs(n) : workMs(n));
  };
}

interface Spent {
  readonly tookMs: number[];
  readonly failed: number;
}

/** Tasks come in turn at four fifths of what the good agents can do; how long each takes, and how many are lost. */
async function arriving(tasks: number, one: (n: number) => Promise<unknown>): Promise<Spent> {
  const perMs = (0.8 * (AGENTS - 2)) / WORK_MS;
  const tookMs: number[] = [];
  let failed = 0;
  const calls: Promise<void>[] = [];
  const from = performance.now();
  while (calls.length < tasks) {
    const due = Math.min(tasks, Math.floor((performance.now() - from) * perMs));
    while (calls.length < due) {
      const called = performance.now();
      const ended = one(calls.length).catch(() => {
        failed += 1;
      });
      calls.push(ended.then(() => void tookMs.push(performance.now() - called)));
    }
    await sleep(1);
  }
  await Promise.all(calls);
  return { tookMs, failed };
}

const figuresOf = ({ tookMs, failed }: Spent): Figures => ({
  mean: tookMs.reduce((sum, ms) => sum + ms, 0) / tookMs.length,
  p99: quantile(tookMs, 0.99),
  failed: (100 * failed) / tookMs.length,
});

/** Each agent has a queue of its own; tasks are pushed to them in turn, and what fails has failed. */
function pushed(): (n: number) => Promise<unknown> {
  const tails = Array.from({ length: AGENTS }, () => Promise.resolve());
  const works = tails.map((_, agent) => workOf(agent));
  return (n) => {
    const agent = n % AGENTS;
    const run = (tails[agent] ?? Promise.resolve()).then(() => works[agent]?.(n));
    tails[agent] = run.catch(() => {});
    return run;
  };
}

const TASKS = 2_000;

const pooled = (holdBack: boolean): Subject => ({
  name: holdBack ? "Troupe, holdBack" : "Troupe",
  kind: "troupe",
  run: (scale) => {
    const works = Array.from({ length: AGENTS }, (_, agent) => workOf(agent));
    const agents = works.map((work, agent) =>
      functionAgent(`a${agent}`, async ({ task }) => {
        await work(Number(task.prompt));
        return "done";
      }),
    );
    return withPool({ agents, holdBack }, async (pool) =>
      figuresOf(await arriving(scaled(TASKS, scale, 50), (n) => pool.execute({ prompt: String(n) }))),
    );
  },
});

const BASELINE = "first in, first out, pushed to agents in turn";

export const coordination: Case = {
  id: "coordination",
  title: "Coordination",
  says: "20 agents of one slot, one ten times as slow, one failing every fifth task at once; tasks come at 80 % of what the other 18 can do. From call to result, failures retried. The origins promised 40 % over a baseline that they did not name; this one is what one writes first.",
  columns: [
    { key: "mean", title: "mean ms" },
    { key: "p99", title: "p99 ms" },
    { key: "failed", title: "failed %", digits: 1 },
  ],
  ratio: { of: "mean", better: "less", against: BASELINE },
  subjects: [
    pooled(false),
    pooled(true),
    {
      name: BASELINE,
      kind: "floor",
      run: async (scale) => figuresOf(await arriving(scaled(TASKS, scale, 50), pushed())),
    },
  ],
};

/** Twenty tasks on three workers; five pools with five tasks each, together; one task alone. */
async function small(): Promise<Figures> {
  const done = (n: number): Promise<unknown>[] => Array.from({ length: n }, () => Promise.resolve());
  const three = await withPool({ agents: agentsOf(3, 1) }, async (pool) => {
    const from = performance.now();
    const ends = await pool.executeBatch(done(20).map(() => "x"));
    return { ended: ends.filter((end) => end === "done").length, tookMs: performance.now() - from };
  });
  const five = await Promise.all(
    done(5).map(() => withPool({ agents: agentsOf(5, 1) }, (pool) => pool.executeBatch(done(5).map(() => "x")))),
  );
  const one = await withPool({ agents: agentsOf(1, 1) }, async (pool) => {
    const from = performance.now();
    await pool.execute("x");
    return performance.now() - from;
  });
  return {
    ended: three.ended + five.flat().filter((end) => end === "done").length,
    perSecond: (20 * 1_000) / three.tookMs / 3,
    one,
  };
}

export const smallLoads: Case = {
  id: "small",
  title: "Small loads of the origins",
  says: "20 tasks on 3 workers and 5 pools with 5 tasks each together: 45 must end. Promised were 10 tasks per second per worker and 100 ms for one task; cold, the first of its process.",
  columns: [
    { key: "ended", title: "ended of 45" },
    { key: "perSecond", title: "tasks/s per worker" },
    { key: "one", title: "one task, ms", digits: 2 },
  ],
  subjects: [{ name: "Troupe in memory", kind: "troupe", run: small }],
};
