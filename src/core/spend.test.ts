import { expect, test } from "vitest";
import type { PoolOptionsInput } from "../engine/options/pool.ts";
import { createWorld, MAIN, type World } from "../testing/world.ts";
import type { Usage } from "./outcome.ts";
import { reached, sumOf, TENANT_LIMIT } from "./spend.ts";

const FAR = 3_600_000;
const lease = { ttlMs: FAR, renewMs: 1_000 };

function aWorld(pool: PoolOptionsInput = {}, concurrency = 1): World {
  return createWorld({ agents: [{ name: "ada", concurrency }], pool: { lease, retry: { maxAttempts: 10 }, ...pool } });
}

const succeed = (world: World, id: string, usage: Usage = {}): unknown =>
  world.report(id, { name: "succeeded", resultBytes: 2, usage });
const failWith = (world: World, id: string, usage: Usage): unknown =>
  world.report(id, { name: "failed", blame: "agent", error: { code: "x", message: "x" }, usage });

/** Runs it for so long. */
function run(world: World, id: string, ms: number): void {
  world.start(id);
  world.advance(ms);
}

test("a limit is reached when it is spent, not before; what is not named is not limited", () => {
  expect(reached({ tokens: 10 }, { tokens: 9, wallMs: 1e9 })).toBeUndefined();
  expect(reached({ tokens: 10 }, { tokens: 10, wallMs: 0 })).toBe("10 of 10 tokens");
  expect(reached({ costUsd: 0.5 }, { costUsd: 0.49, wallMs: 0 })).toBeUndefined();
  expect(reached({ costUsd: 0.5 }, { costUsd: 0.5, wallMs: 0 })).toBe("0.5 of 0.5 USD");
  expect(reached({ wallMs: 5 }, { wallMs: 4 })).toBeUndefined();
  expect(reached({ wallMs: 5 }, { wallMs: 5 })).toBe("5 of 5 ms of running time");
  expect(reached({ tokens: 1, costUsd: 1 }, { wallMs: 1e9 })).toBeUndefined();
  expect(reached(undefined, { tokens: 1e9, wallMs: 1e9 })).toBeUndefined();
});

test("what nobody has told stays unknown, the rest is added", () => {
  expect(sumOf(undefined, { wallMs: 1 })).toEqual({ tokens: undefined, costUsd: undefined, wallMs: 1 });
  expect(sumOf({ tokens: 1, wallMs: 1 }, { costUsd: 2, wallMs: 3 })).toEqual({ tokens: 1, costUsd: 2, wallMs: 4 });
});

test("attempts of a task add up, and after its budget there is no other", () => {
  const world = aWorld();
  world.submit({ id: "t", budget: { tokens: 10 } });
  failWith(world, "t", { tokens: 9, costUsd: 5 });
  expect(world.status("t")).toBe("retry");
  world.advance(20_000);
  failWith(world, "t", { tokens: 1 });
  expect(world.settlement("t")).toMatchObject({
    status: "failed",
    deadLettered: true,
    error: { code: "budget_exceeded", blame: "task", message: "its budget is spent: 10 of 10 tokens" },
  });
  expect(world.task("t").spent).toMatchObject({ tokens: 10, costUsd: 5 });
});

test("a task that succeeds beyond its budget has succeeded", () => {
  const world = aWorld();
  world.submit({ id: "t", budget: { tokens: 10 } });
  succeed(world, "t", { tokens: 99 });
  expect(world.status("t")).toBe("completed");
});

test("a running attempt is stopped when the running time of all attempts is spent; waiting costs nothing", () => {
  const world = aWorld({ retry: { maxAttempts: 10, backoff: { baseMs: 1_000, factor: 1 } } });
  world.submit({ id: "t", budget: { wallMs: 100 } });
  world.advance(500);
  run(world, "t", 40);
  failWith(world, "t", {});
  world.advance(1_000);
  run(world, "t", 59);
  expect(world.status("t")).toBe("leased");
  world.advance(1);
  expect(world.settlement("t").error).toMatchObject({ code: "budget_exceeded" });
  expect(world.effectsOf("stop")).toHaveLength(1);
  expect(world.task("t").spent?.wallMs).toBe(100);
});

