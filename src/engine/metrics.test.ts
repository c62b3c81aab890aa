/** Metrics and analytics of real pools, under a clock that the test moves. */
import { afterEach, expect, test } from "vitest";
import { AgentError } from "../agents/agent-error.ts";
import type { AgentFunction } from "../agents/function.ts";
import { createVirtualClock, type VirtualClock } from "../testing/virtual-clock.ts";
import { functionAgent } from "./library/agents.ts";
import type { LibraryPoolOptions } from "./library/open.ts";
import type { Pool } from "./library/pool.ts";
import { createPool } from "./library/troupe.ts";
import { TYPE_LIMIT } from "./metrics.ts";

const MINUTE = 60_000;
const START = 1_000_000 * MINUTE;
interface Scene {
  readonly pool: Pool;
  readonly clock: VirtualClock;
}

const scenes: Scene[] = [];
afterEach(async () => {
  for (const { pool, clock } of scenes.splice(0)) {
    let closed = false;
    const closing = pool.close({ drainMs: 0 }).then(() => {
      closed = true;
    });
    while (!closed) await clock.advance(60 * MINUTE);
    await closing;
  }
});

async function aPool(options: LibraryPoolOptions = {}): Promise<Scene> {
  const clock = createVirtualClock(START);
  const pool = await createPool({ id: "p", clock, ...options });
  const scene = { pool, clock };
  scenes.push(scene);
  return scene;
}

/** Takes so long, by the pool's clock; `fail` in the prompt makes it fail by the fault of the task. */
const takes =
  (clock: () => VirtualClock, ms: number): AgentFunction =>
  async ({ task }) => {
    await new Promise<void>((resolve) => clock().timer(ms, resolve));
    if (task.prompt?.includes("fail")) throw new AgentError({ message: "no", blame: "task" });
    return "ok";
  };

async function withWorkers(ms: number, options: LibraryPoolOptions = {}, names = ["ada"]): Promise<Scene> {
  let clock: VirtualClock | undefined;
  const run = takes(() => clock as VirtualClock, ms);
  const scene = await aPool({ agents: names.map((name) => functionAgent(name, run)), ...options });
  clock = scene.clock;
  return scene;
}

test("S0-31 S0-33 S0-B16 S3-B35 a new pool's metrics have zeros for counts, null for means, and full health", async () => {
  const { pool } = await aPool();
  expect(await pool.metrics()).toEqual({
    agents: 0,
    byStatus: { pending: 0, assigned: 0, in_progress: 0, completed: 0, failed: 0, cancelled: 0 },
    byPriority: { critical: 0, high: 0, medium: 0, low: 0 },
    byType: {},
    queued: 0,
    blocked: 0,
    delayed: 0,
    gated: 0,
    running: 0,
    oldestWaitMs: 0,
    meanAssignmentLatencyMs: null,
    p99AssignmentLatencyMs: null,
    meanTaskDurationMs: null,
    utilisation: 0,
    throughputPerHour: 0,
    healthScore: 1,
    deadLetters: 0,
    refusals: 0,
  });
});

test("S0-32 S0-31 assignment latency is from creation to the first assignment, once per task, whatever follows", async () => {
  let failures = 0;
  let held: VirtualClock | undefined;
  const run: AgentFunction = async () => {
    await new Promise<void>((resolve) => held?.timer(1_000, resolve));
    failures += 1;
    if (failures === 1) throw new AgentError({ message: "again", blame: "task", retryable: true });
    return "ok";
  };
  const { pool, clock } = await aPool({ agents: [functionAgent("ada", run)] });
  held = clock;
  const first = await pool.submit("first");
  const second = await pool.submit("second");
  for (let n = 0; n < 60; n++) await clock.advance(1_000);
  expect((await first.settled()).attemptCount).toBe(2);
  await second.settled();
  const metrics = await pool.metrics();
  // The second waited while the first was tried once or twice; the first was assigned at once.
  const waitedMs = Date.parse((await pool.task(second.id)).assignedAt ?? "") - START;
  expect(waitedMs).toBeGreaterThanOrEqual(1_000);
  expect(metrics.meanAssignmentLatencyMs).toBe(waitedMs / 2);
  expect(metrics.p99AssignmentLatencyMs).toBe(waitedMs);
});

