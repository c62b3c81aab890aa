import { expect, test } from "vitest";
import { createWorld, type World, type WorldOptions } from "../testing/world.ts";
import { blameOf, type Outcome } from "./outcome.ts";

const error = { code: "oops", message: "it went wrong" };
const BACKOFF = { baseMs: 100, factor: 2, capMs: 500 };

/** One task `t`, running on `ada`. */
function running({ pool, agents = ["ada", "bob"] }: Pick<WorldOptions, "pool" | "agents"> = {}, spec = {}): World {
  const world = createWorld({ agents, pool: { retry: { backoff: BACKOFF }, ...pool } });
  world.submit({ id: "t", ...spec });
  return world;
}

/** What becomes of a task whose first attempt ends so, and whether that was charged and held against the agent. */
function after(outcome: Outcome, spec = {}, { started = true } = {}) {
  const world = running({}, spec);
  if (started) world.start("t");
  world.report("t", outcome);
  const { attemptCount, failedAgentIds } = world.task("t");
  return { status: world.status("t"), attemptCount, failed: failedAgentIds.length };
}

const ELSEWHERE = { status: "leased", attemptCount: 1, failed: 1 };

test("S3-08 a success completes the task, is charged and held against nobody", () => {
  expect(after({ name: "succeeded", resultBytes: 0 })).toEqual({ status: "completed", attemptCount: 1, failed: 0 });
});

test("S0-20 a failure of the agent is charged, excludes the agent and goes on elsewhere", () => {
  expect(after({ name: "failed", blame: "agent", error })).toEqual(ELSEWHERE);
});

test("a failure that nobody explains counts as the agent's", () => {
  expect(after({ name: "failed", blame: "unknown", error })).toEqual(ELSEWHERE);
});

test("a timeout is the agent's", () => {
  expect(after({ name: "timed_out", blame: "agent", error })).toEqual(ELSEWHERE);
});

test("S0-B20 a lost attempt is the agent's, whether its agent died or not", () => {
  expect(after({ name: "lost", blame: "agent", kill: true, error })).toEqual(ELSEWHERE);
  expect(after({ name: "lost", blame: "agent", kill: false, error })).toEqual(ELSEWHERE);
});

test("S0-B20 a failure of the task itself is final at once and excludes nobody", () => {
  expect(after({ name: "failed", blame: "task", error })).toEqual({ status: "failed", attemptCount: 1, failed: 0 });
});

test("S0-B20 a failure of the task that calls itself retryable is tried again after a backoff", () => {
  const world = running();
  world.report("t", { name: "failed", blame: "task", error: { ...error, retryable: true } });
  expect([world.status("t"), world.waitsMs("t"), world.task("t").failedAgentIds]).toEqual(["retry", 100, []]);
  world.advance(100);
  expect(world.status("t")).toBe("leased");
});

test("`retryable: false` on the error is final whatever the blame", () => {
  for (const blame of ["agent", "unknown", "task", "dependency"] as const) {
    const outcome: Outcome = { name: "failed", blame, error: { ...error, retryable: false } };
    expect(after(outcome).status, blame).toBe("failed");
  }
  expect(after({ name: "throttled", error: { ...error, retryable: false } }).status).toBe("failed");
});

test("S1-B19 a task that is not retryable is not run again once it has begun", () => {
  const spec = { retryable: false };
  for (const outcome of [
    { name: "failed", blame: "agent", error },
    { name: "failed", blame: "unknown", error },
    { name: "timed_out", blame: "agent", error },
    { name: "lost", blame: "agent", kill: true, error },
  ] satisfies Outcome[]) {
    expect(after(outcome, spec).status, outcome.name).toBe("failed");
  }
  expect(after({ name: "failed", blame: "task", error: { ...error, retryable: true } }, spec).status).toBe("failed");
});

test("S1-B19 a task that is not retryable is given to another agent when the first was lost before it began", () => {
  const lost: Outcome = { name: "lost", blame: "agent", kill: true, error };
  expect(after(lost, { retryable: false }, { started: false }).status).toBe("leased");
});

test("S1-B19 a task that is not retryable runs again after a release or a throttle: nothing was executed", () => {
  expect(after({ name: "released" }, { retryable: false }).status).toBe("leased");
  expect(after({ name: "throttled", error }, { retryable: false }).status).toBe("leased");
});

test("a lost attempt that the engine is to blame for is not charged and excludes nobody", () => {
  expect(after({ name: "lost", blame: "engine", kill: false, error })).toEqual({
    status: "leased",
    attemptCount: 0,
    failed: 0,
  });
});

