/** Who is next: fairness keys, weighted serving, deadlines that come near. */
import { describe, expect, test } from "vitest";
import { resolvePool } from "../engine/options/pool.ts";
import { createWorld, MAIN, refusal, type SpecInput, type World } from "../testing/world.ts";

/** Lets one agent work off all that waits, one after the other; returns the order of the tasks. */
function workOff(world: World, times = 1_000): string[] {
  for (let n = 0; n < times; n++) {
    const running = [...world.state.tasks.values()].find(({ state }) => state.name === "leased");
    if (running === undefined) break;
    world.complete(running.spec.id);
  }
  return world.order;
}

/** Submits `count` tasks `<prefix>1`, `<prefix>2`, … */
function many(world: World, prefix: string, count: number, input: SpecInput = {}): void {
  for (let n = 1; n <= count; n++) world.submit({ id: `${prefix}${n}`, ...input });
}

describe("fairness keys", () => {
  test("take turns, whoever came first with however many", () => {
    const world = createWorld();
    many(world, "a", 4, { fairnessKey: "a" });
    many(world, "b", 2, { fairnessKey: "b" });
    many(world, "c", 1, { fairnessKey: "c" });
    world.addAgent("ada");
    expect(workOff(world)).toEqual(["a1", "b1", "c1", "a2", "b2", "a3", "a4"]);
  });

  test("tasks without a key share one", () => {
    const world = createWorld();
    many(world, "x", 3);
    many(world, "a", 2, { fairnessKey: "a" });
    many(world, "y", 1);
    world.addAgent("ada");
    expect(workOff(world)).toEqual(["x1", "a1", "x2", "a2", "x3", "y1"]);
  });

  test("take turns over kinds of work, as far as somebody free can do them", () => {
    const world = createWorld();
    many(world, "a", 3, { fairnessKey: "a", type: "t" });
    many(world, "b", 2, { fairnessKey: "b", type: "u" });
    many(world, "c", 2, { fairnessKey: "c", type: "nobody" });
    world.addAgent({ name: "ada", capabilities: ["t", "u"] });
    expect(workOff(world)).toEqual(["a1", "b1", "a2", "b2", "a3"]);
  });

  test("take turns over agents of different skills", () => {
    const world = createWorld();
    many(world, "a", 2, { fairnessKey: "a", type: "t" });
    many(world, "b", 2, { fairnessKey: "b", type: "u" });
    world.turn([]);
    world.addAgent({ name: "ada", capabilities: ["t"] });
    world.addAgent({ name: "bob", capabilities: ["u"] });
    expect(world.order).toEqual(["a1", "b1"]);
    expect(workOff(world)).toEqual(["a1", "b1", "a2", "b2"]);
  });

  test("take turns within a priority, and only there", () => {
    const world = createWorld({ pool: { ageing: false } });
    many(world, "a", 2, { fairnessKey: "a" });
    many(world, "b", 2, { fairnessKey: "b" });
    many(world, "h", 2, { fairnessKey: "a", priority: 2 });
    world.addAgent("ada");
    expect(workOff(world)).toEqual(["h1", "h2", "a1", "b1", "a2", "b2"]);
  });

  test("a key that comes back goes to the end of the round", () => {
    const world = createWorld({ agents: ["ada"] });
    world.submit({ id: "a1", fairnessKey: "a" });
    many(world, "b", 2, { fairnessKey: "b" });
    many(world, "c", 1, { fairnessKey: "c" });
    world.complete("a1");
    world.submit({ id: "a2", fairnessKey: "a" });
    expect(workOff(world)).toEqual(["a1", "b1", "c1", "b2", "a2"]);
  });

  test("a task that is cancelled takes no turn", () => {
    const world = createWorld();
    many(world, "a", 3, { fairnessKey: "a" });
    many(world, "b", 1, { fairnessKey: "b" });
    world.cancel("a1");
    world.addAgent("ada");
    expect(workOff(world)).toEqual(["a2", "b1", "a3"]);
  });

  test("what a key's tasks failed on is tried elsewhere in its turn", () => {
    const world = createWorld({ agents: ["ada", "bob"], pool: { retry: { maxAttempts: 2 } } });
    for (const id of ["a1", "b1", "a2", "a3", "b2"]) world.submit({ id, fairnessKey: id.slice(0, 1) });
    expect(world.order).toEqual(["a1", "b1"]);
    world.fail("a1");
    expect(world.order).toEqual(["a1", "b1", "a2"]);
    world.complete("b1");
    expect(world.order[3]).toBe("b2");
    world.complete("b2");
    expect(world.order[4]).toBe("a1");
  });
});

