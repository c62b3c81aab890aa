/** Retention through the library, over both stores. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { openStore } from "../stores/open.ts";
import { createVirtualClock, type VirtualClock } from "../testing/virtual-clock.ts";
import { functionAgent } from "./library/agents.ts";
import { createPool } from "./library/troupe.ts";
import { openEngine } from "./open.ts";

/** Lets what is deferred run, and short waits end, until this is done. */
async function whileTimePasses<T>(clock: VirtualClock, work: Promise<T>): Promise<T> {
  let done = false;
  const marked = work.finally(() => {
    done = true;
  });
  marked.catch(() => {});
  while (!done) {
    await clock.advance(1);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return marked;
}

const dirs: string[] = [];
afterEach(() => {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
});

function aDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "troupe-retention-"));
  dirs.push(dir);
  return dir;
}

describe.each(["memory:", "sqlite:"])("with the store %s", (store) => {
  test("S3-L10 settled tasks go beyond the count, oldest first, and numbers are never given twice", async () => {
    const dataDir = aDir();
    const agents = [functionAgent("ada", ({ task }) => task.prompt)];
    const pool = await createPool({ id: "p", store, dataDir, agents, retention: { count: 2 } });
    for (const prompt of ["a", "b", "c", "d"]) await pool.execute(prompt);
    const kept = async () => (await pool.tasks()).items.map(({ prompt }) => prompt);
    await vi.waitFor(async () => expect(await kept()).toEqual(["c", "d"]), { timeout: 10_000, interval: 10 });
    expect((await pool.status()).byStatus.completed).toBe(2);
    await pool.execute("e");
    await vi.waitFor(async () => expect(await kept()).toEqual(["d", "e"]), { timeout: 10_000, interval: 10 });
    await pool.close();
  });

  test("S3-L10 those settled last are kept, however many are settled while others go", async () => {
    const dataDir = aDir();
    const agents = [functionAgent("ada", ({ task }) => task.prompt, { concurrency: 20 })];
    const pool = await createPool({ id: "p", store, dataDir, agents, retention: { count: 600 } });
    let given = 0;
    const caller = async () => {
      while (given < 2_400) await pool.execute(String(given++));
    };
    await Promise.all(Array.from({ length: 40 }, caller));
    await vi.waitFor(async () => expect((await pool.status()).byStatus.completed).toBeLessThanOrEqual(606), {
      timeout: 10_000,
      interval: 10,
    });
    const kept = (await pool.tasks({ limit: 1_000 })).items.map(({ prompt }) => Number(prompt));
    // Tasks are settled in about the order in which they were given.
    expect(Math.min(...kept)).toBeGreaterThan(2_400 - 606 - 40);
    await pool.close();
  });

  test("looking after what is settled costs the same however much is kept", async () => {
    const dataDir = aDir();
    const opened = await openStore(store, { dataDir });
    const pools = [{ id: "p", retention: { count: 1_000 } }];
    const engine = await openEngine({ store: opened, dataDir, pools });
    const submitted = await engine.submitBatch(
      "p",
      Array.from({ length: 1_200 }, () => ({ prompt: "x" })),
    );
    const ids = submitted.map((item) => ("task" in item ? item.task.id : ""));
    for (const id of ids.slice(0, 1_000)) await engine.cancel(id);
    let looked = 0;
    const oldest = opened.oldest.bind(opened);
    opened.oldest = async (pool, page) => {
      looked += page.skip + page.limit;
      return oldest(pool, page);
    };
    for (const id of ids.slice(1_000)) await engine.cancel(id);
    await vi.waitFor(async () => expect((await engine.pool("p")).byStatus.cancelled).toBeLessThanOrEqual(1_010), {
      timeout: 10_000,
      interval: 10,
    });
    expect(looked).toBeGreaterThan(0);
    expect(looked).toBeLessThanOrEqual(2 * 200);
    await engine.close({ drainMs: 0 });
  });

  test("a key outlives its task", async () => {
    const dataDir = aDir();
    const pools = [{ id: "p", retention: { count: 0 } }];
    const engine = await openEngine({ store: await openStore(store, { dataDir }), dataDir, pools });
    const task = { prompt: "x", idempotencyKey: "k" };
    const { task: first } = await engine.submit("p", task);
    expect(await engine.submit("p", task)).toMatchObject({ task: { id: first.id, status: "pending" }, created: false });
    await engine.cancel(first.id);
    const expired = { task: { id: first.id, status: "cancelled", expired: true }, created: false };
    await vi.waitFor(async () => expect(await engine.submit("p", task)).toEqual(expired), {
      timeout: 10_000,
      interval: 10,
    });
    await expect(engine.submit("p", { ...task, prompt: "y" })).rejects.toMatchObject({ code: "conflict" });
    await expect(engine.task(first.id)).rejects.toMatchObject({ code: "not_found" });
    await engine.close({ drainMs: 0 });
  });
});

test("a start knows the numbers, keys and sizes of what has gone", async () => {
  const dataDir = aDir();
  const pools = [{ id: "p", retention: { count: 0 } }];
  const open = async () => openEngine({ store: await openStore("sqlite:", { dataDir }), dataDir, pools });
  const task = { prompt: "x", idempotencyKey: "k" };
  const before = await open();
  const { id } = (await before.submit("p", task)).task;
  await before.cancel(id);
  await vi.waitFor(async () => expect((await before.tasks({ pool: "p" })).items).toEqual([]), { timeout: 10_000 });
  await before.close({ drainMs: 0 });
  const after = await open();
  expect((await after.submit("p", task)).task).toEqual({ id, status: "cancelled", expired: true });
  await after.submit("p", { prompt: "next" });
  const { items } = await after.tasks({ pool: "p" });
  expect(items.map(({ prompt }) => prompt)).toEqual(["next"]);
  await after.close({ drainMs: 0 });
});

test("S3-L10 the history of a pool that was deleted goes by the defaults", async () => {
  const dataDir = aDir();
  const beganAtMs = Date.parse("2026-01-01T00:00:00Z");
  const open = async (atMs: number, pools: { id: string }[] = []) => {
    const clock = createVirtualClock(atMs);
    const opening = openEngine({ store: await openStore("sqlite:", { dataDir }), dataDir, clock, pools });
    return { engine: await whileTimePasses(clock, opening), clock };
  };
  const first = await open(beganAtMs, [{ id: "p" }]);
  const { task } = await whileTimePasses(first.clock, first.engine.submit("p", { prompt: "x" }));
  await whileTimePasses(first.clock, first.engine.deletePool("p", { timeoutMs: 0 }));
  await whileTimePasses(first.clock, first.engine.close({ drainMs: 0 }));
  const kept = await open(beganAtMs + 604_000_000);
  expect((await whileTimePasses(kept.clock, kept.engine.task(task.id))).status).toBe("cancelled");
  await whileTimePasses(kept.clock, kept.engine.close({ drainMs: 0 }));
  const { engine, clock } = await open(beganAtMs + 605_000_000);
  await vi.waitFor(
    async () => {
      await clock.settle();
      await expect(engine.task(task.id)).rejects.toMatchObject({ code: "not_found" });
    },
    { timeout: 10_000, interval: 10 },
  );
  await whileTimePasses(clock, engine.close({ drainMs: 0 }));
});
