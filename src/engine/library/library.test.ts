/** The library's door, with real engines in this process. */
import { expect, test } from "vitest";
import { AgentError } from "../../agents/agent-error.ts";
import type { AgentFunction } from "../../agents/function.ts";
import { isPoolError, type PoolError } from "../../base/errors.ts";
import { functionAgent } from "./agents.ts";
import type { LibraryPoolOptions } from "./open.ts";
import type { Pool } from "./pool.ts";
import { createPool, createTroupe } from "./troupe.ts";

const echo: AgentFunction = ({ task }) => task.prompt;

/** Three agents alike, as in the trio origin. */
const trio = (run: AgentFunction): NonNullable<LibraryPoolOptions["agents"]> =>
  ["one", "two", "three"].map((name) => functionAgent(name, run));

const refused = async (call: Promise<unknown>): Promise<PoolError> => {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!isPoolError(error)) throw new Error(`expected a PoolError, got ${String(error)}`);
  return error;
};

/** A function that runs until it is let go. */
function gate(): { readonly run: AgentFunction; readonly started: string[]; open(): void } {
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const started: string[] = [];
  const run: AgentFunction = async ({ task, signal }) => {
    started.push(task.prompt ?? "");
    await Promise.race([opened, new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }))]);
    signal.throwIfAborted();
    return task.prompt;
  };
  return { run, started, open };
}

test("S4-02 an id is made of the prefix `pool-` and eight hex digits when none is given", async () => {
  await using pool = await createPool({ agents: trio(echo) });
  expect(pool.id).toMatch(/^pool-[0-9a-f]{8}$/);
  expect(pool.id).toHaveLength(13);
});

test("S4-03 a new pool has its agents up, all counters at 0 and the time of its making", async () => {
  await using pool = await createPool({ id: "p", agents: trio(echo) });
  const status = await pool.status();
  expect(status.byStatus).toEqual({ pending: 0, assigned: 0, in_progress: 0, completed: 0, failed: 0, cancelled: 0 });
  expect(status).toMatchObject({ id: "p", agents: 3, health: "healthy" });
  expect(Date.parse(status.createdAt)).toBeGreaterThan(0);
  expect(pool.agents().map(({ lifecycle }) => lifecycle)).toEqual(["ready", "ready", "ready"]);
});

test("S4-04 execute returns the result of the function", async () => {
  await using pool = await createPool({ agents: trio(({ task }) => `did ${task.prompt}`) });
  expect(await pool.execute("it")).toBe("did it");
});

test("S4-04 execute throws what the task ended with, and its cause is named", async () => {
  const run: AgentFunction = () => {
    throw new AgentError({ message: "can't read this", blame: "task", code: "unreadable" });
  };
  await using pool = await createPool({ agents: trio(run) });
  const error = await refused(pool.execute("x"));
  expect(error).toMatchObject({ code: "failed", message: "can't read this" });
  expect(error.details).toMatchObject({ code: "unreadable", blame: "task" });
});

test("S4-04 execute names as the cause what the last attempt failed of", async () => {
  let calls = 0;
  const run: AgentFunction = () => {
    calls += 1;
    throw new Error(`boom ${calls}`);
  };
  await using pool = await createPool({ agents: trio(run), retry: { maxAttempts: 2 } });
  const error = await refused(pool.execute("x"));
  expect(error).toMatchObject({ code: "exhausted", message: "all 2 attempts failed; the last: boom 2" });
  expect(error.cause).toBeInstanceOf(Error);
  expect(error.cause).toMatchObject({ message: "boom 2", code: "failed", blame: "unknown" });
  const [inBatch] = await pool.executeBatch(["y"]);
  expect((inBatch as PoolError).cause).toMatchObject({ message: "boom 4" });
});

test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "soon" as unknown as number])(
  "a limit of %j for a call is refused by its name, and nothing runs",
  async (timeoutMs) => {
    await using troupe = await createTroupe();
    const pool = await troupe.create({ agents: trio(echo) });
    for (const call of [
      () => pool.execute("x", { timeoutMs }),
      () => pool.executeBatch(["x"], { timeoutMs }),
      () => troupe.route("x", { timeoutMs }),
    ]) {
      expect(await refused(call())).toMatchObject({ code: "invalid", details: { path: "timeoutMs" } });
    }
    expect((await pool.tasks()).items).toEqual([]);
  },
);

