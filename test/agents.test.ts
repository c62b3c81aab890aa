/** Agents administered through HTTP: real children where a child matters, remote agents elsewhere. */
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { asPoolId } from "../src/base/ids.ts";
import type { LocalEngine } from "../src/engine/engine.ts";
import type { AgentView, ExplainView, IsolationView, PoolMetricsView, TaskView } from "../src/engine/view.ts";
import { daemonOf, KEY, type Problem, served } from "./served.ts";

/** How long a child may take to come or go on a busy machine. */
const SOON = { timeout: 20_000 };
const COMMAND = resolve("test/fixtures/agents/command.mjs");
const server = served("agents");
const { ask, dir } = server;

let pools = 0;

/** A pool of its own; answers its id. */
async function aPool(options: object = {}): Promise<string> {
  pools += 1;
  const id = `pool-${pools}`;
  const { status, body } = await ask<Problem>("POST", "/v1/pools", { id, ...options });
  expect([status, body.detail]).toEqual([201, undefined]);
  return id;
}

const daemon = (...options: string[]) => daemonOf(options);
const fixed = (count: number) => ({ min: count, default: count, max: count });
const daemons = (count: number, ...options: string[]): Promise<string> =>
  aPool({
    agents: [{ kind: "daemon" }],
    size: fixed(count),
    daemon: { ...daemon(...options), readyShare: 1 },
    restart: { delayMs: 0, jitter: "none", max: 1 },
    stopMs: 2_000,
  });

const view = async (id: string): Promise<AgentView> => (await ask<AgentView>("GET", `/v1/agents/${id}`)).body;
const agentsOf = async (pool: string): Promise<AgentView[]> =>
  (await ask<{ items: AgentView[] }>("GET", `/v1/pools/${pool}/agents`)).body.items;
const only = async (pool: string): Promise<AgentView> => {
  const [agent] = await agentsOf(pool);
  if (agent === undefined) throw new Error("no agent");
  return agent;
};
const submit = async (pool: string, prompt: string, more: object = {}): Promise<TaskView> =>
  (await ask<TaskView>("POST", `/v1/pools/${pool}/tasks`, { prompt, ...more })).body;
const run = async (pool: string, prompt: string, more: object = {}): Promise<TaskView> =>
  (await ask<TaskView>("POST", `/v1/pools/${pool}/tasks?waitMs=20000`, { prompt, ...more })).body;
const task = async (id: string): Promise<TaskView> => (await ask<TaskView>("GET", `/v1/tasks/${id}`)).body;
const begun = (id: string): Promise<unknown> =>
  expect.poll(async () => (await task(id)).status, SOON).toBe("in_progress");

/** A remote agent that has joined; answers its id. */
async function aRemote(pool: string, options: object = {}): Promise<string> {
  const { status, body } = await ask<{ id: string }>("POST", `/v1/pools/${pool}/agents`, {
    kind: "remote",
    ...options,
  });
  expect(status).toBe(201);
  return body.id;
}

