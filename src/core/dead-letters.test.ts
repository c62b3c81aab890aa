import { expect, test } from "vitest";
import { asTaskId } from "../base/ids.ts";
import { RETENTION_DEFAULTS } from "../policies/retention.ts";
import { createWorld, MAIN, refusal, type World } from "../testing/world.ts";
import { lettersOf } from "./state.ts";

/** Each of these has failed for good, in this order. */
function failed(ids: readonly string[], limit?: number): World {
  const world = createWorld({ agents: ["ada"], pool: limit === undefined ? {} : { deadLetters: { limit } } });
  for (const id of ids) {
    world.submit({ id });
    world.fail(id, { blame: "task" });
  }
  return world;
}

const marked = (world: World, ids: readonly string[]): string[] =>
  ids.filter((id) => world.history.get(asTaskId(id))?.settlement.deadLettered === true);

test("S0-L02 beyond the limit the oldest lose the mark, and can't be replayed any more", () => {
  const ids = ["a", "b", "c", "d"];
  const world = failed(ids, 2);
  expect(marked(world, ids)).toEqual(["c", "d"]);
  expect(world.settlement("a")).toMatchObject({ status: "failed", deadLettered: false });
  expect(refusal(() => world.replay("a")).code).toBe("conflict");
  expect(world.eventsOf("dead_letter.dropped").map(({ id }) => id)).toEqual(["a", "b"]);
});

test.each([
  [0, []],
  [1, ["c"]],
  [3, ["a", "b", "c"]],
] as const)("S0-L02 with a limit of %i the newest %j stay", (limit, kept) => {
  const ids = ["a", "b", "c"];
  expect(marked(failed(ids, limit), ids)).toEqual(kept);
});

test("the oldest is who failed first, not who came first", () => {
  const world = createWorld({ agents: ["ada", "bob"], pool: { deadLetters: { limit: 1 } } });
  world.submit({ id: "first" });
  world.submit({ id: "second" });
  world.fail("second", { blame: "task" });
  world.fail("first", { blame: "task" });
  expect(marked(world, ["first", "second"])).toEqual(["first"]);
});

test("a replay makes room for another", () => {
  const world = failed(["a", "b"], 2);
  world.replay("a");
  world.complete("a");
  world.submit({ id: "c" });
  world.fail("c", { blame: "task" });
  expect(marked(world, ["b", "c"])).toEqual(["b", "c"]);
});

test("the limit goes on after a restart, and holds for each pool by itself", () => {
  const world = failed(["a", "b"], 2);
  world.restart();
  world.ask({ type: "recover" });
  world.ready("ada");
  world.submit({ id: "c" });
  world.fail("c", { blame: "task" });
  expect(marked(world, ["a", "b", "c"])).toEqual(["b", "c"]);
  world.addPool({ id: "other", deadLetters: { limit: 1 } });
  world.submit({ id: "x", pool: "other", deadlineAtMs: world.nowMs });
  expect(marked(world, ["b", "c", "x"])).toEqual(["b", "c", "x"]);
});

test("a smaller limit counts from the next one on", () => {
  const world = failed(["a", "b", "c"]);
  const options = world.state.pools.get(MAIN)?.options;
  if (options === undefined) throw new Error("the pool is there");
  world.ask({ type: "change_pool", options: { ...options, deadLetters: { limit: 1 } } });
  world.submit({ id: "d" });
  world.fail("d", { blame: "task" });
  expect(marked(world, ["a", "b", "c", "d"])).toEqual(["d"]);
});

test.each([false, true])(
  "a pool that is made again goes on with its dead letters (after a restart: %s)",
  (restarted) => {
    const world = failed(["a", "b"], 2);
    const options = world.state.pools.get(MAIN)?.options;
    if (options === undefined) throw new Error("the pool is there");
    world.ask({ type: "delete_pool", pool: MAIN });
    expect([...(lettersOf(world.state, MAIN)?.keys() ?? [])]).toEqual(["a", "b"]);
    if (restarted) world.restart();
    world.ask({ type: "create_pool", options });
    expect(world.state.leftLetters.size).toBe(0);
    world.submit({ id: "c", deadlineAtMs: world.nowMs });
    expect(marked(world, ["a", "b", "c"])).toEqual(["b", "c"]);
  },
);

