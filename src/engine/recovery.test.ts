/** An engine that starts again over the same data file goes on where the other ended. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { AgentError } from "../agents/agent-error.ts";
import type { AgentFunction } from "../agents/function.ts";
import { openSqliteStore } from "../stores/sqlite.ts";
import type { Store } from "../stores/store.ts";
import { type LocalEngine, startEngine } from "./engine.ts";

const dirs: string[] = [];
afterEach(() => {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
});

function newFile(): string {
  const dir = mkdtempSync(join(tmpdir(), "troupe-recovery-"));
  dirs.push(dir);
  return join(dir, "troupe.db");
}

/** A store whose process is gone: nothing of it reaches the file any more. */
interface Crashable {
  readonly store: Store;
  crash(): Promise<void>;
}

async function crashable(file: string): Promise<Crashable> {
  const inner = await openSqliteStore(file);
  let crashed = false;
  const store = new Proxy(inner, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      if (name === "close") return async () => {};
      return (...args: unknown[]) => (crashed ? new Promise(() => {}) : value.apply(target, args));
    },
  });
  return {
    store,
    crash: async () => {
      crashed = true;
      await inner.close();
    },
  };
}

const never: AgentFunction = () => new Promise(() => {});
const echo: AgentFunction = ({ task }) => task.prompt;

async function withAgent(store: Store, run: AgentFunction, options: object = {}): Promise<LocalEngine> {
  const engine = await startEngine({ store, dataDir: tmpdir() });
  await engine.openPool(
    { id: "main", agents: [{ kind: "function", name: "ada" }], ...options },
    new Map([["ada", run]]),
  );
  return engine;
}

const done = (engine: LocalEngine, id: string) => engine.waitFor(id, { waitMs: 20_000 });

test("S3-10 S4-B06 what waited and what ran goes on after a crash; the attempt that died with the engine is not charged", async () => {
  const file = newFile();
  const first = await crashable(file);
  const before = await withAgent(first.store, never);
  await before.submit("main", { id: "ran", prompt: "a" });
  await before.submit("main", { id: "waited", prompt: "b" });
  await expect.poll(async () => (await before.task("ran")).status).toBe("in_progress");
  const [{ id: agentId } = { id: "" }] = before.agents("main");
  await first.crash();

  const engine = await withAgent(await openSqliteStore(file), echo);
  const ran = await done(engine, "ran");
  expect(ran).toMatchObject({ status: "completed", result: "a", attemptCount: 1, failedAgentIds: [] });
  expect(ran.attempts.map(({ number, outcome, blame }) => [number, outcome, blame])).toEqual([
    [1, "lost", "engine"],
    [2, "succeeded", undefined],
  ]);
  const [lost, succeeded] = ran.attempts;
  expect(succeeded?.fence).toBeGreaterThan(lost?.fence ?? Number.POSITIVE_INFINITY);
  expect((await done(engine, "waited")).result).toBe("b");
  expect(engine.agents("main").map(({ id }) => id)).toEqual([agentId]);
  await engine.close();
});

test("S3-B17 S3-B24 a task that waited for a dependency waits for it after a crash, and is released once", async () => {
  const file = newFile();
  const first = await crashable(file);
  const before = await withAgent(first.store, never);
  await before.submit("main", { id: "a", prompt: "a" });
  await before.submit("main", { id: "b", prompt: "b", dependencies: ["a"] });
  await before.submit("main", { id: "c", prompt: "c", dependencies: ["a", "b"] });
  await first.crash();

  const started: string[] = [];
  const engine = await withAgent(await openSqliteStore(file), ({ task }) => {
    started.push(task.id);
    return task.context.dependencies ?? task.id;
  });
  expect(await done(engine, "c")).toMatchObject({ status: "completed", result: { a: "a", b: { a: "a" } } });
  expect(started).toEqual(["a", "b", "c"]);
  await engine.close();
});

test("a delayed task, its deadline, its priority and its idempotency key survive a crash", async () => {
  const file = newFile();
  const first = await crashable(file);
  const before = await withAgent(first.store, never, { ageing: false });
  const deadlineAt = new Date(Date.now() + 3_600_000).toISOString();
  await before.submit("main", { id: "hold", prompt: "x" });
  await before.submit("main", { id: "late", prompt: "x", delayMs: 3_000_000, deadlineAt, idempotencyKey: "k" });
  await before.submit("main", { id: "low", prompt: "x", priority: "low" });
  await before.submit("main", { id: "high", prompt: "x", priority: "high" });
  const shown = await before.task("late");
  await first.crash();

  const started: string[] = [];
  const engine = await withAgent(await openSqliteStore(file), ({ task }) => started.push(task.id), { ageing: false });
  await done(engine, "low");
  expect(started).toEqual(["high", "hold", "low"]);
  expect(await engine.task("late")).toEqual(shown);
  expect(shown.waiting?.reason).toBe("delay");
  const again = await engine.submit("main", {
    id: "late",
    prompt: "x",
    delayMs: 3_000_000,
    deadlineAt,
    idempotencyKey: "k",
  });
  expect(again).toMatchObject({ created: false, task: { id: "late" } });
  await engine.close();
});

