import { expect, test } from "vitest";
import { createWorld, type World, type WorldOptions } from "../testing/world.ts";

const TTL_MS = 30_000;

/** The engine dies and comes up again so much later. */
function restarted(world: World, laterMs = 1_000): World {
  world.nowMs += laterMs;
  world.restart();
  world.ask({ type: "recover" });
  return world;
}

function working(agents: WorldOptions["agents"] = ["ada"], pool = {}): World {
  const world = createWorld({ agents, pool });
  world.submit({ id: "t" });
  return world;
}

test("what ran in the engine that died is lost, the engine's fault, refunded, and runs again", () => {
  const world = restarted(working());
  expect(world.task("t")).toMatchObject({
    attemptCount: 0,
    refunds: 1,
    failedAgentIds: [],
    attempts: [{ outcome: "lost", blame: "engine", error: { code: "engine_died" } }],
  });
  expect(world.status("t")).toBe("agent");
  world.ready("ada");
  expect(world.lease("t")?.number).toBe(2);
});

test("every local agent is started again after a restart of the engine", () => {
  const world = createWorld({ agents: ["ada", { name: "dan", kind: "daemon" }] });
  const before = world.effectsOf("start_agent").length;
  restarted(world);
  expect(
    world
      .effectsOf("start_agent")
      .slice(before)
      .map(({ agentId }) => agentId),
  ).toEqual(["ada", "dan"]);
  expect(world.agent("ada").lifecycle).toBe("starting");
});

test("what runs on a remote agent goes on with its fence, and gets one whole lease", () => {
  const world = working([{ name: "rem", kind: "remote" }]);
  world.claim("rem");
  world.start("t");
  const { fence = 0, startedAtMs } = world.lease("t") ?? {};
  restarted(world, TTL_MS + 5_000);
  expect(world.lease("t")).toMatchObject({ agentId: "rem", fence, startedAtMs, expiresAtMs: world.nowMs + TTL_MS });
  expect(world.agent("rem").lifecycle).toBe("ready");
  expect(world.heartbeat("rem", ["t"]).stop).toEqual([]);
  world.report("t", { name: "succeeded", resultBytes: 1 }, fence);
  expect(world.status("t")).toBe("completed");
});

test("a remote agent that does not come back loses its attempt at the end of that lease", () => {
  const world = working([{ name: "rem", kind: "remote" }]);
  world.claim("rem");
  restarted(world);
  world.advance(TTL_MS - 1);
  expect(world.status("t")).toBe("leased");
  world.advance(1);
  expect(world.task("t").attempts[0]).toMatchObject({ outcome: "lost", blame: "agent" });
  expect(world.agent("rem").lifecycle).toBe("crashed");
});

test("the time of a remote attempt that had started goes on counting from its start", () => {
  const world = working([{ name: "rem", kind: "remote" }], { timeoutMs: 10_000 });
  world.claim("rem");
  world.start("t");
  world.advance(4_000);
  restarted(world, 1_000);
  world.advance(4_999);
  expect(world.status("t")).toBe("leased");
  world.advance(1);
  expect(world.task("t").attempts[0]?.outcome).toBe("timed_out");
});

test("a remote attempt that had not started has no limit until it does", () => {
  const world = working([{ name: "rem", kind: "remote" }], { timeoutMs: 10_000 });
  world.claim("rem");
  restarted(world, 1);
  world.advance(15_000);
  expect(world.status("t")).toBe("leased");
});

test("the fences of the new term are above all fences of the old", () => {
  const world = working();
  const old = world.lease("t")?.fence ?? 0;
  restarted(world);
  world.ready("ada");
  expect(world.lease("t")?.fence).toBe(2 ** 33 + 1);
  expect(2 ** 33 + 1).toBeGreaterThan(old);
});

test("admission numbers go on after a restart, also when nothing is open", () => {
  const world = createWorld({ agents: ["ada"] });
  world.complete(world.submit());
  restarted(world);
  world.submit({ id: "next" });
  expect(world.task("next").num).toBe(2);
});

test("queue, delays, backoffs, deadlines and failed lists come back from a restart", () => {
  const world = createWorld({ agents: ["ada"], pool: { retry: { backoff: { baseMs: 5_000 } } } });
  world.submit({ id: "retrying" });
  world.fail("retrying");
  world.submit({ id: "busy" });
  for (const id of ["w1", "w2"]) world.submit({ id });
  world.submit({ id: "delayed", runAtMs: world.nowMs + 6_000 });
  world.submit({ id: "late", deadlineAtMs: world.nowMs + 3_000 });
  restarted(world);
  expect(["retrying", "busy", "w1", "delayed", "late"].map((id) => world.status(id))).toEqual([
    "retry",
    "agent",
    "agent",
    "delay",
    "agent",
  ]);
  expect([world.waitsMs("retrying"), world.waitsMs("delayed")]).toEqual([4_000, 5_000]);
  expect(world.task("retrying")).toMatchObject({ attemptCount: 1, failedAgentIds: ["ada"] });
  world.advance(2_000);
  expect(world.settlement("late").error?.code).toBe("deadline_exceeded");
  world.addAgent({ name: "bob", concurrency: 9 });
  world.advance(3_000);
  expect(world.order.slice(2)).toEqual(["busy", "w1", "w2", "retrying", "delayed"]);
});

