/** Edges of admission: what a refusal spoils and what it does not, and what counts for which bound. */
import { describe, expect, test } from "vitest";
import { createWorld, refusal, type SpecInput, type World } from "../testing/world.ts";

const many = (count: number, input: SpecInput = {}): SpecInput[] => Array.from({ length: count }, () => input);
const refused = (items: readonly object[]): boolean[] => items.map((item) => "error" in item);

describe("a batch that may be taken in part", () => {
  test("does not wait for room because of a task that is refused for another reason", () => {
    const world = createWorld({ agents: ["ada"], pool: { queue: { overflow: "wait", limit: 9 } } });
    world.submit({ id: "twin" });
    const specs = [world.spec({ id: "twin" }), world.spec({ id: "new" })];
    const reply = world.ask({ type: "submit", specs, partial: true, known: world.known(), hold: 1 });
    if (reply.type !== "submitted") throw new Error(`it was ${reply.type}`);
    expect(refused(reply.items)).toEqual([true, false]);
  });

  test("refuses each task that depends on the refused one, those before it and those behind it", () => {
    const world = createWorld();
    world.submit({ id: "twin", idempotencyKey: "k", bodyHash: "one" });
    const needs = { dependencies: ["bad"] };
    const bad = { id: "bad", idempotencyKey: "k", bodyHash: "another" };
    const items = world.submitBatch([needs, needs, bad, needs, { id: "free" }], { partial: true });
    expect(refused(items)).toEqual([true, true, true, true, false]);
  });

  test("names the first of the refused ones that a task depends on", () => {
    const world = createWorld();
    for (const id of ["twin", "double"]) world.submit({ id, idempotencyKey: id, bodyHash: "one" });
    const bad = ["twin", "double"].map((key) => ({ id: `bad-${key}`, idempotencyKey: key, bodyHash: "another" }));
    const needs = { dependencies: ["bad-twin", "bad-double"] };
    const [item] = world.submitBatch([needs, ...bad], { partial: true });
    expect(item).toMatchObject({ error: { code: "unknown_dependency", details: { unknown: ["bad-twin"] } } });
  });

  test("keeps no room for those that depend on a refused one", () => {
    const world = createWorld({ agents: ["ada"], pool: { queue: { blockedLimit: 1 } } });
    world.submit({ id: "root" });
    world.submit({ id: "twin", idempotencyKey: "k", bodyHash: "one" });
    const bad = { id: "bad", idempotencyKey: "k", bodyHash: "another" };
    const items = world.submitBatch([bad, { dependencies: ["bad"] }, { dependencies: ["root"] }], { partial: true });
    expect(refused(items)).toEqual([true, true, false]);
  });

  test("repeats tasks that are known, open or settled, and takes what depends on them", () => {
    const world = createWorld({ agents: ["ada"] });
    const settled = { id: "settled", idempotencyKey: "s", bodyHash: "h" };
    const open = { id: "open", idempotencyKey: "o", bodyHash: "h" };
    world.submit(settled);
    world.complete("settled");
    world.submit(open);
    const items = world.submitBatch([open, settled, { id: "next", dependencies: ["open", "settled"] }], {
      partial: true,
    });
    expect(items.map((item) => ("error" in item ? item.error : item.created))).toEqual([false, false, true]);
    expect(world.status("next")).toBe("dependencies");
    world.ask({ type: "forget", taskIds: [world.task("settled").spec.id] });
    expect(refused(world.submitBatch([settled, { dependencies: ["settled"] }], { partial: true }))).toEqual([
      false,
      false,
    ]);
  });
});

