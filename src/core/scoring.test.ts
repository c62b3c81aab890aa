import { expect, test } from "vitest";
import { createWorld, type SpecInput, type World, type WorldAgent } from "../testing/world.ts";

const LONG_LEASE = { ttlMs: 2_000_000_000 };

/** All agents are busy with a task each, so that what the test submits waits. */
function waiting(agents: readonly (string | WorldAgent)[], tasks: readonly SpecInput[]): World {
  const world = createWorld({ agents, pool: { strategy: "score", lease: LONG_LEASE } });
  for (const agent of agents) {
    const name = typeof agent === "string" ? agent : agent.name;
    const slots = typeof agent === "string" ? 1 : (agent.concurrency ?? 1);
    for (let n = 0; n < slots; n++) world.submit({ id: `busy-${name}-${n}`, preferredAgent: name, requires: [] });
  }
  for (const task of tasks) {
    world.advance(10);
    world.submit(task);
  }
  return world;
}

/** Completes what runs, the first leased first; the order in which the tasks of the test ran. */
function drain(world: World): string[] {
  for (;;) {
    const running = [...world.state.tasks].find(([, { state }]) => state.name === "leased");
    if (running === undefined) return world.order.filter((id) => !id.startsWith("busy"));
    world.complete(running[0]);
  }
}

test("S3-16 urgency ranks first, and ties go to the older task, whatever its age", () => {
  const tasks = [
    { id: "low", priority: 4 as const },
    { id: "medium-1", priority: 3 as const },
    { id: "medium-2", priority: 3 as const },
    { id: "high", priority: 2 as const },
    { id: "critical", priority: 1 as const },
  ];
  const world = waiting(["ada"], tasks);
  world.advance(100_000_000);
  expect(drain(world)).toEqual(["critical", "high", "medium-1", "medium-2", "low"]);
});

test("S3-15 a quick task of low priority goes before a medium one that is not, once the agent is known to be fast", () => {
  const world = waiting(
    ["ada"],
    [
      { id: "medium", priority: 3 },
      { id: "quick", type: "simple_qa", priority: 4 },
    ],
  );
  // The agent has one success of a few milliseconds: 5 + 10 points against 10.
  expect(drain(world)).toEqual(["quick", "medium"]);
});

test("S3-15 a quick task is not hidden behind an older one of its priority that is not quick", () => {
  const world = waiting(
    ["ada"],
    [
      { id: "low", priority: 4 },
      { id: "quick", type: "simple_qa", priority: 4 },
      { id: "medium", priority: 3 },
    ],
  );
  expect(drain(world)).toEqual(["quick", "medium", "low"]);
});

test("S3-17 pairs of one score go to the older task, also when they have nothing to do with each other", () => {
  const world = createWorld({
    agents: [
      { name: "ada", capabilities: ["x"] },
      { name: "bob", capabilities: ["y"] },
    ],
    pool: { strategy: "score" },
  });
  world.submitBatch([
    { id: "older", type: "y" },
    { id: "younger", type: "x" },
  ]);
  expect(world.order).toEqual(["older", "younger"]);
});

test("S3-B05 a quick task has no such head start on an agent that is slow", () => {
  const world = waiting(
    ["ada"],
    [
      { id: "medium", priority: 3 },
      { id: "quick", type: "simple_qa", priority: 4 },
    ],
  );
  world.advance(10_000);
  expect(drain(world)).toEqual(["medium", "quick"]);
});

test("S3-17 pairs of one score go to the more urgent task", () => {
  const world = waiting(
    ["ada"],
    [
      { id: "quick", type: "simple_qa", priority: 4 },
      { id: "medium", priority: 3 },
    ],
  );
  // Two seconds on average: 5 + 5 points for the quick one, 10 for the medium one.
  world.advance(2_000 - 20);
  world.complete("busy-ada-0");
  expect(world.agent("ada").measure.successMs).toBe(2_000);
  expect([world.runner("medium"), world.status("quick")]).toEqual(["ada", "agent"]);
});

test("S3-17 S3-B04 low tasks fill an agent to its concurrency: there is no hidden cap at 15", () => {
  const world = createWorld({ agents: [{ name: "ada", concurrency: 20 }], pool: { strategy: "score" } });
  world.submitBatch(Array.from({ length: 25 }, () => ({ priority: 4 as const })));
  expect(world.agent("ada").runs.size).toBe(20);
});

