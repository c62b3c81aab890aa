/** `explain`, with the core in hand for what is rare and through the library for what a user meets. */
import { afterEach, describe, expect, test } from "vitest";
import { AgentError } from "../agents/agent-error.ts";
import { asTaskId } from "../base/ids.ts";
import { tasksAhead } from "../core/place.ts";
import { queueOf } from "../core/state.ts";
import { createWorld, MAIN, type World } from "../testing/world.ts";
import { AHEAD_LIMIT, explain, SHOWN_AGENTS } from "./explain.ts";
import { functionAgent } from "./library/agents.ts";
import type { LibraryPoolOptions } from "./library/open.ts";
import type { Pool } from "./library/pool.ts";
import { createPool } from "./library/troupe.ts";
import { taskView } from "./present-task.ts";
import type { ExplainView } from "./view.ts";

const pools: Pool[] = [];
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close({ drainMs: 0 });
});

async function aPool(options: LibraryPoolOptions): Promise<Pool> {
  const pool = await createPool({ id: "p", stopMs: 0, abandonMs: 0, ...options });
  pools.push(pool);
  return pool;
}

/** Runs until it is stopped. */
const forever = ({ signal }: { signal: AbortSignal }): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));

/** Explains a task that the core holds. */
function explained(world: World, id: string): ExplainView {
  const task = world.state.tasks.get(asTaskId(id));
  if (task === undefined) throw new Error(`no task ${id}`);
  return explain(world.state, taskView(world.state, task, { body: {}, nowMs: world.nowMs }), world.nowMs);
}

const reasons = ({ agents }: ExplainView) => Object.fromEntries(agents.map(({ name, reason }) => [name, reason]));
const detail = ({ agents }: ExplainView, wanted: string) => agents.find(({ name }) => name === wanted)?.detail;

