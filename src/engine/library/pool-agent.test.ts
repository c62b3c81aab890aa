/** One agent of a pool: what is shown of it, and what its operator may say. */
import { afterEach, describe, expect, test } from "vitest";
import { AgentError } from "../../agents/agent-error.ts";
import type { AgentFunction } from "../../agents/function.ts";
import { asPoolId } from "../../base/ids.ts";
import { createMemoryStore } from "../../stores/memory.ts";
import { createVirtualClock } from "../../testing/virtual-clock.ts";
import { AGENT_TYPE_LIMIT } from "../metrics.ts";
import { openEngine } from "../open.ts";
import { functionAgent } from "./agents.ts";
import type { LibraryPoolOptions } from "./open.ts";
import type { Pool } from "./pool.ts";
import type { PoolAgent } from "./pool-agent.ts";
import { createPool } from "./troupe.ts";

const pools: Pool[] = [];
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close({ drainMs: 0 });
});

async function aPool(options: LibraryPoolOptions): Promise<Pool> {
  const pool = await createPool({ id: "p", ...options });
  pools.push(pool);
  return pool;
}

function agentOf(pool: Pool, name = "ada"): PoolAgent {
  const agent = pool.agent(name);
  if (agent === undefined) throw new Error(`no agent ${name}`);
  return agent;
}

const echo: AgentFunction = ({ task }) => task.prompt;
/** Runs until it is told to stop. */
const hang: AgentFunction = ({ signal }) =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("stopped")), { once: true }));

describe("the view", () => {
  test("CONTRACT §3: a new agent has exactly these fields, with these values where nothing has happened", async () => {
    const pool = await aPool({ agents: [functionAgent("ada", echo)] });
    const { id, contextWindowId, toolSessionId, memoryHandleId, ...rest } = agentOf(pool).view();
    expect(new Set([id, contextWindowId, toolSessionId, memoryHandleId]).size).toBe(4);
    expect(rest).toEqual({
      name: "ada",
      pool: "p",
      kind: "function",
      capabilities: [],
      concurrency: 1,
      weight: 1,
      priority: 0,
      metadata: {},
      lifecycle: "ready",
      health: "healthy",
      breaker: { state: "closed" },
      activity: "idle",
      lease: [],
      restarts: 0,
      stats: {
        succeeded: 0,
        failed: 0,
        inFlight: 0,
        successRate: 1,
        errorShare: 0,
        meanLatencyMs: null,
        p95LatencyMs: null,
        consecutiveFailures: 0,
        abandoned: 0,
        samples: 0,
        byType: {},
      },
    });
    expect((await pool.metrics()).utilisation).toBe(0);
  });

  test("S4-09 its figures are those of attempts that ended well or by its own fault, in all and by type", async () => {
    const clock = createVirtualClock(1_000_000);
    const run: AgentFunction = async ({ task }) => {
      const [word, ms] = (task.prompt ?? "").split(" ");
      await new Promise<void>((resolve) => clock.timer(Number(ms), resolve));
      if (word === "fail") throw new AgentError({ message: "no", blame: "agent" });
      if (word === "refuse") throw new AgentError({ message: "no", blame: "task" });
    };
    const engine = await openEngine({
      store: createMemoryStore(),
      dataDir: ".",
      clock,
      pools: [{ id: "p", retry: { maxAttempts: 1 }, breaker: false, agents: [{ kind: "function", name: "ada" }] }],
      functions: new Map([["p\nada", run]]),
    });
    const [agent] = engine.agents("p");
    for (const [type, prompt] of [
      ["a", "ok 100"],
      ["a", "ok 300"],
      ["b", "ok 200"],
      ["b", "refuse 900"],
      ["b", "fail 900"],
    ] as const) {
      await engine.submit("p", { type, prompt });
      for (let n = 0; n < 10; n++) await clock.advance(100);
    }
    const { stats } = engine.agent(agent?.id ?? "");
    expect(stats).toMatchObject({
      succeeded: 3,
      failed: 1,
      samples: 4,
      successRate: 0.75,
      errorShare: 0.25,
      meanLatencyMs: 200,
      p95LatencyMs: 300,
      consecutiveFailures: 1,
      byType: {
        a: { succeeded: 2, failed: 0, meanLatencyMs: 200 },
        b: { succeeded: 1, failed: 1, meanLatencyMs: 200 },
      },
    });
    expect(await engine.resetAgent(agent?.id ?? "")).toMatchObject({
      stats: { samples: 0, p95LatencyMs: null, byType: {} },
    });
    for (let n = 0; n < AGENT_TYPE_LIMIT + 2; n++) {
      await engine.submit("p", { type: `t${n}`, prompt: "ok 1" });
      await clock.advance(10);
    }
    const { byType } = engine.agent(agent?.id ?? "").stats;
    expect(Object.keys(byType)).toHaveLength(AGENT_TYPE_LIMIT + 1);
    expect(byType.other).toMatchObject({ succeeded: 2 });
    const closed = engine.close({ drainMs: 0 });
    await clock.advance(60_000);
    await closed;
  });

  test("a rest is shown while it lasts, and a run whose task has gone on without it has no lease to end", async () => {
    const clock = createVirtualClock(1_000_000);
    const engine = await openEngine({ store: createMemoryStore(), dataDir: ".", clock, pools: [{ id: "p" }] });
    const { id } = await engine.join("p", { name: "rem", concurrency: 2 });
    const claim = async () => (await engine.claim(id, { max: 1, waitMs: 0 }, new AbortController().signal)).attempts[0];
    await engine.submit("p", { id: "t", retryable: true, prompt: "x" });
    const first = await claim();
    await engine.fail("t", first?.fence ?? 0, { message: "busy", blame: "throttle", retryAfterMs: 5_000 });
    expect(engine.agent(id).cooldownUntil).toBe(new Date(1_005_000).toISOString());
    await clock.advance(5_000);
    expect(engine.agent(id)).not.toHaveProperty("cooldownUntil");
    const second = await claim();
    expect(engine.agent(id).lease).toEqual([
      { taskId: "t", fence: second?.fence, expiresAt: new Date(1_035_000).toISOString() },
    ]);
    await engine.cancel("t");
    expect(engine.agent(id)).toMatchObject({ activity: "busy", lease: [{ taskId: "t", fence: second?.fence }] });
    expect(engine.agent(id).lease[0]).not.toHaveProperty("expiresAt");
    const closed = engine.close({ drainMs: 0 });
    await clock.advance(60_000);
    await closed;
  });
});

