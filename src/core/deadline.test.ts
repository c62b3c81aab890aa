import { expect, test } from "vitest";
import { createWorld } from "../testing/world.ts";

test("a task that waits for an agent fails at exactly its deadline", () => {
  const world = createWorld();
  world.submit({ id: "t", deadlineAtMs: world.nowMs + 100 });
  world.advance(99);
  expect(world.status("t")).toBe("agent");
  world.advance(1);
  expect(world.settlement("t")).toMatchObject({
    status: "failed",
    deadLettered: true,
    settledAtMs: world.nowMs,
    error: { code: "deadline_exceeded" },
  });
});

test("a task is not started at its deadline, although an agent comes free in that very turn", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "busy" });
  world.submit({ id: "t", deadlineAtMs: world.nowMs + 100 });
  world.nowMs += 100;
  world.complete("busy");
  expect([world.status("t"), world.order]).toEqual(["failed", ["busy"]]);
});

test("S4-B04 a running task is stopped at its deadline, its attempt is not charged, its slot stays taken until it has ended", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t", deadlineAtMs: world.nowMs + 100 });
  world.start("t");
  const fence = world.lease("t")?.fence;
  world.advance(100);
  expect(world.settlement("t").error?.code).toBe("deadline_exceeded");
  expect(world.effectsOf("stop")).toEqual([{ type: "stop", agentId: "ada", taskId: "t", fence }]);
  expect(world.task("t")).toMatchObject({ attemptCount: 0, attempts: [{ outcome: "cancelled" }] });
  expect(world.agent("ada").runs.size).toBe(1);
});

test("a deadline ends a task in its backoff, in its delay and while it is blocked", () => {
  const world = createWorld({ agents: ["ada"], pool: { retry: { backoff: { baseMs: 1_000 } } } });
  const deadlineAtMs = world.nowMs + 100;
  world.submit({ id: "retrying", deadlineAtMs });
  world.fail("retrying");
  world.submit({ id: "running" });
  world.submit({ id: "delayed", deadlineAtMs, runAtMs: world.nowMs + 1_000 });
  world.submit({ id: "blocked", deadlineAtMs, dependencies: ["running"] });
  expect(["retrying", "delayed", "blocked"].map((id) => world.status(id))).toEqual(["retry", "delay", "dependencies"]);
  world.advance(100);
  for (const id of ["retrying", "delayed", "blocked"]) {
    expect(world.settlement(id).error?.code, id).toBe("deadline_exceeded");
  }
});

test("a deadline that has passed at submission fails the task at once, and nothing runs", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "past", deadlineAtMs: world.nowMs - 1 });
  world.submit({ id: "now", deadlineAtMs: world.nowMs });
  world.submit({ id: "soon", deadlineAtMs: world.nowMs + 1 });
  expect([world.status("past"), world.status("now"), world.status("soon")]).toEqual(["failed", "failed", "leased"]);
  expect(world.order).toEqual(["soon"]);
});

test("a task that ended in time is left alone by its deadline", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t", deadlineAtMs: world.nowMs + 100 });
  world.complete("t");
  world.advance(200);
  expect(world.status("t")).toBe("completed");
});

test("a replay drops a deadline that has passed, at exactly its instant too, and keeps one that has not", () => {
  const world = createWorld({ pool: { retry: { maxAttempts: 1 } } });
  world.submit({ id: "past", deadlineAtMs: world.nowMs + 100 });
  world.advance(100);
  world.replay("past");
  expect(world.task("past").spec.deadlineAtMs).toBeUndefined();
  world.addAgent("ada");
  world.complete("past");
  const deadlineAtMs = world.nowMs + 100;
  world.submit({ id: "future", deadlineAtMs });
  world.fail("future");
  world.advance(99);
  world.replay("future");
  expect(world.task("future").spec.deadlineAtMs).toBe(deadlineAtMs);
  world.advance(1);
  expect(world.settlement("future").error?.code).toBe("deadline_exceeded");
});

test("a task with `runAt` waits for exactly that instant", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t", runAtMs: world.nowMs + 500 });
  expect([world.status("t"), world.waitsMs("t")]).toEqual(["delay", 500]);
  world.advance(499);
  expect(world.status("t")).toBe("delay");
  world.advance(1);
  expect(world.runner("t")).toBe("ada");
  expect(world.task("t").again).toBe(false);
});

test("a `runAt` that is not in the future is no delay", () => {
  const world = createWorld({ agents: [{ name: "ada", concurrency: 2 }] });
  world.submit({ id: "now", runAtMs: world.nowMs });
  world.submit({ id: "past", runAtMs: world.nowMs - 1 });
  expect([world.status("now"), world.status("past")]).toEqual(["leased", "leased"]);
});

test("a past `runAt` does not make a task older than its admission", () => {
  const world = createWorld();
  world.submit({ id: "older" });
  world.submit({ id: "t", runAtMs: world.nowMs - 100_000 });
  world.addAgent("ada");
  expect(world.runner("older")).toBe("ada");
});

test("S0-B09 a delay and a backoff end by themselves, without any other call", () => {
  const world = createWorld({ agents: ["ada"], pool: { retry: { backoff: { baseMs: 300 } } } });
  world.submit({ id: "retrying" });
  world.fail("retrying");
  world.submit({ id: "delayed", runAtMs: world.nowMs + 200 });
  expect(world.state.due.nextAtMs).toBe(world.nowMs + 200);
  world.advance(200);
  expect(world.runner("delayed")).toBe("ada");
  world.complete("delayed");
  expect(world.state.due.nextAtMs).toBe(world.nowMs + 100);
  world.advance(100);
  expect(world.runner("retrying")).toBe("ada");
});

test("the end of a backoff, or of a delay, of an earlier life says nothing in the next", () => {
  const world = createWorld({ agents: ["ada"], pool: { retry: { backoff: { baseMs: 1_000 } } } });
  world.submit({ id: "t", deadlineAtMs: world.nowMs + 100 });
  world.fail("t");
  world.submit({ id: "busy" });
  world.advance(100);
  expect(world.settlement("t").error?.code).toBe("deadline_exceeded");
  world.replay("t");
  expect(world.status("t")).toBe("agent");
  const { length } = world.events;
  world.advance(5_000);
  expect([world.status("t"), world.events.length]).toEqual(["agent", length]);
});

test("S0-B18 waiting, blocked, delayed, retrying and running tasks are counted apart", () => {
  const world = createWorld({ agents: ["ada"], pool: { retry: { backoff: { baseMs: 300 } } } });
  world.submit({ id: "retrying" });
  world.fail("retrying");
  world.submit({ id: "running" });
  world.submit({ id: "waiting" });
  world.submit({ id: "delayed", runAtMs: world.nowMs + 200 });
  world.submit({ id: "blocked", dependencies: ["running"] });
  const counts = world.state.pools.values().next().value?.counts;
  expect(counts).toEqual({ agent: 1, dependencies: 1, delay: 1, retry: 1, leased: 1 });
});

test("the end of an earlier life's delay does not begin a later one that waits for longer", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t", runAtMs: world.nowMs + 200, deadlineAtMs: world.nowMs + 100 });
  world.advance(100);
  expect(world.status("t")).toBe("failed");
  world.replay("t", { runAtMs: world.nowMs + 500, deadlineAtMs: undefined });
  world.advance(499);
  expect(world.status("t")).toBe("delay");
  world.advance(1);
  expect(world.status("t")).toBe("leased");
});