describe("a task that waits for an agent", () => {
  test("names what each agent lacks", async () => {
    const pool = await aPool({
      agents: [
        functionAgent("ada", forever, { capabilities: ["vision"] }),
        functionAgent("bob", forever, { capabilities: ["audio"] }),
      ],
    });
    const { id } = await pool.submit({ prompt: "x", requires: ["vision", "gpu", "tpu"] });
    const view = await pool.explain(id);
    expect(view).toMatchObject({ id, pool: "p", status: "pending", waiting: { reason: "agent" }, ahead: 0 });
    expect(view.agents.map(({ name, reason, detail: said }) => [name, reason, said])).toEqual([
      ["ada", "capability", "it lacks gpu, tpu"],
      ["bob", "capability", "it lacks gpu, tpu, vision"],
    ]);
    expect(view).toMatchObject({ agentCount: 2, against: { capability: 2 } });
    expect(view.change).toEqual(["an agent that offers gpu, tpu, vision has to join pool p"]);
    expect(view.summary).toContain("it is the next");
  });

  test("names the type that an agent does not take", async () => {
    const pool = await aPool({ agents: [functionAgent("ada", forever, { capabilities: ["vision"] })] });
    const { id } = await pool.submit({ prompt: "x", type: "audio" });
    const view = await pool.explain(id);
    expect(detail(view, "ada")).toBe("it does not take type audio");
    expect(view.change).toEqual(["an agent that offers type audio has to join pool p"]);
  });

  test("says with whom an agent is busy, and how many slots are taken", async () => {
    const pool = await aPool({
      agents: [functionAgent("ada", forever), functionAgent("bob", forever, { concurrency: 2 })],
    });
    const running = [await pool.submit("1"), await pool.submit("2"), await pool.submit("3")];
    const { id } = await pool.submit("waits");
    const view = await pool.explain(id);
    expect(reasons(view)).toEqual({ ada: "slot", bob: "slot" });
    expect(running.map((task) => `it is busy with task ${task.id}`)).toContain(detail(view, "ada"));
    expect(detail(view, "bob")).toBe("all of its 2 slots are taken");
    expect(view.change).toEqual(["ada, bob would have to have a free slot"]);
  });

  test("says that a pool has no agents", async () => {
    const pool = await aPool({});
    const { id } = await pool.submit("x");
    expect(await pool.explain(id)).toMatchObject({
      agents: [],
      agentCount: 0,
      against: {},
      ahead: 0,
      change: ["an agent has to join pool p"],
    });
  });

  test("an agent that is not up, rests, or is unhealthy says so", () => {
    const world = createWorld({ agents: ["ada", "bob", { name: "cyd", kind: "daemon" }] });
    for (let n = 0; n < 3; n++) world.probe("cyd", false);
    world.crash("bob");
    const first = world.submit({ id: "first" });
    world.report(first, { name: "throttled", error: { code: "slow", message: "slow down" }, retryAfterMs: 60_000 });
    world.submit({ id: "second" });
    const view = explained(world, "second");
    expect(reasons(view)).toEqual({ ada: "rate", bob: "lifecycle", cyd: "health" });
    expect(detail(view, "ada")).toBe(`it rests until ${new Date(world.nowMs + 60_000).toISOString()}`);
    expect(detail(view, "bob")).toMatch(/^it is crashed, tried again at \d{4}-/);
    expect(detail(view, "cyd")).toMatch(/^it is unhealthy: ./);
    expect(view.against).toEqual({ rate: 1, lifecycle: 1, health: 1 });
  });

  test("an agent whose breaker is open says until when", () => {
    const world = createWorld({
      agents: ["ada"],
      pool: { breaker: { consecutive: 1, openMs: 5_000, jitter: "none" } },
    });
    world.fail(world.submit({ id: "bad" }), { blame: "agent" });
    world.submit({ id: "t" });
    const view = explained(world, "t");
    expect(reasons(view)).toEqual({ ada: "breaker" });
    const until = new Date(world.nowMs + 5_000).toISOString();
    expect(detail(view, "ada")).toBe(`its breaker is open until ${until}: consecutive`);
    expect(view.change).toContain("ada has to have its breaker closed");
  });

  test("a remote agent without a claim has not asked for work; one that asks for other types says which", () => {
    const world = createWorld();
    world.join({ name: "ada" });
    world.join({ name: "bob" });
    world.claim("bob", { types: ["audio", "video"] });
    world.submit({ id: "t", type: "vision" });
    const view = explained(world, "t");
    expect(reasons(view)).toEqual({ ada: "slot", bob: "capability" });
    expect(detail(view, "ada")).toBe("it has not asked for work");
    expect(detail(view, "bob")).toBe("it asks for other types than vision: audio, video");
    world.claim("bob", { types: [] });
    expect(detail(explained(world, "t"), "bob")).toBe("it asks for other types than vision: nothing");
  });

  test("an agent that failed it is passed over while another could serve it", () => {
    const world = createWorld({ agents: ["ada", "bob"] });
    const task = world.submit({ id: "t" });
    world.submit({ id: "other" });
    const failedBy = world.lease(task)?.agentId ?? "";
    world.report(task, { name: "failed", blame: "agent", error: { code: "broken", message: "broken" } });
    const view = explained(world, "t");
    const other = failedBy === "ada" ? "bob" : "ada";
    expect(reasons(view)).toEqual({ [failedBy]: "failed", [other]: "slot" });
    expect(detail(view, failedBy)).toBe("it has failed this task, and another agent could serve it");
    expect(view.change).toEqual([
      `${failedBy} has to be the only one left after a backoff`,
      `${other} has to have a free slot`,
    ]);
  });
});