test("S4-04 S4-B04 a call that runs out of time throws, and its task is stopped and never runs later", async () => {
  const held = gate();
  await using pool = await createPool({ id: "p", agents: [functionAgent("ada", held.run)] });
  // Long enough for it to start on a busy machine; both are listened to from the beginning.
  const first = refused(pool.execute("running", { timeoutMs: 1_000 }));
  // The shorter one, so that the agent is not free before it has ended.
  const second = refused(pool.execute("waiting", { timeoutMs: 500 }));
  expect((await first).code).toBe("deadline_exceeded");
  expect((await second).code).toBe("deadline_exceeded");
  held.open();
  expect(held.started).toEqual(["running"]);
  const { items } = await pool.tasks();
  expect(items.map(({ status, error }) => [status, error?.code])).toEqual([
    ["failed", "deadline_exceeded"],
    ["failed", "deadline_exceeded"],
  ]);
});

test("S4-04 a closed pool refuses with a code, and without a time limit a call waits", async () => {
  const held = gate();
  const pool = await createPool({ agents: trio(held.run) });
  const call = pool.execute("x");
  held.open();
  expect(await call).toBe("x");
  await pool.close();
  expect((await refused(pool.execute("y"))).code).toBe("shutting_down");
});

test("S4-05 a batch gives its results in order, failures in their places, and an empty one gives nothing", async () => {
  const run: AgentFunction = async ({ task }) => {
    await new Promise((resolve) => setTimeout(resolve, task.prompt === "slow" ? 20 : 0));
    if (task.prompt === "bad") throw new AgentError({ message: "no", blame: "task" });
    return task.prompt;
  };
  await using pool = await createPool({ agents: trio(run) });
  const [slow, bad, quick] = await pool.executeBatch(["slow", "bad", "quick"]);
  expect([slow, quick]).toEqual(["slow", "quick"]);
  expect(isPoolError(bad, "failed")).toBe(true);
  expect(await pool.executeBatch([])).toEqual([]);
});

test("S4-05 a batch shares its context", async () => {
  await using pool = await createPool({ agents: trio(({ task }) => task.context.repo) });
  expect(await pool.executeBatch(["a", "b"], { context: { repo: "here" } })).toEqual(["here", "here"]);
});

test("S4-27 S4-B08 a batch larger than the queue is fed as room comes, and all of it is done in order", async () => {
  await using pool = await createPool({ agents: trio(echo), queue: { limit: 2 } });
  const prompts = Array.from({ length: 40 }, (_, n) => `p${n}`);
  expect(await pool.executeBatch(prompts)).toEqual(prompts);
});

test("S4-06 S4-07 S4-08 S4-B15 counters tell what was done, and a rate counts what has ended", async () => {
  const held = gate();
  const run: AgentFunction = (call) => {
    if (call.task.prompt === "bad") throw new AgentError({ message: "no", blame: "task" });
    return call.task.prompt === "hold" ? held.run(call) : call.task.prompt;
  };
  await using pool = await createPool({ agents: trio(run) });
  expect(pool.agents().map(({ stats }) => [stats.successRate, stats.samples])).toEqual([
    [1, 0],
    [1, 0],
    [1, 0],
  ]);
  await pool.executeBatch(["a", "b", "bad"]);
  const holding = pool.execute("hold");
  await expect.poll(() => held.started).toEqual(["hold"]);
  const { byStatus } = await pool.status();
  expect(byStatus).toMatchObject({ completed: 2, failed: 1, in_progress: 1, pending: 0 });
  held.open();
  await holding;
});

test("S4-09 S4-B16 an agent's mean time is taken over its successes", async () => {
  await using pool = await createPool({ agents: [functionAgent("ada", echo)] });
  await pool.execute("x");
  const [agent] = pool.agents();
  expect(agent?.stats).toMatchObject({
    succeeded: 1,
    failed: 0,
    successRate: 1,
    errorShare: 0,
    samples: 1,
    inFlight: 0,
  });
  expect(agent?.stats.meanLatencyMs).toBeGreaterThanOrEqual(0);
});

test("S4-10 S3-B12 empty, null and false results are results", async () => {
  const results: unknown[] = ["", null, 0, false, [], {}];
  await using pool = await createPool({ agents: trio(({ task }) => results[Number(task.prompt)]) });
  expect(await pool.executeBatch(results.map((_, n) => String(n)))).toEqual(results);
  const task = await pool.submit("1");
  expect((await task.settled()).result).toBeNull();
});

