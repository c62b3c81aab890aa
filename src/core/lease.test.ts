import { expect, test } from "vitest";
import { createWorld, type World } from "../testing/world.ts";

const TTL_MS = 30_000;
const retry = { maxAttempts: 10, backoff: { baseMs: 100, factor: 1 } };

test("S3-B38 S3-L02 S3-40 a lease that nobody renews ends at exactly its time to live, and the task goes elsewhere", () => {
  const world = createWorld({ agents: ["ada", "bob"] });
  world.submit({ id: "t" });
  world.advance(TTL_MS - 1);
  expect(world.runner("t")).toBe("ada");
  world.advance(1);
  expect(world.runner("t")).toBe("bob");
  expect(world.task("t").attempts[0]).toMatchObject({
    outcome: "lost",
    blame: "agent",
    error: { code: "lease_expired" },
  });
});

test("S3-B38 a lease that is renewed lasts a time to live from the renewal", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t" });
  world.advance(TTL_MS - 1);
  world.alive("ada");
  expect(world.lease("t")?.expiresAtMs).toBe(world.nowMs + TTL_MS);
  world.advance(TTL_MS - 1);
  expect(world.runner("t")).toBe("ada");
  world.advance(1);
  expect(world.status("t")).toBe("retry");
});

test("a driver vouches for all that runs on its agent and for nobody else's", () => {
  const world = createWorld({ agents: [{ name: "ada", concurrency: 2 }, "bob"] });
  for (const id of ["1", "2", "3"]) world.submit({ id });
  const before = world.nowMs + TTL_MS;
  expect(["1", "2", "3"].map((id) => world.runner(id))).toEqual(["ada", "bob", "ada"]);
  world.advance(10);
  world.alive("ada");
  expect(["1", "2", "3"].map((id) => (world.lease(id)?.expiresAtMs ?? 0) - before)).toEqual([10, 0, 10]);
});

test("a sign of life of an unknown agent changes nothing", () => {
  expect(() => createWorld().alive("nobody")).not.toThrow();
});

test("a local agent whose lease ended keeps its slot taken, and is told to stop", () => {
  const world = createWorld({ agents: ["ada", "bob"] });
  world.submit({ id: "t" });
  const fence = world.lease("t")?.fence;
  world.advance(TTL_MS);
  expect(world.effectsOf("stop")).toEqual([{ type: "stop", agentId: "ada", taskId: "t", fence }]);
  expect(world.agent("ada").runs.get(fence ?? 0)).toMatchObject({ orphaned: true });
});

test("the time of an attempt counts from its start, not from its lease", () => {
  const world = createWorld({ agents: ["ada", "bob"], pool: { timeoutMs: 1_000 } });
  world.submit({ id: "t" });
  world.advance(5_000);
  expect(world.runner("t")).toBe("ada");
  world.start("t");
  world.advance(999);
  expect(world.runner("t")).toBe("ada");
  world.advance(1);
  expect(world.runner("t")).toBe("bob");
  expect(world.task("t").attempts[0]).toMatchObject({
    outcome: "timed_out",
    blame: "agent",
    error: { code: "timeout", message: "did not end within 1000 ms" },
  });
});

test("an attempt that never starts does not time out", () => {
  const world = createWorld({ agents: ["ada", "bob"], pool: { timeoutMs: 1_000 } });
  world.submit({ id: "t" });
  world.advance(TTL_MS - 1);
  expect(world.runner("t")).toBe("ada");
});

test("S3-B26 assigned and started are different instants, and only the first start counts", () => {
  const world = createWorld({ agents: ["ada"], pool: { timeoutMs: 1_000 } });
  world.submit({ id: "t" });
  const startMs = world.nowMs;
  world.advance(10);
  world.start("t");
  world.advance(10);
  world.start("t");
  expect(world.lease("t")).toMatchObject({ assignedAtMs: startMs, startedAtMs: startMs + 10 });
  world.advance(990);
  expect(world.status("t")).toBe("retry");
});

test("a start under an old fence changes nothing", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t" });
  world.ask({ type: "started", taskId: world.task("t").spec.id, fence: 1 });
  expect(world.lease("t")?.startedAtMs).toBeUndefined();
});

test("a task's own `timeoutMs` goes before the pool's", () => {
  const world = createWorld({ agents: ["ada", "bob"], pool: { timeoutMs: 1_000 } });
  world.submit({ id: "t", timeoutMs: 50 });
  world.start("t");
  world.advance(50);
  expect(world.runner("t")).toBe("bob");
});