describe("its place in the queue", () => {
  test("counts what goes before it by the rules of the order, and no more", async () => {
    const pool = await aPool({});
    const ids: Record<string, string> = {};
    for (const [name, priority, type] of [
      ["a", "low", "x"],
      ["b", "medium", "x"],
      ["c", "critical", "y"],
      ["d", "medium", "y"],
      ["e", "high", "z"],
    ] as const) {
      ids[name] = (await pool.submit({ prompt: name, priority, type })).id;
    }
    const ahead = async (name: string) => (await pool.explain(ids[name] ?? "")).ahead;
    expect([await ahead("c"), await ahead("e"), await ahead("b"), await ahead("d"), await ahead("a")]).toEqual([
      0, 1, 2, 3, 4,
    ]);
    await pool.cancel(ids.e ?? "");
    expect([await ahead("b"), await ahead("a")]).toEqual([1, 3]);
    expect((await pool.explain(ids.b ?? "")).summary).toContain("1 task goes before it");
    expect((await pool.explain(ids.b ?? "")).change).toContain("those before it have to be served: 1");
  });

  test("is exact up to 1,000 tasks ahead, and more than 1,000 beyond", () => {
    const world = createWorld({ checks: "end" });
    for (let n = 0; n < AHEAD_LIMIT + 2; n++) world.submit({ id: `t${n}`, type: n % 2 === 0 ? "even" : "odd" });
    expect(explained(world, `t${AHEAD_LIMIT - 1}`).ahead).toBe(AHEAD_LIMIT - 1);
    expect(explained(world, `t${AHEAD_LIMIT}`).ahead).toBe(AHEAD_LIMIT);
    expect(explained(world, `t${AHEAD_LIMIT + 1}`).ahead).toBe("more than 1,000");
    const queue = queueOf(world.state, MAIN);
    const last = world.state.tasks.get(asTaskId("t900"));
    if (last === undefined) throw new Error("t900 is open");
    expect(tasksAhead(queue, last, { ageing: false, limit: 10 })).toBe(10);
  });

  test("a task that waits for anything else has none", () => {
    const world = createWorld({ agents: ["ada"] });
    world.submit({ id: "a" });
    world.submit({ id: "b", dependencies: ["a"] });
    expect(explained(world, "b").ahead).toBeUndefined();
  });
});

describe("a task that waits for something else", () => {
  test("names the dependencies that it waits for, and whoever could take it", async () => {
    const pool = await aPool({ agents: [functionAgent("ada", forever), functionAgent("bob", forever)] });
    const first = await pool.submit("first");
    const { id } = await pool.submit({ prompt: "then", dependencies: [first.id] });
    const view = await pool.explain(id);
    expect(view.waiting).toEqual({ reason: "dependencies", on: [first.id] });
    expect(view.summary).toMatch(new RegExp(`^it waits for its dependency ${first.id}`));
    expect(view.change).toEqual([`${first.id} has to be completed`]);
    expect(Object.values(reasons(view)).filter((reason) => reason === undefined)).toHaveLength(1);
    const either = await pool.submit({ prompt: "then", dependencies: [first.id], onDependencyFailure: "run" });
    expect((await pool.explain(either.id)).change).toEqual([`${first.id} has to end`]);
  });

  test("names only some of many dependencies", () => {
    const world = createWorld();
    const dependencies = Array.from({ length: 7 }, (_, n) => world.submit({ id: `d${n}` }));
    world.submit({ id: "t", dependencies });
    const view = explained(world, "t");
    expect(view.summary).toContain("its dependencies d0, d1, d2, d3, d4 and 2 more");
    expect(view.waiting?.on).toHaveLength(7);
  });

  test("says until when it is delayed or backs off, and by when it has to end", () => {
    const world = createWorld({ agents: ["ada"], pool: { retry: { failover: "backoff" } } });
    const until = new Date(world.nowMs + 5_000).toISOString();
    world.submit({ id: "later", runAtMs: world.nowMs + 5_000, deadlineAtMs: world.nowMs + 60_000 });
    const later = explained(world, "later");
    expect(later.waiting).toEqual({ reason: "delay", until });
    expect(later.change).toEqual([
      `its time has to come: ${until}`,
      `it has to end before its deadline, ${new Date(world.nowMs + 60_000).toISOString()}, or it fails`,
    ]);
    const again = world.submit({ id: "again" });
    world.report(again, { name: "failed", blame: "agent", error: { code: "broken", message: "broken" } });
    const view = explained(world, "again");
    expect(view.waiting?.reason).toBe("retry");
    expect(view.change).toEqual([`its backoff ends at ${view.waiting?.until}`]);
    // Nobody else could serve it: after its backoff it goes to the one that failed it.
    expect(reasons(view)).toEqual({ ada: undefined });
  });

  test("a backoff in a pool of two passes over the one that failed it", () => {
    const world = createWorld({ agents: ["ada", "bob"], pool: { retry: { failover: "backoff" } } });
    const task = world.submit({ id: "t" });
    const agentId = world.lease(task)?.agentId ?? "";
    world.report(task, { name: "failed", blame: "agent", error: { code: "broken", message: "broken" } });
    expect(reasons(explained(world, "t"))[agentId]).toBe("failed");
  });
});

