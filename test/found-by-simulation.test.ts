/** What the simulation has found stays found: each case in as few steps as it takes. */
import { expect, test } from "vitest";
import type { AgentFunction } from "../src/agents/function.ts";
import { PoolError } from "../src/base/errors.ts";
import { createRandom } from "../src/base/random.ts";
import { functionKey } from "../src/engine/crew.ts";
import { type LocalEngine, startEngine } from "../src/engine/engine.ts";
import { createMemoryStore } from "../src/stores/memory.ts";
import type { Store } from "../src/stores/store.ts";
import { createFlakyStore } from "../src/testing/flaky-store.ts";
import { createVirtualClock, type VirtualClock } from "../src/testing/virtual-clock.ts";
import { createWorld } from "../src/testing/world.ts";

/** One function agent over a store; `settled` lets the clock take in what has been set off. */
async function engineOver(store: Store, clock: VirtualClock, run: AgentFunction): Promise<LocalEngine> {
  const starting = startEngine({
    store,
    clock,
    dataDir: "/nowhere",
    pools: [{ id: "main", agents: [{ kind: "function", name: "ada" }], lease: { ttlMs: 3_000, renewMs: 1_000 } }],
    functions: new Map([[functionKey("main", "ada"), run]]),
  });
  return during(clock, starting);
}

async function during<T>(clock: VirtualClock, promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const settle = (): void => {
    isSettled = true;
  };
  promise.then(settle, settle);
  for (let n = 0; n < 100 && !isSettled; n++) await clock.settle();
  // What still waits, waits for time.
  for (let n = 0; n < 100 && !isSettled; n++) await clock.advance(100);
  expect(isSettled).toBe(true);
  return promise;
}

const never: AgentFunction = () => new Promise(() => {});
const flaky = () => createFlakyStore(createMemoryStore(), { random: createRandom(1) });