describe("isolation", () => {
  test("S0-05 S0-B12 a collision is reported of both with what they share, keeps them from work, and ends", async () => {
    const pool = await aPool();
    const ada = await aRemote(pool, { name: "ada", contextWindowId: "window", toolSessionId: "session" });
    const bob = await aRemote(pool, { name: "bob", contextWindowId: "window", toolSessionId: "session" });
    const cyd = await aRemote(pool, { name: "cyd" });
    const report = (await ask<IsolationView>("GET", `/v1/pools/${pool}/isolation`)).body;
    expect(Object.keys(report).sort()).toEqual(["agents", "at", "breached", "history", "total"]);
    expect([report.total, report.breached]).toEqual([3, 2]);
    expect(report.agents.map(({ name, isolated, notes }) => ({ name, isolated, notes }))).toEqual([
      { name: "ada", isolated: false, notes: [`shares contextWindowId, toolSessionId with bob (${bob})`] },
      { name: "bob", isolated: false, notes: [`shares contextWindowId, toolSessionId with ada (${ada})`] },
      { name: "cyd", isolated: true, notes: [] },
    ]);
    expect(Object.keys(report.agents[2] ?? {}).sort()).toEqual([
      "contextWindowId",
      "id",
      "isolated",
      "memoryHandleId",
      "name",
      "notes",
      "toolSessionId",
    ]);
    expect((await ask<PoolMetricsView>("GET", `/v1/pools/${pool}/metrics`)).body.healthScore).toBe(0.8);

    await ask("DELETE", `/v1/agents/${cyd}`);
    const claimed = ask<{ attempts: unknown[] }>("POST", `/v1/agents/${ada}/claim`, { waitMs: 20_000 });
    const { id } = await submit(pool, "x");
    const explained = (await ask<ExplainView>("GET", `/v1/tasks/${id}/explain`)).body;
    expect(explained.against).toEqual({ isolation: 2 });
    expect(explained.agents[0]).toMatchObject({ reason: "isolation", detail: expect.stringContaining("with bob") });

    const changed = { contextWindowId: "another", toolSessionId: "another" };
    expect((await ask<AgentView>("PATCH", `/v1/agents/${bob}`, changed)).body).toMatchObject(changed);
    expect((await claimed).body.attempts).toHaveLength(1);
    const after = (await ask<IsolationView>("GET", `/v1/pools/${pool}/isolation`)).body;
    expect([after.breached, after.agents.every(({ isolated }) => isolated)]).toEqual([0, true]);
    expect(after.history.map(({ field, value, until }) => [field, value, typeof until])).toEqual([
      ["contextWindowId", "window", "string"],
      ["toolSessionId", "session", "string"],
    ]);
    expect((await ask<PoolMetricsView>("GET", `/v1/pools/${pool}/metrics`)).body.healthScore).toBe(1);
  });

  test("an agent of another pool is named with its pool, and flagged in its own", async () => {
    const [pool, other] = [await aPool(), await aPool()];
    await aRemote(pool, { name: "ada", memoryHandleId: "shared-by-two" });
    await aRemote(other, { name: "bob", memoryHandleId: "shared-by-two" });
    const { body } = await ask<IsolationView>("GET", `/v1/pools/${pool}/isolation`);
    expect([body.total, body.breached, body.agents[0]?.notes[0]]).toEqual([
      1,
      1,
      expect.stringMatching(new RegExp(`^shares memoryHandleId with bob .* of pool ${other}$`)),
    ]);
    expect((await ask<IsolationView>("GET", `/v1/pools/${other}/isolation`)).body.breached).toBe(1);
    expect((await ask<{ health: string }>("GET", `/v1/pools/${pool}`)).body.health).toBe("unhealthy");
  });

  test("S0-01 every spawn of a daemon has ids of its own", async () => {
    const pool = await daemons(2);
    const [first, second] = await agentsOf(pool);
    const ids = (agent: AgentView | undefined): unknown[] => [
      agent?.contextWindowId,
      agent?.toolSessionId,
      agent?.memoryHandleId,
    ];
    expect(new Set([...ids(first), ...ids(second)]).size).toBe(6);
    kill(first?.pid, "SIGKILL");
    await expect.poll(async () => (await view(first?.id ?? "")).restarts, SOON).toBe(1);
    expect(new Set([...ids(first), ...ids(await view(first?.id ?? ""))]).size).toBe(6);
    await ask("DELETE", `/v1/pools/${pool}?timeoutMs=0`);
  });
});

