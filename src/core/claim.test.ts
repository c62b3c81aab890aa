import { expect, test } from "vitest";
import { asAgentId, asTaskId } from "../base/ids.ts";
import { createWorld, refusal, type World } from "../testing/world.ts";

const TTL_MS = 30_000;
const RENEW_MS = 10_000;

/** A remote agent `rem` with room for three. */
function remote(concurrency = 3, pool = {}): World {
  return createWorld({ agents: [{ name: "rem", kind: "remote", concurrency }], pool });
}

const idsOf = (world: World, claimId: number): string[] | undefined =>
  world.answered(claimId)?.map(({ taskId }) => taskId);

test("a remote agent is given nothing without an open claim", () => {
  const world = remote();
  world.submit({ id: "t" });
  expect(world.status("t")).toBe("agent");
});

test("S3-06 S3-40 a claim is answered in its turn with the oldest that waits, which is leased to nobody else", () => {
  const world = remote();
  for (const id of ["a", "b"]) world.submit({ id });
  const claimId = world.claim("rem");
  const lease = world.lease("a");
  expect(world.answered(claimId)).toEqual([
    { taskId: "a", agentId: "rem", number: 1, fence: lease?.fence, expiresAtMs: world.nowMs + TTL_MS },
  ]);
  expect([world.runner("a"), world.status("b")]).toEqual(["rem", "agent"]);
  expect(world.effectsOf("run")).toEqual([]);
});

test("S3-06 a claim that finds nothing waits, and is answered when something comes", () => {
  const world = remote();
  const claimId = world.claim("rem");
  expect(world.answered(claimId)).toBeUndefined();
  world.submit({ id: "t" });
  expect(idsOf(world, claimId)).toEqual(["t"]);
});

test("a claim is answered once, with all that its turn leased, up to its `max`", () => {
  const world = remote(5);
  const claimId = world.claim("rem", { max: 2 });
  world.submitBatch([{ id: "a" }, { id: "b" }, { id: "c" }]);
  expect(idsOf(world, claimId)).toEqual(["a", "b"]);
  expect(world.status("c")).toBe("agent");
  expect(idsOf(world, world.claim("rem", { max: 2 }))).toEqual(["c"]);
});

test("a claim with a larger `max` is answered with less when that is all there is", () => {
  const world = remote(5);
  const claimId = world.claim("rem", { max: 5 });
  world.submit({ id: "a" });
  expect(idsOf(world, claimId)).toEqual(["a"]);
  world.submit({ id: "b" });
  expect(world.status("b")).toBe("agent");
});

test("concurrency bounds what a claim gives, whatever its `max`", () => {
  const world = remote(2);
  for (const id of ["a", "b", "c"]) world.submit({ id });
  expect(idsOf(world, world.claim("rem", { max: 10 }))).toEqual(["a", "b"]);
  const full = world.claim("rem");
  expect(idsOf(world, full)).toBeUndefined();
  world.complete("a");
  expect(idsOf(world, full)).toEqual(["c"]);
});

test("a newer claim ends the older with nothing, and takes over", () => {
  const world = remote();
  const [older, newer] = [world.claim("rem"), world.claim("rem")];
  expect([idsOf(world, older), idsOf(world, newer)]).toEqual([[], undefined]);
  world.submit({ id: "t" });
  expect(idsOf(world, newer)).toEqual(["t"]);
});

test("a claim ends with nothing at exactly the end of its time", () => {
  const world = remote();
  const claimId = world.claim("rem", { waitMs: 500 });
  world.advance(499);
  expect(idsOf(world, claimId)).toBeUndefined();
  world.advance(1);
  expect(idsOf(world, claimId)).toEqual([]);
  world.submit({ id: "t" });
  expect(world.status("t")).toBe("agent");
});

test("the end of an older claim's time does not end the newer", () => {
  const world = remote();
  world.claim("rem", { waitMs: 500 });
  const newer = world.claim("rem", { waitMs: 5_000 });
  world.advance(500);
  expect(idsOf(world, newer)).toBeUndefined();
});