describe("the operator's words", () => {
  test("an agent is found by its name and by its id, and nobody is undefined", async () => {
    const pool = await aPool({ agents: [functionAgent("ada", echo)] });
    const { id } = agentOf(pool);
    expect([pool.agent(id)?.id, pool.agent("nobody")]).toEqual([id, undefined]);
  });

  test("a drained agent leaves the work to others until it is recovered", async () => {
    const pool = await aPool({ agents: [functionAgent("ada", () => "ada"), functionAgent("bob", () => "bob")] });
    expect(await agentOf(pool).drain()).toMatchObject({ lifecycle: "draining" });
    expect(await pool.executeBatch(["1", "2", "3"])).toEqual(["bob", "bob", "bob"]);
    expect(await agentOf(pool).recover()).toMatchObject({ lifecycle: "ready" });
    expect(await pool.execute({ prompt: "x", preferredAgent: "ada" })).toBe("ada");
  });

  test("a restarted function has new ids and an empty memory", async () => {
    const count: AgentFunction = ({ memory }) => {
      memory.set("n", Number(memory.get("n") ?? 0) + 1);
      return memory.get("n");
    };
    const pool = await aPool({ agents: [functionAgent("ada", count)] });
    const before = agentOf(pool).view();
    expect(await pool.executeBatch(["1", "2"])).toEqual([1, 2]);
    expect(await pool.restart()).toEqual({ restarted: 1 });
    const after = agentOf(pool).view();
    expect(after).toMatchObject({ lifecycle: "ready", restarts: 1 });
    expect([after.contextWindowId, after.toolSessionId, after.memoryHandleId]).not.toContain(before.contextWindowId);
    expect(await pool.execute("3")).toBe(1);
  });

  test("a removed function is told to stop, and its task goes to another", async () => {
    let stopped = false;
    const run: AgentFunction = (call) => {
      call.signal.addEventListener("abort", () => {
        stopped = true;
      });
      return hang(call);
    };
    const pool = await aPool({ agents: [functionAgent("ada", run), functionAgent("bob", () => "bob")] });
    const result = pool.execute({ prompt: "x", preferredAgent: "ada" });
    await expect.poll(() => agentOf(pool).view().activity).toBe("busy");
    expect(await agentOf(pool).remove({ timeoutMs: 0 })).toEqual({ released: 1 });
    expect([await result, stopped, pool.agent("ada")]).toEqual(["bob", true, undefined]);
  });

  test("what a function logs can be read", async () => {
    const pool = await aPool({
      agents: [functionAgent("ada", ({ log, task }) => void log(`at ${task.prompt}`))],
    });
    await pool.executeBatch(["1", "2"]);
    expect(agentOf(pool).logs()).toEqual({ lines: ["at 1", "at 2"], next: 2 });
    expect(agentOf(pool).logs({ after: 1 })).toEqual({ lines: ["at 2"], next: 2 });
  });

  test("S0-30 S0-B12 capabilities are verified, ids changed, collisions reported", async () => {
    const pool = await aPool({
      agents: [functionAgent("ada", () => "ada", { capabilities: ["x"] }), functionAgent("bob", () => "bob")],
    });
    await agentOf(pool).verify("gpu");
    expect(await pool.execute({ prompt: "x", requires: ["gpu"] })).toBe("ada");
    await agentOf(pool, "bob").change({ contextWindowId: "w" });
    await agentOf(pool).change({ contextWindowId: "w" });
    expect(pool.isolation()).toMatchObject({
      total: 2,
      breached: 2,
      history: [{ field: "contextWindowId", value: "w" }],
    });
    expect((await pool.metrics()).healthScore).toBe(0.8);
    await agentOf(pool).change({ contextWindowId: "v" });
    expect(pool.isolation()).toMatchObject({ breached: 0, history: [{ until: expect.any(String) }] });
  });

  test("S0-41 fail says what became of the task", async () => {
    const pool = await aPool({ agents: [functionAgent("ada", hang), functionAgent("bob", () => "bob")] });
    const task = await pool.submit({ prompt: "x", preferredAgent: "ada" });
    await expect.poll(() => agentOf(pool).view().activity).toBe("busy");
    const failed = await agentOf(pool).fail("on fire");
    expect(failed).toMatchObject({
      agent: { health: "unhealthy" },
      task: { id: task.id, reassigned: true, failedForGood: false },
    });
    expect(await task.result()).toBe("bob");
    expect(await agentOf(pool).recover()).toMatchObject({ health: "healthy" });
    expect(await agentOf(pool).fail()).toMatchObject({ task: null });
  });

  test("an agent of another kind may be added; a function only with its pool", async () => {
    const pool = await aPool({});
    const agent = await pool.addAgent({ kind: "command", program: "cat", name: "cat" });
    expect([agent.view().pool, await pool.execute("meow")]).toEqual([asPoolId("p"), "meow"]);
    await expect(pool.addAgent({ kind: "function", name: "f" })).rejects.toMatchObject({ code: "invalid" });
  });
});