describe("PATCH /v1/agents/{id}", () => {
  test("changes what it names and answers the agent", async () => {
    const pool = await aPool();
    const id = await aRemote(pool, { name: "ada", capabilities: ["a"], weight: 2 });
    const changes = { capabilities: ["b", "b"], concurrency: 3, priority: -1, metadata: { x: [1] } };
    const { status, body } = await ask<AgentView>("PATCH", `/v1/agents/${id}`, changes);
    expect([status, body]).toMatchObject([200, { ...changes, capabilities: ["b"], weight: 2 }]);
    expect(await view(id)).toEqual(body);
    expect((await ask<AgentView>("PATCH", `/v1/agents/${id}`, {})).body).toEqual(body);
  });

  test.each([
    [{ lifecycle: "ready" }, "lifecycle"],
    [{ name: "bob" }, "name"],
    [{ kind: "daemon" }, "kind"],
    [{ concurrency: 0 }, "concurrency"],
    [{ concurrency: 100_001 }, "concurrency"],
    [{ weight: -1 }, "weight"],
    [{ capabilities: [""] }, "capabilities[0]"],
    [{ rate: { perMinute: 1 } }, "rate.perMinute"],
    [{ contextWindowId: "" }, "contextWindowId"],
    [{ toolSessionId: "x".repeat(257) }, "toolSessionId"],
  ])("refuses %j", async (change, path) => {
    const pool = await aPool();
    const id = await aRemote(pool, { name: "ada" });
    const { status, body } = await ask<Problem>("PATCH", `/v1/agents/${id}`, change);
    expect([status, body.code, body.path]).toEqual([422, "invalid", path]);
  });

  test("bounds are inclusive", async () => {
    const id = await aRemote(await aPool(), { name: "ada" });
    const change = { concurrency: 100_000, weight: 0, memoryHandleId: "x".repeat(256) };
    expect((await ask<AgentView>("PATCH", `/v1/agents/${id}`, change)).body).toMatchObject(change);
  });
});

test.each([
  ["GET", ""],
  ["PATCH", ""],
  ["DELETE", ""],
  ["GET", "/logs"],
  ["POST", "/fail"],
  ["POST", "/recover"],
  ["POST", "/reset"],
  ["POST", "/drain"],
  ["POST", "/restart"],
  ["POST", "/capabilities"],
])("%s /v1/agents/nobody%s is 404", async (method, path) => {
  const body =
    method === "GET" || method === "DELETE" ? undefined : path === "/capabilities" ? { capability: "x" } : {};
  const answer = await ask<Problem>(method, `/v1/agents/nobody${path}`, body);
  expect([answer.status, answer.body.code]).toEqual([404, "not_found"]);
});

test("S0-30 a verified capability counts for what tasks require, and is said once", async () => {
  const pool = await aPool();
  const id = await aRemote(pool, { name: "ada", capabilities: ["research"] });
  const claimed = ask<{ attempts: { taskId: string }[] }>("POST", `/v1/agents/${id}/claim`, { waitMs: 20_000 });
  const { id: taskId } = await submit(pool, "x", { requires: ["gpu"] });
  for (let n = 0; n < 2; n++) {
    const { status, body } = await ask<AgentView>("POST", `/v1/agents/${id}/capabilities`, { capability: "gpu" });
    expect([status, body.capabilities, body.verified]).toEqual([200, ["research", "gpu"], ["gpu"]]);
  }
  expect((await claimed).body.attempts.map((attempt) => attempt.taskId)).toEqual([taskId]);
  const refused = await ask<Problem>("POST", `/v1/agents/${id}/capabilities`, { capability: "" });
  expect([refused.status, refused.body.path]).toEqual([422, "capability"]);
});

test("X-15 what a worker says of itself in a heartbeat is part of its health", async () => {
  const id = await aRemote(await aPool(), { name: "ada" });
  for (const health of ["degraded", "unhealthy", "healthy"]) {
    await ask("POST", `/v1/agents/${id}/heartbeat`, { attempts: [], health });
    await ask("POST", `/v1/agents/${id}/heartbeat`, { attempts: [] });
    expect((await view(id)).health).toBe(health);
  }
});

describe("a drained agent", () => {
  test("finishes what it runs and takes no more, until it is recovered", async () => {
    const pool = await daemons(1);
    const { id } = await only(pool);
    const running = await submit(pool, "hang", { timeoutMs: 60_000 });
    await begun(running.id);
    expect((await ask<AgentView>("POST", `/v1/agents/${id}/drain`)).body).toMatchObject({
      lifecycle: "draining",
      activity: "busy",
    });
    const waits = await submit(pool, "echo 1");
    await ask("POST", `/v1/tasks/${running.id}/cancel`);
    await expect.poll(async () => (await view(id)).activity, SOON).toBe("idle");
    expect((await task(waits.id)).waiting).toMatchObject({ reason: "agent" });
    expect((await ask<AgentView>("POST", `/v1/agents/${id}/recover`)).body.lifecycle).toBe("ready");
    expect((await ask<TaskView>("GET", `/v1/tasks/${waits.id}?waitMs=20000`)).body).toMatchObject({
      status: "completed",
    });
    await ask("DELETE", `/v1/pools/${pool}?timeoutMs=0`);
  });
});

