import { expect, test } from "vitest";
import { createWorld, type World, type WorldOptions } from "../testing/world.ts";

const NAMES = ["ada", "bob"];

function world(options: WorldOptions["pool"] = {}): World {
  return createWorld({ agents: NAMES, pool: options });
}

/** The engine dies; the next one has its agents up. */
function death(world: World): void {
  world.restart();
  world.ask({ type: "recover" });
  for (const name of NAMES) world.ready(name);
}

const deaths = (world: World, id: string): number | undefined => world.task(id).deaths?.count;

test("a task that ran at three deaths of the engine in a row runs alone, and at the fourth is a dead letter", () => {
  const w = world();
  w.submit({ id: "t" });
  for (let n = 1; n <= 3; n++) {
    w.submit({ id: `other${n}` });
    expect(w.status("t")).toBe("leased");
    death(w);
    expect(deaths(w, "t")).toBe(n);
    expect(w.task("t").attemptCount).toBe(0);
  }
  expect(w.runner("t")).toBeDefined();
  expect(w.state.pools.get("main" as never)?.counts.leased).toBe(1);
  w.submit({ id: "late" });
  expect(w.status("late")).toBe("agent");
  death(w);
  expect(w.settlement("t")).toMatchObject({
    status: "failed",
    deadLettered: true,
    error: { code: "poisoned", blame: "engine", details: { code: "engine_died", engineDeaths: 4 } },
  });
  // The one that was there each time is next; once it is done the others go on together.
  expect(["other1", "other2", "other3", "late"].map((id) => w.status(id))).toEqual([
    "leased",
    "agent",
    "agent",
    "agent",
  ]);
  w.complete("other1");
  expect(w.state.pools.get("main" as never)?.counts.leased).toBe(2);
});

test("a failure between two deaths is no settlement: the row goes on", () => {
  const w = world({ retry: { maxAttempts: 9 } });
  w.submit({ id: "t" });
  death(w);
  w.fail("t");
  expect(deaths(w, "t")).toBe(1);
  death(w);
  death(w);
  expect(deaths(w, "t")).toBe(3);
});

test("what killed the engine is quarantined, unless the pool does not look for poison", () => {
  for (const poisonLimit of [3, 0]) {
    const w = world({ poisonLimit });
    w.submit({ id: "t", type: "bad" });
    for (let n = 0; n < 4; n++) death(w);
    expect(w.settlement("t").error?.code).toBe("poisoned");
    expect(w.state.pools.get("main" as never)?.quarantine.has("bad")).toBe(poisonLimit > 0);
  }
});

test("a task that was settled between two deaths breaks the row", () => {
  const w = world();
  w.submit({ id: "t" });
  death(w);
  death(w);
  w.submit({ id: "done" });
  w.complete("done");
  death(w);
  expect(deaths(w, "t")).toBe(1);
  death(w);
  death(w);
  expect(deaths(w, "t")).toBe(3);
});

test("a task that was settled before the first of them does not", () => {
  const w = world();
  w.submit({ id: "done" });
  w.submit({ id: "t" });
  w.complete("done");
  death(w);
  death(w);
  expect(deaths(w, "t")).toBe(2);
});

test("what was settled in a later term of the same process, before the death, does not break the row after it", () => {
  const w = world();
  w.submit({ id: "t" });
  w.submit({ id: "done" });
  const [taskId, agentId, fence] = [
    w.task("t").spec.id,
    w.agent(w.runner("t") as string).identity.id,
    w.task("t").lastFence,
  ];
  w.restart();
  w.ask({ type: "recover", here: [{ agentId, taskId, fence, startedAtMs: w.nowMs, isOver: false }] });
  for (const name of NAMES) w.ready(name);
  expect(w.task("t").lastFence).toBe(fence);
  w.complete("done");
  death(w);
  death(w);
  expect(deaths(w, "t")).toBe(2);
});

test("on trial a task stays there, whatever else was settled", () => {
  const w = world();
  for (const id of ["a", "b"]) w.submit({ id });
  for (let n = 0; n < 3; n++) death(w);
  expect([deaths(w, "a"), deaths(w, "b")]).toEqual([3, 3]);
  const [first, second] = w.status("a") === "leased" ? ["a", "b"] : ["b", "a"];
  expect(w.status(second)).toBe("agent");
  w.complete(first);
  expect(w.status(second)).toBe("leased");
  death(w);
  expect(w.settlement(second).error?.code).toBe("poisoned");
});