test("without a limit an attempt may take as long as its lease is renewed", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t" });
  world.start("t");
  for (let n = 0; n < 100; n++) {
    world.advance(20_000);
    world.alive("ada");
  }
  expect(world.runner("t")).toBe("ada");
});

test("renewing does not extend the time that an attempt may take", () => {
  const world = createWorld({ agents: ["ada", "bob"], pool: { timeoutMs: 15_000 } });
  world.submit({ id: "t" });
  world.start("t");
  world.advance(14_999);
  world.alive("ada");
  world.advance(1);
  expect(world.runner("t")).toBe("bob");
});

test("an attempt that ended in time does not time out later, and the next has its own time", () => {
  const world = createWorld({ agents: ["ada"], pool: { timeoutMs: 1_000, retry } });
  world.submit({ id: "t" });
  world.start("t");
  world.advance(900);
  world.fail("t");
  world.advance(100);
  expect(world.runner("t")).toBe("ada");
  world.start("t");
  world.advance(999);
  expect([world.runner("t"), world.task("t").attemptCount]).toEqual(["ada", 1]);
});

/** A function that has run over its time of 100 ms; stopMs 50, abandonMs 1,000. */
function overdue(kind: "function" | "daemon" | "command" = "function"): World {
  const world = createWorld({
    agents: [{ name: "ada", kind }],
    pool: { timeoutMs: 100, stopMs: 50, abandonMs: 1_000, retry: { ...retry, maxAttempts: 1 } },
  });
  world.submit({ id: "t" });
  world.start("t");
  world.advance(100);
  return world;
}

test("a timeout frees the task at once, but the slot stays taken", () => {
  const world = overdue();
  expect(world.status("t")).toBe("failed");
  expect(world.effectsOf("stop")).toMatchObject([{ agentId: "ada", taskId: "t" }]);
  const next = world.submit();
  expect([world.agent("ada").runs.size, world.status(next)]).toEqual([1, "agent"]);
});

test("S2-B01 S2-B16 the slot is free as soon as the run is known to have ended, although its report is refused", () => {
  const world = overdue();
  const next = world.submit();
  const fence = world.task("t").lastFence;
  const report = {
    type: "report",
    agentId: world.agent("ada").identity.id,
    taskId: world.task("t").spec.id,
    fence,
    outcome: { name: "succeeded", resultBytes: 1 },
    known: world.known(),
  } as const;
  const [reply] = world.turn([report]);
  expect(reply).toMatchObject({ code: "stale_fence" });
  expect([world.status("t"), world.runner(next)]).toEqual(["failed", "ada"]);
  expect(world.agent("ada").stats.succeeded).toBe(0);
});

test("a function whose time is over is degraded until its run has ended", () => {
  const world = overdue();
  expect(world.agent("ada")).toMatchObject({ health: "degraded", healthReason: "a run goes on after its time" });
});

test("a function that ignores its signal is given up after exactly `abandonMs`: freed, counted, healthy again", () => {
  const world = overdue();
  const next = world.submit();
  world.advance(999);
  expect([world.agent("ada").stats.abandoned, world.status(next)]).toEqual([0, "agent"]);
  world.advance(1);
  expect(world.agent("ada")).toMatchObject({ health: "healthy", healthReason: "" });
  expect([world.agent("ada").stats.abandoned, world.runner(next)]).toEqual([1, "ada"]);
});

test("a function that ends after its time is healthy again, and was not abandoned", () => {
  const world = overdue();
  world.advance(60);
  const { identity } = world.agent("ada");
  const { spec, lastFence } = world.task("t");
  const outcome = { name: "cancelled", error: { code: "x", message: "" } } as const;
  world.turn([
    { type: "report", agentId: identity.id, taskId: spec.id, fence: lastFence, outcome, known: world.known() },
  ]);
  expect(world.agent("ada")).toMatchObject({ health: "healthy", stats: { abandoned: 0 } });
  world.advance(5_000);
  expect(world.agent("ada").stats.abandoned).toBe(0);
});

test("an agent stays degraded while any of its runs ignores its signal", () => {
  const world = createWorld({
    agents: [{ name: "ada", concurrency: 2 }],
    pool: { timeoutMs: 100, stopMs: 50, abandonMs: 1_000, retry: { maxAttempts: 1 } },
  });
  world.submit({ id: "1" });
  world.start("1");
  world.advance(70);
  world.submit({ id: "2" });
  world.start("2");
  world.advance(100 + 50);
  expect(world.agent("ada").health).toBe("degraded");
  world.advance(100 + 1_000 - 150 - 70 + 0);
  expect(world.agent("ada")).toMatchObject({ health: "degraded", stats: { abandoned: 1 } });
  world.advance(70);
  expect(world.agent("ada")).toMatchObject({ health: "healthy", stats: { abandoned: 2 } });
});