test("a replay has its whole budget again", () => {
  const world = aWorld();
  world.submit({ id: "t", budget: { tokens: 1 } });
  failWith(world, "t", { tokens: 1 });
  world.replay("t");
  expect(world.status("t")).toBe("leased");
  succeed(world, "t", { tokens: 1 });
  expect(world.status("t")).toBe("completed");
});

test("what a task has spent is kept over a restart", () => {
  const world = aWorld();
  world.submit({ id: "t", budget: { tokens: 10 } });
  failWith(world, "t", { tokens: 9 });
  world.restart();
  expect(world.task("t").spent).toMatchObject({ tokens: 9 });
});

test("a pool that has spent starts nothing until its window is over, and then goes on by itself", () => {
  const world = aWorld({ spend: { tokens: 10, perMs: 1_000 } });
  for (const id of ["a", "b", "c"]) world.submit({ id });
  succeed(world, "a", { tokens: 9 });
  expect(world.status("b")).toBe("leased");
  world.advance(500);
  succeed(world, "b", { tokens: 1 });
  expect(world.status("c")).toBe("agent");
  world.advance(499);
  expect(world.status("c")).toBe("agent");
  world.advance(1);
  expect(world.status("c")).toBe("leased");
  expect(world.eventsOf("spend.freed")).toEqual([{ type: "spend.freed", pool: MAIN, tenant: "" }]);
  expect(world.state.pools.get(MAIN)?.spending.size).toBe(0);
});

test.each([
  ["money", { costUsd: 0.5 }, { costUsd: 0.5 }, 0],
  ["running time", { wallMs: 50 }, {}, 50],
] as const)("a pool may be limited by %s", (_name, limit, usage, ms) => {
  const world = aWorld({ spend: { ...limit, perMs: 1_000 } });
  for (const id of ["a", "b"]) world.submit({ id });
  run(world, "a", ms);
  succeed(world, "a", usage);
  expect(world.status("b")).toBe("agent");
  world.advance(1_000);
  expect(world.status("b")).toBe("leased");
});

test("what a pool has spent is kept over a restart, and its window ends when it would have", () => {
  const world = aWorld({ spend: { tokens: 1, perMs: 1_000 }, retry: { maxAttempts: 3 } });
  world.submit({ id: "a" });
  succeed(world, "a", { tokens: 1 });
  world.advance(400);
  world.restart();
  world.ready("ada");
  world.submit({ id: "b" });
  world.advance(599);
  expect(world.status("b")).toBe("agent");
  world.advance(1);
  expect(world.status("b")).toBe("leased");
});

test("a raised limit lets a pool go on at once", () => {
  const world = aWorld({ spend: { tokens: 1, perMs: 1_000 } });
  for (const id of ["a", "b"]) world.submit({ id });
  succeed(world, "a", { tokens: 1 });
  const options = world.state.pools.get(MAIN)?.options;
  if (options !== undefined) {
    world.ask({ type: "change_pool", options: { ...options, spend: { tokens: 2, perMs: 1_000 } } });
  }
  expect(world.status("b")).toBe("leased");
});

test("a full queue takes no task on the ground of a free agent while its pool has nothing to spend", () => {
  const world = aWorld({ spend: { tokens: 1, perMs: 1_000 }, queue: { limit: 0 } });
  world.submit({ id: "a" });
  succeed(world, "a", { tokens: 1 });
  expect(() => world.submit({ id: "b" })).toThrow(/queue limit/);
  world.advance(1_000);
  world.submit({ id: "b" });
});

