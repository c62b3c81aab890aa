import { expect, test } from "vitest";
import { createWorld, MAIN, refusal, type SpecInput, type World } from "../testing/world.ts";
import { CLASS_LIMIT } from "./classes.ts";

type Item = ReturnType<World["submitBatch"]>[number];

const codeOf = (item: Item | undefined): unknown =>
  item !== undefined && "error" in item ? (item.error as { code?: string }).code : (item?.created ?? "nothing");
const codes = (items: readonly Item[]): unknown[] => items.map(codeOf);

/** As many plain tasks, in one command. */
const many = (count: number, spec: SpecInput = {}): SpecInput[] => Array.from({ length: count }, () => ({ ...spec }));

test("S0-12 with 99 waiting a task is accepted, with 100 it is refused and nothing is stored", () => {
  const world = createWorld({ pool: { queue: { limit: 100 } } });
  world.submitBatch(many(99));
  world.submit({ id: "hundredth" });
  expect(world.state.pools.get(MAIN)?.counts.agent).toBe(100);
  const { length } = world.events;
  const error = refusal(() => world.submit({ id: "next" }));
  expect(error).toMatchObject({
    code: "queue_full",
    retryable: true,
    details: { limit: "queue", depth: 100, bound: 100 },
  });
  expect(error.details.retryAfterMs).toBeGreaterThan(0);
  expect([world.events.length, world.state.tasks.size, world.state.lastNum]).toEqual([length, 100, 100]);
});

test("S0-13 running tasks don't count: a full pool of 4 with 100 waiting holds 104", () => {
  const world = createWorld({ agents: ["a", "b", "c", "d"], pool: { queue: { limit: 100 } } });
  for (const spec of many(104)) world.submit(spec);
  expect(world.state.tasks.size).toBe(104);
  expect(refusal(() => world.submit()).code).toBe("queue_full");
});

test("S0-B04 S4-B08 a task that a free agent can start is taken although the queue is full of what it can't", () => {
  const world = createWorld({
    agents: [{ name: "ada", capabilities: ["x"], concurrency: 2 }],
    pool: { queue: { limit: 3 } },
  });
  world.submitBatch(many(3, { type: "y" }));
  expect(refusal(() => world.submit({ type: "y" })).code).toBe("queue_full");
  for (const id of ["x1", "x2"]) {
    world.submit({ id, type: "x" });
    expect(world.status(id)).toBe("leased");
  }
  expect(refusal(() => world.submit({ type: "x" })).code).toBe("queue_full");
});

test("S0-14 with a limit of 0 only what can start at once is taken", () => {
  const world = createWorld({ agents: ["ada"], pool: { queue: { limit: 0 } } });
  world.submit({ id: "t" });
  expect(world.status("t")).toBe("leased");
  expect(refusal(() => world.submit()).code).toBe("queue_full");
  world.complete("t");
  expect(world.status(world.submit())).toBe("leased");
});

test("a remote agent without an open claim starts nothing at once, one with it does", () => {
  const world = createWorld({
    agents: [{ name: "rem", kind: "remote", concurrency: 9 }],
    pool: { queue: { limit: 0 } },
  });
  expect(refusal(() => world.submit()).code).toBe("queue_full");
  world.claim("rem", { max: 2 });
  expect(codes(world.submitBatch(many(3), { partial: true }))).toEqual([true, true, "queue_full"]);
});

test("a batch is bounded as if its tasks came one by one: limit and free slots together, not one more", () => {
  const world = createWorld({ agents: [{ name: "ada", concurrency: 2 }], pool: { queue: { limit: 3 } } });
  expect(codes(world.submitBatch(many(7), { partial: true }))).toEqual([
    true,
    true,
    true,
    true,
    true,
    "queue_full",
    "queue_full",
  ]);
  const other = createWorld({ agents: [{ name: "ada", concurrency: 2 }], pool: { queue: { limit: 3 } } });
  expect(refusal(() => other.submitBatch(many(6))).code).toBe("too_large");
  expect(other.state.tasks.size).toBe(0);
  other.submitBatch(many(5));
  expect(other.state.pools.get(MAIN)?.counts).toMatchObject({ agent: 3, leased: 2 });
});

test("in a batch a task that somebody can start is taken behind others that fill the queue", () => {
  const world = createWorld({ agents: [{ name: "ada", capabilities: ["x"] }], pool: { queue: { limit: 1 } } });
  const items = world.submitBatch([{ type: "y" }, { type: "y" }, { type: "x" }, { type: "x" }], { partial: true });
  expect(codes(items)).toEqual([true, "queue_full", true, "queue_full"]);
});

