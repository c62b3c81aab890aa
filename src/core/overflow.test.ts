/** What finds the queue full: refused with a time to come back, or held for a while. */
import { describe, expect, test } from "vitest";
import { asAgentId } from "../base/ids.ts";
import { createWorld, MAIN, refusal, type SpecInput, type World, type WorldOptions } from "../testing/world.ts";
import { HELD_LIMIT } from "./held-line.ts";

/** One busy agent and a queue of `limit`, full. */
function full(
  { limit = 1, ...pool }: { limit?: number; maxWaitMs?: number; overflow?: "wait" | "reject" } = {},
  more?: WorldOptions,
): World {
  const world = createWorld({ agents: ["ada"], pool: { queue: { overflow: "wait", limit, ...pool } }, ...more });
  for (let n = 0; n <= limit; n++) world.submit({ id: `first-${n}` });
  return world;
}

/** Submits and is willing to wait; returns whether it is held. */
function ask(world: World, hold: number, inputs: readonly SpecInput[], { partial = false } = {}): string {
  const specs = inputs.map((input) => world.spec(input));
  return world.ask({ type: "submit", specs, partial, known: world.known(), hold }).type;
}

/** What a held one was told: `taken`, a code, or undefined while it waits. */
function told(world: World, hold: number): string | undefined {
  const answers = world.effectsOf("answer_held").filter(({ holdId }) => holdId === hold);
  expect(answers.length).toBeLessThanOrEqual(1);
  const [answer] = answers;
  if (answer === undefined) return undefined;
  return "error" in answer ? answer.error.code : "taken";
}

const runs = (world: World): string => world.order[world.order.length - 1] ?? "";

describe("a refusal", () => {
  test("names its limit, and when there may be room", () => {
    const world = full({ overflow: "reject", limit: 2 });
    const { code, retryable, details } = refusal(() => world.submit());
    expect([code, retryable]).toEqual(["queue_full", true]);
    expect(details).toEqual({ limit: "queue", depth: 2, bound: 2, retryAfterMs: 1_000 });
  });

  test("S0-12 tells to come back by how fast the queue has drained", () => {
    const world = full({ overflow: "reject" });
    for (let n = 0; n < 20; n++) {
      world.advance(7_000);
      world.complete(runs(world));
      world.submit({ id: `next-${n}` });
    }
    const { retryAfterMs } = refusal(() => world.submit()).details;
    expect(retryAfterMs).toBeGreaterThan(6_000);
    expect(retryAfterMs).toBeLessThan(8_000);
  });

  test.each([
    ["blocked", { dependencies: ["first-0"] }],
    ["delayed", { runAtMs: 2_000_000 }],
  ] as const)("of what is %s comes at once, also where submissions may wait", (limit, input) => {
    const world = createWorld({ pool: { queue: { overflow: "wait", blockedLimit: 1, delayedLimit: 1 } } });
    world.submit({ id: "first-0" });
    world.submit(input);
    expect(refusal(() => ask(world, 1, [input])).details).toMatchObject({ limit, depth: 1, bound: 1 });
  });

  test("comes at once where submissions don't wait, or the wait is 0, or the caller would not wait", () => {
    expect(refusal(() => ask(full({ overflow: "reject" }), 1, [{}])).code).toBe("queue_full");
    expect(refusal(() => ask(full({ maxWaitMs: 0 }), 1, [{}])).code).toBe("queue_full");
    expect(refusal(() => full().submit()).code).toBe("queue_full");
  });
});

