/** Sizes and presets through HTTP: real children, real ports. */
import { createServer, type Server } from "node:net";
import { expect, test } from "vitest";
import type { AgentView, PoolHealthView, PoolView, TaskView } from "../src/engine/view.ts";
import { daemonOf, KEY, type Problem, served } from "./served.ts";

const server = served("sizes");
const { ask } = server;

interface Scaled {
  readonly size: number;
  readonly agentIds: readonly string[];
}

const make = (pool: object) => ask<PoolView & Problem>("POST", "/v1/pools", pool);
const remove = (id: string) => ask("DELETE", `/v1/pools/${id}?timeoutMs=0`);
const scale = (id: string, to: object) => ask<Scaled & Problem>("POST", `/v1/pools/${id}/scale`, to);
const agents = async (id: string) => (await ask<{ items: AgentView[] }>("GET", `/v1/pools/${id}/agents`)).body.items;
const health = async (id: string) => (await ask<PoolHealthView>("GET", `/health/pool?pool=${id}`)).body;
const cat = { kind: "command", program: "cat" };
const daemon = (basePort: number) => daemonOf([], basePort);

/** A port with `count` free ones from it on. */
async function freeRange(count: number): Promise<number> {
  for (let base = 31_000; base < 60_000; base += 100) {
    const servers = await Promise.all(Array.from({ length: count }, (_, i) => listen(base + i)));
    for (const server of servers) server?.close();
    if (servers.every((server) => server !== undefined)) return base;
  }
  throw new Error("no free ports");
}

function listen(port: number): Promise<Server | undefined> {
  return new Promise((done) => {
    const server = createServer();
    server.once("error", () => done(undefined));
    server.listen(port, "127.0.0.1", () => done(server));
  });
}

test("S0-09, S0-10: a pool is scaled over HTTP, from 1 to size.max and not beyond", async () => {
  await make({ id: "cats", agents: [cat], size: { default: 2, max: 4 } });
  const { status, body } = await scale("cats", { target: 4 });
  expect([status, body.size, body.agentIds.length]).toEqual([200, 4, 2]);
  expect((await agents("cats")).slice(2).map(({ id }) => id)).toEqual(body.agentIds);
  for (const [to, path] of [
    [{ target: 5 }, "target"],
    [{ target: 0 }, "target"],
    [{ target: -1 }, "target"],
    [{ target: 1.5 }, "target"],
    [{ add: 1 }, "add"],
    [{ add: 0 }, "add"],
    [{}, "target"],
    [{ target: 1, add: 1 }, "target"],
    [{ size: 1 }, "size"],
  ] as const) {
    expect(await scale("cats", to), JSON.stringify(to)).toMatchObject({ status: 422, body: { code: "invalid", path } });
  }
  expect(await scale("cats", { target: 1 })).toMatchObject({ status: 200, body: { size: 1, agentIds: [] } });
  expect(await agents("cats")).toHaveLength(1);
  expect(await scale("cats", { add: 2 })).toMatchObject({ status: 200, body: { size: 3 } });
  expect(await scale("nobody", { target: 1 })).toMatchObject({ status: 404, body: { code: "not_found" } });
  await remove("cats");
});

test("R-02: a fixed pool, and one whose agents join by themselves, are not scaled", async () => {
  await make({ id: "trio", preset: "trio", agents: [cat] });
  await make({ id: "remote" });
  expect((await agents("trio")).map(({ name }) => name)).toEqual(["trio-worker-0", "trio-worker-1", "trio-worker-2"]);
  for (const id of ["trio", "remote"]) {
    expect(await scale(id, { target: 2 })).toMatchObject({ status: 422, body: { code: "invalid", path: "target" } });
  }
  await remove("trio");
  await remove("remote");
});

test("S0-09, S0-B14: with a preset and no agents the slots are for remote agents, and the next is 503", async () => {
  await make({ id: "joined", preset: "trio" });
  const join = (name: string) => ask<Problem>("POST", "/v1/pools/joined/agents", { kind: "remote", name });
  for (const name of ["a", "b", "c"]) expect((await join(name)).status).toBe(201);
  expect(await join("d")).toMatchObject({ status: 503, body: { code: "no_capacity" } });
  await remove("joined");
});

test("a preset that is not known, or is told something impossible, is 422 with the path", async () => {
  expect(await make({ preset: "quartet" })).toMatchObject({ status: 422, body: { code: "invalid", path: "preset" } });
  expect(await make({ preset: "trio", size: { min: 4, max: 3 } })).toMatchObject({
    status: 422,
    body: { code: "invalid", path: "size.min" },
  });
});