test("a released attempt is not charged, excludes nobody and the task is given out again at once", () => {
  expect(after({ name: "released" })).toEqual({ status: "leased", attemptCount: 0, failed: 0 });
});

test("an attempt that failed for a dependency is not charged, and waits for its backoff", () => {
  const world = running();
  world.fail("t", { blame: "dependency" });
  expect(world.task("t")).toMatchObject({ attemptCount: 0, refunds: 1, failedAgentIds: [] });
  expect([world.status("t"), world.waitsMs("t")]).toEqual(["retry", 100]);
});

test("the backoff of refunded failures grows as that of charged ones", () => {
  const world = running();
  const waits: unknown[] = [];
  for (let n = 0; n < 4; n++) {
    world.fail("t", { blame: "dependency" });
    waits.push(world.waitsMs("t"));
    world.advance(world.waitsMs("t") ?? 0);
  }
  expect(waits).toEqual([100, 200, 400, 500]);
});

test("what was refunded does not lengthen the backoff of what is charged", () => {
  const world = running({ agents: ["ada"] });
  for (let n = 0; n < 3; n++) world.report("t", { name: "released" });
  world.fail("t");
  expect(world.waitsMs("t")).toBe(100);
});

test("an attempt that ends cancelled cancels the task", () => {
  expect(after({ name: "cancelled", error })).toMatchObject({ status: "cancelled", failed: 0 });
});

test("the blame of every outcome", () => {
  const blames = [
    blameOf({ name: "succeeded", resultBytes: 0 }),
    blameOf({ name: "released" }),
    blameOf({ name: "throttled", error }),
    blameOf({ name: "cancelled", error }),
    blameOf({ name: "timed_out", blame: "agent", error }),
    blameOf({ name: "lost", blame: "engine", kill: false, error }),
    blameOf({ name: "failed", blame: "dependency", error }),
  ];
  expect(blames).toEqual([undefined, undefined, "throttle", "caller", "agent", "engine", "dependency"]);
});

test("S0-21 S0-B15 S2-10 three is the number of executions: A, B and C fail in turn and the task is failed with three attempts", () => {
  const world = running({ agents: ["a", "b", "c", "d"] });
  for (const n of [1, 2]) {
    world.fail("t");
    expect([world.status("t"), world.task("t").attemptCount]).toEqual(["leased", n]);
  }
  world.fail("t");
  expect(world.task("t")).toMatchObject({ attemptCount: 3, failedAgentIds: ["a", "b", "c"] });
  expect(world.settlement("t")).toMatchObject({ status: "failed", deadLettered: true, settledAtMs: world.nowMs });
});

test("S0-25 an exhausted task is a dead letter that tells how often it was tried, and its last failure", () => {
  const world = running({ pool: { retry: { maxAttempts: 2 } } });
  world.fail("t");
  world.fail("t", { code: "late", message: "too late" });
  expect(world.settlement("t").error).toEqual({
    code: "exhausted",
    message: "all 2 attempts failed; the last: too late",
    blame: "agent",
    details: { code: "late" },
  });
});

test("with one attempt the first failure is the last", () => {
  const world = running({}, { maxAttempts: 1 });
  world.fail("t", { message: "no" });
  expect(world.settlement("t")).toMatchObject({
    status: "failed",
    error: { code: "exhausted", message: "its only attempt failed; the last: no" },
  });
});

test("a task's own `maxAttempts` goes before the pool's", () => {
  const world = running({ pool: { retry: { maxAttempts: 1 } } }, { maxAttempts: 2 });
  world.fail("t");
  expect(world.status("t")).toBe("leased");
});

test("S2-B19 with fewer agents than attempts those that failed are used again, each time after a backoff", () => {
  const world = running({ agents: ["ada"], pool: { retry: { maxAttempts: 4, backoff: BACKOFF } } });
  const waits: unknown[] = [];
  for (let n = 0; n < 3; n++) {
    world.fail("t");
    waits.push([world.waitsMs("t"), world.task("t").attemptCount]);
    world.advance(world.waitsMs("t") ?? 0);
  }
  expect(waits).toEqual([
    [100, 1],
    [200, 2],
    [400, 3],
  ]);
  world.fail("t");
  expect(world.status("t")).toBe("failed");
});