describe("a batch that never fits", () => {
  test("may be one of two tasks", () => {
    const world = createWorld({ agents: ["ada"], pool: { queue: { limit: 0 } } });
    world.submit();
    expect(refusal(() => world.submitBatch(many(2))).code).toBe("too_large");
  });

  test("is still refused for what else is wrong with it", () => {
    const world = createWorld({ pool: { queue: { limit: 1 } } });
    world.submit({ id: "twin" });
    expect(refusal(() => world.submitBatch([{ id: "twin" }, {}, {}])).code).toBe("conflict");
  });

  const limits = { limit: 2, blockedLimit: 2, delayedLimit: 2, gatedLimit: 2 };
  const busy = (): World => {
    const world = createWorld({ pool: { queue: limits } });
    world.ask({ type: "set_gate", name: "db", available: false, holds: ["migration"] });
    world.submit({ id: "root" });
    for (const input of [{ dependencies: ["root"] }, { runAtMs: 2_000_000 }, { type: "migration" }])
      world.submit(input);
    return world;
  };

  test.each([
    ["queue", {}],
    ["delayed", { runAtMs: 2_000_000 }],
    ["gated", { type: "migration" }],
  ] as const)(
    "has more for the %s limit than an empty pool holds; as many as that only have to come back",
    (limit, input) => {
      expect(refusal(() => busy().submitBatch(many(2, input)))).toMatchObject({
        code: "queue_full",
        details: { limit },
      });
      expect(refusal(() => busy().submitBatch(many(3, input)))).toMatchObject({
        code: "too_large",
        details: { limit },
      });
    },
  );

  test("counts as blocked what depends on tasks of its own", () => {
    const batch = (count: number): SpecInput[] => [{ id: "a" }, ...many(count, { dependencies: ["a"] })];
    expect(refusal(() => busy().submitBatch(batch(2))).code).toBe("queue_full");
    expect(refusal(() => busy().submitBatch(batch(3)))).toMatchObject({
      code: "too_large",
      details: { limit: "blocked" },
    });
  });

  test("does not count what depends on tasks of before, which may be over by then", () => {
    const world = busy();
    expect(refusal(() => world.submitBatch(many(3, { dependencies: ["root"] }))).code).toBe("queue_full");
  });

  test("counts as waiting what is to run at this very instant", () => {
    const world = busy();
    const { details } = refusal(() => world.submitBatch(many(3, { runAtMs: world.nowMs })));
    expect(details).toMatchObject({ limit: "queue", tasks: 3 });
  });

  test("does not count tasks that are known by their keys, open or settled", () => {
    const world = createWorld({ agents: ["ada"], pool: { queue: { limit: 1 } } });
    const done = { idempotencyKey: "done", bodyHash: "h" };
    world.submit({ ...done, id: "done" });
    world.complete("done");
    world.ask({ type: "forget", taskIds: [world.task("done").spec.id] });
    world.submit();
    world.submit();
    const fresh = many(2).map((_, n) => ({ idempotencyKey: `new-${n}`, bodyHash: "h" }));
    expect(refusal(() => world.submitBatch([done, ...fresh])).code).toBe("queue_full");
    expect(refusal(() => world.submitBatch([done, ...fresh, {}])).code).toBe("too_large");
  });
});

test("a task whose dependency has failed needs no room: it has ended", () => {
  const world = createWorld({ agents: ["ada"], pool: { queue: { limit: 0, blockedLimit: 1 } } });
  world.submit({ id: "bad", maxAttempts: 1 });
  world.fail("bad");
  world.submit({ id: "busy" });
  expect(refusal(() => world.submit()).code).toBe("queue_full");
  world.submit({ id: "t", dependencies: ["bad"] });
  expect(world.status("t")).toBe("cancelled");
});

test("a dependency that had completed before the submission is not told as failed, whatever the policy", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "good" });
  world.complete("good");
  world.submit({ id: "bad", maxAttempts: 1 });
  world.fail("bad");
  world.submit({ id: "t", dependencies: ["good", "bad"], onDependencyFailure: "run" });
  expect(world.task("t").failedDependencies).toEqual(["bad"]);
});

test("a task with `runAt` is as old as that also when its dependencies were what it waited for", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "root" });
  world.submit({ id: "planned", dependencies: ["root"], runAtMs: world.nowMs + 1_000 });
  world.advance(500);
  world.submit({ id: "newer" });
  world.advance(1_500);
  world.submit({ id: "newest" });
  world.complete("root");
  world.complete("newer");
  world.complete("planned");
  expect(world.order).toEqual(["root", "newer", "planned", "newest"]);
});

