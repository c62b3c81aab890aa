import fc from "fast-check";
import { expect, test } from "vitest";
import { createWorld, type SpecInput, type World, type WorldOptions } from "../testing/world.ts";
import type { Priority } from "./task.ts";

const STEP_MS = 1_000;
/** Nothing expires while time passes here. */
const LONG_LEASE = { ttlMs: 2_000_000_000 };

/** A world with one agent that is busy with `busy`, so that all else waits. */
function queueing({ pool, agents = ["ada"] }: Pick<WorldOptions, "pool" | "agents"> = {}): World {
  const world = createWorld({ agents, pool: { ageing: { stepMs: STEP_MS }, lease: LONG_LEASE, ...pool } });
  world.submit({ id: "busy", priority: 1 });
  return world;
}

/** Completes whatever runs until nothing does; the order in which things ran. */
function drain(world: World): string[] {
  for (let running = runningIn(world); running !== undefined; running = runningIn(world)) world.complete(running);
  return world.order.slice(1);
}

function runningIn(world: World): string | undefined {
  for (const [id, { state }] of world.state.tasks) if (state.name === "leased") return id;
  return undefined;
}

/** Submits each so long after the start. */
function submitAt(world: World, tasks: readonly (SpecInput & { atMs: number })[]): void {
  const startMs = world.nowMs;
  for (const { atMs, ...spec } of tasks) {
    world.advance(startMs + atMs - world.nowMs);
    world.submit(spec);
  }
}

test("S0-17 inside a priority the oldest goes first, and completing one starts the next without a further call", () => {
  const world = queueing();
  for (const id of ["a", "b", "c"]) world.submit({ id });
  world.complete("busy");
  expect(world.runner("a")).toBe("ada");
  expect(drain(world)).toEqual(["a", "b", "c"]);
});

test("S3-02 S3-04 S3-43 S4-L02 of tasks of one instant critical goes first, then high, medium, low", () => {
  const world = queueing();
  for (const priority of [4, 3, 2, 1] as const) world.submit({ id: `p${priority}`, priority });
  expect(drain(world)).toEqual(["p1", "p2", "p3", "p4"]);
});

test("a lower priority that is more than a step older goes first", () => {
  const world = queueing();
  submitAt(world, [
    { id: "medium", priority: 3, atMs: 0 },
    { id: "high", priority: 2, atMs: STEP_MS + 1 },
  ]);
  expect(drain(world)).toEqual(["medium", "high"]);
});

test("a lower priority that is a millisecond less than a step older waits", () => {
  const world = queueing();
  submitAt(world, [
    { id: "medium", priority: 3, atMs: 0 },
    { id: "high", priority: 2, atMs: STEP_MS - 1 },
  ]);
  expect(drain(world)).toEqual(["high", "medium"]);
});

test("at exactly a step of age the admission number decides", () => {
  const world = queueing();
  submitAt(world, [
    { id: "medium", priority: 3, atMs: 0 },
    { id: "high", priority: 2, atMs: STEP_MS },
  ]);
  expect(drain(world)).toEqual(["medium", "high"]);
});

test("each rank is a step: low overtakes high after two steps, not before", () => {
  const world = queueing();
  submitAt(world, [
    { id: "low", priority: 4, atMs: 0 },
    { id: "soon", priority: 2, atMs: 2 * STEP_MS - 1 },
    { id: "late", priority: 2, atMs: 2 * STEP_MS + 1 },
  ]);
  expect(drain(world)).toEqual(["soon", "low", "late"]);
});

test("critical goes first however old the others are", () => {
  const world = queueing();
  submitAt(world, [
    { id: "high", priority: 2, atMs: 0 },
    { id: "critical", priority: 1, atMs: 1_000 * STEP_MS },
  ]);
  expect(drain(world)).toEqual(["critical", "high"]);
});

test("without ageing the order between priorities is strict, however old the lower one is", () => {
  const world = queueing({ pool: { ageing: false } });
  submitAt(world, [
    { id: "low", priority: 4, atMs: 0 },
    { id: "high", priority: 2, atMs: 1_000_000_000 },
  ]);
  expect(drain(world)).toEqual(["high", "low"]);
});

test("S0-B03 S0-B01 a head that nobody free may run does not block those behind it, and keeps its place", () => {
  const world = queueing({ agents: [{ name: "ada", capabilities: ["x"] }] });
  for (const [id, type] of [
    ["y1", "y"],
    ["x1", "x"],
    ["y2", "y"],
    ["x2", "x"],
  ] as const)
    world.submit({ id, type });
  expect(drain(world)).toEqual(["x1", "x2"]);
  expect([world.status("y1"), world.status("y2")]).toEqual(["agent", "agent"]);
  world.addAgent({ name: "bob", capabilities: ["y"] });
  expect(world.runner("y1")).toBe("bob");
  expect(drain(world)).toEqual(["x1", "x2", "y1", "y2"]);
});

test("S0-B05 S3-B01 a new task does not overtake an older one that the free agent may run", () => {
  const world = createWorld();
  world.submit({ id: "old" });
  world.turn([
    { type: "add_agent", agent: { ...world.identity("ada") } },
    { type: "agent_ready", agentId: world.identity("ada").id },
    { type: "submit", specs: [world.spec({ id: "new" })], partial: false, known: world.known() },
  ]);
  expect([world.runner("old"), world.status("new")]).toEqual(["ada", "agent"]);
});

test("S0-B02 one turn fills every slot that became free, not one", () => {
  const world = createWorld();
  for (const id of ["a", "b", "c", "d"]) world.submit({ id });
  world.addAgent({ name: "ada", concurrency: 3 });
  expect(world.order).toEqual(["a", "b", "c"]);
});

