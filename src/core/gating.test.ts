import { expect, test } from "vitest";
import { createWorld, refusal, type World } from "../testing/world.ts";
import { GATE_LIMIT } from "./gate.ts";
import { oldestAtMs } from "./place.ts";

/** Closes, or opens, the gate `docs`. */
function set(world: World, available: boolean, holds?: readonly string[], name = "docs"): void {
  world.ask({ type: "set_gate", name, available, holds });
}

/** A world whose gate `docs` holds discovery and migration. */
function gated(available: boolean, pool: object = {}, agents: readonly string[] = ["ada"]): World {
  const world = createWorld({ agents, pool });
  set(world, available, ["discovery", "migration"]);
  return world;
}

const counts = (world: World) => {
  const [queue] = world.state.queues.values();
  return { gated: queue?.gated, agent: world.state.pools.values().next().value?.counts.agent };
};

test("S0-27 types that a closed gate holds wait, every other type flows", () => {
  const world = gated(false);
  world.submit({ id: "held", type: "discovery" });
  world.submit({ id: "too", type: "migration" });
  world.submit({ id: "beat", type: "heartbeat" });
  expect(["held", "too", "beat"].map((id) => world.status(id))).toEqual(["agent", "agent", "leased"]);
  world.complete("beat");
  expect(world.order).toEqual(["beat"]);
  expect(counts(world)).toEqual({ gated: 2, agent: 2 });
});

test("S0-28 opened again, they resume in order by themselves, by priority and admission", () => {
  const world = gated(false);
  world.submit({ id: "one", type: "discovery" });
  world.submit({ id: "two", type: "migration" });
  world.submit({ id: "urgent", type: "discovery", priority: 1 });
  set(world, true);
  for (const id of ["urgent", "one", "two"]) world.complete(id);
  expect(world.order).toEqual(["urgent", "one", "two"]);
  expect(counts(world)).toEqual({ gated: 0, agent: 0 });
});

test("S0-B01 S0-B03 a held task at the head blocks nobody behind it, and keeps its place", () => {
  const world = gated(true);
  world.submit({ id: "running" });
  world.submit({ id: "held", type: "discovery" });
  world.submit({ id: "behind" });
  set(world, false);
  world.complete("running");
  expect(world.status("behind")).toBe("leased");
  world.submit({ id: "later" });
  set(world, true);
  world.complete("behind");
  expect(world.order).toEqual(["running", "behind", "held"]);
});

test("S0-B04 held tasks have a limit of their own and leave the queue's to others", () => {
  const world = gated(false, { queue: { limit: 1, gatedLimit: 2 } });
  world.submit({ id: "running" });
  world.submit({ type: "discovery" });
  world.submit({ type: "migration" });
  expect(refusal(() => world.submit({ type: "discovery" })).details).toMatchObject({
    limit: "gated",
    depth: 2,
    bound: 2,
  });
  world.submit({ id: "waits" });
  expect(refusal(() => world.submit({})).details).toMatchObject({ limit: "queue", depth: 1, bound: 1 });
});

test("a batch fills the limit of gated tasks as if its tasks came one by one", () => {
  const world = gated(false, { queue: { gatedLimit: 2 } });
  const three = [1, 2, 3].map((n) => ({ id: `d${n}`, type: "discovery" }));
  const items = world.submitBatch(three, { partial: true });
  expect(items.map((item) => "error" in item)).toEqual([false, false, true]);
});

test("S0-B04 with every held place taken an idle agent still takes a task at once", () => {
  const world = gated(false, { queue: { limit: 0, gatedLimit: 3 } });
  for (let n = 0; n < 3; n++) world.submit({ type: "discovery" });
  world.submit({ id: "beat", type: "heartbeat" });
  expect(world.status("beat")).toBe("leased");
});

test("opened gates may exceed the queue's limit; then submissions are refused until it is below", () => {
  const world = gated(false, { queue: { limit: 1 } });
  world.submit({ id: "running" });
  for (const id of ["a", "b"]) world.submit({ id, type: "discovery" });
  set(world, true);
  expect(refusal(() => world.submit({})).code).toBe("queue_full");
  world.complete("running");
  expect(refusal(() => world.submit({})).code).toBe("queue_full");
  world.complete("a");
  world.submit({ id: "fits" });
  expect(world.status("fits")).toBe("agent");
});

