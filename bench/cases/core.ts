/** What waits, and what it costs to claim and to choose: `bench/queue-depth.ts` by the way of the bench. */
import { execFileSync } from "node:child_process";
import { createPool } from "../../src/index.ts";
import { type Case, type Figures, type Subject, scaled } from "../case.ts";
import * as peers from "../peers.ts";
import { inDirectory } from "../pools.ts";

const FLAGS = ["--expose-gc", "--max-old-space-size=8192", "--conditions=troupe-source"];
const SCRIPT = new URL("../queue-depth.ts", import.meta.url).pathname;

function measured(kind: "claim" | "choice", of: string, scale: number): Record<string, number> {
  const args = [...FLAGS, SCRIPT, `--${kind}`, of, "--rounds", String(scaled(200, scale, 2))];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" })) as Record<string, number>;
}

const DEPTHS = [1_000, 10_000, 100_000, 1_000_000];
const BACKLOGS = {
  plain: "all may be run",
  ranked: "all may be run, strategy score",
  types: "types nobody takes",
  capability: "a capability nobody has",
  gate: "a closed gate",
  failed: "failed by whoever is free",
};

const claimSubject = ([backlog, name]: [string, string]): Subject => ({
  name,
  kind: "troupe",
  run: async (scale) => {
    const depths = DEPTHS.map((depth) => scaled(depth, scale, 100));
    const nanos = depths.map((depth) => measured("claim", `${backlog},${depth}`, scale).nanos ?? Number.NaN);
    const [d1 = Number.NaN, d2 = Number.NaN, d3 = Number.NaN, d4 = Number.NaN] = nanos;
    return { d1, d2, d3, d4, growth: d4 / d2 };
  },
});

export const claims: Case = {
  id: "claims",
  title: "A claim behind a deep queue",
  says: "Nanoseconds per turn of the core in which an agent reports a success and is leased its next task, while so many tasks wait; in all lines but the first two nobody free may run them. Growth: 1e6 against 1e4.",
  columns: [
    { key: "d1", title: "1e3" },
    { key: "d2", title: "1e4" },
    { key: "d3", title: "1e5" },
    { key: "d4", title: "1e6" },
    { key: "growth", title: "growth", digits: 2 },
  ],
  subjects: Object.entries(BACKLOGS).map(claimSubject),
};

const CHOOSERS = ["peak_ewma", "score", "least_loaded", "round_robin", "weighted", "affinity"];

export const choices: Case = {
  id: "choices",
  title: "Choosing an agent",
  says: "Nanoseconds per choice among so many free agents, the strategy alone; and, for 10,000, the whole turn of the core that takes a task in and leases it. Above 64 agents `peak_ewma`, `least_*` and `score` draw two; the others are exact at any size.",
  columns: [
    { key: "ten", title: "10" },
    { key: "hundred", title: "100" },
    { key: "many", title: "10,000" },
    { key: "turn", title: "turn, 10,000" },
  ],
  subjects: CHOOSERS.map((name) => ({
    name,
    kind: "troupe",
    run: async (scale): Promise<Figures> => {
      const [ten, hundred, many] = [10, 100, scaled(10_000, scale, 100)].map((count) =>
        measured("choice", `${name},${count}`, scale),
      );
      const of = (found: Record<string, number> | undefined, key: string): number => found?.[key] ?? Number.NaN;
      return {
        ten: of(ten, "nanos"),
        hundred: of(hundred, "nanos"),
        many: of(many, "nanos"),
        turn: of(many, "turnNanos"),
      };
    },
  })),
};

const WAITING = 50_000;

/** Heap that stays, per task that waits. */
async function bytesPer(scale: number, hold: (count: number) => Promise<unknown>): Promise<Figures> {
  const used = (): number => {
    globalThis.gc?.();
    globalThis.gc?.();
    return process.memoryUsage().heapUsed;
  };
  const count = scaled(WAITING, scale, 500);
  const before = used();
  const held = await hold(count);
  // Not over a microtask boundary only: whatever was left to do has been done.
  await new Promise((resolve) => setTimeout(resolve, 50));
  const bytes = (used() - before) / count;
  // Held until here.
  return held === undefined ? { bytes: Number.NaN } : { bytes };
}

const never = (): Promise<unknown> => new Promise(() => {});

const peer = (name: string, make: () => Promise<(n: number) => Promise<unknown>>): Subject => ({
  name,
  kind: "peer",
  run: (scale) =>
    bytesPer(scale, async (count) => {
      const add = await make();
      return { add, promises: Array.from({ length: count }, (_, n) => add(n)) };
    }),
});

export const bytes: Case = {
  id: "bytes",
  title: "A waiting task",
  says: "Bytes of heap per task that waits, above its payload: Troupe's are whole tasks with id, type, priority and history, handed in through the library and kept by the memory store; the peers keep a promise and a closure.",
  columns: [{ key: "bytes", title: "bytes" }],
  ratio: { of: "bytes", better: "less", against: "p-queue with priorities" },
  subjects: [
    {
      name: "Troupe, memory store, result not awaited",
      kind: "troupe",
      run: (scale) =>
        inDirectory(async (dataDir) => {
          const pool = await createPool({ dataDir, queue: { limit: 2 * WAITING } });
          const figures = await bytesPer(scale, async (count) => {
            for (let n = 0; n < count; n++) await pool.submit("x");
            return pool;
          });
          await pool.close({ drainMs: 0 });
          return figures;
        }),
    },
    {
      name: "Troupe, the core alone",
      kind: "troupe",
      run: async (scale) => ({
        bytes: measured("claim", `plain,${scaled(WAITING, scale, 500)}`, scale).bytes ?? Number.NaN,
      }),
    },
    peer("p-queue with priorities", async () => {
      const queue = await peers.pQueue({ concurrency: 1 });
      return (n) => queue.add(never, { priority: n % 4 });
    }),
    peer("p-limit", async () => {
      const limit = await peers.pLimit(1);
      return () => limit(never);
    }),
    peer("fastq (promises)", async () => {
      const push = await peers.fastq(1);
      return () => push(never);
    }),
  ],
};