test("a function that returns nothing completes its task with null", async () => {
  await using pool = await createPool({ agents: trio(() => undefined) });
  expect(await pool.execute("x")).toBeNull();
});

test("what JSON can't hold is a failure of the task, not of the agent", async () => {
  await using pool = await createPool({ agents: trio(() => 1n) });
  const error = await refused(pool.execute("x"));
  expect(error.details).toMatchObject({ blame: "task" });
  expect(pool.agents().every(({ stats }) => stats.failed === 0)).toBe(true);
});

test("S0-20 S0-21 a task that fails on one agent is tried on the others, three times in all", async () => {
  const tried: string[] = [];
  const agents = ["a", "b", "c"].map((name) =>
    functionAgent(name, () => {
      tried.push(name);
      throw new Error("broken");
    }),
  );
  await using pool = await createPool({ agents, strategy: "round_robin" });
  const task = await pool.submit("x");
  const settled = await task.settled();
  expect(tried).toEqual(["a", "b", "c"]);
  expect(settled).toMatchObject({
    status: "failed",
    attemptCount: 3,
    deadLettered: true,
    error: { code: "exhausted" },
  });
  expect(settled.attempts.map(({ agentName, outcome, blame }) => [agentName, outcome, blame])).toEqual([
    ["a", "failed", "unknown"],
    ["b", "failed", "unknown"],
    ["c", "failed", "unknown"],
  ]);
});

test("S0-26 a dead letter can be replayed, and its history goes on", async () => {
  let broken = true;
  const run: AgentFunction = () => {
    if (broken) throw new Error("broken");
    return "fine";
  };
  await using pool = await createPool({ agents: trio(run), retry: { maxAttempts: 1 } });
  const task = await pool.submit("x");
  expect((await task.settled()).status).toBe("failed");
  broken = false;
  expect(await pool.replay(task.id)).toMatchObject({ replays: 1, attemptCount: 0, failedAgentIds: [] });
  const again = await task.settled();
  expect(again).toMatchObject({ status: "completed", result: "fine", replays: 1 });
  expect(again.attempts.map(({ number, outcome }) => [number, outcome])).toEqual([
    [1, "failed"],
    [2, "succeeded"],
  ]);
  expect((await refused(pool.replay(task.id))).code).toBe("conflict");
});

test("S3-11 S3-B25 a task waits for its dependencies and is handed their results", async () => {
  await using pool = await createPool({ agents: trio(({ task }) => task.context.dependencies ?? task.prompt) });
  const a = await pool.submit({ id: "a", prompt: "first" });
  const b = await pool.submit({ id: "b", input: { deep: [1] }, prompt: "second" });
  const both = await pool.submit({ prompt: "both", dependencies: [a.id, b.id, a.id] });
  expect(await both.result()).toEqual({ a: "first", b: "second" });
});

test("the context of the caller and the results of dependencies stand side by side", async () => {
  await using pool = await createPool({ agents: trio(({ task }) => task.context) });
  await pool.execute({ id: "a", prompt: "x" });
  const result = await pool.execute({ prompt: "y", dependencies: ["a"], context: { own: 1 } });
  expect(result).toEqual({ own: 1, dependencies: { a: {} } });
});

test("S4-B04 an aborted signal cancels the task, running or waiting", async () => {
  const held = gate();
  await using pool = await createPool({ agents: [functionAgent("ada", held.run)] });
  const control = new AbortController();
  const running = pool.execute("running", { signal: control.signal });
  const waiting = pool.execute("waiting", { signal: control.signal });
  await expect.poll(() => held.started).toEqual(["running"]);
  control.abort();
  expect((await refused(running)).code).toBe("cancelled");
  expect((await refused(waiting)).code).toBe("cancelled");
  expect((await refused(pool.execute("late", { signal: control.signal }))).code).toBe("cancelled");
  expect(held.started).toEqual(["running"]);
});

test("S0-34 S0-B19 S4-15 S4-B05 closing finishes what it can, then tells every caller, and is safe twice", async () => {
  const held = gate();
  const pool = await createPool({ agents: [functionAgent("ada", held.run)] });
  const calls = [pool.execute("a"), pool.execute("b"), pool.execute("c")];
  const ends = Promise.allSettled(calls);
  await expect.poll(() => held.started).toEqual(["a"]);
  await Promise.all([pool.close({ drainMs: 30 }), pool.close()]);
  const codes = (await ends).map((end) => (end.status === "rejected" ? (end.reason as PoolError).code : "done"));
  expect(codes).toEqual(["shutting_down", "shutting_down", "shutting_down"]);
});

