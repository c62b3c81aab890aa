import { expect, test } from "vitest";
import { createWorld, type WorldAgent } from "../testing/world.ts";

/** Which of these agents get the task, when all are free. */
function takers(task: { type?: string; requires?: string[] }, agents: readonly WorldAgent[]): string[] {
  const names: string[] = [];
  for (const agent of agents) {
    const world = createWorld({ agents: [agent] });
    world.submit({ id: "t", ...task });
    if (world.runner("t") !== undefined) names.push(agent.name);
  }
  return names;
}

const AGENTS: WorldAgent[] = [
  { name: "none" },
  { name: "all", capabilities: ["*"] },
  { name: "general", capabilities: ["general"] },
  { name: "research", capabilities: ["research"] },
  { name: "gpu", capabilities: ["gpu", "research"] },
];

test("S0-08 a type goes to agents that name it, to those with `general` or `*`, and to those that name nothing", () => {
  expect(takers({ type: "research" }, AGENTS)).toEqual(["none", "all", "general", "research", "gpu"]);
  expect(takers({ type: "ingest" }, AGENTS)).toEqual(["none", "all", "general"]);
});

test("type `general` goes to every agent", () => {
  expect(takers({}, AGENTS)).toEqual(["none", "all", "general", "research", "gpu"]);
});

test("S4-L03 what is required must be had, and `*` has it", () => {
  expect(takers({ type: "research", requires: ["gpu"] }, AGENTS)).toEqual(["all", "gpu"]);
  expect(takers({ requires: ["gpu", "research"] }, AGENTS)).toEqual(["all", "gpu"]);
  expect(takers({ requires: ["gpu", "net"] }, AGENTS)).toEqual(["all"]);
});

test("S0-B11 a preferred agent that lacks what is required does not get the task", () => {
  const world = createWorld({ agents: ["ada", { name: "bob", capabilities: ["gpu"] }] });
  world.submit({ id: "t", requires: ["gpu"], preferredAgent: "ada" });
  expect(world.runner("t")).toBe("bob");
});

test("S0-B11 a preferred agent that has failed the task does not get it while another could serve", () => {
  const world = createWorld({ agents: ["ada", "bob"] });
  world.submit({ id: "t", preferredAgent: "ada" });
  expect(world.runner("t")).toBe("ada");
  world.fail("t");
  expect(world.runner("t")).toBe("bob");
});

test("S0-15 a free preferred agent is taken by its name or by its id, against the strategy", () => {
  for (const preferredAgent of ["cid", "agent-7"]) {
    const world = createWorld({ agents: ["ada"] });
    world.ask({ type: "add_agent", agent: { ...world.identity("cid"), id: world.identity("agent-7").id } });
    world.ready("agent-7");
    world.submit({ id: "t", preferredAgent });
    expect(world.runner("t")).toBe("agent-7");
  }
});

test("S0-15 a preferred agent that is busy, or unknown, is not waited for", () => {
  const world = createWorld({ agents: ["ada", "bob"] });
  world.submit({ preferredAgent: "ada" });
  world.submit({ id: "t", preferredAgent: "ada" });
  expect(world.runner("t")).toBe("bob");
  world.complete("t");
  world.submit({ id: "u", preferredAgent: "nobody" });
  expect(world.runner("u")).toBe("bob");
});

/** A run that ignores its signal makes its agent degraded 5 ms after its timeout of 10 ms, and its task is failed. */
const DEAF = { timeoutMs: 10, stopMs: 5, retry: { maxAttempts: 1 } };

test("a preferred agent is taken although it is degraded, as long as it may work", () => {
  const world = createWorld({ agents: [{ name: "ada", concurrency: 2 }, "bob"], pool: DEAF });
  world.submit({ id: "slow", preferredAgent: "ada" });
  world.start("slow");
  world.advance(15);
  expect(world.agent("ada").health).toBe("degraded");
  world.submit({ id: "plain" });
  expect(world.runner("plain")).toBe("bob");
  world.complete("plain");
  world.submit({ id: "t", preferredAgent: "ada" });
  expect(world.runner("t")).toBe("ada");
});