test("a task that had its backoff behind it does not back off once more after a restart", () => {
  const world = createWorld({ agents: ["ada"], pool: { retry: { backoff: { baseMs: 100 } } } });
  world.submit({ id: "t" });
  world.fail("t");
  world.submit({ id: "busy" });
  world.advance(100);
  expect([world.status("t"), world.task("t").again]).toEqual(["agent", true]);
  restarted(world);
  expect([world.status("t"), world.task("t").again]).toEqual(["agent", true]);
  world.ready("ada");
  expect(world.runner("t")).toBe("ada");
});

test("what fell due while no engine ran is done in the first turn", () => {
  const world = createWorld();
  world.submit({ id: "delayed", runAtMs: world.nowMs + 100 });
  world.submit({ id: "late", deadlineAtMs: world.nowMs + 100 });
  restarted(world, 500);
  expect([world.status("delayed"), world.status("late")]).toEqual(["agent", "failed"]);
});

test("a replayed task is still the first of its priority after a restart", () => {
  const world = createWorld({ agents: ["ada"], pool: { retry: { maxAttempts: 1 } } });
  world.submit({ id: "dead" });
  world.fail("dead");
  for (const id of ["busy", "old"]) world.submit({ id });
  world.replay("dead");
  restarted(world);
  world.ready("ada");
  expect(world.runner("dead")).toBe("ada");
});

test("an agent keeps its id and its number over restarts, and the next agent gets the next number", () => {
  const world = createWorld({ agents: ["a", "b"] });
  world.remove("a");
  restarted(world);
  world.addAgent("c");
  expect([world.agent("b").identity.ordinal, world.agent("c").identity.ordinal]).toEqual([1, 2]);
});

test("a remote agent that had fallen silent counts as there after a restart, until it is silent again", () => {
  const world = createWorld({ agents: [{ name: "rem", kind: "remote" }] });
  world.advance(TTL_MS);
  expect(world.agent("rem").lifecycle).toBe("crashed");
  restarted(world);
  expect(world.agent("rem").lifecycle).toBe("ready");
  world.advance(TTL_MS);
  expect(world.agent("rem").lifecycle).toBe("crashed");
});

test("a death of the engine is refunded up to the limit, then it counts", () => {
  const world = working(["ada"], { retry: { maxAttempts: 2, refundLimit: 1, backoff: { baseMs: 10 } } });
  for (const _ of [1, 2]) {
    restarted(world);
    world.ready("ada");
    world.advance(10);
  }
  expect(world.task("t")).toMatchObject({ attemptCount: 1, refunds: 1 });
});

test("the deadline of a remote attempt, and its nearness, are known to the next engine", () => {
  const world = createWorld({
    agents: [{ name: "rem", kind: "remote", concurrency: 2 }],
    pool: { lease: { ttlMs: 600_000 } },
  });
  world.claim("rem", { max: 2 });
  const deadlineAtMs = world.nowMs + 10_000;
  world.submit({ id: "t", deadlineAtMs, escalate: { atShare: 0.5, priority: 1 } });
  world.restart();
  world.ask({ type: "recover" });
  world.advance(5_000);
  expect([world.task("t").priority, world.status("t")]).toEqual([1, "leased"]);
  world.advance(5_000);
  expect(world.settlement("t").error?.code).toBe("deadline_exceeded");
  expect(world.effectsOf("stop")).toMatchObject([{ agentId: "rem", taskId: "t" }]);
});

test("a retry that waited at the engine's death is still paid for by the budget", () => {
  const budget = { ratio: 0, windowMs: 600_000, floor: 1 };
  const retry = { failover: "backoff" as const, backoff: { baseMs: 1_000, jitter: "none" as const }, budget };
  const world = createWorld({ agents: ["ada", "bob"], pool: { retry } });
  for (const id of ["t", "u"]) world.submit({ id });
  world.fail("t");
  expect(world.status("t")).toBe("retry");
  world.restart();
  world.ask({ type: "recover" });
  for (const name of ["ada", "bob"]) world.ready(name);
  world.advance(1_000);
  expect(world.status("t")).toBe("leased");
  world.fail("u");
  world.advance(10_000);
  expect(world.status("u")).toBe("retry");
});