test("a death that it did not run at breaks the row as well", () => {
  const w = world();
  w.submit({ id: "t", maxAttempts: 9 });
  w.submit({ id: "u" });
  death(w);
  w.fail("t");
  expect([w.status("t"), w.status("u")]).toEqual(["agent", "leased"]);
  death(w);
  expect([deaths(w, "t"), deaths(w, "u")]).toEqual([undefined, 2]);
});

test("a task that comes out of its trial is like any other again", () => {
  const w = world();
  w.submit({ id: "t", maxAttempts: 9 });
  for (let n = 0; n < 3; n++) death(w);
  w.submit({ id: "other" });
  w.report("t", { name: "released" });
  expect([deaths(w, "t"), w.status("t"), w.status("other")]).toEqual([3, "leased", "agent"]);
  w.fail("t");
  expect([deaths(w, "t"), w.status("t"), w.status("other")]).toEqual([undefined, "leased", "leased"]);
});

test("the trial begins once nothing else runs here, and nobody slips in before it", () => {
  const w = createWorld({ agents: NAMES, pool: { retry: { backoff: { baseMs: 1_000, jitter: "none" } } } });
  w.submit({ id: "t", maxAttempts: 9 });
  death(w);
  death(w);
  w.restart();
  w.ask({ type: "recover" });
  // It is on trial; others stand before it.
  for (const id of ["x", "y", "z"]) w.submit({ id, priority: 1 });
  for (const name of NAMES) w.ready(name);
  expect(["x", "y", "z", "t"].map((id) => w.status(id))).toEqual(["leased", "leased", "agent", "agent"]);
  w.complete("x");
  w.complete("z");
  expect(w.status("t")).toBe("agent");
  w.submit({ id: "v" });
  expect(w.status("v")).toBe("agent");
  w.complete("y");
  expect([w.status("t"), w.status("v")]).toEqual(["leased", "agent"]);
  w.complete("t");
  expect(w.status("v")).toBe("leased");
});

test("remote agents work on meanwhile, and their attempts do not count", () => {
  const w = createWorld({ agents: ["ada", { name: "far", kind: "remote" }] });
  const again = (): void => {
    w.restart();
    w.ask({ type: "recover" });
    w.ready("ada");
  };
  w.submit({ id: "t", requires: [] });
  for (let n = 0; n < 3; n++) again();
  expect([deaths(w, "t"), w.runner("t")]).toEqual([3, "ada"]);
  w.claim("far");
  w.submit({ id: "elsewhere" });
  expect(w.runner("elsewhere")).toBe("far");
  w.submit({ id: "here" });
  expect(w.status("here")).toBe("agent");
  again();
  expect(w.settlement("t").error?.code).toBe("poisoned");
  expect([deaths(w, "elsewhere"), w.runner("elsewhere"), w.runner("here")]).toEqual([undefined, "far", "ada"]);
});

test("a task on trial that is cancelled while others wait for its end lets them go", () => {
  const w = world();
  w.submit({ id: "t" });
  for (let n = 0; n < 3; n++) death(w);
  w.submit({ id: "v" });
  expect(w.status("v")).toBe("agent");
  w.cancel("t");
  expect(w.status("v")).toBe("leased");
});

test("quiet is not kept for a task that nobody here can run any more", () => {
  const w = createWorld({
    agents: [
      { name: "ada", capabilities: ["a"] },
      { name: "bob", capabilities: ["b"] },
    ],
  });
  w.submit({ id: "t", type: "a" });
  for (let n = 0; n < 3; n++) death(w);
  expect(w.runner("t")).toBe("ada");
  w.submit({ id: "v", type: "b" });
  expect(w.status("v")).toBe("agent");
  w.remove("ada");
  expect([w.status("t"), w.status("v")]).toEqual(["agent", "leased"]);
});

test("an engine that was stopped between two deaths has not died", () => {
  const w = world();
  w.submit({ id: "t" });
  death(w);
  w.ask({ type: "drain", matching: false });
  w.ask({ type: "halt", cancel: false });
  death(w);
  expect([deaths(w, "t"), w.status("t")]).toEqual([1, "leased"]);
  death(w);
  expect(deaths(w, "t")).toBe(2);
});

test("the death that ends a task is charged like any other once no refund is left", () => {
  for (const [refundLimit, charged] of [
    [3, 1],
    [4, 0],
  ] as const) {
    const w = world({ retry: { refundLimit } });
    w.submit({ id: "t" });
    for (let n = 1; n <= 4; n++) death(w);
    expect(w.settlement("t")).toMatchObject({ error: { code: "poisoned" } });
    expect(w.task("t").attemptCount).toBe(charged);
  }
});