describe("a task that runs or has ended", () => {
  test("a running one names its agent and considers nobody else", async () => {
    const pool = await aPool({ agents: [functionAgent("ada", forever)] });
    const { id } = await pool.submit("x");
    await expect.poll(async () => (await pool.task(id)).status).toBe("in_progress");
    const view = await pool.explain(id);
    expect(view).toMatchObject({ status: "in_progress", agents: [], agentCount: 0, against: {}, change: [] });
    expect(view.summary).toMatch(/^ada has been running it since \d{4}-/);
    expect(view.story[1]).toMatch(/^attempt 1 on ada runs since/);
    expect(view).not.toHaveProperty("ahead");
    expect(view).not.toHaveProperty("waiting");
  });

  test("one that was assigned and has not begun says so", () => {
    const world = createWorld();
    world.join({ name: "ada" });
    world.claim("ada");
    world.submit({ id: "t" });
    expect(explained(world, "t").summary).toBe("it is assigned to ada, which has not begun yet");
    expect(explained(world, "t").story[1]).toMatch(/^attempt 1 on ada was assigned at/);
  });

  test("a failed one tells its story, attempt by attempt, and that a replay would give it a new life", async () => {
    let calls = 0;
    const run = () => {
      calls += 1;
      throw new AgentError({ message: `broken ${calls}`, blame: "task", code: "bad", retryable: calls === 1 });
    };
    const pool = await aPool({
      agents: [functionAgent("ada", run)],
      retry: { backoff: { baseMs: 0, jitter: "none" } },
    });
    const task = await pool.submit("x");
    const { settledAt, createdAt } = await task.settled();
    const view = await pool.explain(task.id);
    expect(view.story).toEqual([
      `it was submitted to pool p at ${createdAt}`,
      expect.stringMatching(/^attempt 1 on ada ended failed after \d+ ms, blame task: bad, broken 1$/),
      expect.stringMatching(/^attempt 2 on ada ended failed after \d+ ms, blame task: bad, broken 2$/),
      `it failed at ${settledAt}: bad, broken 2`,
    ]);
    expect(view).toMatchObject({ status: "failed", agents: [], change: ["a replay gives it a new life"] });
    await pool.replay(task.id);
    await task.settled();
    expect((await pool.explain(task.id)).story).toContain("it has been replayed once");
  });

  test("completed and cancelled ones have nothing left to change", async () => {
    const pool = await aPool({ agents: [functionAgent("ada", () => "ok")] });
    const done = await pool.submit("x");
    const { settledAt } = await done.settled();
    expect(await pool.explain(done.id)).toMatchObject({ summary: `it was completed at ${settledAt}`, change: [] });
    const late = await pool.submit({ prompt: "y", delayMs: 1_000_000 });
    await late.cancel("changed my mind");
    const view = await pool.explain(late.id);
    expect(view.summary).toMatch(/^it was cancelled at .*: cancelled, changed my mind$/);
    expect(view.change).toEqual([]);
  });

  test("an unknown task is not found", async () => {
    const pool = await aPool({});
    await expect(pool.explain("nobody")).rejects.toMatchObject({ code: "not_found" });
  });
});