describe("a restart", () => {
  test("S2-L05 lets a daemon finish, and gives it a new process, new ids and none of its budget", async () => {
    const pool = await daemons(1);
    const before = await only(pool);
    // More often than its budget of one restart.
    for (let n = 1; n <= 2; n++) {
      const { status, body } = await ask<AgentView>("POST", `/v1/agents/${before.id}/restart`, {});
      expect([status, body.lifecycle]).toEqual([200, "draining"]);
      await expect.poll(async () => view(before.id), SOON).toMatchObject({ lifecycle: "ready", restarts: n });
    }
    const after = await view(before.id);
    expect(after.pid).not.toBe(before.pid);
    expect([after.contextWindowId === before.contextWindowId, after.lastExit?.reason]).toEqual([false, "stopped"]);
    expect(await run(pool, "echo 1")).toMatchObject({ status: "completed", attemptCount: 1 });
    await ask("DELETE", `/v1/pools/${pool}?timeoutMs=0`);
  });

  test("gives back what has not ended in its time: charged to nobody, and no kill", async () => {
    const pool = await daemons(1);
    const { id } = await only(pool);
    const running = await submit(pool, "hang");
    await begun(running.id);
    await ask("POST", `/v1/agents/${id}/restart?timeoutMs=0`);
    await expect.poll(async () => view(id), SOON).toMatchObject({ lifecycle: "ready", restarts: 1 });
    expect(await task(running.id)).toMatchObject({ attemptCount: 0, attempts: [{ outcome: "released" }, {}] });
    await ask("DELETE", `/v1/pools/${pool}?timeoutMs=0`);
  });

  test("S2-L05 of a pool goes from one to the next, so that somebody always serves", async () => {
    const pool = await daemons(3);
    const before = await agentsOf(pool);
    let done = false;
    const restarted = ask<{ restarted: number }>("POST", `/v1/pools/${pool}/restart`, {}).finally(() => {
      done = true;
    });
    const least: number[] = [];
    while (!done) {
      least.push((await agentsOf(pool)).filter(({ lifecycle }) => lifecycle === "ready").length);
      expect(await run(pool, "echo 1")).toMatchObject({ status: "completed", attemptCount: 1 });
    }
    expect(await restarted).toEqual({ status: 200, body: { restarted: 3 } });
    expect(Math.min(...least)).toBeGreaterThanOrEqual(2);
    const after = await agentsOf(pool);
    expect(after.map(({ restarts, lifecycle }) => [restarts, lifecycle])).toEqual(before.map(() => [1, "ready"]));
    await ask("DELETE", `/v1/pools/${pool}?timeoutMs=0`);
  });

  test("of a pool ends at the first that does not come back, and leaves the others alone", async () => {
    const marker = join(dir, "dies-from-now-on");
    const pool = await daemons(2, `exit-if=${marker}`);
    writeFileSync(marker, "");
    const { status, body } = await ask<Problem>("POST", `/v1/pools/${pool}/restart`, {});
    expect([status, body.code]).toEqual([503, "start_failed"]);
    expect((await agentsOf(pool)).map(({ restarts }) => restarts > 0)).toEqual([true, false]);
    await ask("DELETE", `/v1/pools/${pool}?timeoutMs=0`);
  });

  test("a remote agent is not restarted from here", async () => {
    const id = await aRemote(await aPool(), { name: "ada" });
    const { status, body } = await ask<Problem>("POST", `/v1/agents/${id}/restart`, {});
    expect([status, body.code]).toEqual([409, "conflict"]);
  });
});