describe("keyConcurrency", () => {
  test("bounds the running tasks of one key, and passes over those that may not", () => {
    const world = createWorld({ agents: [{ name: "ada", concurrency: 4 }], pool: { keyConcurrency: 2 } });
    many(world, "a", 4, { fairnessKey: "a" });
    expect(world.order).toEqual(["a1", "a2"]);
    many(world, "b", 1, { fairnessKey: "b" });
    expect(world.order).toEqual(["a1", "a2", "b1"]);
    world.complete("b1");
    expect(world.order).toHaveLength(3);
    world.complete("a2");
    expect(world.order).toEqual(["a1", "a2", "b1", "a3"]);
  });

  test("bounds a key over all priorities and kinds of work", () => {
    const world = createWorld({ agents: [{ name: "ada", concurrency: 4 }], pool: { keyConcurrency: 1 } });
    many(world, "a", 1, { fairnessKey: "a", type: "t" });
    many(world, "c", 1, { fairnessKey: "a", type: "u", priority: 1 });
    expect(world.order).toEqual(["a1"]);
    world.fail("a1", { blame: "task" });
    expect(world.order).toEqual(["a1", "c1"]);
  });

  test("bounds the tasks without a key as one", () => {
    const world = createWorld({ agents: [{ name: "ada", concurrency: 4 }], pool: { keyConcurrency: 1 } });
    many(world, "x", 2);
    expect(world.order).toEqual(["x1"]);
    world.cancel("x1");
    expect(world.order).toEqual(["x1", "x2"]);
  });

  test("lets the next one in though the slot of the one before stays taken", () => {
    const world = createWorld({ agents: ["ada", "bob"], pool: { keyConcurrency: 1, timeoutMs: 100 } });
    many(world, "a", 2, { fairnessKey: "a", maxAttempts: 1 });
    world.start("a1");
    world.advance(100);
    expect(world.agent("ada").runs.size).toBe(1);
    expect(world.runner("a2")).toBe("bob");
  });

  test("is followed when it changes", () => {
    const world = createWorld({ agents: [{ name: "ada", concurrency: 4 }], pool: { keyConcurrency: 1 } });
    many(world, "a", 4, { fairnessKey: "a" });
    const change = (keyConcurrency: number | undefined) =>
      world.ask({ type: "change_pool", options: resolvePool({ id: "main", keyConcurrency }, () => "main") });
    change(2);
    expect(world.order).toEqual(["a1", "a2"]);
    change(1);
    world.complete("a1");
    expect(world.order).toEqual(["a1", "a2"]);
    change(undefined);
    expect(world.order).toEqual(["a1", "a2", "a3", "a4"]);
  });

  test("counts what still runs after a restart", () => {
    const world = createWorld({ pool: { keyConcurrency: 1 } });
    const ada = world.join({ name: "ada", concurrency: 4 });
    world.claim("ada", { max: 4 });
    many(world, "a", 2, { fairnessKey: "a" });
    expect(world.runner("a1")).toBe(ada);
    world.restart();
    world.ask({ type: "recover" });
    world.claim("ada", { max: 4 });
    expect(world.status("a2")).toBe("agent");
    world.complete("a1");
    expect(world.runner("a2")).toBe(ada);
  });

  test("is thought of when a full queue asks what can start at once", () => {
    const world = createWorld({
      agents: [{ name: "ada", concurrency: 4 }],
      pool: { keyConcurrency: 1, queue: { limit: 1 } },
    });
    many(world, "a", 2, { fairnessKey: "a" });
    expect(refusal(() => world.submit({ fairnessKey: "a" })).details.limit).toBe("queue");
    many(world, "b", 1, { fairnessKey: "b" });
    expect(world.status("b1")).toBe("leased");
    const two = [{ fairnessKey: "c" }, { fairnessKey: "c" }];
    expect(refusal(() => world.submitBatch(two)).details.limit).toBe("queue");
  });
});

describe("weighted serving", () => {
  const serving = {};
  const priorities = { c: 1, h: 2, m: 3, l: 4 } as const;

  function fill(world: World, count: number): void {
    for (const [prefix, priority] of Object.entries(priorities)) many(world, prefix, count, { priority });
  }
  const shares = (order: readonly string[]): number[] =>
    Object.keys(priorities).map((prefix) => order.filter((id) => id.startsWith(prefix)).length);

  test("S3-60 S0-L04 S3-B28 gives 8 : 4 : 2 : 1, critical included", () => {
    const world = createWorld({ pool: { serving } });
    fill(world, 30);
    world.addAgent("ada");
    workOff(world, 44);
    expect(shares(world.order)).toEqual([24, 12, 6, 3]);
  });

  test("replaces age, and keeps it within a priority", () => {
    const world = createWorld({ pool: { serving: { low: 8, critical: 1 }, ageing: { stepMs: 1 } } });
    many(world, "l", 8, { priority: 4 });
    world.advance(10);
    many(world, "c", 2, { priority: 1 });
    world.addAgent("ada");
    const order = workOff(world);
    expect(order.slice(0, 9).filter((id) => id.startsWith("l"))).toEqual(order.slice(0, 9).filter((id) => id !== "c1"));
    expect(order.filter((id) => id.startsWith("l"))).toEqual(["l1", "l2", "l3", "l4", "l5", "l6", "l7", "l8"]);
  });

  test("counts only what can be served, and only when it is", () => {
    const world = createWorld({ pool: { serving } });
    many(world, "c", 9, { priority: 1, type: "nobody" });
    many(world, "h", 8, { priority: 2 });
    many(world, "l", 2, { priority: 4 });
    world.addAgent({ name: "ada", capabilities: ["t"] });
    expect(shares(workOff(world, 9))).toEqual([0, 8, 0, 2]);
  });

  test("lets the keys of a priority take turns", () => {
    const world = createWorld({ pool: { serving: { high: 1, medium: 1 } } });
    many(world, "a", 3, { fairnessKey: "a" });
    many(world, "b", 1, { fairnessKey: "b" });
    many(world, "h", 2, { priority: 2, fairnessKey: "a" });
    world.addAgent("ada");
    expect(workOff(world)).toEqual(["h1", "a1", "h2", "b1", "a2", "a3"]);
  });
});