/** The same store, whose next commits wait until they are let go, or refused. */
function gated(inner: Store): { store: Store; shut(): void; open(refusal?: PoolError): void } {
  let open: (refusal?: PoolError) => void = () => {};
  let gate: Promise<void> = Promise.resolve();
  const commit: Store["commit"] = async (commit) => {
    await gate;
    await inner.commit(commit);
  };
  const store = new Proxy(inner, {
    get(target, name) {
      if (name === "commit") return commit;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const shut = (): void => {
    gate = new Promise((resolve, reject) => {
      open = (refusal) => (refusal === undefined ? resolve() : reject(refusal));
    });
  };
  return { store, shut, open: (refusal) => open(refusal) };
}

test("an attempt that died with its engine is the engine's fault, though the stored lease is over by the next start", async () => {
  const disk = flaky();
  const first = createVirtualClock(1_000_000);
  const engine = await engineOver(disk, first, never);
  const { task } = await during(first, engine.submit("main", { prompt: "go on" }));
  // Renewals are not stored: the row says that the lease is over.
  for (let n = 0; n < 7; n++) await first.advance(500);

  const next = createVirtualClock(first.now());
  const again = await engineOver(await disk.crash(), next, () => "done");
  const view = await during(next, again.waitFor(task.id, { waitMs: 1_000 }));

  expect(view).toMatchObject({ status: "completed", failedAgentIds: [], attemptCount: 1 });
  expect(view.attempts[0]).toMatchObject({ outcome: "lost", blame: "engine", error: { code: "engine_died" } });
  expect(again.agents("main")[0]?.stats).toMatchObject({ inFlight: 0, failed: 0 });
});

test("a task that is settled while its id is submitted once more is not admitted twice", async () => {
  const clock = createVirtualClock(1_000_000);
  const { store, shut, open } = gated(flaky());
  let finish: (value: string) => void = () => {};
  const run: AgentFunction = () =>
    new Promise((resolve) => {
      finish = resolve;
    });
  const engine = await engineOver(store, clock, run);
  await during(clock, engine.submit("main", { id: "once", prompt: "first" }));
  await clock.settle();

  shut();
  finish("done");
  await clock.settle();
  const repeated = engine.submit("main", { id: "once", prompt: "second" });
  const cancelled = engine.cancel("once");
  await clock.settle();
  open();

  expect(await during(clock, Promise.allSettled([repeated, cancelled]))).toMatchObject([
    { status: "rejected", reason: { code: "conflict" } },
    { status: "rejected", reason: { code: "already_settled" } },
  ]);
  expect(await during(clock, engine.task("once"))).toMatchObject({ status: "completed", prompt: "first" });
});

test("who reads while a commit is refused is told what is stored, not that a commit was refused", async () => {
  const clock = createVirtualClock(1_000_000);
  const { store, shut, open } = gated(flaky());
  const engine = await engineOver(store, clock, never);
  const { task } = await during(clock, engine.submit("main", { prompt: "kept" }));
  await clock.settle();

  shut();
  const refused = engine.submit("main", { prompt: "too much" });
  await clock.settle();
  const read = engine.task(task.id);
  open(new PoolError("store_full", "the disk is full"));

  const outcomes = await during(clock, Promise.allSettled([refused, read]));
  expect(outcomes).toMatchObject([
    { status: "rejected", reason: { code: "store_full" } },
    { status: "fulfilled", value: { id: task.id, prompt: "kept" } },
  ]);
});

test("a request that is repeated with its key is answered while its pool takes no more", () => {
  const world = createWorld({ agents: ["ada"] });
  const request = { idempotencyKey: "k", bodyHash: "h" };
  const id = world.submit({ id: "a", ...request });
  world.ask({ type: "drain_pool", pool: world.task(id).spec.pool });
  expect(world.submitBatch([{ id: "b", ...request }])).toEqual([{ taskId: id, created: false }]);
  expect(() => world.submit({ id: "c" })).toThrow("takes no more tasks");
});

test("a dead letter that ended before its dependency did waits for it in its new life", () => {
  const world = createWorld({ agents: ["ada"] });
  const first = world.submit({ id: "first" });
  const second = world.submit({ id: "second", dependencies: [first], deadlineAtMs: world.nowMs + 100 });
  world.advance(100);
  expect(world.status(second)).toBe("failed");

  world.replay(second);
  expect(world.status(second)).toBe("dependencies");
  world.complete(first);
  expect(world.runner(second)).toBe("ada");
  expect(world.eventsOf("task.dependency_met")).toHaveLength(1);
});

test("a dead letter that ended before its time waits for it in its new life", () => {
  const world = createWorld({ agents: ["ada"] });
  const id = world.submit({ id: "a", runAtMs: world.nowMs + 500, deadlineAtMs: world.nowMs + 100 });
  world.advance(100);
  world.replay(id);
  expect(world.status(id)).toBe("delay");
  world.advance(400);
  expect(world.runner(id)).toBe("ada");
});

test("a restart does not wait once more for a dependency that had failed and was replayed", () => {
  const world = createWorld({ agents: ["ada"] });
  const bad = world.submit({ id: "bad" });
  const slow = world.submit({ id: "slow", runAtMs: world.nowMs + 60_000 });
  const both = world.submit({ id: "both", dependencies: [bad, slow], onDependencyFailure: "run" });
  world.fail(bad, { blame: "task" });
  world.replay(bad);

  world.restart();
  world.ready("ada");
  world.complete(bad);
  expect(world.status(both)).toBe("dependencies");
  world.advance(60_000);
  world.complete(slow);
  expect(world.runner(both)).toBe("ada");
});

test("a replay is the first of its priority, and does not make that priority younger than its oldest task", () => {
  const world = createWorld({ agents: ["ada"], pool: { ageing: { stepMs: 1_000 }, retry: { maxAttempts: 1 } } });
  const replayed = world.submit({ id: "replayed" });
  world.fail(replayed);
  const running = world.submit({ id: "running" });
  world.submit({ id: "old" });
  world.advance(500);
  world.submit({ id: "low", priority: 4 });
  world.advance(10_000);
  world.replay(replayed);

  for (const id of [running, replayed, "old", "low"]) world.complete(id);
  expect(world.order.slice(1)).toEqual(["running", "replayed", "old", "low"]);
});

test("once the replays have gone, the priorities stand as before", () => {
  const world = createWorld({ agents: ["ada"], pool: { ageing: { stepMs: 1_000 }, retry: { maxAttempts: 1 } } });
  const replayed = world.submit({ id: "replayed" });
  world.fail(replayed);
  const running = world.submit({ id: "running" });
  const old = world.submit({ id: "old" });
  world.advance(500);
  world.submit({ id: "low", priority: 4 });
  world.advance(10_000);
  world.submit({ id: "young" });
  world.replay(replayed);

  world.cancel(old);
  for (const id of [running, "low", replayed, "young"]) world.complete(id);
  expect(world.order.slice(1)).toEqual(["running", "low", "replayed", "young"]);
});

test("a dead letter that is let go in the same turn is not replayed", () => {
  const world = createWorld({ agents: ["ada"], pool: { deadLetters: { limit: 1 }, retry: { maxAttempts: 1 } } });
  const old = world.submit({ id: "old" });
  world.fail(old);
  const next = world.submit({ id: "next" });
  const known = world.snapshotKnown();
  const fence = world.lease(next)?.fence ?? 0;
  const outcome = { name: "failed", blame: "task", error: { code: "failed", message: "it failed" } } as const;
  const [reported, replayed] = world.turn([
    { type: "report", agentId: undefined, taskId: next, fence, outcome, known },
    { type: "replay", taskId: old, known, fingerprint: undefined, edited: undefined, fingerprintOf: undefined },
  ]);
  expect(reported).toMatchObject({ type: "done" });
  expect(replayed).toMatchObject({ code: "conflict" });
  expect(world.status(old)).toBe("failed");
});

test("an agent that joins again is no longer stuck on what it had forgotten", () => {
  const world = createWorld({ pool: { stuckMs: 500, timeoutMs: 1_000 } });
  world.join({ name: "rem" });
  world.claim("rem");
  const id = world.submit();
  world.start(id);
  world.advance(1_000);
  expect(world.agent("rem").health).toBe("unhealthy");

  world.join({ name: "rem" }, { replace: true });
  expect(world.agent("rem").runs.size).toBe(0);
  expect(world.agent("rem").health).toBe("healthy");
});

test("a retry that waits behind the gate that it blamed is paid for by the retry budget like any other", () => {
  const budget = { ratio: 0, windowMs: 1_000, floor: 1 };
  const world = createWorld({ agents: ["ada"], pool: { retry: { budget, backoff: { baseMs: 10 } } } });
  world.ask({ type: "set_gate", name: "index", available: true, holds: ["search"] });
  const first = world.submit({ id: "first", type: "search" });
  world.fail(first, { blame: "dependency", details: { gate: "index" } });
  expect(world.status(first)).toBe("agent");
  world.ask({ type: "set_gate", name: "index", available: true });
  const second = world.submit({ id: "second", type: "search" });
  world.complete(first);

  world.fail(second, { blame: "dependency", details: { gate: "index" } });
  expect(world.status(second)).toBe("retry");
  world.advance(1_000);
  expect(world.status(second)).toBe("agent");
});

test("an agent is given no task of which it still names an older attempt, also when that has lost its lease long ago", () => {
  const lease = { ttlMs: 3_000, renewMs: 1_000 };
  const world = createWorld({ pool: { lease, retry: { backoff: { baseMs: 100 } } } });
  world.join({ name: "rem" });
  world.claim("rem");
  const id = world.submit();
  world.start(id);
  const old = { taskId: id, fence: world.lease(id)?.fence ?? 0 };
  world.advance(3_000);
  expect(world.heartbeatOf("rem", [old]).stop).toEqual([id]);
  world.advance(100);
  expect(world.status(id)).toBe("agent");

  world.claim("rem");
  expect(world.status(id)).toBe("agent");
  world.heartbeatOf("rem", [old]);
  expect(world.status(id)).toBe("agent");
  world.heartbeatOf("rem", []);
  expect(world.runner(id)).toBe("rem");
});

test("an agent that joins again has forgotten what it named", () => {
  const world = createWorld({ pool: { lease: { ttlMs: 3_000, renewMs: 1_000 }, retry: { backoff: { baseMs: 100 } } } });
  world.join({ name: "rem" });
  world.claim("rem");
  const id = world.submit();
  const old = { taskId: id, fence: world.lease(id)?.fence ?? 0 };
  world.advance(3_000);
  world.heartbeatOf("rem", [old]);
  world.advance(100);
  world.join({ name: "rem" }, { replace: true });
  world.claim("rem");
  expect(world.runner(id)).toBe("rem");
});