test("S0-24 with nobody else the second attempt comes after 2 s, the third after 4 s, and none after that", () => {
  const backoff = { baseMs: 2_000, factor: 2, jitter: "none" } as const;
  const world = running({ agents: ["ada"], pool: { retry: { maxAttempts: 3, backoff } } });
  world.fail("t");
  expect(world.waitsMs("t")).toBe(2_000);
  world.advance(2_000);
  world.fail("t");
  expect(world.waitsMs("t")).toBe(4_000);
  world.advance(4_000);
  world.fail("t");
  expect([world.status("t"), world.task("t").attemptCount]).toEqual(["failed", 3]);
});

test("where nobody else could serve, the failure itself says how long the task waits", () => {
  const world = running({ agents: ["ada"] });
  const { length } = world.events;
  world.fail("t");
  expect(world.events.slice(length)).toMatchObject([
    { type: "attempt.ended", charged: true, exclude: true, resting: { reason: "retry", untilMs: world.nowMs + 100 } },
  ]);
});

test("S3-62 the backoff stops growing at its cap", () => {
  const world = running({ agents: ["ada"], pool: { retry: { maxAttempts: 10, backoff: BACKOFF } } });
  const waits: unknown[] = [];
  for (let n = 0; n < 5; n++) {
    world.fail("t");
    waits.push(world.waitsMs("t"));
    world.advance(world.waitsMs("t") ?? 0);
  }
  expect(waits).toEqual([100, 200, 400, 500, 500]);
});

test("S0-L01 with failover `backoff` even another agent is tried only after the delay", () => {
  const world = running({ pool: { retry: { failover: "backoff", backoff: BACKOFF } } });
  world.fail("t");
  expect([world.status("t"), world.waitsMs("t")]).toEqual(["retry", 100]);
  world.advance(100);
  expect(world.runner("t")).toBe("bob");
});

test("jitter takes the delay from the turn's seed", () => {
  const waits = (seed: number) => {
    const world = createWorld({ seed, agents: ["ada"], pool: { retry: { backoff: { ...BACKOFF, jitter: "full" } } } });
    const ids = ["1", "2", "3", "4"].map((id) => world.submit({ id }));
    return ids.map((id) => {
      world.fail(id);
      return world.waitsMs(id) ?? Number.NaN;
    });
  };
  expect(waits(1)).toEqual(waits(1));
  expect(waits(1)).not.toEqual(waits(2));
  for (const ms of [...waits(1), ...waits(2)]) expect(ms >= 0 && ms < 100).toBe(true);
});

/** A task that is released again and again. */
function released(times: number, refundLimit: number): World {
  const world = running({ pool: { retry: { maxAttempts: 2, refundLimit, backoff: BACKOFF } } });
  for (let n = 0; n < times; n++) {
    world.report("t", { name: "released" });
    world.advance(world.waitsMs("t") ?? 0);
  }
  return world;
}

test("refunds are given up to the limit, the next is charged", () => {
  expect(released(3, 3).task("t")).toMatchObject({ attemptCount: 0, refunds: 3 });
  expect(released(4, 3).task("t")).toMatchObject({ attemptCount: 1, refunds: 3 });
});

test("refunds that have run out exhaust the task", () => {
  expect(released(5, 3).settlement("t")).toMatchObject({ status: "failed", error: { code: "exhausted" } });
});

test("with a refund limit of 0 a release is charged at once, and waits for a backoff", () => {
  const world = running({ pool: { retry: { maxAttempts: 2, refundLimit: 0, backoff: BACKOFF } } });
  world.report("t", { name: "released" });
  expect(world.task("t")).toMatchObject({ attemptCount: 1, refunds: 0 });
  expect([world.status("t"), world.waitsMs("t")]).toEqual(["retry", 100]);
});

test("a throttled attempt is always given back and takes nothing from the refunds", () => {
  const world = running({ pool: { retry: { refundLimit: 0 } } });
  for (let n = 0; n < 30; n++) {
    world.report("t", { name: "throttled", error, retryAfterMs: 1 });
    world.advance(1);
  }
  expect(world.task("t")).toMatchObject({ attemptCount: 0, refunds: 0, failedAgentIds: [] });
  expect(world.status("t")).toBe("leased");
});