describe("a held submission", () => {
  test("S0-L05 is taken as soon as there is room, and nothing of it is stored before", () => {
    const world = full();
    expect(ask(world, 1, [{ id: "late" }])).toBe("held");
    expect(world.events.some((event) => event.type === "task.submitted" && event.spec.id === "late")).toBe(false);
    expect(told(world, 1)).toBeUndefined();
    world.complete("first-0");
    expect(told(world, 1)).toBe("taken");
    expect(world.status("late")).toBe("agent");
    expect(world.runner("first-1")).toBe("ada");
    expect(world.state.overflow.size).toBe(0);
  });

  test("S0-L05 is refused after maxWaitMs and not a millisecond before", () => {
    const world = full({ maxWaitMs: 300 });
    ask(world, 1, [{ id: "late" }]);
    world.advance(299);
    expect(told(world, 1)).toBeUndefined();
    world.advance(1);
    expect(told(world, 1)).toBe("queue_full");
    expect(world.state.tasks.has(world.spec({ id: "late" }).id)).toBe(false);
    world.complete("first-0");
    expect(world.state.tasks.size).toBe(2);
  });

  test("S2-09 waits 5 s when nothing is said", () => {
    const world = full();
    ask(world, 1, [{}]);
    world.advance(4_999);
    expect(told(world, 1)).toBeUndefined();
    world.advance(1);
    expect(told(world, 1)).toBe("queue_full");
  });

  test("is taken oldest first within a priority, the most urgent first", () => {
    const world = full();
    ask(world, 1, [{ id: "low", priority: 4 }]);
    ask(world, 2, [{ id: "old" }]);
    ask(world, 3, [{ id: "young" }]);
    ask(world, 4, [{ id: "critical", priority: 1 }]);
    const taken: number[] = [];
    for (let n = 0; n < 4; n++) {
      world.complete(runs(world));
      taken.push(...[1, 2, 3, 4].filter((hold) => told(world, hold) === "taken" && !taken.includes(hold)));
    }
    expect(taken).toEqual([4, 2, 3, 1]);
  });

  test("goes before newer submissions of its urgency, but not before more urgent ones", () => {
    const world = full({ limit: 2 });
    ask(world, 1, [{ id: "pair-1" }, { id: "pair-2" }]);
    world.complete("first-0");
    expect(told(world, 1)).toBeUndefined();
    expect(refusal(() => world.submit({ id: "newer" })).details.limit).toBe("queue");
    expect(ask(world, 2, [{ id: "newest" }])).toBe("held");
    world.submit({ id: "urgent", priority: 2 });
    world.complete("first-1");
    expect([told(world, 1), told(world, 2)]).toEqual([undefined, undefined]);
    world.complete("urgent");
    expect([told(world, 1), told(world, 2)]).toEqual(["taken", undefined]);
    world.complete("first-2");
    expect(told(world, 2)).toBe("taken");
  });

  test("that an agent can start at once is taken though others wait for room", () => {
    const world = createWorld({
      agents: [
        { name: "ada", capabilities: ["a"] },
        { name: "bob", capabilities: ["b"] },
      ],
      pool: { queue: { overflow: "wait", limit: 0 } },
    });
    world.submit({ type: "a" });
    expect(ask(world, 1, [{ type: "a" }])).toBe("held");
    expect(ask(world, 2, [{ type: "b", id: "b1" }])).toBe("submitted");
    expect(ask(world, 3, [{ type: "a" }])).toBe("held");
    expect(ask(world, 4, [{ type: "b", id: "b2" }])).toBe("held");
    world.complete("b1");
    expect([1, 2, 3, 4].map((hold) => told(world, hold))).toEqual([undefined, undefined, undefined, "taken"]);
  });

  test("S2-B17 is served by a pool whose queue holds nothing, one after the other", () => {
    const world = full({ limit: 0 });
    for (let hold = 1; hold <= 3; hold++) ask(world, hold, [{ id: `held-${hold}` }]);
    for (let hold = 1; hold <= 3; hold++) {
      world.complete(runs(world));
      expect(runs(world)).toBe(`held-${hold}`);
    }
  });

  test("is dropped when its caller goes away", () => {
    const world = full();
    ask(world, 1, [{ id: "gone" }]);
    ask(world, 2, [{ id: "next" }]);
    world.ask({ type: "let_go", pool: MAIN, holdId: 1 });
    world.ask({ type: "let_go", pool: MAIN, holdId: 1 });
    world.complete("first-0");
    expect([told(world, 1), told(world, 2)]).toEqual([undefined, "taken"]);
  });

  test("counts by its tasks, and there are at most 1,000", () => {
    const world = full({ limit: 600 }, { checks: "end" });
    const batch = (count: number): SpecInput[] => Array.from({ length: count }, () => ({}));
    expect(ask(world, 1, batch(500))).toBe("held");
    expect(ask(world, 2, batch(HELD_LIMIT - 500))).toBe("held");
    expect(refusal(() => ask(world, 3, [{}])).code).toBe("queue_full");
    world.ask({ type: "let_go", pool: MAIN, holdId: 2 });
    expect(ask(world, 4, [{}])).toBe("held");
  });

  test("of which another took the id meanwhile is told so when its turn comes", () => {
    const world = full({ limit: 2 });
    ask(world, 1, [{ id: "twin" }]);
    ask(world, 2, [{ id: "twin" }]);
    world.complete("first-0");
    world.complete("first-1");
    expect([told(world, 1), told(world, 2)]).toEqual(["taken", "conflict"]);
  });

  test("with a known idempotency key is answered at once", () => {
    const world = createWorld({ agents: ["ada"], pool: { queue: { overflow: "wait", limit: 0 } } });
    const same = { idempotencyKey: "k", bodyHash: "h" };
    world.submit(same);
    expect(ask(world, 1, [same])).toBe("submitted");
  });

  test("is refused when its pool is drained or deleted, and when the engine is", () => {
    const drained = full();
    ask(drained, 1, [{}]);
    drained.ask({ type: "drain_pool", pool: MAIN });
    expect(told(drained, 1)).toBe("not_running");
    const deleted = full();
    ask(deleted, 1, [{}]);
    deleted.ask({ type: "delete_pool", pool: MAIN });
    expect(told(deleted, 1)).toBe("not_running");
    const closed = full();
    ask(closed, 1, [{}]);
    closed.ask({ type: "drain", matching: true });
    expect(told(closed, 1)).toBe("shutting_down");
  });

  test("is taken when an agent comes", () => {
    const world = full({ limit: 0 });
    ask(world, 1, [{ id: "late" }]);
    world.addAgent("bob");
    expect(told(world, 1)).toBe("taken");
    expect(world.runner("late")).toBe(asAgentId("bob"));
  });
});