test("S0-36: a preset's types hold over HTTP", async () => {
  await make({ id: "coord", preset: "coordination" });
  const submit = (type: string) => ask<Problem>("POST", "/v1/pools/coord/tasks", { type, prompt: "x" });
  expect((await submit("maintenance")).status).toBe(201);
  expect(await submit("poetry")).toMatchObject({ status: 422, body: { code: "invalid" } });
  await remove("coord");
});

test("S2-L04: a daemon pool grows on the next ports while others are served, and shrinks", async () => {
  const basePort = await freeRange(4);
  await make({ id: "ports", preset: "daemons", size: { default: 1, max: 4 }, daemon: daemon(basePort) });
  await expect.poll(async () => (await health("ports")).instances_healthy).toBe(1);
  const grown = await scale("ports", { target: 3 });
  expect(grown).toMatchObject({ status: 200, body: { size: 3, agentIds: { length: 2 } } });
  const { body } = await ask<TaskView>("POST", "/v1/pools/ports/tasks?waitMs=20000", { prompt: "facts" });
  expect(body.status).toBe("completed");
  await expect.poll(async () => (await health("ports")).instances_healthy, { timeout: 20_000 }).toBe(3);
  expect((await agents("ports")).map(({ name }) => name)).toEqual(["daemon_0", "daemon_1", "daemon_2"]);
  const running = (await agents("ports")) as (AgentView & { port?: number })[];
  expect(running.map(({ port }) => port)).toEqual([basePort, basePort + 1, basePort + 2]);

  await scale("ports", { target: 1 });
  expect((await agents("ports")).map(({ name }) => name)).toEqual(["daemon_0"]);
  // Their numbers are given again, once the processes that had them are gone.
  expect((await scale("ports", { target: 2 })).status).toBe(200);
  await expect.poll(async () => (await health("ports")).instances_healthy, { timeout: 20_000 }).toBe(2);
  expect((await agents("ports")).map(({ name }) => name)).toEqual(["daemon_0", "daemon_1"]);

  const blocker = await listen(basePort + 2);
  expect(await scale("ports", { target: 3 })).toMatchObject({
    status: 422,
    body: { code: "invalid", path: "daemon.basePort" },
  });
  blocker?.close();
  expect(await agents("ports")).toHaveLength(2);
  await remove("ports");
}, 60_000);

test("each change of size is an event with its reason", async () => {
  await make({ id: "told", agents: [cat], size: { default: 1, max: 4 } });
  const stop = new AbortController();
  const response = await fetch(`${server.url}/v1/events`, {
    headers: { authorization: `Bearer ${KEY}` },
    signal: stop.signal,
  });
  await scale("told", { target: 3 });
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes("pool.scaled")) break;
  }
  stop.abort();
  const line = text.split("\n").find((each) => each.startsWith("data:") && each.includes("pool.scaled")) ?? "";
  expect(JSON.parse(line.slice("data:".length))).toMatchObject({
    type: "pool.scaled",
    pool: "told",
    from: 1,
    to: 3,
    by: "operator",
    reason: "asked by an operator",
    seq: expect.any(Number),
  });
  await remove("told");
});

test("S4-L01, S3-67: a pool of real children grows with its queue and shrinks when it is over", async () => {
  const sleeper = { kind: "command", program: process.execPath, args: ["-e", "setTimeout(() => {}, 400)"] };
  await make({
    id: "busy",
    agents: [sleeper],
    size: { min: 1, default: 1, max: 3 },
    autoscale: { targetWaitMs: 100, targetPerAgent: 1, cooldownMs: 300 },
  });
  const tasks = Array.from({ length: 8 }, () => ({ prompt: "x" }));
  expect((await ask("POST", "/v1/pools/busy/tasks/batch", { tasks })).status).toBe(201);
  await expect.poll(async () => (await agents("busy")).length, { timeout: 20_000, interval: 20 }).toBe(3);
  const done = async () =>
    (await ask<{ items: TaskView[] }>("GET", "/v1/tasks?pool=busy&status=completed")).body.items.length;
  await expect.poll(done, { timeout: 30_000 }).toBe(8);
  await expect.poll(async () => (await agents("busy")).length, { timeout: 20_000 }).toBe(1);
  await remove("busy");
}, 60_000);