test("S3-46 a tenant that has spent waits, others go on, and it goes on when its window is over", () => {
  const world = aWorld({ tenantSpend: { tokens: 10, perMs: 1_000 } });
  for (const [id, tenant] of [
    ["a1", "a"],
    ["a2", "a"],
    ["b1", "b"],
    ["none", undefined],
  ] as const) {
    world.submit({ id, tenant });
  }
  succeed(world, "a1", { tokens: 10 });
  expect([world.status("a2"), world.status("b1")]).toEqual(["agent", "leased"]);
  succeed(world, "b1", { tokens: 9 });
  expect(world.status("none")).toBe("leased");
  succeed(world, "none", { tokens: 1_000 });
  world.submit({ id: "a3", tenant: "a" });
  expect(world.order).toEqual(["a1", "b1", "none"]);
  world.advance(1_000);
  expect(world.order).toEqual(["a1", "b1", "none", "a2"]);
});

test("a spent tenant stays so over a restart, and over agents that come", () => {
  const world = aWorld({ tenantSpend: { tokens: 1, perMs: 1_000 } });
  world.submit({ id: "a1", tenant: "a" });
  world.submit({ id: "a2", tenant: "a" });
  succeed(world, "a1", { tokens: 1 });
  world.addAgent({ name: "bob", capabilities: ["general"] });
  expect(world.status("a2")).toBe("agent");
  world.restart();
  world.ready("ada");
  expect(world.status("a2")).toBe("agent");
  world.advance(1_000);
  expect(world.status("a2")).toBe("leased");
});

test("a full queue takes nothing of a spent tenant on the ground of a free agent", () => {
  const world = aWorld({ tenantSpend: { tokens: 1, perMs: 1_000 }, queue: { limit: 0 } });
  world.submit({ id: "a1", tenant: "a" });
  succeed(world, "a1", { tokens: 1 });
  expect(() => world.submit({ id: "a2", tenant: "a" })).toThrow(/queue limit/);
  world.submit({ id: "b1", tenant: "b" });
});

test("what ends after a window, in a turn that comes too late for both, is spent in the next window", () => {
  const world = aWorld({ spend: { wallMs: 1_000, perMs: 5_000 } }, 2);
  world.submit({ id: "first" });
  world.submit({ id: "slow", timeoutMs: 3_000 });
  for (const id of ["first", "slow"]) world.start(id);
  world.advance(10);
  succeed(world, "first");
  // The engine was held up: the time of the task was over before the window was.
  world.nowMs += 5_000;
  world.ask({ type: "tick" });
  expect(world.state.pools.get(MAIN)?.spending.get("")).toMatchObject({ untilMs: world.nowMs + 5_000, wallMs: 5_010 });
});

test("a tenant that may spend more goes on at once", () => {
  const world = aWorld({ tenantSpend: { tokens: 10, perMs: FAR } });
  succeed(world, world.submit({ tenant: "acme" }), { tokens: 10 });
  const id = world.submit({ tenant: "acme" });
  expect(world.status(id)).toBe("agent");
  const { options } = world.state.pools.get(MAIN) ?? {};
  if (options === undefined) throw new Error("the pool is there");
  world.ask({ type: "change_pool", options: { ...options, tenantSpend: { tokens: 11, perMs: FAR } } });
  expect(world.status(id)).toBe("leased");
});

test("of too many tenants the window that ends first is forgotten, never the pool's own", () => {
  const limits = { tokens: 1, perMs: FAR };
  const world = createWorld({
    agents: ["ada"],
    pool: { lease, tenantSpend: limits, spend: { tokens: 1e9, perMs: FAR } },
    checks: "end",
  });
  for (let n = 0; n <= TENANT_LIMIT; n++) {
    succeed(world, world.submit({ id: `t${n}`, tenant: `tenant ${n}` }), { tokens: 1 });
    world.history.clear();
  }
  const spending = world.state.pools.get(MAIN)?.spending;
  expect([spending?.size, spending?.get("")?.tokens]).toEqual([TENANT_LIMIT + 1, TENANT_LIMIT + 1]);
  const [first, second] = [world.submit({ tenant: "tenant 0" }), world.submit({ tenant: "tenant 1" })];
  expect([world.status(first), world.status(second)]).toEqual(["leased", "agent"]);
  world.check();
});