test("S3-B02 a critical task waits for an agent that can do it; nobody else is given it at any score", () => {
  const world = createWorld({ agents: [{ name: "ada", capabilities: ["ingest"] }], pool: { strategy: "score" } });
  world.submit({ id: "t", type: "research", priority: 1 });
  expect(world.status("t")).toBe("agent");
  world.submit({ id: "u", type: "ingest", priority: 4 });
  expect(world.runner("u")).toBe("ada");
  world.addAgent({ name: "bob", capabilities: ["research"] });
  expect(world.runner("t")).toBe("bob");
});

test("S3-B03 an agent with the capability general takes every type", () => {
  const world = createWorld({ agents: [{ name: "ada", capabilities: ["general"] }], pool: { strategy: "score" } });
  expect(world.runner(world.submit({ type: "research" }))).toBe("ada");
});

test("S3-18 S3-B04 when several are free the best pair goes first: the urgent task to the better agent", () => {
  const world = waiting(
    ["bad", "good"],
    [
      { id: "low", priority: 4 },
      { id: "critical", priority: 1 },
    ],
  );
  world.turn([
    {
      type: "report",
      agentId: world.lease("busy-bad-0")?.agentId,
      taskId: world.task("busy-bad-0").spec.id,
      fence: world.lease("busy-bad-0")?.fence ?? 0,
      outcome: { name: "failed", blame: "agent", error: { code: "failed", message: "it failed", retryable: false } },
      known: world.known(),
    },
    {
      type: "report",
      agentId: world.lease("busy-good-0")?.agentId,
      taskId: world.task("busy-good-0").spec.id,
      fence: world.lease("busy-good-0")?.fence ?? 0,
      outcome: { name: "succeeded", resultBytes: 2 },
      known: world.known(),
    },
  ]);
  expect([world.runner("critical"), world.runner("low")]).toEqual(["good", "bad"]);
  expect(world.order.slice(-2)).toEqual(["critical", "low"]);
});

test("S3-B06 an agent with five good attempts goes before one that was never tried, if the pool has failed", () => {
  const world = createWorld({ agents: ["bad", "new", "good"], pool: { strategy: "score", retry: { maxAttempts: 1 } } });
  for (let n = 0; n < 5; n++) {
    for (const name of ["bad", "good"]) {
      const id = world.submit({ preferredAgent: name });
      if (name === "bad") world.fail(id);
      else world.complete(id);
    }
  }
  for (const id of ["x", "y", "z"]) world.submit({ id });
  expect(["x", "y", "z"].map((id) => world.runner(id))).toEqual(["good", "new", "bad"]);
});

test("a task that everybody free has failed does not keep the tasks behind it from them", () => {
  const world = createWorld({ agents: ["ada", "bob"], pool: { strategy: "score", lease: LONG_LEASE } });
  world.submit({ id: "t", priority: 1, preferredAgent: "ada" });
  world.submit({ id: "busy", preferredAgent: "bob" });
  world.fail("t");
  world.submit({ id: "next", priority: 4 });
  expect([world.status("t"), world.runner("next")]).toEqual(["agent", "ada"]);
  world.complete("busy");
  expect(world.runner("t")).toBe("bob");
});

test("S3-02 replays go before others of their priority, as in every order", () => {
  const world = waiting(["ada"], [{ id: "a" }, { id: "b" }]);
  world.submit({ id: "dead", maxAttempts: 1, priority: 1 });
  world.complete("busy-ada-0");
  world.fail("dead");
  world.forget();
  const [running] = ["a", "b"].filter((id) => world.status(id) === "leased");
  expect(running).toBe("a");
  world.submit({ id: "c", priority: 1 });
  world.replay("dead");
  expect(drain(world)).toEqual(["dead", "a", "dead", "c", "b"]);
});

test("S3-B06 who was never tried is believed to be no better than the others have proven to be", () => {
  const world = createWorld({ agents: ["new", "old"], pool: { strategy: "score", retry: { maxAttempts: 1 } } });
  for (let n = 0; n < 6; n++) {
    const id = world.submit({ preferredAgent: "old" });
    if (n === 0) world.fail(id);
    else world.complete(id);
  }
  expect(world.runner(world.submit())).toBe("old");
});