test("a slot that another task may take is not counted on", () => {
  const agents = [
    { name: "ada", capabilities: ["x"] },
    { name: "bob", capabilities: ["x", "y"] },
  ];
  const world = createWorld({ agents, pool: { queue: { limit: 0 } } });
  const items = world.submitBatch([{ type: "x" }, { type: "y" }, { type: "x" }, { type: "x" }], { partial: true });
  expect(codes(items)).toEqual([true, "queue_full", true, "queue_full"]);
});

test("a task that waits for others than the free agent takes no room from that agent's slot", () => {
  const world = createWorld({ agents: [{ name: "ada", capabilities: ["x"] }, "bob"], pool: { queue: { limit: 1 } } });
  world.submit({ id: "busy", preferredAgent: "bob" });
  world.submit({ id: "t", type: "x", preferredAgent: "ada" });
  world.fail("t");
  // Excluded from ada, waiting for bob: it fills the queue, and ada is free.
  expect(world.status("t")).toBe("agent");
  expect(refusal(() => world.submit({ type: "y" })).code).toBe("queue_full");
  expect(world.status(world.submit({ type: "x" }))).toBe("leased");
});

test("retries, releases and released dependents come back although the queue is full, then new ones are refused", () => {
  const world = createWorld({ agents: ["ada"], pool: { queue: { limit: 1 }, retry: { backoff: { baseMs: 10 } } } });
  world.submit({ id: "first" });
  world.submit({ id: "dependent", dependencies: ["first"] });
  world.submit({ id: "waiting" });
  world.fail("first");
  world.advance(10);
  world.submit({ id: "other", dependencies: ["waiting"] });
  expect([world.status("first"), world.status("waiting")]).toEqual(["agent", "leased"]);
  world.crash("ada");
  expect(world.state.pools.get(MAIN)?.counts.agent).toBe(1);
  expect(refusal(() => world.submit()).code).toBe("queue_full");
});

test("a task that somebody can start is taken although the queue is over its limit", () => {
  const world = createWorld({ agents: [{ name: "ada", capabilities: ["x"] }], pool: { queue: { limit: 1 } } });
  world.submit({ id: "x", type: "x" });
  world.submit({ type: "y" });
  world.submit({ type: "y", dependencies: ["x"] });
  world.complete("x");
  expect(world.state.pools.get(MAIN)?.counts.agent).toBe(2);
  expect(world.status(world.submit({ type: "x" }))).toBe("leased");
  expect(refusal(() => world.submit({ type: "x" })).code).toBe("queue_full");
});

test("blocked tasks have a limit of their own", () => {
  const world = createWorld({ pool: { queue: { limit: 1, blockedLimit: 2 } } });
  world.submit({ id: "a" });
  for (const _ of [1, 2]) world.submit({ dependencies: ["a"] });
  expect(refusal(() => world.submit({ dependencies: ["a"] }))).toMatchObject({
    code: "queue_full",
    details: { limit: "blocked", depth: 2, bound: 2 },
  });
});

test("delayed tasks have a limit of their own", () => {
  const world = createWorld({ pool: { queue: { limit: 0, delayedLimit: 2 } } });
  const runAtMs = world.nowMs + 1_000;
  for (const _ of [1, 2]) world.submit({ runAtMs });
  expect(refusal(() => world.submit({ runAtMs }))).toMatchObject({
    code: "queue_full",
    details: { limit: "delayed", depth: 2, bound: 2 },
  });
});

test("in a batch the limits of blocked and of delayed tasks count each its own", () => {
  const world = createWorld({ pool: { queue: { limit: 1, blockedLimit: 1, delayedLimit: 1 } } });
  const runAtMs = world.nowMs + 1_000;
  const batch = [{ id: "a" }, { dependencies: ["a"] }, { runAtMs }, { dependencies: ["a"] }, { runAtMs }, {}];
  expect(codes(world.submitBatch(batch, { partial: true }))).toEqual([
    true,
    true,
    true,
    "queue_full",
    "queue_full",
    "queue_full",
  ]);
});

test("each pool has its own limits, also inside one batch", () => {
  const world = createWorld({ pool: { queue: { limit: 1 } } });
  world.addPool({ id: "other", queue: { limit: 1 } });
  const batch = [{}, { pool: "other" }, {}, { pool: "other" }];
  expect(codes(world.submitBatch(batch, { partial: true }))).toEqual([true, true, "queue_full", "queue_full"]);
});