test("settled tasks, their results and dead letters are there after a restart, and a dead letter can be replayed", async () => {
  const file = newFile();
  let broken = true;
  const run: AgentFunction = ({ task }) => {
    if (task.prompt === "bad" && broken) throw new Error("no");
    return { said: task.prompt };
  };
  const retry = { maxAttempts: 1 };
  const before = await withAgent(await openSqliteStore(file), run, { retry });
  await before.submit("main", { id: "good", prompt: "fine" });
  await before.submit("main", { id: "bad", prompt: "bad" });
  const [good, bad] = [await done(before, "good"), await done(before, "bad")];
  await before.close();

  broken = false;
  const engine = await withAgent(await openSqliteStore(file), run, { retry });
  expect(await engine.task("good")).toEqual(good);
  expect(await engine.task("bad")).toEqual(bad);
  expect((await engine.tasks({ deadLettered: true })).items.map(({ id }) => id)).toEqual(["bad"]);
  await engine.replay("bad");
  const replayed = await done(engine, "bad");
  expect(replayed).toMatchObject({ status: "completed", replays: 1, attemptCount: 1 });
  expect(replayed.attempts[1]?.fence).toBeGreaterThan(bad.attempts[0]?.fence ?? Number.POSITIVE_INFINITY);
  expect((await engine.tasks({ deadLettered: true })).items).toEqual([]);
  await engine.close();
});

test("S4-16 closing a durable engine gives back what runs, and keeps it for the next start", async () => {
  const file = newFile();
  const before = await withAgent(await openSqliteStore(file), never);
  await before.submit("main", { id: "ran", prompt: "a" });
  await before.submit("main", { id: "waited", prompt: "b" });
  await expect.poll(async () => (await before.task("ran")).status).toBe("in_progress");
  await before.close({ drainMs: 20 });

  const engine = await withAgent(await openSqliteStore(file), echo);
  const ran = await done(engine, "ran");
  expect(ran.attempts.map(({ outcome }) => outcome)).toEqual(["released", "succeeded"]);
  expect(ran.attemptCount).toBe(1);
  expect((await done(engine, "waited")).status).toBe("completed");
  await engine.close();
});

test("pools that came by the door are there after a restart; a pool of the file follows the file", async () => {
  const file = newFile();
  const before = await startEngine({ store: await openSqliteStore(file), dataDir: tmpdir() });
  await before.createPool({ id: "made", queue: { limit: 7 } });
  await before.close();
  const pools = [{ id: "made", queue: { limit: 9 } }, { id: "filed" }];
  const engine = await startEngine({ store: await openSqliteStore(file), dataDir: tmpdir(), pools });
  expect(engine.pools().map(({ id, queue }) => [id, queue.limit])).toEqual([
    ["made", 9],
    ["filed", 10_000],
  ]);
  expect(engine.ready()).toBe(true);
  await engine.close();
});

test("a remote agent keeps its id and its running attempt over a restart of the engine", async () => {
  const file = newFile();
  const first = await crashable(file);
  const before = await startEngine({ store: first.store, dataDir: tmpdir() });
  await before.createPool({ id: "main" });
  const { id } = await before.join("main", { name: "puller" });
  await before.submit("main", { id: "t", prompt: "x" });
  const claimed = await before.claim(id, { max: 1, waitMs: 1_000 }, new AbortController().signal);
  claimed.written();
  const [{ fence } = { fence: 0 }] = claimed.attempts;
  await expect.poll(async () => (await before.task("t")).status).toBe("in_progress");
  await first.crash();

  const engine = await startEngine({ store: await openSqliteStore(file), dataDir: tmpdir() });
  expect(await engine.task("t")).toMatchObject({ status: "in_progress", assignedAgent: id });
  const answer = await engine.heartbeat(id, [{ taskId: "t", fence }]);
  expect(answer.stop).toEqual([]);
  expect(await engine.complete("t", fence, "done")).toMatchObject({
    status: "completed",
    result: "done",
    attemptCount: 1,
  });
  expect(await engine.complete("t", fence, "done")).toMatchObject({ status: "completed" });
  await engine.close();
});

test("S0-L02 what a replay has changed, its dropped deadline included, is there after a crash", async () => {
  const file = newFile();
  const first = await crashable(file);
  let fails = true;
  const before = await withAgent(first.store, ({ signal }) => {
    if (fails) throw new AgentError({ message: "no", blame: "task" });
    return new Promise((_, reject) => signal.addEventListener("abort", reject));
  });
  const deadlineAt = new Date(Date.now() + 200).toISOString();
  await before.submit("main", { id: "edited", prompt: "a", input: [1] });
  await before.submit("main", { id: "late", prompt: "b", deadlineAt });
  await before.submit("main", { id: "gone", prompt: "c" });
  for (const id of ["edited", "late", "gone"]) expect((await done(before, id)).deadLettered).toBe(true);
  await before.discard("gone");
  await expect.poll(() => before.nowMs() > Date.parse(deadlineAt), { timeout: 10_000 }).toBe(true);
  fails = false;
  await before.replay("edited", { prompt: "better", priority: "low" });
  await before.replay("late");
  await first.crash();

  const engine = await withAgent(await openSqliteStore(file), echo);
  expect(await done(engine, "edited")).toMatchObject({ result: "better", input: [1], priority: "low", replays: 1 });
  const late = await done(engine, "late");
  expect(late).toMatchObject({ status: "completed", result: "b" });
  expect(late.deadlineAt).toBeUndefined();
  expect(await engine.task("gone")).toMatchObject({ status: "failed", deadLettered: false });
  expect((await engine.tasks({ pool: "main", deadLettered: true })).items).toEqual([]);
  await engine.close();
});