test("S0-B01 S0-B02 nothing leaves the queue before somebody can run it: a task in an empty pool waits for the first agent", () => {
  const world = createWorld();
  world.submit({ id: "a" });
  expect([world.status("a"), world.order]).toEqual(["agent", []]);
  world.addAgent("ada");
  expect(world.runner("a")).toBe("ada");
});

test("a task with `runAt` is as old as its `runAt`, not as its submission", () => {
  const world = queueing();
  world.submit({ id: "later", runAtMs: world.nowMs + 500 });
  submitAt(world, [
    { id: "before", atMs: 499 },
    { id: "after", atMs: 501 },
  ]);
  expect(drain(world)).toEqual(["before", "later", "after"]);
});

test("S0-B10 delays that end together keep the order of their admission", () => {
  const world = queueing();
  for (const id of ["a", "b", "c"]) world.submit({ id, runAtMs: world.nowMs + 500 });
  world.advance(500);
  expect(drain(world)).toEqual(["a", "b", "c"]);
});

test("a retry keeps the place of its admission", () => {
  const world = queueing({ agents: ["ada"], pool: { retry: { failover: "backoff", backoff: { baseMs: 10 } } } });
  world.submit({ id: "a" });
  world.complete("busy");
  for (const id of ["b", "c"]) world.submit({ id });
  world.fail("a", { blame: "dependency" });
  expect(world.runner("b")).toBe("ada");
  world.advance(10);
  world.complete("b");
  expect(world.runner("a")).toBe("ada");
});

test("S0-B10 retries that end together go in the order of their admission, before all that is newer", () => {
  const world = createWorld({
    agents: [{ name: "ada", concurrency: 2 }],
    pool: { retry: { backoff: { baseMs: 100 } } },
  });
  for (const id of ["a", "b", "busy", "other"]) world.submit({ id });
  world.fail("b", { blame: "dependency" });
  world.fail("a", { blame: "dependency" });
  expect(world.order.slice(2)).toEqual(["busy", "other"]);
  world.submit({ id: "newer" });
  world.advance(100);
  expect([world.status("a"), world.status("b")]).toEqual(["agent", "agent"]);
  world.complete("other");
  world.complete("busy");
  world.complete("a");
  expect(world.order.slice(4)).toEqual(["a", "b", "newer"]);
});

test("S0-26 a replayed task is the first of its priority, and several replays go in the order of their replay", () => {
  const world = createWorld({ agents: ["ada"], pool: { retry: { maxAttempts: 1 }, ageing: false } });
  for (const id of ["x", "y"]) {
    world.submit({ id });
    world.fail(id);
  }
  for (const id of ["busy", "old", "older"]) world.submit({ id });
  world.submit({ id: "high", priority: 2 });
  world.advance(10);
  world.replay("y");
  world.advance(10);
  world.replay("x");
  world.complete("busy");
  expect(drain(world).slice(2)).toEqual(["high", "y", "x", "old", "older"]);
});

test("replays of one instant go in the order of their admission", () => {
  const world = createWorld({ agents: ["ada"], pool: { retry: { maxAttempts: 1 } } });
  for (const id of ["x", "y"]) {
    world.submit({ id });
    world.fail(id);
  }
  world.submit({ id: "busy" });
  world.replay("y");
  world.replay("x");
  world.complete("busy");
  expect(drain(world).slice(2)).toEqual(["x", "y"]);
});

test("whatever waits, the next to run is the smallest by rank and age among all", () => {
  const task = fc.record({ priority: fc.constantFrom<Priority>(1, 2, 3, 4), waitMs: fc.nat({ max: 1_500 }) });
  fc.assert(
    fc.property(fc.array(task, { minLength: 1, maxLength: 25 }), fc.boolean(), (tasks, ageing) => {
      const world = queueing({ pool: { ageing: ageing ? { stepMs: STEP_MS } : false } });
      const keys = tasks.map(({ priority, waitMs }, index) => {
        world.advance(waitMs);
        world.submit({ id: `n${index}`, priority });
        const aged = world.nowMs + (priority - 1) * STEP_MS;
        const rank = ageing && priority > 1 ? 2 : priority;
        return { id: `n${index}`, rank, age: ageing ? aged : world.nowMs, index };
      });
      keys.sort((a, b) => a.rank - b.rank || a.age - b.age || a.index - b.index);
      expect(drain(world)).toEqual(keys.map(({ id }) => id));
    }),
    { numRuns: 60 },
  );
});

test("a replayed dead letter goes first in its priority, and makes that neither sooner nor later than others", () => {
  const world = createWorld({ agents: ["ada"], pool: { ageing: { stepMs: 1_000 } } });
  world.submit({ id: "letter", priority: 3 });
  world.fail("letter", { blame: "task" });
  world.submit({ id: "runs" });
  world.submit({ id: "old", priority: 3 });
  world.advance(1_500);
  world.submit({ id: "newer", priority: 2 });
  world.advance(1_500);
  world.replay("letter");
  for (const id of ["runs", "letter", "old", "newer"]) world.complete(id);
  // `old` is so old that its priority is next; within it the replayed one goes first.
  expect(world.order).toEqual(["letter", "runs", "letter", "old", "newer"]);
});

test("a replayed dead letter does not go before an older task of a more urgent priority", () => {
  const world = createWorld({ agents: ["ada"], pool: { ageing: { stepMs: 1_000 } } });
  world.submit({ id: "letter", priority: 3 });
  world.fail("letter", { blame: "task" });
  world.submit({ id: "runs" });
  world.advance(1_000);
  world.submit({ id: "urgent", priority: 2 });
  world.replay("letter");
  for (const id of ["runs", "urgent", "letter"]) world.complete(id);
  expect(world.order.slice(2)).toEqual(["urgent", "letter"]);
});