test("at most 10,000 kinds of work wait in a pool: the next kind is refused, more of a known kind is not", () => {
  const world = createWorld({ pool: { queue: { limit: 1_000_000 } }, checks: "end" });
  const kinds = Array.from({ length: CLASS_LIMIT - 1 }, (_, n) => ({ type: `k${n}` }));
  world.submitBatch(kinds);
  world.submit({ id: "last", type: "last" });
  expect(refusal(() => world.submit({ type: "more" }))).toMatchObject({
    code: "queue_full",
    details: { limit: "classes", bound: 10_000 },
  });
  world.submit({ type: "k7" });
  expect(refusal(() => world.submit({ type: "k7", requires: ["gpu"] })).code).toBe("queue_full");
  // A kind of which nothing waits makes room for another.
  world.cancel("last");
  world.submit({ type: "more" });
  expect(refusal(() => world.submit({ type: "one more" })).code).toBe("queue_full");
  world.check();
});

test("the limit of kinds holds inside one batch too", () => {
  const world = createWorld({ pool: { queue: { limit: 1_000_000 } }, checks: "end" });
  const kinds = Array.from({ length: CLASS_LIMIT + 1 }, (_, n) => ({ type: `k${n}` }));
  expect(refusal(() => world.submitBatch(kinds))).toMatchObject({ code: "queue_full", details: { limit: "classes" } });
  const items = world.submitBatch([...kinds, { type: "k0" }], { partial: true });
  expect(codes(items.slice(-3))).toEqual([true, "queue_full", true]);
});

test("a batch is all or nothing: the first that is refused spoils it, is named, and nothing is stored", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "known" });
  const { length } = world.events;
  expect(refusal(() => world.submitBatch([{ id: "a" }, { id: "known" }, { id: "b" }]))).toMatchObject({
    code: "conflict",
    message: "tasks[1]: a task known is already there",
    details: { path: "tasks[1].id", index: 1, id: "known" },
  });
  expect([world.events.length, world.state.tasks.size]).toEqual([length, 1]);
});

test("a batch that is refused as a whole keeps what the caller may do about it", () => {
  const world = createWorld({ pool: { queue: { limit: 2 } } });
  world.submit();
  expect(refusal(() => world.submitBatch(many(2)))).toMatchObject({
    code: "queue_full",
    retryable: true,
    details: { path: "tasks[1]", index: 1, limit: "queue" },
  });
});

test("S4-05 an empty batch is an empty answer", () => {
  expect(createWorld().submitBatch([])).toEqual([]);
});

test("S4-05 a batch is answered in its order", () => {
  const world = createWorld();
  const items = world.submitBatch([{ id: "c" }, { id: "a" }, { id: "b" }]);
  expect(items).toEqual(["c", "a", "b"].map((taskId) => ({ taskId, created: true })));
});

test("with `partial` each task is taken or refused by itself, in order", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "known" });
  const items = world.submitBatch([{ id: "a" }, { id: "known" }, { id: "b", pool: "nowhere" }, { id: "c" }], {
    partial: true,
  });
  expect(codes(items)).toEqual([true, "conflict", "not_found", true]);
});

test("in a batch tasks may name each other in any order", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submitBatch([{ id: "b", dependencies: ["a"] }, { id: "a" }]);
  expect(world.order).toEqual(["a"]);
  world.complete("a");
  expect(world.order).toEqual(["a", "b"]);
});

test("with `partial` those who depend on a refused task are refused with it, however deep, in any order", () => {
  const world = createWorld({ agents: ["ada"] });
  const items = world.submitBatch(
    [
      { id: "c", dependencies: ["b"] },
      { id: "b", dependencies: ["a"] },
      { id: "a", dependencies: ["unknown"] },
      { id: "d", dependencies: ["c"] },
      { id: "free" },
    ],
    { partial: true },
  );
  expect(codes(items)).toEqual([...many(4).map(() => "unknown_dependency"), true]);
  expect([...world.state.tasks.keys()]).toEqual(["free"]);
});