test("S3-L10 what retention takes of a pool that is gone is no dead letter any more", () => {
  const world = failed(["a"]);
  world.ask({ type: "delete_pool", pool: MAIN });
  const { num, settlement } = world.history.get(asTaskId("a")) as { num: number; settlement: { settledAtMs: number } };
  const old = { num, id: asTaskId("a"), settledAtMs: settlement.settledAtMs, bytes: 1 };
  const retire = () => world.ask({ type: "retire", pool: MAIN, oldest: [old as never], kept: { count: 1, bytes: 1 } });
  world.advance(RETENTION_DEFAULTS.ageMs - 1 - (world.nowMs - settlement.settledAtMs));
  expect(retire()).toEqual({ type: "retired", count: 0, passed: 0 });
  world.advance(1);
  expect(retire()).toEqual({ type: "retired", count: 1, passed: 0 });
  expect(lettersOf(world.state, MAIN)).toBeUndefined();
});

test("S0-L02 a discarded dead letter is a failed task like any other", () => {
  const world = failed(["a"]);
  world.discard("a");
  expect(world.settlement("a")).toMatchObject({ status: "failed", deadLettered: false });
  expect(refusal(() => world.replay("a")).code).toBe("conflict");
  expect(refusal(() => world.discard("a")).code).toBe("conflict");
});

test("only a dead letter is discarded", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "open" });
  expect(refusal(() => world.discard("open")).code).toBe("conflict");
  world.complete("open");
  expect(refusal(() => world.discard("open"))).toMatchObject({ code: "conflict", details: { status: "completed" } });
  expect(refusal(() => world.discard("none")).code).toBe("not_found");
});

test("a discarded one can be let go by the core as well", () => {
  const world = failed(["a"]);
  world.forget();
  world.discard("a");
  expect(marked(world, ["a"])).toEqual([]);
});

test("S0-L02 a replay may change what is asked, and keeps all else", () => {
  const world = failed(["a"]);
  world.replay("a", { priority: 1, maxAttempts: 1, timeoutMs: 5 });
  expect(world.task("a").spec).toMatchObject({ id: "a", priority: 1, maxAttempts: 1, timeoutMs: 5, type: "general" });
  expect(world.eventsOf("task.replayed").map(({ respecified }) => respecified)).toEqual([true]);
});

test("a replay drops a deadline that has passed for good, and keeps one that has not", () => {
  for (const deadlineMs of [0, 1]) {
    const world = createWorld({ agents: ["ada"] });
    world.submit({ id: "a", deadlineAtMs: world.nowMs + 1_000 });
    world.fail("a", { blame: "task" });
    world.advance(1_000 - deadlineMs);
    world.replay("a");
    const [replayed] = world.eventsOf("task.replayed");
    expect(replayed?.respecified).toBe(deadlineMs === 0);
    expect(replayed?.facts.spec.deadlineAtMs).toBe(deadlineMs === 0 ? undefined : world.nowMs + 1);
    expect(world.status("a")).toBe("leased");
  }
});

test("a change to a type that the pool does not take, or to what is in quarantine, is refused", () => {
  const world = createWorld({
    agents: [{ name: "dan", kind: "daemon" }],
    pool: { types: ["bad", "good"], poisonLimit: 1, restart: { max: 9 } },
  });
  world.submit({ id: "poison", type: "bad" });
  world.crash("dan");
  world.submit({ id: "other", type: "good", deadlineAtMs: world.nowMs });
  expect(refusal(() => world.replay("other", { type: "ugly" })).code).toBe("invalid");
  expect(refusal(() => world.replay("other", { type: "bad" })).code).toBe("quarantined");
  // Its own payload is let go by the replay, whatever becomes of it.
  world.replay("poison", { type: "bad", priority: 2 });
  world.replay("other", { type: "bad" });
  expect(["poison", "other"].map((id) => world.status(id))).toEqual(["agent", "agent"]);
});
