/** On disk: life cycles, one caller's latency, a restart with much unfinished. Beside them what the disk allows. */
import { fdatasyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { createPool } from "../../src/index.ts";
import { type Case, closedLoop, quantile, type Subject, scaled } from "../case.ts";
import { plainJob } from "../peers.ts";
import { agentsOf, inDirectory, type Store, withPool } from "../pools.ts";

const MILLIS = 2_000;
/** Of a usual task: 205 bytes in, 110 out. */
const PROMPT = "x".repeat(205);
const RESULT = "y".repeat(110);
const answer = async (): Promise<string> => RESULT;

function troupe(inFlight: number): Subject {
  return {
    name: `Troupe on SQLite, ${inFlight} in flight`,
    kind: "troupe",
    run: (scale) =>
      withPool({ store: "sqlite:", agents: agentsOf(10, 10, answer) }, async (pool) => {
        const load = { millis: scaled(MILLIS, scale, 50), callers: inFlight };
        return { perSecond: (await closedLoop(() => pool.execute(PROMPT), load)).perSecond };
      }),
  };
}

/** Repeats something that is done at once for a time. */
function repeat(scale: number, one: () => void): number {
  const millis = scaled(MILLIS, scale, 50);
  const from = performance.now();
  let count = 0;
  for (; performance.now() - from < millis; count++) one();
  return (count * 1_000) / (performance.now() - from);
}

/** The rate of a floor that commits so many life cycles at a time. */
function floor(name: string, batch: number, make: (directory: string) => () => void): Subject {
  return {
    name,
    kind: "floor",
    run: (scale) => inDirectory(async (directory) => ({ perSecond: batch * repeat(scale, make(directory)) })),
  };
}

/** One wide row with an index, as one would write it; insert, claim and completion of the batch in one commit. */
function sqlite(directory: string, batch: number): () => void {
  const database = new DatabaseSync(join(directory, "floor.db"));
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  database.exec(
    "CREATE TABLE task (id INTEGER PRIMARY KEY, status INTEGER, priority INTEGER, prompt TEXT, agent TEXT, result TEXT)",
  );
  database.exec("CREATE INDEX ready ON task (priority, id) WHERE status = 0");
  const insert = database.prepare("INSERT INTO task (status, priority, prompt) VALUES (0, ?, ?)");
  const claim = database.prepare(
    "UPDATE task SET status = 1, agent = 'a' WHERE id = (SELECT id FROM task WHERE status = 0 ORDER BY priority, id LIMIT 1) RETURNING id",
  );
  const complete = database.prepare("UPDATE task SET status = 2, result = ? WHERE id = ?");
  return () => {
    database.exec("BEGIN IMMEDIATE");
    for (let n = 0; n < batch; n++) insert.run(n % 4, PROMPT);
    for (let n = 0; n < batch; n++) complete.run(RESULT, (claim.get() as { id: number }).id);
    database.exec("COMMIT");
  };
}

function append(directory: string, batch: number): () => void {
  const file = openSync(join(directory, "floor.log"), "a");
  const line = Buffer.from(`${JSON.stringify({ prompt: PROMPT, result: RESULT }).repeat(batch)}\n`);
  return () => {
    writeSync(file, line);
    fdatasyncSync(file);
  };
}

const plainJobs: Subject = {
  name: "plainjob on better-sqlite3, FULL",
  kind: "peer",
  run: (scale) =>
    inDirectory(async (directory) => {
      const queue = await plainJob(join(directory, "jobs.db"));
      const perSecond = repeat(scale, () => {
        queue.add("bench", PROMPT);
        const job = queue.getAndMarkJobAsProcessing("bench");
        if (job !== undefined) queue.markJobAsDone(job.id);
      });
      queue.close();
      return { perSecond };
    }),
};

export const durable: Case = {
  id: "durable",
  title: "On disk",
  says: "Life cycles per second: a task of 205 bytes is accepted, run, and settled with 110 bytes; all of it is synced before anybody is told. Ten agents of ten slots. The floors write the same in one commit, with no product around it.",
  columns: [{ key: "perSecond", title: "life cycles/s" }],
  ratio: { of: "perSecond", better: "more", against: plainJobs.name },
  subjects: [
    troupe(100),
    troupe(1_000),
    troupe(1),
    plainJobs,
    floor("node:sqlite, FULL, 1 per commit", 1, (directory) => sqlite(directory, 1)),
    floor("node:sqlite, FULL, 100 per commit", 100, (directory) => sqlite(directory, 100)),
    floor("append + fdatasync, 1 at a time", 1, (directory) => append(directory, 1)),
    floor("append + fdatasync, 100 at a time", 100, (directory) => append(directory, 100)),
  ],
};

/** One caller hands in a task and waits until it is accepted, or done. */
function caller(name: string, store: Store, until: "accepted" | "done"): Subject {
  return {
    name,
    kind: "troupe",
    run: (scale) =>
      withPool({ store, agents: agentsOf(10, 10, answer) }, async (pool) => {
        const one = until === "done" ? () => pool.execute(PROMPT) : () => pool.submit(PROMPT);
        const { tookMs } = await closedLoop(one, { millis: scaled(MILLIS, scale, 50), callers: 1 });
        return { p50: quantile(tookMs, 0.5) * 1_000, p99: quantile(tookMs, 0.99) * 1_000 };
      }),
  };
}

const oneByOne = (name: string, kind: Subject["kind"], make: (directory: string) => Promise<() => void>): Subject => ({
  name,
  kind,
  run: (scale) =>
    inDirectory(async (directory) => {
      const one = await make(directory);
      const tookMs: number[] = [];
      repeat(scale, () => {
        const from = performance.now();
        one();
        tookMs.push(performance.now() - from);
      });
      return { p50: quantile(tookMs, 0.5) * 1_000, p99: quantile(tookMs, 0.99) * 1_000 };
    }),
});

export const latency: Case = {
  id: "latency",
  title: "One caller",
  says: "One caller, one task at a time: microseconds until it is accepted (on SQLite: synced), or until its result is there.",
  columns: [
    { key: "p50", title: "p50 µs" },
    { key: "p99", title: "p99 µs" },
  ],
  ratio: { of: "p50", better: "less", against: "append + fdatasync" },
  subjects: [
    caller("Troupe on SQLite, accepted", "sqlite:", "accepted"),
    caller("Troupe on SQLite, done", "sqlite:", "done"),
    caller("Troupe in memory, accepted", "memory:", "accepted"),
    caller("Troupe in memory, done", "memory:", "done"),
    oneByOne("plainjob, add, FULL", "peer", async (directory) => {
      const queue = await plainJob(join(directory, "jobs.db"));
      return () => queue.add("bench", PROMPT);
    }),
    oneByOne("append + fdatasync", "floor", async (directory) => append(directory, 1)),
  ],
};

const UNFINISHED = 100_000;

/** Tasks for workers that never came, and then a second engine on the same file. */
async function restart(scale: number): Promise<{ openMs: number; firstMs: number; processMb: number }> {
  return inDirectory(async (dataDir) => {
    const options = { id: "left", store: "sqlite:", dataDir, queue: { limit: 2 * UNFINISHED } };
    const before = await createPool(options);
    const tasks = scaled(UNFINISHED, scale, 100);
    for (let left = tasks; left > 0; left -= 1_000) {
      await Promise.all(Array.from({ length: Math.min(left, 1_000) }, () => before.submit(PROMPT)));
    }
    await before.close({ drainMs: 0 });
    const from = performance.now();
    let firstMs = Number.NaN;
    const agents = agentsOf(1, 1, async () => {
      if (Number.isNaN(firstMs)) firstMs = performance.now() - from;
      return "done";
    });
    const after = await createPool({ ...options, agents });
    const openMs = performance.now() - from;
    while (Number.isNaN(firstMs)) await new Promise((resolve) => setTimeout(resolve, 1));
    await after.close({ drainMs: 0 });
    return { openMs, firstMs, processMb: process.memoryUsage().rss / 1e6 };
  });
}

export const recovery: Case = {
  id: "recovery",
  title: "Restart with 100,000 unfinished tasks",
  says: "An engine is closed while 100,000 tasks of 205 bytes wait; a new one opens the file. Milliseconds until the pool is open, until the first of them is run; and what the process takes then.",
  columns: [
    { key: "openMs", title: "open, ms" },
    { key: "firstMs", title: "first run, ms" },
    { key: "processMb", title: "process, MB" },
  ],
  subjects: [{ name: "Troupe on SQLite", kind: "troupe", run: restart }],
};