test("S4-15 closing lets what waits be done while there is time", async () => {
  const pool = await createPool({ agents: [functionAgent("ada", echo)] });
  const calls = pool.executeBatch(["a", "b", "c"]);
  await new Promise((resolve) => setTimeout(resolve, 0));
  await pool.close();
  expect(await calls).toEqual(["a", "b", "c"]);
});

test("S4-16 S4-17 S4-18 S4-23 a troupe holds several pools, in the order of their making, each with its own queue", async () => {
  await using troupe = await createTroupe();
  const one = await troupe.create({ id: "one", agents: [functionAgent("ada", () => 1)] });
  await troupe.create({ id: "two", agents: [functionAgent("ada", () => 2)] });
  expect((await refused(troupe.create({ id: "one" }))).code).toBe("conflict");
  expect(troupe.list().map(({ id }) => id)).toEqual(["one", "two"]);
  expect(troupe.get("one")).toBe(one);
  expect(troupe.get("none")).toBeUndefined();
  expect([await one.execute("x"), await troupe.get("two")?.execute("x")]).toEqual([1, 2]);
  expect(await troupe.delete("one")).toBe(true);
  expect(await troupe.delete("one")).toBe(false);
  expect((await refused(one.execute("x"))).code).toBe("not_found");
  await troupe.close();
  await troupe.close();
});

test("S4-24 twenty tasks on three agents all finish, and five pools of five run together", async () => {
  await using troupe = await createTroupe();
  const pools = await Promise.all(
    Array.from({ length: 5 }, (_, n) => troupe.create({ id: `p${n}`, agents: trio(echo) })),
  );
  const prompts = (count: number): string[] => Array.from({ length: count }, (_, n) => String(n));
  const results = await Promise.all([
    ...pools.map((pool) => pool.executeBatch(prompts(5))),
    pools[0]?.executeBatch(prompts(20)),
  ]);
  expect(results.map((list) => list?.length)).toEqual([5, 5, 5, 5, 5, 20]);
});

test("S0-36 in process an unknown type is refused, or becomes `general` when the pool says so", async () => {
  const agents = [functionAgent("ada", ({ task }) => task.type)];
  await using strict = await createPool({ types: ["research", "general"], agents });
  expect((await refused(strict.execute({ type: "other", prompt: "x" }))).code).toBe("invalid");
  await using lax = await createPool({ types: ["research", "general"], unknownType: "general", agents });
  expect(await lax.execute({ type: "other", prompt: "x" })).toBe("general");
  expect(await lax.execute({ type: "research", prompt: "x" })).toBe("research");
});

test.each([
  [{ prompt: 1 }, "prompt"],
  [{}, "prompt"],
  [{ prompt: "x", colour: "red" }, "colour"],
  [{ prompt: "x", priority: "urgent" }, "priority"],
  [{ prompt: "x", maxAttempts: 0 }, "maxAttempts"],
  [{ prompt: "x", id: "with space" }, "id"],
  [{ prompt: "x", dependencies: ["nobody"] }, "dependencies"],
  [{ prompt: "x", runAt: "2026-01-01T00:00:00Z", delayMs: 1 }, "delayMs"],
])("a task %j is refused and names %s", async (task, path) => {
  await using pool = await createPool({ agents: trio(echo) });
  const error = await refused(pool.submit(task as never));
  expect(error.details.path).toBe(path);
  expect((await pool.tasks()).items).toEqual([]);
});

test("progress that a function tells is shown while it runs, and the last of it once it has ended", async () => {
  const held = gate();
  const run: AgentFunction = (call) => {
    call.progress({ done: 1, of: 2 });
    return held.run(call);
  };
  await using pool = await createPool({ agents: [functionAgent("ada", run)] });
  const task = await pool.submit("x");
  await expect.poll(async () => (await pool.task(task.id)).progress).toEqual({ done: 1, of: 2 });
  held.open();
  expect(await task.settled()).toMatchObject({ status: "completed", progress: { done: 1, of: 2 } });
});