test("S0-B17 the mean duration is that of attempts, each from its own start", async () => {
  let held: VirtualClock | undefined;
  let attempt = 0;
  const run: AgentFunction = async () => {
    attempt += 1;
    await new Promise<void>((resolve) => held?.timer(attempt === 1 ? 3_000 : 1_000, resolve));
    if (attempt === 1) throw new Error("broken");
    return "ok";
  };
  const agents = ["ada", "bob"].map((name) => functionAgent(name, run));
  const { pool, clock } = await aPool({ agents });
  held = clock;
  const task = await pool.submit("x");
  for (let n = 0; n < 8; n++) await clock.advance(1_000);
  expect((await task.settled()).status).toBe("completed");
  expect((await pool.metrics()).meanTaskDurationMs).toBe(2_000);
});

test("S3-42 tasks are counted by type: started once, completed, failed; cancelled ones are neither", async () => {
  const { pool, clock } = await withWorkers(1_000);
  const tasks = [
    await pool.submit({ type: "research", prompt: "a" }),
    await pool.submit({ type: "research", prompt: "fail" }),
    await pool.submit({ type: "ingest", prompt: "c" }),
    await pool.submit({ type: "never", prompt: "d" }),
  ];
  await tasks[3]?.cancel();
  for (let n = 0; n < 3; n++) await clock.advance(1_000);
  for (const task of tasks) await task.settled();
  expect((await pool.metrics()).byType).toEqual({
    research: { started: 2, completed: 1, failed: 1 },
    ingest: { started: 1, completed: 1, failed: 0 },
  });
});

test("types beyond the first thousand are counted together, as `other`", async () => {
  const { pool, clock } = await withWorkers(0, { agents: [functionAgent("ada", () => "ok")] });
  await pool.executeBatch(Array.from({ length: TYPE_LIMIT + 2 }, (_, n) => ({ type: `t${n}`, prompt: "x" })));
  await clock.settle();
  await pool.execute({ type: "t0", prompt: "again" });
  const { byType } = await pool.metrics();
  expect(Object.keys(byType)).toHaveLength(TYPE_LIMIT + 1);
  expect(byType.other).toEqual({ started: 2, completed: 2, failed: 0 });
  expect(byType.t0).toEqual({ started: 2, completed: 2, failed: 0 });
});

test("S3-23 S3-B34 tasks by priority are all that came, also when they have ended", async () => {
  const { pool } = await aPool({ agents: [functionAgent("ada", () => "ok")] });
  await pool.executeBatch([
    { prompt: "a", priority: "critical" },
    { prompt: "b", priority: "low" },
    { prompt: "c", priority: "low" },
    { prompt: "d" },
  ]);
  expect((await pool.metrics()).byPriority).toEqual({ critical: 1, high: 0, medium: 1, low: 2 });
});

test("S0-B18 what waits for an agent, for a dependency, for its time, and what runs are counted by themselves", async () => {
  const { pool, clock } = await withWorkers(60 * MINUTE);
  const running = await pool.submit("running");
  await pool.submit("queued");
  await pool.submit({ prompt: "blocked", dependencies: [running.id] });
  await pool.submit({ prompt: "delayed", delayMs: 5_000 });
  await clock.settle();
  expect(await pool.metrics()).toMatchObject({
    queued: 1,
    blocked: 1,
    delayed: 1,
    gated: 0,
    running: 1,
    utilisation: 1,
  });
});

test("the oldest wait is that of the task that has waited longest for an agent", async () => {
  const { pool, clock } = await aPool();
  await pool.submit({ type: "a", prompt: "first" });
  await clock.advance(1_000);
  const second = await pool.submit({ type: "b", prompt: "second", priority: "critical" });
  await clock.advance(500);
  expect((await pool.metrics()).oldestWaitMs).toBe(1_500);
  await pool.cancel((await pool.tasks()).items[0]?.id ?? "");
  expect((await pool.metrics()).oldestWaitMs).toBe(500);
  await second.cancel();
  expect((await pool.metrics()).oldestWaitMs).toBe(0);
});