test("a type that two gates hold flows when both are open", () => {
  const world = gated(false);
  set(world, false, ["discovery"], "web");
  world.submit({ id: "held", type: "discovery" });
  set(world, true);
  expect(world.status("held")).toBe("agent");
  set(world, true, undefined, "web");
  expect(world.status("held")).toBe("leased");
});

test("a closed gate that no longer holds a type lets it go, and holds what it newly names", () => {
  const world = gated(false);
  world.submit({ id: "disco", type: "discovery" });
  set(world, false, ["ingest"]);
  expect(world.status("disco")).toBe("leased");
  world.complete("disco");
  world.submit({ id: "in", type: "ingest" });
  expect(world.status("in")).toBe("agent");
});

test("a gate holds in every pool, and in those that come later", () => {
  const world = gated(false);
  world.addPool({ id: "side" });
  world.addAgent("bob", "side" as never);
  world.submit({ id: "held", pool: "side", type: "discovery" });
  expect(world.status("held")).toBe("agent");
  set(world, true);
  expect(world.runner("held")).toBe("bob");
});

test("what runs when its gate closes goes on; its retry waits", () => {
  const world = gated(true, {}, ["ada", "bob"]);
  world.submit({ id: "t", type: "discovery" });
  set(world, false);
  expect(world.status("t")).toBe("leased");
  world.fail("t");
  expect(world.status("t")).toBe("agent");
  set(world, true);
  expect(world.runner("t")).toBe("bob");
});

test("a failure of an agent backs off as ever though the task's gate is closed", () => {
  const world = gated(true, { retry: { backoff: { baseMs: 500 } } }, ["ada"]);
  world.submit({ id: "t", type: "discovery" });
  set(world, false);
  world.fail("t");
  set(world, true);
  expect([world.status("t"), world.waitsMs("t")]).toEqual(["retry", 500]);
});

test("a held task that all agents have failed goes through its backoff once the gate is open", () => {
  const world = gated(true, { retry: { backoff: { baseMs: 500 } } }, ["ada", "bob"]);
  world.submit({ id: "t", type: "discovery" });
  set(world, false);
  world.fail("t");
  world.remove("bob");
  expect(world.status("t")).toBe("agent");
  set(world, true);
  expect(world.status("t")).toBe("retry");
  world.advance(500);
  expect(world.runner("t")).toBe("ada");
});

test("a held task can be cancelled, and its deadline counts", () => {
  const world = gated(false);
  world.submit({ id: "a", type: "discovery" });
  world.submit({ id: "b", type: "discovery", deadlineAtMs: world.nowMs + 10 });
  world.cancel("a");
  world.advance(10);
  expect([world.status("a"), world.status("b")]).toEqual(["cancelled", "failed"]);
  expect(counts(world).gated).toBe(0);
});

test("S0-L03 a failure that blames a dependency and names its gate closes it, is refunded and resumes by itself", () => {
  const world = gated(true);
  world.submit({ id: "t", type: "discovery" });
  world.submit({ id: "next" });
  world.fail("t", { blame: "dependency", message: "no index", details: { gate: "docs" } });
  expect(world.state.gates.get("docs")).toMatchObject({ available: false, reason: "no index" });
  expect([world.status("t"), world.status("next")]).toEqual(["agent", "leased"]);
  expect(world.task("t").attemptCount).toBe(0);
  world.complete("next");
  set(world, true);
  expect(world.runner("t")).toBe("ada");
});

test("a failure that blames a dependency backs off when its gate is not known, not named, or does not hold it", () => {
  for (const details of [undefined, { gate: "none" }, { gate: 7 }, ["docs"], "docs", null]) {
    const world = gated(true);
    world.submit({ id: "t", type: "discovery" });
    world.fail("t", { blame: "dependency", ...(details === undefined ? {} : { details: details as never }) });
    expect(world.status("t")).toBe("retry");
    expect(world.state.gates.get("docs")?.available).toBe(true);
  }
  const world = gated(true);
  world.submit({ id: "t", type: "research" });
  world.fail("t", { blame: "dependency", details: { gate: "docs" } });
  expect(world.status("t")).toBe("retry");
  expect(world.state.gates.get("docs")?.available).toBe(false);
});

