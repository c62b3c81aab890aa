/** In memory: a task handed in, run by a function, settled; many callers, and everything at once. */

import { open, openPool } from "../../src/engine/library/open.ts";
import { LocalPool } from "../../src/engine/library/pool.ts";
import type { Pool } from "../../src/index.ts";
import { type Case, COST_COLUMNS, type Cost, costOf, costPerTask, type Subject, scaled } from "../case.ts";
import { leastPool } from "../floor.ts";
import * as peers from "../peers.ts";
import { agentsOf, inDirectory, priorityOf, withPool } from "../pools.ts";

const AGENTS = 10;
const SLOTS = 2;
const CALLERS = 64;
const TASKS = 120_000;
const done = async (): Promise<string> => "done";

const throughPool = (pool: Pool) => (n: number) => pool.execute({ prompt: "x", priority: priorityOf(n) });

/** So many who listen to every event and do nothing with it. */
async function observed(listeners: number, scale: number): Promise<Cost & { events: number }> {
  return inDirectory(async (dataDir) => {
    const engine = await open({ dataDir });
    const id = await openPool(engine, { agents: agentsOf(AGENTS, SLOTS) });
    const pool = new LocalPool(engine, id, () => engine.close());
    const control = new AbortController();
    let events = 0;
    const hear = async (): Promise<void> => {
      while (!control.signal.aborted) {
        for await (const _ of engine.events({ signal: control.signal })) events += 1;
        await new Promise(setImmediate);
      }
    };
    const ears = Array.from({ length: listeners }, hear);
    const tasks = scaled(TASKS / (listeners > 1 ? 10 : 1), scale, 64);
    const cost = await costPerTask(throughPool(pool), { tasks, callers: CALLERS });
    control.abort();
    await Promise.allSettled(ears);
    await pool.close({ drainMs: 0 });
    return { ...cost, events: events / (2 * tasks) };
  });
}

const unobserved: Subject = {
  name: "Troupe, all rules on, no observers",
  kind: "troupe",
  run: (scale) =>
    withPool({ agents: agentsOf(AGENTS, SLOTS) }, (pool) =>
      costPerTask(throughPool(pool), { tasks: scaled(TASKS, scale, 64), callers: CALLERS }),
    ),
};

const watched = (listeners: number): Subject => ({
  name: `Troupe, ${listeners} ${listeners === 1 ? "listens" : "listen"} to all events`,
  kind: "troupe",
  run: (scale) => observed(listeners, scale),
});

const least: Subject = {
  name: "the least that it takes, in one piece",
  kind: "floor",
  run: async (scale) => {
    const execute = leastPool(done, { agents: AGENTS, slots: SLOTS });
    return costPerTask((n) => execute({ prompt: "x", priority: n % 4 }), {
      tasks: scaled(TASKS, scale, 64),
      callers: CALLERS,
    });
  },
};

function peer(name: string, make: () => Promise<(n: number) => Promise<unknown>>): Subject {
  return {
    name,
    kind: "peer",
    run: async (scale) => costPerTask(await make(), { tasks: scaled(TASKS, scale, 64), callers: CALLERS }),
  };
}

const ASSEMBLED = "p-queue with priorities + 10 × opossum";