test("of many agents all are counted and the first thousand shown", () => {
  const world = createWorld({ checks: "end" });
  for (let n = 0; n < SHOWN_AGENTS + 1; n++) world.addAgent({ name: `a${n}`, capabilities: ["other"] });
  world.submit({ id: "t", type: "mine" });
  const view = explained(world, "t");
  expect(view.agents).toHaveLength(SHOWN_AGENTS);
  expect(view.agentCount).toBe(SHOWN_AGENTS + 1);
  expect(view.against).toEqual({ capability: SHOWN_AGENTS + 1 });
});

test("S0-27 a task that a gate holds says which, and of every agent that it could go to", () => {
  const world = createWorld({ agents: ["ada", { name: "bob", capabilities: ["cooking"] }] });
  world.ask({ type: "set_gate", name: "docs", available: false, holds: ["discovery"] });
  world.submit({ id: "t", type: "discovery" });
  const story = explained(world, "t");
  expect(story.waiting).toMatchObject({ reason: "gate", on: ["docs"] });
  expect(reasons(story)).toEqual({ ada: "gate", bob: "capability" });
  expect(story.summary).toContain("for the gate docs to open");
  expect(story.change).toContain("docs has to open");
  world.submit({ id: "busy" });
  world.crash("bob");
  expect(reasons(explained(world, "t"))).toEqual({ ada: "gate", bob: "capability" });
  world.crash("ada");
  expect(reasons(explained(world, "t"))).toEqual({ ada: "lifecycle", bob: "capability" });
});

test("a task of a paused pool says what has to be resumed", () => {
  const world = createWorld({ agents: ["ada"] });
  world.ask({ type: "set_mode", pool: MAIN, mode: "paused" });
  world.submit({ id: "t" });
  const story = explained(world, "t");
  expect(story.waiting?.reason).toBe("paused");
  expect(story.summary).toContain("for its pool to be resumed");
  expect(story.change).toContain("pool main has to be resumed");
});

describe("free agents that are kept from a task", () => {
  test("while a task that ran at three engine deaths runs by itself, the others are told so", () => {
    const world = createWorld({ agents: ["ada", "bob"] });
    world.submit({ id: "suspect" });
    for (let n = 0; n < 3; n++) {
      world.restart();
      world.ask({ type: "recover" });
      for (const name of ["ada", "bob"]) world.ready(name);
    }
    world.submit({ id: "late" });
    const view = explained(world, "late");
    expect(view.against).toEqual({ slot: 2 });
    const free = world.runner("suspect") === "ada" ? "bob" : "ada";
    expect(detail(view, free)).toBe("nothing else of the pool runs here until task suspect has ended");
  });

  test("one that is kept free for a task says for which", () => {
    const world = createWorld({ agents: ["ada"] });
    world.submit({ id: "runs" });
    world.submit({ id: "late" });
    const [agentId] = world.state.agents.keys();
    if (agentId === undefined) throw new TypeError("expected an agent");
    world.complete("runs");
    expect(world.status("late")).toBe("leased");
    world.submit({ id: "later" });
    queueOf(world.state, MAIN).reservations.reserve(agentId, asTaskId("suspect"));
    world.state.agents.get(agentId)?.runs.clear();
    expect(detail(explained(world, "later"), "ada")).toBe("it is kept free for task suspect");
  });

  test("one that is at work is no place for a task that must run alone", () => {
    const world = createWorld({ agents: [{ name: "ada", concurrency: 2 }] });
    world.submit({ id: "runs" });
    world.submit({ id: "runs-too" });
    world.submit({ id: "suspect" });
    world.complete("runs");
    const suspect = world.task("suspect");
    const [agent] = world.state.agents.values();
    for (const run of agent?.runs.values() ?? []) if (run.taskId === suspect.spec.id) agent?.runs.delete(run.fence);
    suspect.killers = [];
    const view = { ...taskView(world.state, suspect, { body: {}, nowMs: world.nowMs }), status: "pending" as const };
    suspect.state = { name: "waiting", reason: "agent" } as never;
    expect(detail(explain(world.state, view, world.nowMs), "ada")).toBe(
      "it is at work, and this task runs alone on its agent",
    );
  });
});