test("a claim whose caller has gone ends, and only that one", () => {
  const world = remote();
  const claimId = world.claim("rem");
  const agentId = asAgentId("rem");
  world.ask({ type: "close_claim", agentId, claimId: claimId + 7 });
  expect(idsOf(world, claimId)).toBeUndefined();
  world.ask({ type: "close_claim", agentId, claimId });
  world.ask({ type: "close_claim", agentId, claimId });
  world.ask({ type: "close_claim", agentId: asAgentId("nobody"), claimId });
  expect(idsOf(world, claimId)).toEqual([]);
});

test("S3-B36 a claim without types takes any, with an empty list nothing, with a list what it names", () => {
  const world = remote(5);
  for (const type of ["x", "y", "z"]) world.submit({ id: type, type });
  const nothing = world.claim("rem", { max: 5, types: [] });
  expect(idsOf(world, nothing)).toBeUndefined();
  expect(idsOf(world, world.claim("rem", { max: 5, types: ["y", "none"] }))).toEqual(["y"]);
  expect(idsOf(world, world.claim("rem", { max: 5 }))).toEqual(["x", "z"]);
});

test("S3-B03 a claim's types are matched against the task's own type: `general` is no wildcard there", () => {
  const world = remote(5);
  world.submit({ id: "plain" });
  world.submit({ id: "x", type: "x" });
  expect(idsOf(world, world.claim("rem", { max: 5, types: ["general"] }))).toEqual(["plain"]);
});

test("only a known remote agent may claim, or send a heartbeat", () => {
  const world = createWorld({ agents: ["ada"] });
  for (const ask of [(name: string) => world.claim(name), (name: string) => world.heartbeat(name)]) {
    expect(refusal(() => ask("nobody")).code).toBe("not_found");
    expect(refusal(() => ask("ada")).code).toBe("conflict");
  }
});

test("the start of a remote attempt is durable, that of a local one is not", () => {
  const world = remote();
  world.addAgent({ name: "ada" });
  world.submit({ id: "local" });
  world.start("local");
  expect(world.eventsOf("task.started")).toEqual([]);
  world.submit({ id: "t" });
  world.claim("rem");
  world.start("t");
  expect(world.eventsOf("task.started")).toMatchObject([{ taskId: "t", atMs: world.nowMs }]);
});

/** `rem` runs these. */
function busy(ids: readonly string[], pool = {}): World {
  const world = remote(5, pool);
  world.submitBatch(ids.map((id) => ({ id })));
  world.claim("rem", { max: 5 });
  return world;
}

test("S3-B38 a heartbeat renews what it names and nothing else", () => {
  const world = busy(["a", "b"]);
  const endMs = world.nowMs + TTL_MS;
  world.advance(1_000);
  const reply = world.heartbeat("rem", ["a"]);
  expect(reply).toEqual({ type: "heartbeat", stop: [], quiet: false, leaseExpiresAtMs: world.nowMs + TTL_MS });
  expect([world.lease("a")?.expiresAtMs, world.lease("b")?.expiresAtMs]).toEqual([endMs + 1_000, endMs]);
});

test("what is not named any more is lost at the end of its lease, although the agent lives", () => {
  const world = busy(["a", "b"]);
  world.heartbeat("rem", ["a", "b"]);
  for (let n = 0; n < 2; n++) {
    world.advance(RENEW_MS);
    world.heartbeat("rem", ["a"]);
  }
  world.advance(RENEW_MS);
  expect([world.runner("a"), world.status("b")]).toEqual(["rem", "retry"]);
  expect(world.task("b").attempts[0]).toMatchObject({ outcome: "lost", blame: "agent" });
});

test("a heartbeat is told to stop what is not its own: unknown, settled, given to another, an old fence", () => {
  const world = busy(["done", "moved"]);
  const moved = world.lease("moved")?.fence ?? 0;
  const done = world.lease("done")?.fence ?? 0;
  world.complete("done");
  world.addAgent("ada");
  world.fail("moved");
  expect(world.runner("moved")).toBe("ada");
  const named = [
    { taskId: asTaskId("nobody"), fence: 1 },
    { taskId: asTaskId("done"), fence: done },
    { taskId: asTaskId("moved"), fence: moved },
    { taskId: asTaskId("moved"), fence: world.lease("moved")?.fence ?? 0 },
  ];
  const endMs = world.lease("moved")?.expiresAtMs;
  world.advance(10);
  expect(world.heartbeatOf("rem", named).stop).toEqual(["nobody", "done", "moved", "moved"]);
  expect(world.lease("moved")?.expiresAtMs).toBe(endMs);
});