export const dispatch: Case = {
  id: "dispatch",
  title: "In memory, 64 callers",
  says: "Each of 64 callers awaits its task before it hands in the next. Troupe: ten agents of two slots, four priorities, breaker, health and statistics on, the library's door. As many tasks go before, unmeasured. The assembled peer does the nearest to that; the others do less, most of them much less. The floor is `bench/floor.ts`: id, check, priorities, choice, breaker, statistics, three events and a history in a hundred lines of plain code, without turns, store, leases, retries or limits.",
  columns: COST_COLUMNS,
  ratio: { of: "cpuNanos", better: "less", against: ASSEMBLED },
  subjects: [
    unobserved,
    watched(1),
    peer(ASSEMBLED, async () => {
      const add = await peers.assembled(done, { agents: AGENTS, slots: SLOTS });
      return (n) => add(n % 4);
    }),
    peer("p-queue, priorities only", async () => {
      const queue = await peers.pQueue({ concurrency: AGENTS * SLOTS });
      return (n) => queue.add(done, { priority: n % 4 });
    }),
    peer("async.priorityQueue", async () => {
      const push = await peers.asyncPriorityQueue(AGENTS * SLOTS);
      return (n) => push(done, n % 4);
    }),
    peer("cockatiel: retry, breaker, bulkhead", async () => {
      const execute = await peers.cockatiel(AGENTS * SLOTS);
      return () => execute(done);
    }),
    peer("p-limit", async () => {
      const limit = await peers.pLimit(AGENTS * SLOTS);
      return () => limit(done);
    }),
    peer("fastq (promises)", async () => {
      const push = await peers.fastq(AGENTS * SLOTS);
      return () => push(done);
    }),
    least,
  ],
};

export const events: Case = {
  id: "events",
  title: "Events to listeners",
  says: "The same load, with nobody, one or a hundred listening to every event in process. A listener whose 1 MB of buffer is full is let go, never waited for, and listens again: what it then hears is less than all (about five events per task and listener).",
  columns: [...COST_COLUMNS, { key: "events", title: "events heard per task", digits: 1 }],
  ratio: { of: "cpuNanos", better: "less", against: "Troupe, 0 listen to all events" },
  subjects: [watched(0), watched(1), watched(100)],
};

/** Everything handed in at once, then awaited. */
const atOnce = (depth: number, one: (n: number) => Promise<unknown>): Promise<Cost> =>
  costOf(depth, () => Promise.all(Array.from({ length: depth }, (_, n) => one(n))));

const DEPTHS = { few: 10_000, many: 100_000 };

function backlogOf(name: string, kind: Subject["kind"], drive: (depth: number) => Promise<Cost>): Subject {
  return {
    name,
    kind,
    run: async (scale) => {
      const [fewDeep, manyDeep] = [scaled(DEPTHS.few, scale, 100), scaled(DEPTHS.many, scale, 200)];
      await drive(fewDeep);
      const [few, many] = [await drive(fewDeep), await drive(manyDeep)];
      return { few: few.cpuNanos, many: many.cpuNanos, growth: many.cpuNanos / few.cpuNanos };
    },
  };
}

export const backlog: Case = {
  id: "backlog",
  title: "In memory, everything at once",
  says: "So many tasks of four priorities are handed in at once and awaited. Growth is what a task among 100,000 costs against one among 10,000; cost per claim up to 1,000,000 stands below.",
  columns: [
    { key: "few", title: "CPU ns per task, 1e4" },
    { key: "many", title: "CPU ns per task, 1e5" },
    { key: "growth", title: "growth", digits: 2 },
  ],
  ratio: { of: "many", better: "less", against: "p-queue with priorities" },
  subjects: [
    backlogOf("Troupe", "troupe", (depth) =>
      withPool({ agents: agentsOf(AGENTS, SLOTS), queue: { limit: 2 * DEPTHS.many } }, (pool) =>
        atOnce(depth, throughPool(pool)),
      ),
    ),
    backlogOf("p-queue with priorities", "peer", async (depth) => {
      const queue = await peers.pQueue({ concurrency: AGENTS * SLOTS });
      return atOnce(depth, (n) => queue.add(done, { priority: n % 4 }));
    }),
    backlogOf("async.priorityQueue", "peer", async (depth) => {
      const push = await peers.asyncPriorityQueue(AGENTS * SLOTS);
      return atOnce(depth, (n) => push(done, n % 4));
    }),
    backlogOf("p-limit (first in, first out)", "peer", async (depth) => {
      const limit = await peers.pLimit(AGENTS * SLOTS);
      return atOnce(depth, () => limit(done));
    }),
    backlogOf("fastq (first in, first out)", "peer", async (depth) => {
      const push = await peers.fastq(AGENTS * SLOTS);
      return atOnce(depth, () => push(done));
    }),
  ],
};