test("a gate that is set without types holds none, until it is told which", () => {
  const world = createWorld({ agents: ["ada"] });
  world.ask({ type: "set_gate", name: "new", available: false });
  expect(world.state.gates.get("new")?.holds).toEqual([]);
  expect(world.status(world.submit({ type: "discovery" }))).toBe("leased");
});

test("a failure of another blame closes no gate", () => {
  const world = gated(true);
  world.submit({ id: "t", type: "discovery" });
  world.fail("t", { blame: "agent", details: { gate: "docs" } });
  expect(world.state.gates.get("docs")?.available).toBe(true);
});

test("S0-L03 a probe opens and closes; one that says what is known changes nothing", () => {
  const world = gated(false);
  const events = world.eventsOf("gate.changed").length;
  world.ask({ type: "gate_probed", name: "docs", available: false, reason: "still" });
  world.ask({ type: "gate_probed", name: "gone", available: true, reason: "" });
  expect(world.eventsOf("gate.changed")).toHaveLength(events);
  world.advance(5);
  world.ask({ type: "gate_probed", name: "docs", available: true, reason: "x" });
  expect(world.state.gates.get("docs")).toMatchObject({ available: true, reason: "", changedAtMs: world.nowMs });
});

test("setting a gate keeps what is not given, and the time of its last change", () => {
  const world = gated(false);
  const probe = { url: "http://127.0.0.1:1/", intervalMs: 1, timeoutMs: 1 };
  const before = world.state.gates.get("docs");
  world.advance(5);
  world.ask({ type: "set_gate", name: "docs", available: false, probe });
  expect(world.state.gates.get("docs")).toEqual({ ...before, probe });
  world.ask({ type: "set_gate", name: "docs", available: false });
  expect(world.state.gates.get("docs")?.probe).toEqual(probe);
  world.ask({ type: "set_gate", name: "docs", available: false, probe: null });
  expect(world.state.gates.get("docs")?.probe).toBeUndefined();
});

test("there are at most so many gates; those that are there may still be set", () => {
  const world = createWorld();
  world.turn(
    Array.from({ length: GATE_LIMIT }, (_, n) => ({ type: "set_gate", name: `g${n}`, available: true }) as const),
  );
  expect(refusal(() => set(world, true, [], "more")).details).toMatchObject({ path: "name" });
  set(world, false, ["x"], "g0");
  expect(world.state.gates.size).toBe(GATE_LIMIT);
});

test("gates and what they hold survive a restart", () => {
  const world = gated(false);
  world.submit({ id: "held", type: "discovery" });
  world.restart();
  world.ask({ type: "recover" });
  world.ready("ada");
  expect(world.status("held")).toBe("agent");
  expect(counts(world).gated).toBe(1);
  set(world, true);
  expect(world.runner("held")).toBe("ada");
});

test("closing and opening touches no task: the cost is per class", () => {
  const world = createWorld({ agents: ["ada"], checks: "end" });
  world.submit({ id: "busy" });
  world.submitBatch(Array.from({ length: 5_000 }, () => ({ type: "discovery" })));
  const before = world.events.length;
  for (let n = 0; n < 50; n++) set(world, n % 2 === 1, ["discovery"]);
  expect(world.events.slice(before).every(({ type }) => type === "gate.changed")).toBe(true);
  world.check();
});

test("a held task waits for its gate, not for an agent: the oldest wait does not count it", () => {
  const world = gated(false);
  world.submit({ id: "running" });
  world.submit({ id: "held", type: "discovery" });
  world.advance(100);
  const oldest = () => [...world.state.queues.values()].map(oldestAtMs)[0];
  expect(oldest()).toBeUndefined();
  set(world, true);
  expect(oldest()).toBe(world.nowMs - 100);
});