describe("a batch", () => {
  const tasks = (count: number): SpecInput[] => Array.from({ length: count }, () => ({}));

  test("waits as a whole, and is taken as a whole", () => {
    const world = full({ limit: 3 });
    expect(ask(world, 1, tasks(2))).toBe("held");
    world.complete(runs(world));
    expect(told(world, 1)).toBeUndefined();
    world.complete(runs(world));
    expect(told(world, 1)).toBe("taken");
  });

  test("that may be taken in part waits for room for all, and is then taken as far as there is", () => {
    const world = full({ limit: 3, maxWaitMs: 100 });
    world.complete(runs(world));
    expect(ask(world, 1, tasks(2), { partial: true })).toBe("held");
    world.advance(100);
    const [answer] = world.effectsOf("answer_held");
    if (answer === undefined || !("reply" in answer) || answer.reply.type !== "submitted") throw new Error("not taken");
    expect(answer.reply.items.map((item) => "error" in item)).toEqual([false, true]);
  });

  test("that an empty pool could hold and run is refused for now, one more is too large for ever", () => {
    const world = full({ overflow: "reject", limit: 3 });
    expect(refusal(() => world.submitBatch(tasks(4))).code).toBe("queue_full");
    const { code, details } = refusal(() => world.submitBatch(tasks(5)));
    expect([code, details]).toEqual(["too_large", { path: "tasks", limit: "queue", tasks: 5, room: 4 }]);
  });

  test("is not too large by tasks that are known, blocked or delayed", () => {
    const world = createWorld({ pool: { queue: { limit: 2 } } });
    world.submit({ idempotencyKey: "k", bodyHash: "h" });
    world.submit();
    const more = [{ id: "a" }, { idempotencyKey: "k", bodyHash: "h" }, { dependencies: ["a"] }, { runAtMs: 2_000_000 }];
    expect(refusal(() => world.submitBatch([...more, {}])).code).toBe("queue_full");
    expect(refusal(() => world.submitBatch([...more, {}, {}])).code).toBe("too_large");
  });

  test.each([
    ["blocked", { dependencies: ["root"] }],
    ["delayed", { runAtMs: 2_000_000 }],
  ] as const)("of more tasks than may ever be %s is too large", (limit, input) => {
    const world = createWorld({ pool: { queue: { blockedLimit: 2, delayedLimit: 2 } } });
    const batch = (count: number): SpecInput[] => [{ id: "root" }, ...Array.from({ length: count }, () => input)];
    expect(refusal(() => world.submitBatch(batch(3)))).toMatchObject({
      code: "too_large",
      details: { limit, room: 2 },
    });
    expect(world.submitBatch(batch(2))).toHaveLength(3);
  });

  test("that may be taken in part is never too large", () => {
    const world = createWorld({ pool: { queue: { limit: 1 } } });
    expect(world.submitBatch(tasks(3), { partial: true }).map((item) => "error" in item)).toEqual([false, true, true]);
  });
});

test.each([
  ["is drained", "drain_pool"],
  ["is deleted", "delete_pool"],
] as const)(
  "whoever waits for a pool that %s is refused at once; those who wait for another go on waiting",
  (_, type) => {
    const world = full();
    const other = world.addPool({ id: "other", queue: { limit: 0, overflow: "wait" } });
    ask(world, 1, [{}]);
    ask(world, 2, [{ pool: other }]);
    expect([told(world, 1), told(world, 2)]).toEqual([undefined, undefined]);
    world.ask({ type, pool: MAIN });
    expect([told(world, 1), told(world, 2)]).toEqual(["not_running", undefined]);
  },
);
