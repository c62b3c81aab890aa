import { expect, test } from "vitest";
import { createWorld, NO_KNOWN, refusal, type World } from "../testing/world.ts";

/** A world with one task in each state, by the name of the state. */
function inEveryState(): World {
  const world = createWorld({ agents: ["ada"], pool: { retry: { backoff: { baseMs: 1_000 } } } });
  world.submit({ id: "retry" });
  world.fail("retry");
  world.submit({ id: "leased" });
  world.submit({ id: "agent" });
  world.submit({ id: "delay", runAtMs: world.nowMs + 500 });
  world.submit({ id: "dependencies", dependencies: ["leased"] });
  return world;
}

for (const state of ["agent", "delay", "retry", "dependencies", "leased"]) {
  test(`S3-B10 a task is cancelled while it is in state ${state}, with its time, and never runs again`, () => {
    const world = inEveryState();
    expect(world.status(state)).toBe(state);
    world.advance(3);
    world.cancel(state);
    expect(world.settlement(state)).toEqual({
      status: "cancelled",
      error: { code: "cancelled", message: "no longer wanted", blame: "caller" },
      settledAtMs: world.nowMs,
      deadLettered: false,
    });
    const before = world.order.filter((id) => id === state).length;
    world.advance(10_000);
    expect(world.order.filter((id) => id === state)).toHaveLength(before);
    expect(world.status(state)).toBe("cancelled");
  });

  test(`cancelling twice is fine for a task that was in state ${state}`, () => {
    const world = inEveryState();
    world.cancel(state);
    const events = world.events.length;
    world.cancel(state);
    world.forget();
    world.cancel(state);
    expect(world.events).toHaveLength(events);
  });
}

test("S4-B04 a cancelled run is told to stop, is not charged, and keeps its slot until it has ended", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t" });
  world.submit({ id: "next" });
  world.cancel("t");
  expect(world.effectsOf("stop")).toMatchObject([{ agentId: "ada", taskId: "t" }]);
  expect(world.task("t")).toMatchObject({ attemptCount: 0, attempts: [{ outcome: "cancelled", blame: "caller" }] });
  expect(world.status("next")).toBe("agent");
  world.endRun("ada", "t");
  expect(world.runner("next")).toBe("ada");
});

test("a task that waits is cancelled without anybody being told to stop", () => {
  const world = createWorld();
  world.submit({ id: "t" });
  world.cancel("t");
  expect(world.effects).toEqual([]);
});

test("a task that has completed, or failed, can't be cancelled and stays as it is", () => {
  const world = createWorld({ agents: ["ada"], pool: { retry: { maxAttempts: 1 } } });
  for (const id of ["completed", "failed"]) world.submit({ id });
  world.complete("completed");
  world.fail("failed");
  for (const forgotten of [false, true]) {
    if (forgotten) world.forget();
    for (const status of ["completed", "failed"]) {
      expect(refusal(() => world.cancel(status))).toMatchObject({ code: "already_settled", details: { status } });
    }
  }
});

test("S0-36 an unknown task can't be cancelled, reported, told the progress of, or replayed", () => {
  const world = createWorld();
  expect(refusal(() => world.cancel("nobody")).code).toBe("not_found");
  expect(refusal(() => world.replay("nobody")).code).toBe("not_found");
  expect(refusal(() => world.report("nobody", { name: "released" })).code).toBe("not_found");
  expect(refusal(() => world.progress("nobody", 1)).code).toBe("not_found");
});

test("cancelling one of many that wait leaves the others in place and in order", () => {
  const world = createWorld();
  for (const id of ["a", "b", "c"]) world.submit({ id });
  world.cancel("b");
  world.addAgent({ name: "ada", concurrency: 5 });
  expect(world.order).toEqual(["a", "c"]);
});

test("replaying a task that is open, completed or cancelled is a conflict", () => {
  const world = createWorld({ agents: ["ada"] });
  for (const id of ["done", "gone", "open"]) world.submit({ id });
  world.complete("done");
  world.cancel("gone");
  for (const id of ["done", "gone", "open"]) {
    expect(
      refusal(() => world.replay(id)),
      id,
    ).toMatchObject({ code: "conflict", details: { taskId: id } });
  }
});