test("a life that a replay begins has told nothing yet", async () => {
  const run: AgentFunction = ({ task, progress }) => {
    if (task.prompt === "good") return "done";
    progress("half");
    throw new AgentError({ message: "no", blame: "task" });
  };
  await using pool = await createPool({ agents: [functionAgent("ada", run)] });
  const task = await pool.submit("bad");
  expect((await task.settled()).progress).toBe("half");
  await pool.replay(task.id, { prompt: "good" });
  await expect.poll(async () => (await pool.task(task.id)).status).toBe("completed");
  expect(await pool.task(task.id)).not.toHaveProperty("progress");
});

test("S0-02 S0-L08 an agent's memory is its own", async () => {
  const count: AgentFunction = ({ memory }) => {
    memory.set("n", ((memory.get("n") as number | undefined) ?? 0) + 1);
    return memory.get("n");
  };
  await using pool = await createPool({
    agents: [functionAgent("a", count), functionAgent("b", count)],
    strategy: "round_robin",
  });
  expect(await pool.execute("1")).toBe(1);
  expect(await pool.execute("2")).toBe(1);
  expect(await pool.execute("3")).toBe(2);
});

test("S0-01 every agent has four ids of its own", async () => {
  await using pool = await createPool({ agents: trio(echo) });
  const ids = pool.agents().flatMap((a) => [a.id, a.contextWindowId, a.toolSessionId, a.memoryHandleId]);
  expect(new Set(ids).size).toBe(12);
});

test("S4-B01 a failing agent's failures are counted, a bad input's are not", async () => {
  const run: AgentFunction = ({ task }) => {
    throw new AgentError({ message: "no", blame: task.prompt === "bad" ? "task" : "agent" });
  };
  await using pool: Pool = await createPool({ agents: [functionAgent("ada", run)], retry: { maxAttempts: 1 } });
  await pool.executeBatch(["bad", "bad", "crash"]);
  expect(pool.agents()[0]?.stats).toMatchObject({ failed: 1, consecutiveFailures: 1 });
});

test("S3-L01 with its retry budget spent a pool holds retries back and says so, and drops none", async () => {
  let failures = 2;
  const run: AgentFunction = ({ task }) => {
    if (task.prompt === "fails" && failures-- > 0) throw new Error("not yet");
    return task.prompt;
  };
  const agents = [functionAgent("ada", run), functionAgent("bob", run), functionAgent("cyd", run)];
  const pool = await createPool({ agents, retry: { budget: { ratio: 1, floor: 0 } } });
  const task = await pool.submit("fails");
  await expect
    .poll(async () => (await pool.task(task.id)).waiting)
    .toMatchObject({
      reason: "retry",
      detail: "the retry budget of its pool is spent",
    });
  // New work earns the retry.
  expect(await pool.execute("another")).toBe("another");
  expect(await task.result()).toBe("fails");
  await pool.close();
});

test("a pool may say whose fault an error is", async () => {
  const run: AgentFunction = () => {
    throw new TypeError("not a number");
  };
  const classify = (error: unknown) => (error instanceof TypeError ? ("task" as const) : undefined);
  await using pool = await createPool({ agents: trio(run), classify });
  const task = await pool.submit("x");
  const settled = await task.settled();
  expect(settled).toMatchObject({ status: "failed", error: { blame: "task", message: "not a number" } });
  expect(settled.attempts).toHaveLength(1);
});

test("callers who never pause leave timers and sockets their turn", async () => {
  await using pool = await createPool({ agents: trio(echo) });
  let fired = false;
  setImmediate(() => {
    fired = true;
  });
  for (let n = 0; n < 2_000 && !fired; n++) await pool.execute("x");
  expect(fired).toBe(true);
});

test("a refusal is told to its caller, and others go on", async () => {
  const { run, open } = gate();
  await using pool = await createPool({ agents: [functionAgent("one", run)], queue: { limit: 1 } });
  const [first, second, third] = [pool.execute("a"), pool.execute("b"), refused(pool.execute("c"))];
  expect((await third).code).toBe("queue_full");
  open();
  expect([await first, await second]).toEqual(["a", "b"]);
  expect((await pool.metrics()).refusals).toBe(1);
});

test("execute refuses what is wrong with the task itself, without throwing at once", async () => {
  await using pool = await createPool({ agents: trio(echo) });
  const call = pool.execute({ prompt: "x", maxAttempts: 0 });
  expect((await refused(call)).details.path).toBe("maxAttempts");
});