describe("DELETE /v1/agents/{id}", () => {
  test("waits for what runs, and gives back what has not ended in its time", async () => {
    const pool = await daemons(2);
    const running = await submit(pool, "hang");
    await begun(running.id);
    const { attempts } = await task(running.id);
    const id = attempts[0]?.agentId ?? "";
    const removed = ask<{ released: number }>("DELETE", `/v1/agents/${id}?timeoutMs=300`);
    await expect.poll(async () => (await view(id)).lifecycle, SOON).toBe("draining");
    expect(await removed).toEqual({ status: 200, body: { released: 1 } });
    expect((await ask("GET", `/v1/agents/${id}`)).status).toBe(404);
    expect(await agentsOf(pool)).toHaveLength(1);
    await begun(running.id);
    expect(await task(running.id)).toMatchObject({ attemptCount: 0, attempts: [{ outcome: "released" }, {}] });
    await ask("DELETE", `/v1/pools/${pool}?timeoutMs=0`);
  });

  test("of an idle one is done at once, and its process is gone", async () => {
    const pool = await daemons(1);
    const { id, pid } = await only(pool);
    expect(await ask("DELETE", `/v1/agents/${id}`)).toEqual({ status: 200, body: { released: 0 } });
    await expect.poll(() => isThere(pid), SOON).toBe(false);
    await ask("DELETE", `/v1/pools/${pool}?timeoutMs=0`);
  });
});

describe("logs", () => {
  test("are what a daemon wrote, over its restarts, as JSON or text, and from a line on", async () => {
    const pool = await daemons(1, "say=hello", "cry=alas");
    const { id } = await only(pool);
    const logs = async (query = "") =>
      (await ask<{ lines: string[]; next: number }>("GET", `/v1/agents/${id}/logs${query}`)).body;
    await expect.poll(async () => (await logs()).next, SOON).toBe(2);
    const { lines, next } = await logs();
    expect([...lines].sort()).toEqual(["alas", "hello"]);
    await ask("POST", `/v1/agents/${id}/restart`);
    await expect.poll(async () => (await logs()).next, SOON).toBe(4);
    expect((await logs(`?after=${next}`)).lines).toHaveLength(2);
    expect(await logs("?after=4")).toEqual({ lines: [], next: 4 });
    const text = await fetch(`${server.url}/v1/agents/${id}/logs?after=3`, {
      headers: { authorization: `Bearer ${KEY}`, accept: "text/plain, application/json" },
    });
    expect([text.headers.get("content-type"), await text.text()]).toEqual([
      expect.stringMatching(/^text\/plain/),
      expect.stringMatching(/^(hello|alas)\n$/),
    ]);
    await ask("DELETE", `/v1/pools/${pool}?timeoutMs=0`);
  });

  test("of a command are what its runs say on stderr; a remote agent has none", async () => {
    const pool = await aPool({ agents: [{ kind: "command", name: "c", program: process.execPath, args: [COMMAND] }] });
    await run(pool, "exit 1 so it is\n", { maxAttempts: 1 });
    const { id } = await only(pool);
    expect((await ask<{ lines: string[] }>("GET", `/v1/agents/${id}/logs`)).body.lines).toEqual(["so it is"]);
    const remote = await aRemote(await aPool(), { name: "ada" });
    expect((await ask("GET", `/v1/agents/${remote}/logs`)).body).toEqual({ lines: [], next: 0 });
  });
});

