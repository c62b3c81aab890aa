import { expect, test } from "vitest";
import { asAgentId } from "../base/ids.ts";
import { createWorld, refusal, type World } from "../testing/world.ts";
import type { Outcome } from "./outcome.ts";
import { emptyState, nextFence } from "./state.ts";

const error = { code: "x", message: "" };
const SUCCESS: Outcome = { name: "succeeded", resultBytes: 1 };
const OUTCOMES: Outcome[] = [
  SUCCESS,
  { name: "failed", blame: "agent", error },
  { name: "failed", blame: "task", error },
  { name: "timed_out", blame: "agent", error },
  { name: "lost", blame: "agent", kill: true, error },
  { name: "throttled", error },
  { name: "released" },
  { name: "cancelled", error },
];

/** What every report under this fence is refused with; nothing may change by it. */
function refusals(world: World, id: string, fence: number): Set<string> {
  const before = [world.status(id), world.events.length];
  const codes = new Set(OUTCOMES.map((outcome) => refusal(() => world.report(id, outcome, fence)).code));
  expect([world.status(id), world.events.length]).toEqual(before);
  return codes;
}

const STALE = new Set(["stale_fence"]);

test("S3-B09 S0-B07 after a failover the older attempt's report is refused, whatever it says", () => {
  const world = createWorld({ agents: ["ada", "bob"] });
  world.submit({ id: "t" });
  const fence = world.lease("t")?.fence ?? 0;
  world.fail("t");
  expect(world.runner("t")).toBe("bob");
  expect(refusals(world, "t", fence)).toEqual(STALE);
});

test("S0-B07 a success that comes after the timeout is refused, while the task waits and when it has failed", () => {
  for (const maxAttempts of [1, 2]) {
    const world = createWorld({ agents: ["ada"], pool: { timeoutMs: 10, retry: { maxAttempts } } });
    world.submit({ id: "t" });
    const fence = world.lease("t")?.fence ?? 0;
    world.start("t");
    world.advance(10);
    expect(world.status("t")).toBe(maxAttempts === 1 ? "failed" : "retry");
    expect(refusal(() => world.report("t", SUCCESS, fence)).code).toBe("stale_fence");
    expect(world.agent("ada").stats.succeeded).toBe(0);
  }
});

test("S0-B06 a late report of a task that was given to another never heals the agent that sent it", () => {
  const world = createWorld({
    agents: [{ name: "ada", kind: "daemon" }, "bob"],
    pool: { probe: { fall: 1 }, timeoutMs: 10 },
  });
  world.submit({ id: "t" });
  world.start("t");
  const fence = world.lease("t")?.fence ?? 0;
  world.advance(10);
  world.endRun("ada", "t", fence);
  world.probe("ada", false);
  expect(world.agent("ada").health).toBe("unhealthy");
  expect(refusal(() => world.report("t", SUCCESS, fence)).code).toBe("stale_fence");
  expect(world.agent("ada").health).toBe("unhealthy");
});

test("after a replay the fence of the earlier life is old", () => {
  const world = createWorld({ agents: ["ada"], pool: { retry: { maxAttempts: 1 } } });
  world.submit({ id: "t" });
  const fence = world.lease("t")?.fence ?? 0;
  world.fail("t");
  world.replay("t");
  expect(refusals(world, "t", fence)).toEqual(STALE);
});

test("S0-B07 repeating the report that settled a task is fine and counts once, also when the core has let go of it", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t" });
  const fence = world.lease("t")?.fence ?? 0;
  world.report("t", SUCCESS, fence);
  world.report("t", SUCCESS, fence);
  world.forget();
  world.report("t", SUCCESS, fence);
  expect(world.agent("ada").stats.succeeded).toBe(1);
  expect(world.eventsOf("task.settled")).toHaveLength(1);
});

test("S0-B07 another outcome under the fence that settled a task is refused: completed never becomes failed", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t" });
  const fence = world.lease("t")?.fence ?? 0;
  world.report("t", SUCCESS, fence);
  for (const forgotten of [false, true]) {
    if (forgotten) world.forget();
    for (const outcome of OUTCOMES.slice(1)) {
      expect(refusal(() => world.report("t", outcome, fence)).code, outcome.name).toBe("stale_fence");
    }
  }
  expect(world.history.get(world.spec({ id: "t" }).id)?.settlement.status).toBe("completed");
});

test("a report that failed an attempt without settling the task is not repeated for nothing: its fence is old", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t" });
  const fence = world.lease("t")?.fence ?? 0;
  world.fail("t");
  expect(refusal(() => world.report("t", { name: "failed", blame: "agent", error }, fence)).code).toBe("stale_fence");
});

test("the report of the last attempt is no repetition when the task was settled otherwise later", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t" });
  const fence = world.lease("t")?.fence ?? 0;
  world.fail("t");
  world.advance(1);
  world.cancel("t");
  for (const forgotten of [false, true]) {
    if (forgotten) world.forget();
    const again = refusal(() => world.report("t", { name: "failed", blame: "agent", error }, fence));
    expect(again.code).toBe("stale_fence");
  }
});

test("a fence that was never issued is refused", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t" });
  const fence = world.lease("t")?.fence ?? 0;
  for (const other of [0, -1, fence - 1, fence + 1, 2 ** 53 - 1]) expect(refusals(world, "t", other)).toEqual(STALE);
});

test("the fence of one task is worth nothing for another", () => {
  const world = createWorld({ agents: ["ada", "bob"] });
  for (const id of ["a", "b"]) world.submit({ id });
  expect(refusals(world, "a", world.lease("b")?.fence ?? 0)).toEqual(STALE);
});

test("S3-B10 a cancelled task's run can't complete it", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t" });
  const fence = world.lease("t")?.fence ?? 0;
  world.cancel("t");
  expect(refusal(() => world.report("t", SUCCESS, fence)).code).toBe("stale_fence");
  expect(world.status("t")).toBe("cancelled");
});

test("fences grow with every lease over all tasks and pools, and the epoch is their high part", () => {
  const world = createWorld({ agents: ["ada"] });
  const other = world.addPool({ id: "other" });
  world.addAgent("bob", other);
  for (let n = 0; n < 3; n++) {
    const [a, b] = [world.submit(), world.submit({ pool: "other" })];
    world.complete(a);
    world.complete(b);
  }
  const fences = world.eventsOf("task.leased").map(({ fence }) => fence - 2 ** 32);
  expect(fences).toEqual([1, 2, 3, 4, 5, 6]);
});

test("a new term's first fence is above every fence of the term before", () => {
  const state = emptyState(1);
  state.fences = 2 ** 32 - 2;
  expect(nextFence(state)).toBe(2 ** 33 - 1);
  expect(nextFence(emptyState(2))).toBe(2 ** 33 + 1);
});

test("S3-B12 a result that is empty is a result", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t" });
  world.report("t", { name: "succeeded", resultBytes: 0 });
  expect(world.settlement("t")).toMatchObject({ status: "completed", resultBytes: 0 });
});

test("S3-07 S3-29 two reports in one turn: the first settles the task, the other comes too late", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t" });
  const { fence } = world.lease("t") ?? { fence: 0 };
  const taskId = world.task("t").spec.id;
  const base = { type: "report", agentId: asAgentId("ada"), taskId, fence, known: world.known() } as const;
  const [first, second] = world.turn([
    { ...base, outcome: SUCCESS },
    { ...base, outcome: { name: "failed", blame: "agent", error } },
  ]);
  expect(first).toEqual({ type: "done" });
  expect(second).toMatchObject({ code: "stale_fence" });
});