/** A dead letter. */
function deadLetter(): World {
  const world = createWorld({ agents: ["ada"], pool: { retry: { maxAttempts: 2, backoff: { baseMs: 10 } } } });
  world.submit({ id: "t", idempotencyKey: "key", bodyHash: "body" });
  world.fail("t");
  world.advance(10);
  world.fail("t");
  return world;
}

test("S0-26 a replay begins a new life: nothing charged, nobody excluded, history and numbers go on", () => {
  for (const forgotten of [false, true]) {
    const world = deadLetter();
    if (forgotten) world.forget();
    const { lastFence, attempts } = world.history.get(world.spec({ id: "t" }).id) ?? {};
    world.advance(50);
    world.replay("t");
    expect(world.task("t")).toMatchObject({
      attemptCount: 0,
      failedAgentIds: [],
      refunds: 0,
      replays: 1,
      first: true,
      queuedAtMs: world.nowMs,
      attempts,
    });
    expect(world.lease("t")?.number).toBe(3);
    expect(world.lease("t")?.fence).toBeGreaterThan(lastFence ?? Number.NaN);
    world.complete("t");
    expect(world.status("t")).toBe("completed");
  }
});

test("a task may be replayed as often as it dies, and counts its replays", () => {
  const world = deadLetter();
  for (const replays of [1, 2]) {
    world.replay("t");
    expect(world.task("t").replays).toBe(replays);
    world.fail("t");
    world.advance(10);
    world.fail("t");
  }
  expect(world.settlement("t")).toMatchObject({ status: "failed", deadLettered: true });
});

test("a replayed task is known by its idempotency key again", () => {
  const world = deadLetter();
  world.forget();
  world.replay("t");
  const items = world.submitBatch([{ id: "other", idempotencyKey: "key", bodyHash: "body" }]);
  expect(items).toEqual([{ taskId: "t", created: false }]);
});

test("a task whose settlement is not stored yet can't be replayed, and the caller may come again", () => {
  const world = deadLetter();
  const taskId = world.task("t").spec.id;
  expect(refusal(() => world.ask({ type: "replay", taskId, known: NO_KNOWN }))).toMatchObject({
    code: "unavailable",
    retryable: true,
  });
});

test("a replay that was looked up before the task's next life ended is refused", () => {
  const world = deadLetter();
  const taskId = world.task("t").spec.id;
  const old = world.snapshotKnown();
  world.replay("t");
  world.fail("t");
  world.advance(10);
  world.fail("t");
  expect(refusal(() => world.ask({ type: "replay", taskId, known: old })).code).toBe("unavailable");
  expect(world.task("t").replays).toBe(1);
});

test("that is so although no attempt of the life in between has moved the fence", () => {
  const world = createWorld({ agents: [{ name: "ada", concurrency: 9 }], pool: { retry: { maxAttempts: 1 } } });
  for (const id of ["a", "late"]) world.submit({ id });
  world.submit({ id: "b", dependencies: ["a", "late"], onDependencyFailure: "fail" });
  world.fail("a");
  const old = world.snapshotKnown();
  world.replay("b");
  world.fail("late");
  expect(world.task("b")).toMatchObject({ lastFence: 0, replays: 1 });
  const taskId = world.task("b").spec.id;
  expect(refusal(() => world.ask({ type: "replay", taskId, known: old })).code).toBe("unavailable");
});

test("a dead letter of a deleted pool, or of one that is drained, is not replayed", () => {
  const world = deadLetter();
  world.ask({ type: "drain_pool", pool: world.task("t").spec.pool });
  expect(refusal(() => world.replay("t")).code).toBe("not_running");
  world.ask({ type: "delete_pool", pool: world.task("t").spec.pool });
  expect(refusal(() => world.replay("t")).code).toBe("not_found");
});

test("nothing is replayed while the engine drains", () => {
  const world = deadLetter();
  world.ask({ type: "drain", matching: true });
  expect(refusal(() => world.replay("t")).code).toBe("shutting_down");
});

test("progress is told under the current fence only, and is gone with the next attempt", () => {
  const world = createWorld({ agents: ["ada", "bob"] });
  world.submit({ id: "t" });
  const fence = world.lease("t")?.fence ?? 0;
  world.progress("t", { done: 1 });
  world.progress("t", { done: 2 });
  expect(world.task("t").progress).toEqual({ done: 2 });
  world.fail("t");
  expect(world.task("t").progress).toBeUndefined();
  expect(refusal(() => world.progress("t", { done: 3 }, fence)).code).toBe("stale_fence");
});