describe("POST /v1/pools/{pool}/agents of other kinds", () => {
  test("adds a command that works at once", async () => {
    const pool = await aPool();
    const entry = {
      kind: "command",
      name: "c",
      program: process.execPath,
      args: [COMMAND],
      capabilities: ["x"],
      toolSessionId: "mine",
    };
    const { status, body } = await ask<AgentView>("POST", `/v1/pools/${pool}/agents`, entry);
    expect([status, body]).toMatchObject([
      201,
      { name: "c", kind: "command", capabilities: ["x"], toolSessionId: "mine" },
    ]);
    expect(await run(pool, "echo hi", { requires: ["x"] })).toMatchObject({ status: "completed", result: "hi" });
    const again = await ask<Problem>("POST", `/v1/pools/${pool}/agents`, entry);
    expect([again.status, again.body.code, again.body.path]).toEqual([409, "conflict", "name"]);
  });

  test("adds a daemon like those of the pool, with the next number", async () => {
    const pool = await aPool({ agents: [{ kind: "daemon" }], size: { min: 1, default: 1, max: 2 }, daemon: daemon() });
    const { status, body } = await ask<AgentView>("POST", `/v1/pools/${pool}/agents`, { kind: "daemon" });
    expect([status, body.name]).toMatchObject([201, expect.stringMatching(/^daemon-[0-9a-f]{8}$/)]);
    await expect.poll(async () => (await view(body.id)).lifecycle, SOON).toBe("ready");
    expect((await ask<AgentView>("DELETE", `/v1/agents/${(await only(pool)).id}`)).status).toBe(200);
    expect(await run(pool, "echo 1")).toMatchObject({ status: "completed" });
    await ask("POST", `/v1/pools/${pool}/agents`, { kind: "daemon" });
    const full = await ask<Problem>("POST", `/v1/pools/${pool}/agents`, { kind: "daemon" });
    expect([full.status, full.body.code, full.body.path]).toEqual([503, "no_capacity", "size.max"]);
    await ask("DELETE", `/v1/pools/${pool}?timeoutMs=0`);
  });

  test("its entry goes with it: any number may come and go", async () => {
    const pool = await aPool({
      agents: [{ kind: "command", name: "stays", program: process.execPath, args: [COMMAND] }],
    });
    for (let n = 0; n < 3; n++) {
      const { body } = await ask<AgentView>("POST", `/v1/pools/${pool}/agents`, { kind: "command", name: `c${n}` });
      expect(await run(pool, "echo hi", { preferredAgent: body.id })).toMatchObject({
        attempts: [{ agentName: `c${n}` }],
      });
      await ask("DELETE", `/v1/agents/${body.id}`);
    }
    const { state } = server.engine as LocalEngine;
    expect(state.pools.get(asPoolId(pool))?.options.agents.map(({ name }) => name)).toEqual(["stays", "c2"]);
  });

  test.each([
    [{ kind: "function", name: "f" }, "kind"],
    [{ kind: "nothing" }, "kind"],
    [{ kind: "daemon" }, "daemon"],
    [{ kind: "command" }, "program"],
    [{ kind: "command", program: "/no/such/program" }, "command.program"],
    [{ kind: "daemon", daemon: { program: "/no/such/program", basePort: 0 } }, "daemon.program"],
    [{ kind: "command", program: process.execPath, count: 2 }, "count"],
    [{ kind: "remote", program: process.execPath }, "program"],
    [{ kind: "remote", contextWindowId: "" }, "contextWindowId"],
  ])("refuses %j", async (entry, path) => {
    const pool = await aPool();
    const { status, body } = await ask<Problem>("POST", `/v1/pools/${pool}/agents`, entry);
    expect([status, body.code, body.path]).toEqual([422, "invalid", path]);
    expect(await agentsOf(pool)).toEqual([]);
  });
});

test("S2-B08 a reset lets an open breaker try, and its figures begin anew", async () => {
  const pool = await aPool({
    agents: [{ kind: "command", name: "c", program: process.execPath, args: [COMMAND] }],
    breaker: { consecutive: 1, openMs: 3_600_000 },
    retry: { maxAttempts: 1 },
  });
  await run(pool, "exit 1");
  const { id, breaker, stats } = await only(pool);
  expect([breaker.state, stats.failed, stats.byType]).toMatchObject(["open", 1, { general: { failed: 1 } }]);
  const { body } = await ask<AgentView>("POST", `/v1/agents/${id}/reset`);
  expect([body.breaker, body.stats]).toMatchObject([{ state: "half_open" }, { failed: 0, samples: 0, byType: {} }]);
  expect(await run(pool, "echo hi")).toMatchObject({ status: "completed" });
});

/** Never 0 by mistake: that would be our own process group. */
function kill(pid: number | undefined, signal: NodeJS.Signals | 0): void {
  if (pid === undefined) throw new Error("the daemon has no process");
  process.kill(pid, signal);
}

function isThere(pid: number | undefined): boolean {
  try {
    kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}
