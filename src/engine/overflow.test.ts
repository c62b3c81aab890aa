/** Waiting for room in a full queue, through the library. */
import { expect, test } from "vitest";
import { isPoolError } from "../base/errors.ts";
import { createVirtualClock } from "../testing/virtual-clock.ts";
import { functionAgent } from "./library/agents.ts";
import { createPool } from "./library/troupe.ts";

/** One agent that works until it is told that it may end. */
function aWorker() {
  const ends: (() => void)[] = [];
  const agent = functionAgent("ada", ({ task }) => new Promise((resolve) => ends.push(() => resolve(task.prompt))));
  return { agent, end: () => ends.shift()?.(), running: () => ends.length };
}

const wait = { limit: 0, overflow: "wait" as const };
const code = (error: unknown): unknown => (isPoolError(error) ? error.code : error);

test("S0-L05 execute waits for a free agent, in order, and gives up after maxWaitMs", async () => {
  const clock = createVirtualClock();
  const { agent, end } = aWorker();
  const pool = await createPool({ agents: [agent], queue: wait, clock });
  const first = pool.execute("first");
  const second = pool.execute("second").catch(code);
  const third = pool.execute("third").catch(code);
  await clock.settle();
  await clock.advance(4_999);
  end();
  await clock.settle();
  expect(await first).toBe("first");
  await clock.advance(1);
  expect(await third).toBe("queue_full");
  end();
  await clock.settle();
  expect(await second).toBe("second");
  await pool.close({ drainMs: 0 });
});

test("a call that is cancelled while it waits for room never becomes a task", async () => {
  const clock = createVirtualClock();
  const { agent, end, running } = aWorker();
  const pool = await createPool({ agents: [agent], queue: wait, clock });
  const first = pool.execute("first");
  await clock.settle();
  const over = new AbortController();
  const second = pool.execute("second", { signal: over.signal }).catch(code);
  await clock.settle();
  over.abort();
  expect(await second).toBe("cancelled");
  end();
  await clock.settle();
  await first;
  expect(running()).toBe(0);
  expect((await pool.tasks()).items.map(({ prompt }) => prompt)).toEqual(["first"]);
  await pool.close({ drainMs: 0 });
});

test("executeBatch feeds a queue that holds nothing, and cancelling it ends those that wait", async () => {
  const clock = createVirtualClock();
  const { agent, end } = aWorker();
  const pool = await createPool({ agents: [agent], queue: wait, clock });
  const over = new AbortController();
  const all = pool.executeBatch(["a", "b", "c"], { signal: over.signal });
  for (let n = 0; n < 2; n++) {
    await clock.settle();
    end();
  }
  await clock.settle();
  over.abort();
  await clock.settle();
  expect((await all).map(code)).toEqual(["a", "b", "cancelled"]);
  await pool.close({ drainMs: 0 });
});

test("whoever waits for room is refused when the pool closes", async () => {
  const clock = createVirtualClock();
  const { agent } = aWorker();
  const pool = await createPool({ agents: [agent], queue: wait, clock });
  const first = pool.execute("first").catch(code);
  await clock.settle();
  const second = pool.execute("second").catch(code);
  await clock.settle();
  const closed = pool.close({ drainMs: 0 });
  await clock.settle();
  expect(await second).toBe("shutting_down");
  await clock.advance(60_000);
  await closed;
  expect(await first).toBe("shutting_down");
});
