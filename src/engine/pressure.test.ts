/** What is left of a pool when far more is asked of it than it can do. Time is the test's. */
import { expect, test } from "vitest";
import { sleep } from "../base/clock.ts";
import { isPoolError } from "../base/errors.ts";
import { createMemoryStore } from "../stores/memory.ts";
import { createVirtualClock, type VirtualClock } from "../testing/virtual-clock.ts";
import { startEngine } from "./engine.ts";
import { functionAgent } from "./library/agents.ts";
import { createPool } from "./library/troupe.ts";

const TOOK_MS = 100;
const AGENTS = 10;
/** Tasks that the agents can do in a second. */
const CAPACITY = (AGENTS * 1_000) / TOOK_MS;
const QUEUE_LIMIT = 50;

/** Hands in so many tasks a second for so long; how many were done in time, and how many were refused. */
async function load(perSecond: number, seconds: number): Promise<{ done: number; refused: number }> {
  const clock = createVirtualClock(0);
  const work = (): Promise<void> => sleep(clock, TOOK_MS);
  const agents = Array.from({ length: AGENTS }, (_, n) => functionAgent(`a${n}`, work));
  const pool = await createPool({ clock, agents, queue: { limit: QUEUE_LIMIT } });
  let done = 0;
  let refused = 0;
  for (let tick = 0; tick < seconds * 10; tick++) {
    for (let n = 0; n < perSecond / 10; n++) {
      pool.execute("x").then(
        () => {
          done += 1;
        },
        (error: unknown) => {
          if (isPoolError(error, "queue_full")) refused += 1;
          else throw error;
        },
      );
    }
    await clock.advance(100);
    expect((await pool.status()).byStatus.pending).toBeLessThanOrEqual(QUEUE_LIMIT);
  }
  const inTime = { done, refused };
  await closed(pool.close({ drainMs: 1_000 }), clock);
  return inTime;
}

async function closed(closing: Promise<void>, clock: VirtualClock): Promise<void> {
  let isOver = false;
  void closing.then(() => {
    isOver = true;
  });
  while (!isOver) await clock.advance(100);
}

test("at five times the capacity for a minute as much is done as at the peak, and the rest is refused at once", async () => {
  const [peak, pressed] = [await load(CAPACITY, 60), await load(5 * CAPACITY, 60)];
  expect(peak.refused).toBe(0);
  expect(pressed.done).toBeGreaterThanOrEqual(0.9 * peak.done);
  expect(pressed.done + pressed.refused).toBeGreaterThanOrEqual(5 * CAPACITY * 60 - QUEUE_LIMIT - AGENTS);
});

test("a subscriber that does not read holds nobody up, and its listening comes to an end", async () => {
  const clock = createVirtualClock(0);
  const store = createMemoryStore();
  const functions = new Map([["p\na", () => "done"]]);
  const pools = [{ id: "p", agents: [{ kind: "function" as const, name: "a" }] }];
  const engine = await startEngine({ store, clock, functions, pools, dataDir: "unused" });
  const idle = engine.events();
  const tasks = 2_000;
  for (let n = 0; n < tasks; n++) await engine.admit("p", { prompt: "x", fairnessKey: "k".repeat(200) });
  await clock.settle();
  expect((await engine.pool("p")).byStatus.completed).toBe(tasks);
  let read = 0;
  for await (const _ of idle) read += 1;
  expect(read).toBeLessThan(3 * tasks);
  await closed(engine.close({ drainMs: 0 }), clock);
});