test("a child's slot is not given up by time: its process is stopped, and its end is told", () => {
  for (const kind of ["daemon", "command"] as const) {
    const world = overdue(kind);
    world.advance(1_000_000);
    expect([world.agent("ada").runs.size, world.agent("ada").health, world.agent("ada").stats.abandoned]).toEqual([
      1,
      "healthy",
      0,
    ]);
  }
});

test("no agent is given a task while its older run of it may go on, although a slot is free", () => {
  const world = createWorld({ agents: [{ name: "ada", concurrency: 2 }], pool: { timeoutMs: 100, retry } });
  world.submit({ id: "t" });
  world.start("t");
  world.advance(100);
  world.advance(100);
  expect([world.status("t"), world.agent("ada").runs.size]).toEqual(["agent", 1]);
  world.advance(60_000 - 100);
  expect(world.runner("t")).toBe("ada");
});

test("extending leases gives every live one its whole time, and changes neither starts nor limits", () => {
  const world = createWorld({ agents: ["ada", "bob"], pool: { timeoutMs: 60_000 } });
  for (const id of ["1", "2"]) world.submit({ id });
  world.start("1");
  const startMs = world.nowMs;
  world.advance(20_000);
  world.ask({ type: "extend_leases" });
  for (const id of ["1", "2"]) expect(world.lease(id)?.expiresAtMs).toBe(startMs + 20_000 + TTL_MS);
  expect(world.lease("1")?.startedAtMs).toBe(startMs);
});

test("what runs over is not extended: its slot was taken from it", () => {
  const world = overdue();
  world.ask({ type: "extend_leases" });
  world.alive("ada");
  expect(world.status("t")).toBe("failed");
});

test("due leases end before anything else in a turn: a report in the very turn of the end is too late", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t" });
  const fence = world.lease("t")?.fence ?? 0;
  world.nowMs += TTL_MS;
  expect(() => world.report("t", { name: "succeeded", resultBytes: 1 }, fence)).toThrow(/not current/);
  expect(world.status("t")).toBe("retry");
});

test("leasing, requested outside as `run`, carries number, fence and end of the lease", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t" });
  expect(world.effectsOf("run")).toEqual([
    {
      type: "run",
      attempt: { taskId: "t", agentId: "ada", number: 1, fence: 2 ** 32 + 1, expiresAtMs: world.nowMs + TTL_MS },
    },
  ]);
});

test("a daemon with a free slot keeps its leases only while its last probe was good; a full one always", () => {
  const world = createWorld({ agents: [{ name: "ada", kind: "daemon", concurrency: 2 }] });
  world.submit({ id: "1" });
  const endMs = world.nowMs + TTL_MS;
  world.advance(10);
  world.probe("ada", false);
  world.alive("ada");
  expect(world.lease("1")?.expiresAtMs).toBe(endMs);
  world.probe("ada", true);
  world.alive("ada");
  expect(world.lease("1")?.expiresAtMs).toBe(endMs + 10);
  world.probe("ada", false);
  world.submit({ id: "2" });
  world.advance(10);
  world.alive("ada");
  expect([world.lease("1")?.expiresAtMs, world.lease("2")?.expiresAtMs]).toEqual([endMs + 20, endMs + 20]);
});

test("a function's leases are kept whatever its probes say", () => {
  const world = createWorld({ agents: [{ name: "ada", concurrency: 2 }] });
  world.submit({ id: "1" });
  world.probe("ada", false);
  world.advance(10);
  world.alive("ada");
  expect(world.lease("1")?.expiresAtMs).toBe(world.nowMs + TTL_MS);
});

test("an attempt that took too long says how long it might have taken, by its task's word or its pool's", () => {
  const world = createWorld({ agents: ["ada", "bob"], pool: { timeoutMs: 700, retry: { maxAttempts: 1 } } });
  world.submit({ id: "own", timeoutMs: 300 });
  world.submit({ id: "pools" });
  for (const id of ["own", "pools"]) world.start(id);
  world.advance(700);
  expect(world.task("own").attempts[0]?.error?.message).toBe("did not end within 300 ms");
  expect(world.task("pools").attempts[0]?.error?.message).toBe("did not end within 700 ms");
});