test("degraded agents get work only when no healthy one is free, however loaded that is", () => {
  const agents = [
    { name: "ada", concurrency: 5 },
    { name: "bob", concurrency: 2 },
  ];
  const world = createWorld({ agents, pool: DEAF });
  world.submit({ id: "slow", preferredAgent: "ada" });
  world.start("slow");
  world.advance(15);
  for (const id of ["x", "y", "z"]) world.submit({ id });
  expect([world.runner("x"), world.runner("y"), world.runner("z")]).toEqual(["bob", "bob", "ada"]);
});

test("S0-06 S2-08 only an agent that is ready and has a free slot gets work", () => {
  const world = createWorld();
  world.ask({ type: "add_agent", agent: world.identity("ada") });
  world.submit({ id: "a" });
  expect(world.status("a")).toBe("agent");
  world.ready("ada");
  world.submit({ id: "b" });
  expect([world.runner("a"), world.status("b")]).toEqual(["ada", "agent"]);
});

test("an agent runs as many tasks at a time as its concurrency says, and not one more", () => {
  const world = createWorld({ agents: [{ name: "ada", concurrency: 3 }] });
  for (const id of ["a", "b", "c", "d"]) world.submit({ id });
  expect([world.agent("ada").runs.size, world.status("d")]).toEqual([3, "agent"]);
  world.complete("b");
  expect([world.agent("ada").runs.size, world.runner("d")]).toEqual([3, "ada"]);
});

test("S1-B06 S2-08 round robin over agents starts at the first and goes on by place, also when agents come and go", () => {
  const world = createWorld({ agents: ["a", "b", "c"], pool: { strategy: "round_robin" } });
  const next = (): string | undefined => {
    const id = world.submit();
    const runner = world.runner(id);
    world.complete(id);
    return runner;
  };
  expect([next(), next(), next(), next()]).toEqual(["a", "b", "c", "a"]);
  world.remove("b");
  expect([next(), next()]).toEqual(["c", "a"]);
  world.addAgent("d");
  expect([next(), next(), next()]).toEqual(["c", "d", "a"]);
});

test("round robin passes over the busy without a jump", () => {
  const world = createWorld({ agents: ["a", "b", "c"], pool: { strategy: "round_robin" } });
  world.submit({ id: "one" });
  world.submit({ id: "two" });
  world.complete("one");
  world.submit({ id: "three" });
  world.submit({ id: "four" });
  expect(
    ["one", "two", "three", "four"].map((id) => world.eventsOf("task.leased").find((e) => e.taskId === id)?.agentId),
  ).toEqual(["a", "b", "c", "a"]);
});

test("each pool has a rotation of its own", () => {
  const world = createWorld({ agents: ["a", "b"], pool: { strategy: "round_robin" } });
  const other = world.addPool({ id: "other", strategy: "round_robin" });
  for (const name of ["c", "d"]) world.addAgent(name, other);
  world.submit({ id: "1" });
  world.submit({ id: "2", pool: "other" });
  world.submit({ id: "3" });
  world.submit({ id: "4", pool: "other" });
  expect(["1", "2", "3", "4"].map((id) => world.runner(id))).toEqual(["a", "c", "b", "d"]);
});

test("least loaded compares shares of slots, not numbers of tasks", () => {
  const world = createWorld({
    agents: [
      { name: "small", concurrency: 2 },
      { name: "big", concurrency: 10 },
    ],
  });
  const ids = ["1", "2", "3", "4", "5", "6"];
  for (const id of ids) world.submit({ id });
  expect(ids.map((id) => world.runner(id))).toEqual(["small", "big", "big", "big", "big", "big"]);
});

test("a task goes to agents of its own pool only", () => {
  const world = createWorld({ agents: ["ada"] });
  world.addPool({ id: "other" });
  world.submit({ id: "t", pool: "other" });
  expect(world.status("t")).toBe("agent");
});

test("an agent that comes back under a known profile serves what waits for it", () => {
  const world = createWorld();
  world.submit({ id: "x", type: "x" });
  world.addAgent({ name: "y-only", capabilities: ["y"] });
  expect(world.status("x")).toBe("agent");
  world.addAgent({ name: "x-too", capabilities: ["x"] });
  expect(world.runner("x")).toBe("x-too");
  world.complete("x");
  world.remove("x-too");
  world.submit({ id: "x2", type: "x" });
  expect(world.status("x2")).toBe("agent");
  world.addAgent({ name: "x-again", capabilities: ["x"] });
  expect(world.runner("x2")).toBe("x-again");
});