describe("a deadline that comes near", () => {
  const near = (world: World) => world.eventsOf("task.deadline_near").map(({ taskId }) => taskId as string);
  const escalate = { atShare: 0.75, priority: 1 } as const;

  test("S3-61 raises the priority at its share of the time, and tells so once", () => {
    const world = createWorld();
    world.advance(100);
    world.submit({ id: "t", deadlineAtMs: world.nowMs + 1_000, escalate, priority: 4 });
    world.advance(749);
    expect([near(world), world.task("t").priority]).toEqual([[], 4]);
    world.advance(1);
    expect([near(world), world.task("t").priority]).toEqual([["t"], 1]);
    expect(world.eventsOf("task.deadline_near")[0]).toMatchObject({ priority: 1, atMs: world.nowMs });
    world.advance(249);
    expect(near(world)).toEqual(["t"]);
    world.advance(1);
    expect(world.settlement("t").error?.code).toBe("deadline_exceeded");
  });

  test("moves the task to where its new priority puts it", () => {
    const world = createWorld({ agents: ["ada"], pool: { ageing: false } });
    world.submit({ id: "running" });
    world.submit({ id: "medium" });
    world.submit({
      id: "late",
      priority: 4,
      deadlineAtMs: world.nowMs + 1_000,
      escalate: { atShare: 0.5, priority: 2 },
    });
    world.advance(500);
    world.complete("running");
    expect(world.runner("late")).toBe("ada");
    world.complete("late");
    expect(world.history.get("late" as never)?.priority).toBe(2);
  });

  test("is told of a task that runs, waits for others, or is as urgent already", () => {
    const world = createWorld({ agents: ["ada"] });
    const deadlineAtMs = world.nowMs + 1_000;
    world.submit({ id: "runs", deadlineAtMs, escalate });
    world.submit({ id: "blocked", dependencies: ["runs"], deadlineAtMs, escalate });
    world.submit({ id: "urgent", priority: 1, deadlineAtMs, escalate: { atShare: 0.75, priority: 3 } });
    world.submit({ id: "done", deadlineAtMs, escalate });
    world.cancel("done");
    world.advance(750);
    expect(near(world).sort()).toEqual(["blocked", "runs", "urgent"]);
    expect(world.task("urgent").priority).toBe(1);
    expect(world.task("blocked").priority).toBe(1);
  });

  test("is not forgotten over a restart, and not told again after one", () => {
    const world = createWorld();
    const deadlineAtMs = world.nowMs + 1_000;
    world.submit({ id: "first", deadlineAtMs, escalate: { atShare: 0.1, priority: 2 } });
    world.submit({ id: "second", deadlineAtMs, escalate });
    world.advance(100);
    world.restart();
    expect(world.task("first").priority).toBe(2);
    world.advance(650);
    expect(near(world)).toEqual(["first", "second"]);
    expect(world.task("second").priority).toBe(1);
  });

  test("is told at once with a share of 0, and never after the deadline", () => {
    const world = createWorld();
    world.submit({ id: "now", deadlineAtMs: world.nowMs + 1_000, escalate: { atShare: 0, priority: 2 } });
    world.submit({ id: "past", deadlineAtMs: world.nowMs, escalate });
    world.advance(0);
    expect(near(world)).toEqual(["now"]);
    expect(world.status("past")).toBe("failed");
  });

  test("begins anew with a replay", () => {
    const world = createWorld({ agents: ["ada"], pool: { retry: { maxAttempts: 1 } } });
    world.submit({ id: "t", priority: 3, deadlineAtMs: world.nowMs + 1_000, escalate });
    world.advance(800);
    world.fail("t");
    expect(world.history.get("t" as never)?.priority).toBe(1);
    world.replay("t");
    expect(world.task("t").priority).toBe(3);
    world.advance(149);
    expect(near(world)).toEqual(["t"]);
    world.advance(1);
    expect(near(world)).toEqual(["t", "t"]);
  });
});

test("the pool's own lines stay as few as the keys that wait or run", () => {
  const world = createWorld({ agents: ["ada"], checks: "end" });
  for (let n = 0; n < 200; n++) {
    world.submit({ id: `t${n}`, fairnessKey: `key-${n}` });
    world.complete(`t${n}`);
  }
  const queue = world.state.queues.get(MAIN);
  expect(queue?.keyCount).toBe(0);
});