test("Retry-After is for as many places as the queue is over its limit, and the one that is asked for", () => {
  const overfull = (released: number): unknown => {
    const world = createWorld({ agents: ["ada"], pool: { queue: { limit: 1 } } });
    for (let n = 0; n <= 1; n++) world.submit({ id: `t${n}` });
    for (let n = 1; n <= 20; n++) {
      world.advance(7_000);
      world.complete(`t${n - 1}`);
      world.submit({ id: `t${n + 1}` });
    }
    for (let n = 0; n < released; n++) world.submit({ dependencies: ["t20"] });
    world.complete("t20");
    return Math.round(Number(refusal(() => world.submitBatch(many(1))).details.retryAfterMs) / 7_000);
  };
  // One waits after each completion; of those that are released none has to.
  expect([overfull(1), overfull(3)]).toEqual([1, 3]);
});

describe("those who wait for room", () => {
  const full = (): World => {
    const world = createWorld({ agents: ["ada"], pool: { queue: { overflow: "wait", limit: 2 } } });
    for (const id of ["runs", "one", "two"]) world.submit({ id });
    return world;
  };

  test("are let in before a newer one of the same turn, which then finds what is left", () => {
    const world = full();
    const held = { type: "submit", specs: [world.spec({ id: "held" })], partial: false, known: world.known() } as const;
    expect(world.ask({ ...held, hold: 1 }).type).toBe("held");
    const cancel = (id: string) => ({
      type: "cancel",
      taskId: world.task(id).spec.id,
      reason: "",
      known: world.known(),
    });
    const [, , reply] = world.turn([
      cancel("one") as never,
      cancel("two") as never,
      { type: "submit", specs: [world.spec({ id: "newer" })], partial: false, known: world.known() },
    ]);
    expect(reply).toMatchObject({ type: "submitted" });
    world.complete("runs");
    world.complete("held");
    expect(world.order).toEqual(["runs", "held", "newer"]);
  });

  test("start in the very turn that lets them in, when somebody is free", () => {
    const world = createWorld({ agents: ["ada", "bob"], pool: { queue: { overflow: "wait", limit: 1 } } });
    for (const id of ["a", "b", "waits"]) world.submit({ id });
    const specs = [world.spec({ id: "held" })];
    world.ask({ type: "submit", specs, partial: false, known: world.known(), hold: 1 });
    const done = (id: string) => {
      const { agentId, fence } = world.lease(id) ?? { agentId: undefined, fence: 0 };
      const outcome = { name: "succeeded", resultBytes: 0 } as const;
      return { type: "report", agentId, taskId: world.task(id).spec.id, fence, outcome, known: world.known() } as const;
    };
    world.turn([done("a"), done("b")]);
    expect([world.status("waits"), world.status("held")]).toEqual(["leased", "leased"]);
  });

  test("are not those who would wait for ever: what never fits is refused at once", () => {
    const world = full();
    const specs = many(4).map((input) => world.spec(input));
    const submit = { type: "submit", specs, partial: false, known: world.known(), hold: 1 } as const;
    expect(refusal(() => world.ask(submit)).code).toBe("too_large");
  });
});

test("slots that are taken already are not free, on an agent that has more", () => {
  const world = createWorld({ agents: [{ name: "ada", concurrency: 3 }], pool: { queue: { limit: 0 } } });
  world.submit();
  expect(refusal(() => world.submitBatch(many(3))).code).toBe("queue_full");
  expect(world.submitBatch(many(2))).toHaveLength(2);
  expect(refusal(() => world.submit()).code).toBe("queue_full");
});

test("a task whose key runs as many as it may does not start at once, so a full queue refuses it", () => {
  const world = createWorld({
    agents: [{ name: "ada", concurrency: 3 }],
    pool: { keyConcurrency: 1, queue: { limit: 0 } },
  });
  world.submit({ fairnessKey: "k" });
  expect(refusal(() => world.submit({ fairnessKey: "k" })).code).toBe("queue_full");
  world.submit({ fairnessKey: "other" });
  world.submit();
  expect(refusal(() => world.submit()).code).toBe("queue_full");
});