test("with `partial` only the tasks of a cycle, and those behind it, are refused", () => {
  const world = createWorld();
  const items = world.submitBatch(
    [
      { id: "x", dependencies: ["y"] },
      { id: "y", dependencies: ["x"] },
      { id: "behind", dependencies: ["x"] },
      { id: "self", dependencies: ["self"] },
      { id: "free" },
    ],
    { partial: true },
  );
  expect(codes(items)).toEqual([
    "dependency_cycle",
    "dependency_cycle",
    "unknown_dependency",
    "dependency_cycle",
    true,
  ]);
});

test("S3-B21 without `partial` a cycle spoils the batch, and nothing is stored", () => {
  const world = createWorld();
  const batch = [{ id: "x", dependencies: ["y"] }, { id: "y", dependencies: ["x"] }, { id: "free" }];
  expect(refusal(() => world.submitBatch(batch)).code).toBe("dependency_cycle");
  expect(refusal(() => world.submit({ id: "self", dependencies: ["self"] })).code).toBe("dependency_cycle");
  expect(world.events).toHaveLength(1);
});

test("with `partial` the second of two with one id is refused, and who depends on that id depends on the first", () => {
  const world = createWorld();
  const items = world.submitBatch(
    [{ id: "before", dependencies: ["a"] }, { id: "a" }, { id: "a" }, { id: "after", dependencies: ["a"] }],
    { partial: true },
  );
  expect(codes(items)).toEqual([true, true, "conflict", true]);
});

test("with `partial` a repetition of a task that is refused is refused with it", () => {
  const world = createWorld();
  const twin = { idempotencyKey: "k", bodyHash: "h", dependencies: ["bad"] };
  const items = world.submitBatch(
    [
      { id: "t1", ...twin },
      { id: "t2", ...twin },
      { id: "bad", pool: "nowhere" },
    ],
    { partial: true },
  );
  expect(codes(items)).toEqual(["unknown_dependency", "unknown_dependency", "not_found"]);
  expect(world.state.tasks.size).toBe(0);
});

test("nothing can depend on an id of the batch that is only a repetition of another task", () => {
  const world = createWorld();
  const twin = { idempotencyKey: "k", bodyHash: "h" };
  world.submit({ id: "first", ...twin });
  const batch = [
    { id: "again", ...twin },
    { id: "t", dependencies: ["again"] },
  ];
  expect(refusal(() => world.submitBatch(batch))).toMatchObject({
    code: "unknown_dependency",
    details: { unknown: ["again"], path: "tasks[1].dependencies" },
  });
  expect(codes(world.submitBatch(batch, { partial: true }))).toEqual([false, "unknown_dependency"]);
});

test("with `partial` a long chain behind a refused task is refused in no time", () => {
  const world = createWorld({ pool: { queue: { blockedLimit: 30_000 } }, checks: "end" });
  const chain: SpecInput[] = Array.from({ length: 20_000 }, (_, n) => ({ id: `c${n}`, dependencies: [`c${n + 1}`] }));
  const items = world.submitBatch([...chain, { id: "c20000", pool: "nowhere" }], { partial: true });
  expect(new Set(codes(items))).toEqual(new Set(["unknown_dependency", "not_found"]));
});

test("S3-B14 an id that is open, settled or forgotten is not given twice", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t" });
  const twice = () => refusal(() => world.submit({ id: "t" }));
  expect(twice()).toMatchObject({ code: "conflict", details: { path: "id", id: "t" } });
  world.complete("t");
  expect(twice().code).toBe("conflict");
  world.forget();
  expect(twice().code).toBe("conflict");
});

test("S0-36 S0-08 a pool that lists its types refuses others, naming what it takes; one that doesn't takes all", () => {
  const world = createWorld({ pool: { types: ["research", "ingest"] } });
  world.submit({ type: "ingest" });
  expect(refusal(() => world.submit({ type: "general" }))).toMatchObject({
    code: "invalid",
    details: { path: "type", types: ["research", "ingest"] },
  });
  expect(createWorld().submitBatch([{ type: "whatever" }])).toMatchObject([{ created: true }]);
});

test("S4-18 an unknown pool is refused", () => {
  expect(refusal(() => createWorld().submit({ pool: "nowhere" }))).toMatchObject({
    code: "not_found",
    details: { pool: "nowhere" },
  });
});

test("S4-04 a pool that drains takes nothing, what is in it goes on", () => {
  const world = createWorld({ agents: ["ada"] });
  for (const id of ["a", "b"]) world.submit({ id });
  world.ask({ type: "drain_pool", pool: MAIN });
  expect(refusal(() => world.submit()).code).toBe("not_running");
  world.complete("a");
  expect(world.runner("b")).toBe("ada");
});