test("an attempt that was never named is given back by a heartbeat later than the renewal time, not by one at it", () => {
  const world = busy(["t"]);
  world.advance(RENEW_MS);
  world.heartbeat("rem");
  expect(world.runner("t")).toBe("rem");
  world.advance(1);
  world.heartbeat("rem");
  expect(world.task("t")).toMatchObject({
    attemptCount: 0,
    refunds: 1,
    failedAgentIds: [],
    attempts: [{ outcome: "released", error: { message: "its agent never named it" } }],
  });
  expect(world.agent("rem").runs.size).toBe(0);
});

test("an attempt that was named once is not given back: silence about it is a loss", () => {
  const world = busy(["t"]);
  world.heartbeat("rem", ["t"]);
  world.advance(RENEW_MS + 1);
  world.heartbeat("rem");
  expect(world.runner("t")).toBe("rem");
});

test("the slot of a run that timed out stays taken while it is named, and is free when a heartbeat omits it", () => {
  const world = busy(["t"], { timeoutMs: 1_000, retry: { maxAttempts: 1 } });
  world.start("t");
  const named = [{ taskId: asTaskId("t"), fence: world.lease("t")?.fence ?? 0 }];
  world.advance(1_000);
  expect(world.heartbeatOf("rem", named).stop).toEqual(["t"]);
  expect(world.agent("rem").runs.size).toBe(1);
  world.heartbeat("rem");
  expect(world.agent("rem").runs.size).toBe(0);
});

test("the slot of a run that timed out is free at the end of its lease, and nothing is counted as abandoned", () => {
  const world = busy(["t"], { timeoutMs: 1_000, retry: { maxAttempts: 1 } });
  world.start("t");
  world.advance(TTL_MS - 1);
  expect([world.status("t"), world.agent("rem").runs.size]).toEqual(["failed", 1]);
  world.advance(1);
  expect([world.agent("rem").runs.size, world.agent("rem").stats.abandoned]).toEqual([0, 0]);
});

test("a heartbeat is told to be quiet while the pool or the engine drains", () => {
  const world = busy([]);
  expect(world.heartbeat("rem").quiet).toBe(false);
  world.ask({ type: "drain_pool", pool: world.agent("rem").identity.pool });
  expect(world.heartbeat("rem").quiet).toBe(true);
  const other = busy([]);
  other.ask({ type: "drain", matching: true });
  expect(other.heartbeat("rem").quiet).toBe(true);
});

test("of several agents with open claims each is answered with its own", () => {
  const world = createWorld({
    agents: [
      { name: "r1", kind: "remote" },
      { name: "r2", kind: "remote" },
    ],
  });
  const claims = [world.claim("r1"), world.claim("r2")];
  world.submitBatch([{ id: "a" }, { id: "b" }]);
  expect(claims.map((claimId) => idsOf(world, claimId))).toEqual([["a"], ["b"]]);
});

/** A remote agent gave a task back, and still names the attempt in its heartbeats. */
function stillNaming(): World {
  const world = createWorld({ agents: [{ name: "rem", kind: "remote", concurrency: 2 }] });
  world.submit({ id: "t" });
  world.claim("rem");
  const fence = world.lease("t")?.fence ?? 0;
  world.report("t", { name: "released" });
  world.heartbeatOf("rem", [{ taskId: asTaskId("t"), fence }]);
  return world;
}

test("an agent is leased no task while it still names an older attempt of it, and gets others", () => {
  const world = stillNaming();
  world.claim("rem", { max: 2 });
  expect(world.status("t")).toBe("agent");
  const other = world.submit();
  expect(world.runner(other)).toBe("rem");
  world.heartbeat("rem", [other]);
  world.claim("rem");
  expect(world.runner("t")).toBe("rem");
});

test("whoever takes over an agent's name names nothing of what that one named", () => {
  const world = stillNaming();
  world.join({ name: "rem", concurrency: 2 }, { replace: true });
  world.claim("rem");
  expect(world.runner("t")).toBe("rem");
});