test("a replay stands in front, but those that wait behind it have waited longer", async () => {
  const { pool, clock } = await aPool();
  const lost = await pool.submit({ prompt: "lost", deadlineAt: new Date(START + 1_000).toISOString() });
  await clock.advance(2_000);
  expect((await lost.settled()).deadLettered).toBe(true);
  await pool.submit("old");
  await clock.advance(3_000);
  await pool.replay(lost.id);
  await clock.advance(100);
  expect((await pool.metrics()).oldestWaitMs).toBe(3_100);
});

test("S0-31 utilisation is busy agents by all agents", async () => {
  const { pool, clock } = await withWorkers(60 * MINUTE, {}, ["ada", "bob", "cyd", "dan"]);
  await pool.submit("x");
  await clock.settle();
  expect((await pool.metrics()).utilisation).toBe(0.25);
});

test("S3-24 S3-B33 throughput is completions by the time that has really passed, within the last hour", async () => {
  const { pool, clock } = await aPool({ agents: [functionAgent("ada", () => "ok")] });
  for (let minute = 0; minute < 5; minute++) {
    await pool.execute("a");
    await pool.execute("b");
    await clock.advance(MINUTE);
  }
  expect((await pool.metrics()).throughputPerHour).toBe(120);
  expect((await pool.analytics()).throughputPerHour).toBe(120);
  await clock.advance(70 * MINUTE);
  expect((await pool.metrics()).throughputPerHour).toBe(0);
  expect((await pool.analytics()).throughputPerHour).toBe(8);
});

test("S3-23 S3-26 analytics tell queue time, completion time, error rate and utilisation of what has happened", async () => {
  const { pool, clock } = await withWorkers(MINUTE);
  await pool.submit("a");
  await pool.submit({ prompt: "fail", priority: "low" });
  await pool.submit("c");
  for (let n = 0; n < 4; n++) await clock.advance(MINUTE);
  expect(await pool.analytics()).toEqual({
    at: new Date(START + 4 * MINUTE).toISOString(),
    since: new Date(START).toISOString(),
    elapsedMs: 4 * MINUTE,
    totalTasks: 3,
    byStatus: { pending: 0, assigned: 0, in_progress: 0, completed: 2, failed: 1, cancelled: 0 },
    byPriority: { critical: 0, high: 0, medium: 2, low: 1 },
    completed: 2,
    failed: 1,
    cancelled: 0,
    meanQueueTimeMs: MINUTE,
    meanCompletionTimeMs: MINUTE,
    throughputPerHour: 30,
    utilisation: 0.75,
    errorRate: 1 / 3,
  });
});

test("time spent on what still runs counts in the utilisation, as far as it lies in the measured time", async () => {
  const { pool, clock } = await withWorkers(48 * 60 * MINUTE, { lease: { ttlMs: 60 * MINUTE, renewMs: 30 * MINUTE } });
  await clock.advance(MINUTE);
  await pool.submit("long");
  await clock.advance(MINUTE);
  expect((await pool.analytics()).utilisation).toBe(0.5);
  for (let n = 0; n < 52; n++) await clock.advance(30 * MINUTE);
  expect((await pool.analytics()).utilisation).toBe(1);
});

test("S3-B35 analytics of a pool where nothing happened are null, not 0", async () => {
  const { pool, clock } = await aPool();
  await clock.advance(MINUTE);
  expect(await pool.analytics()).toMatchObject({
    meanQueueTimeMs: null,
    meanCompletionTimeMs: null,
    throughputPerHour: null,
    utilisation: null,
    errorRate: null,
  });
});

test("S0-33 a queue of exactly 80 percent is not too full, one task more is", async () => {
  const { pool } = await aPool({ queue: { limit: 5 } });
  for (let n = 0; n < 4; n++) await pool.submit("x");
  expect((await pool.metrics()).healthScore).toBe(1);
  await pool.submit("x");
  expect((await pool.metrics()).healthScore).toBe(0.9);
  await expect(pool.submit("x")).rejects.toMatchObject({ code: "queue_full" });
  expect((await pool.metrics()).refusals).toBe(1);
});

test("dead letters are counted until they are replayed", async () => {
  const { pool, clock } = await withWorkers(0);
  const task = await pool.submit("fail");
  await clock.advance(1);
  await task.settled();
  expect(await pool.metrics()).toMatchObject({ deadLetters: 1, healthScore: 0.5 });
});