test("S0-B17 every attempt has its own number, agent, start and end, and how it ended", () => {
  const world = running();
  world.advance(5);
  world.start("t");
  world.advance(10);
  world.fail("t");
  world.advance(1);
  world.start("t");
  world.advance(2);
  world.complete("t");
  const startMs = 1_000_000;
  expect(world.task("t").attempts).toMatchObject([
    {
      number: 1,
      agentId: "ada",
      agentName: "ada",
      assignedAtMs: startMs,
      startedAtMs: startMs + 5,
      endedAtMs: startMs + 15,
      outcome: "failed",
      blame: "agent",
    },
    {
      number: 2,
      agentId: "bob",
      assignedAtMs: startMs + 15,
      startedAtMs: startMs + 16,
      endedAtMs: startMs + 18,
      outcome: "succeeded",
    },
  ]);
});

test("S0-18 S3-B08 successes and failures are counted for the agent that had them, with the time from the start", () => {
  const world = running({ pool: { retry: { maxAttempts: 5 } } });
  world.advance(100);
  world.start("t");
  world.advance(30);
  world.fail("t");
  world.advance(50);
  world.start("t");
  world.advance(40);
  world.complete("t");
  expect(world.agent("ada").stats).toMatchObject({ succeeded: 0, failed: 1, consecutiveFailures: 1, latencySumMs: 0 });
  expect(world.agent("bob").stats).toMatchObject({ succeeded: 1, failed: 0, consecutiveFailures: 0, latencySumMs: 40 });
});

test("a success ends the row of failures", () => {
  const world = createWorld({ agents: ["ada"], pool: { retry: { maxAttempts: 1 } } });
  for (const id of ["1", "2"]) {
    world.submit({ id });
    world.fail(id);
  }
  expect(world.agent("ada").stats.consecutiveFailures).toBe(2);
  world.complete(world.submit());
  expect(world.agent("ada").stats).toMatchObject({ consecutiveFailures: 0, failed: 2, succeeded: 1 });
});

test("faults of the task, throttling, releases and the engine's end are not the agent's failures", () => {
  const world = createWorld({ agents: ["ada"], pool: { retry: { maxAttempts: 1 } } });
  for (const outcome of [
    { name: "failed", blame: "task", error },
    { name: "failed", blame: "dependency", error: { ...error, retryable: false } },
    { name: "cancelled", error },
    { name: "throttled", error: { ...error, retryable: false }, retryAfterMs: 0 },
  ] satisfies Outcome[]) {
    world.report(world.submit(), outcome);
    world.advance(0);
  }
  expect(world.agent("ada").stats).toMatchObject({ succeeded: 0, failed: 0, consecutiveFailures: 0 });
});

test("S3-14 S0-01 a new agent starts with zeroed counters, and its load is the number of its live attempts", () => {
  const world = createWorld({ agents: ["ada"] });
  expect(world.agent("ada").stats).toEqual({
    succeeded: 0,
    failed: 0,
    consecutiveFailures: 0,
    latencySumMs: 0,
    abandoned: 0,
  });
  expect(world.agent("ada").runs.size).toBe(0);
  world.submit({ id: "t" });
  expect(world.agent("ada").runs.size).toBe(1);
  world.complete("t");
  expect(world.agent("ada").runs.size).toBe(0);
});

test("a task remembers its last fifty attempts", () => {
  const world = running({ pool: { retry: { refundLimit: 100 } } });
  for (let n = 0; n < 49; n++) world.report("t", { name: "released" });
  expect(world.task("t").attempts).toHaveLength(49);
  for (let n = 0; n < 3; n++) world.report("t", { name: "released" });
  const { attempts } = world.task("t");
  expect([attempts.length, attempts[0]?.number, attempts.at(-1)?.number]).toEqual([50, 3, 52]);
});

test("usage that an attempt reports is kept with it and with the task", () => {
  const world = running();
  world.report("t", { name: "succeeded", resultBytes: 12, usage: { tokens: 7, costUsd: 0.5 } });
  expect(world.settlement("t")).toMatchObject({ resultBytes: 12, usage: { tokens: 7, costUsd: 0.5 } });
  expect(world.task("t").attempts[0]?.usage).toEqual({ tokens: 7, costUsd: 0.5 });
});

test("a task shows its last fifty attempts, and goes on counting all of them", () => {
  const world = createWorld({ agents: ["ada"], pool: { retry: { refundLimit: 1_000 } } });
  world.submit({ id: "t" });
  for (let n = 0; n < 52; n++) world.report("t", { name: "released" });
  const numbers = world.task("t").attempts.map(({ number }) => number);
  expect([numbers.length, numbers[0], numbers.at(-1)]).toEqual([50, 3, 52]);
  expect(world.lease("t")?.number).toBe(53);
});
