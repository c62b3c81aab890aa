/** More comes than can be done, for a minute: what gets through, and what it takes in memory. */
import { open, openPool } from "../../src/engine/library/open.ts";
import { LocalPool } from "../../src/engine/library/pool.ts";
import { PoolError } from "../../src/index.ts";
import { type Case, closedLoop, type Figures, type Subject, scaled } from "../case.ts";
import { agentsOf, inDirectory, type Store } from "../pools.ts";

const MILLIS = 60_000;
const TIMES = 5;
const AGENTS = 10;
const SLOTS = 10;
/** What each task takes, of an agent that only waits. */
const TASK_MS = 50;
const QUEUE = 1_000;
const KEPT = 1_000;
const MEGABYTE = 1_048_576;

const work = (): Promise<string> => new Promise((resolve) => setTimeout(resolve, TASK_MS, "done"));

/** Heap in use after a full collection. Megabytes. */
function heap(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / MEGABYTE;
}

/** Hears an event, then looks away for a while; listens again when it was let go. */
async function hearSlowly(engine: Awaited<ReturnType<typeof open>>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    for await (const _ of engine.events({ signal })) await new Promise((resolve) => setTimeout(resolve, TASK_MS));
  }
}

async function overload(store: Store, { listens, scale }: { listens: boolean; scale: number }): Promise<Figures> {
  return inDirectory(async (dataDir) => {
    const engine = await open({ store, dataDir });
    const agents = agentsOf(AGENTS, SLOTS, work);
    const id = await openPool(engine, { agents, queue: { limit: QUEUE }, retention: { count: KEPT } });
    const pool = new LocalPool(engine, id, () => engine.close());
    const control = new AbortController();
    const ear = listens ? hearSlowly(engine, control.signal) : Promise.resolve();
    const millis = scaled(MILLIS, scale, 400);
    const peak = await closedLoop(() => pool.execute("x"), { millis: millis / 6, callers: AGENTS * SLOTS });
    const perMs = (TIMES * peak.perSecond) / 1_000;
    let [asked, made, done, refused] = [0, 0, 0, 0];
    const ask = (): void => {
      made += 1;
      pool.execute("x").then(
        () => (done += 1),
        (error: unknown) => {
          if (!(error instanceof PoolError) || error.code !== "queue_full") throw error;
          refused += 1;
        },
      );
    };
    const from = performance.now();
    let half: { heapMb: number; done: number; atMs: number } | undefined;
    for (let now = from; now - from < millis; now = performance.now()) {
      // What the machine had no time to ask for is not asked for later: nobody would.
      const due = Math.floor((now - from) * perMs);
      for (let n = Math.min(due - asked, QUEUE); n > 0; n--) ask();
      asked = due;
      if (half === undefined && now - from > millis / 2) half = { heapMb: heap(), done, atMs: performance.now() };
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const { heapMb: heapHalfMb, done: doneBefore, atMs } = half ?? { heapMb: heap(), done: 0, atMs: from };
    const perSecond = ((done - doneBefore) * 1_000) / (performance.now() - atMs);
    const figures = {
      perSecond,
      goodput: (100 * perSecond) / peak.perSecond,
      refused: (100 * refused) / (refused + done),
      heapHalfMb,
      heapMb: heap(),
    };
    control.abort();
    await ear;
    while (done + refused < made) await new Promise((resolve) => setTimeout(resolve, TASK_MS));
    await pool.close({ drainMs: 0 });
    return figures;
  });
}

const subject = (store: Store, listens: boolean): Subject => ({
  name: `Troupe ${store === "memory:" ? "in memory" : "on SQLite"}${listens ? ", and one who listens too slowly" : ""}`,
  kind: "troupe",
  run: (scale) => overload(store, { listens, scale }),
});

export const pressure: Case = {
  id: "pressure",
  title: "Under pressure",
  says: `For a minute five times as many tasks are handed in as ten agents of ten slots can do in ${TASK_MS} ms each, with a queue of ${QUEUE}. Goodput is what is done in the second half, as a share of the most that was done before without pressure; the heap is what is left after a full collection. The pool keeps ${KEPT} settled tasks.`,
  columns: [
    { key: "perSecond", title: "done per second" },
    { key: "goodput", title: "goodput %", digits: 1 },
    { key: "refused", title: "refused %", digits: 1 },
    { key: "heapHalfMb", title: "heap MB after half of it", digits: 1 },
    { key: "heapMb", title: "heap MB at its end", digits: 1 },
  ],
  subjects: [subject("memory:", false), subject("memory:", true), subject("sqlite:", false), subject("sqlite:", true)],
};
