/** The HTTP door end to end: a real server socket, the real engine, a store in memory, remote agents. */
import { once } from "node:events";
import { Agent, createServer, request } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, type Mock, test, vi } from "vitest";
import { isPoolError } from "../src/base/errors.ts";
import { type LogEvent, openEngine } from "../src/engine/open.ts";
import type { Engine } from "../src/engine/troupe.ts";
import type { TaskView } from "../src/engine/view.ts";
import { createApp } from "../src/interfaces/http/app.ts";
import { OPEN_PATHS } from "../src/interfaces/http/auth.ts";
import { OPERATIONS } from "../src/interfaces/http/operations.ts";
import { type HttpServer, serveHttp } from "../src/interfaces/http/server.ts";
import { openStore } from "../src/stores/open.ts";
import { expectDocumented } from "./documented.ts";

const KEY = "the-key-of-this-test";
const MB = 1_048_576;

let engine: Engine;
let http: HttpServer;

const openMemoryEngine = async (): Promise<Engine> =>
  openEngine({ store: await openStore("memory:", { dataDir: tmpdir() }), dataDir: tmpdir() });

beforeAll(async () => {
  engine = await openMemoryEngine();
  http = await serveHttp({ engine, host: "127.0.0.1", port: 0, auth: { key: KEY } });
});

afterAll(async () => {
  await http.close();
  await engine.close({ drainMs: 0 });
});

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape.
  readonly body: any;
}

interface Ask {
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  readonly base?: string;
  readonly signal?: AbortSignal;
}

const AUTHORIZED = { authorization: `Bearer ${KEY}` };

/** One request; a body that is not text is sent as JSON. */
async function ask(
  method: string,
  path: string,
  { body, headers, base = http.url, signal }: Ask = {},
): Promise<Answer> {
  const response = await fetch(base + path, {
    method,
    headers: headers ?? AUTHORIZED,
    body:
      body === undefined || typeof body === "string" || body instanceof ReadableStream ? body : JSON.stringify(body),
    duplex: "half",
    signal,
  } as RequestInit);
  const text = await response.text();
  const answer = {
    status: response.status,
    headers: response.headers,
    body: text === "" ? undefined : JSON.parse(text),
  };
  expectDocumented({ method, path }, answer);
  return answer;
}

const get = (path: string, options?: Ask): Promise<Answer> => ask("GET", path, options);
const post = (path: string, body?: unknown, options: Ask = {}): Promise<Answer> =>
  ask("POST", path, { ...options, body });

/** The answer is a problem with this status and code. */
function expectProblem(answer: Answer, status: number, code: string, fields: Record<string, unknown> = {}): void {
  expect(answer.body).toMatchObject({ status, code, ...fields });
  expect(answer.status).toBe(status);
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  expect(typeof answer.body.title).toBe("string");
  expect(typeof answer.body.detail).toBe("string");
}

let pools = 0;

/** A pool of its own for a test; without agents, so that remote ones may join. */
async function aPool(options: Record<string, unknown> = {}): Promise<string> {
  const id = `pool-${++pools}`;
  expect((await post("/v1/pools", { id, ...options })).status).toBe(201);
  return id;
}

async function aTask(pool: string, options: Record<string, unknown> = {}): Promise<TaskView> {
  const { status, body } = await post(`/v1/pools/${pool}/tasks`, { prompt: "do it", ...options });
  expect(status).toBe(201);
  return body;
}

/** A remote agent that has joined. */
async function anAgent(pool: string, options: Record<string, unknown> = {}): Promise<string> {
  const { status, body } = await post(`/v1/pools/${pool}/agents`, { kind: "remote", name: "ada", ...options });
  expect(status).toBe(201);
  return body.id;
}

/** The agent's next attempt, claimed. */
async function claim(agent: string, options: Record<string, unknown> = {}): Promise<{ taskId: string; fence: number }> {
  const { status, body } = await post(`/v1/agents/${agent}/claim`, { max: 1, waitMs: 10_000, ...options });
  expect(status).toBe(200);
  expect(body.attempts).toHaveLength(1);
  return body.attempts[0];
}

/** Asks for the task until it is as expected: what a reply's end sets off can't be awaited from outside. */
async function taskUntil(id: string, holds: (task: TaskView) => boolean): Promise<TaskView> {
  for (;;) {
    const { body } = await get(`/v1/tasks/${id}`);
    if (holds(body)) return body;
  }
}

/** Resolves once the engine has been asked that often. */
const asked = (spy: Mock, times: number): Promise<void> =>
  vi.waitFor(() => expect(spy).toHaveBeenCalledTimes(times), { timeout: 10_000, interval: 5 });

/** As Hono writes them. */
const ROUTES = Object.keys(OPERATIONS).map((route) => route.replaceAll(/\{(\w+)\}/g, ":$1"));

describe("the doorstep", () => {
  test("S0-35 the server answers to every route of the document of its API, and to no other", () => {
    const table = createApp(engine, { auth: "off" }).routes.filter(({ method }) => method !== "ALL");
    const named = new Set(table.map(({ method, path }) => `${method} ${path}`));
    expect([...named].sort()).toEqual([...ROUTES].sort());
  });

  test.each(ROUTES)("%s is open by name or asks for the key", async (route) => {
    const [method = "", path = ""] = route.split(" ");
    const open = method === "GET" && OPEN_PATHS.has(path);
    for (const headers of [{}, { authorization: "Bearer wrong" }, { authorization: KEY }]) {
      const answer = await ask(method, path.replaceAll(/:\w+/g, "x"), { headers });
      if (open) expect(answer.status).toBe(200);
      else expectProblem(answer, 401, "unauthorized");
    }
  });

  test.each(ROUTES.filter((route) => !OPEN_PATHS.has(route.split(" ")[1] ?? "")))(
    "%s refuses a parameter that it does not know",
    async (route) => {
      const [method = "", path = ""] = route.split(" ");
      const answer = await ask(method, `${path.replaceAll(/:\w+/g, "x")}?colour=red`);
      expectProblem(answer, 422, "invalid", { path: "colour" });
    },
  );

  test("a 401 names the command that prints the key", async () => {
    expect((await get("/v1/tasks", { headers: {} })).body.detail).toContain("troupe key");
  });

  test("a route that is not there is not found, but only for who has the key", async () => {
    expectProblem(await get("/v1/nothing"), 404, "not_found");
    expectProblem(await get("/"), 404, "not_found");
    expectProblem(await ask("PUT", "/v1/pools"), 404, "not_found");
    expectProblem(await ask("PATCH", "/health"), 404, "not_found");
    expectProblem(await get("/v1/nothing", { headers: {} }), 401, "unauthorized");
  });

  test("every answer names its request and forbids sniffing and storing", async () => {
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (const path of ["/health", "/v1/pools", "/v1/nothing", "/v1/tasks/none"]) {
      const { headers } = await get(path, { headers: { ...AUTHORIZED, "x-request-id": "r-1", traceparent } });
      expect(headers.get("x-request-id")).toBe("r-1");
      expect(headers.get("traceparent")).toBe(traceparent);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("cache-control")).toBe("no-store");
    }
    const made = await get("/v1/pools", { headers: {} });
    expect(made.status).toBe(401);
    expect(made.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
    expect(made.headers.get("traceparent")).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/);
  });

  /** A request with headers that `fetch` would not let us set. */
  const rawly = (headers: Record<string, string>, method = "GET", path = "/v1/pools"): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const outgoing = request({ port: http.port, host: "127.0.0.1", method, path, headers }, (response) => {
        response.setEncoding("utf8");
        let text = "";
        response.on("data", (data: string) => {
          text += data;
        });
        response.on("end", () => {
          const { statusCode: status = 0, headers } = response;
          const flat = Object.entries(headers).map(([key, value]): [string, string] => [key, String(value)]);
          resolve({ status, headers: new Headers(flat), body: text === "" ? undefined : JSON.parse(text) });
        });
      });
      outgoing.on("error", reject);
      outgoing.end();
    });

  test("a Host that does not name this machine is forbidden, on open routes too", async () => {
    expectProblem(await rawly({ ...AUTHORIZED, host: "evil.example" }), 403, "forbidden");
    expectProblem(await rawly({ host: "evil.example" }, "GET", "/health"), 403, "forbidden");
    for (const host of [`127.0.0.1:${http.port}`, `localhost:${http.port}`, "[::1]"]) {
      expect((await rawly({ ...AUTHORIZED, host })).status).toBe(200);
    }
  });

  test("a Host that is none is malformed", async () => {
    expectProblem(await rawly({ ...AUTHORIZED, host: "a b" }), 400, "malformed");
    expectProblem(await rawly({ ...AUTHORIZED, host: "x@y" }), 400, "malformed");
  });

  test("what would change something is forbidden to pages of another origin", async () => {
    const pool = await aPool();
    const from = (origin: string) => ({ ...AUTHORIZED, origin, host: `127.0.0.1:${http.port}` });
    const path = `/v1/pools/${pool}`;
    expectProblem(await rawly(from("https://evil.example"), "DELETE", path), 403, "forbidden");
    expectProblem(await rawly(from("null"), "DELETE", path), 403, "forbidden");
    expect((await rawly(from("https://evil.example"), "GET", path)).status).toBe(200);
    expect((await rawly(from(http.url), "DELETE", path)).status).toBe(200);
  });

  test("headers above 16 KB are refused", async () => {
    const answer = await rawly({ ...AUTHORIZED, "x-long": "x".repeat(17_000) }).catch((error: Error) => error);
    expect(answer).toMatchObject({ status: 431 });
  });
});

describe("health", () => {
  test("S2-22 /health tells a status and counts, and no names", async () => {
    const pool = await aPool();
    const agent = await anAgent(pool, { name: "somebody" });
    const { status, body } = await get("/health", { headers: {} });
    expect(status).toBe(200);
    expect(["healthy", "degraded", "unhealthy"]).toContain(body.status);
    for (const [key, value] of Object.entries(body)) if (key !== "status") expect(value).toBeTypeOf("number");
    for (const word of [pool, agent, "somebody"]) expect(JSON.stringify(body)).not.toContain(`"${word}"`);
  });

  test("/livez and /readyz answer 200 while the engine runs and is ready", async () => {
    expect((await get("/livez", { headers: {} })).status).toBe(200);
    expect((await get("/readyz", { headers: {} })).status).toBe(200);
  });

  test("S2-21 S2-23 S2-B15 /health/pool has the origin's own names, with zeros", async () => {
    const pool = await aPool();
    const empty = await get(`/health/pool?pool=${pool}`);
    expect(empty.status).toBe(200);
    expect(empty.body).toEqual({
      pool_size: expect.any(Number),
      instances_total: 0,
      instances_healthy: 0,
      pool_health_percentage: 0,
      total_requests: 0,
      failed_requests: 0,
      daemon_restarts: 0,
      instances_by_state: { healthy: 0, unhealthy: 0, crashed: 0, restarting: 0 },
      instances: [],
    });
    await anAgent(pool, { name: "ada" });
    const { body } = await get(`/health/pool?pool=${pool}`);
    expect(body).toMatchObject({ instances_total: 1, instances_healthy: 1, pool_health_percentage: 100 });
    expect(body.instances_by_state).toEqual({ healthy: 1, unhealthy: 0, crashed: 0, restarting: 0 });
    expect(body.instances).toEqual([
      expect.objectContaining({
        id: "ada",
        state: "healthy",
        restart_count: 0,
        consecutive_failures: 0,
        total_requests: 0,
        failed_requests: 0,
        busy: false,
      }),
    ]);
  });

  test("/health/pool without a pool sums all, and an unknown pool is not found", async () => {
    const total = (await get("/health/pool")).body.instances_total;
    await anAgent(await aPool());
    expect((await get("/health/pool")).body.instances_total).toBe(total + 1);
    expectProblem(await get("/health/pool?pool=nobody"), 404, "not_found");
    expectProblem(await get("/health/pool?pools=x"), 422, "invalid", { path: "pools" });
  });
});

test("S2-14 S2-23 POST /pool/reset-circuit-breakers tells how many were open", async () => {
  expect(await post("/pool/reset-circuit-breakers")).toMatchObject({ status: 200, body: { success: true, count: 0 } });
  expectProblem(await post("/pool/reset-circuit-breakers?pool=nobody"), 404, "not_found");
});

describe("pools", () => {
  test("are made, shown and deleted", async () => {
    const made = await post("/v1/pools", { id: "one", size: { max: 2 }, queue: { limit: 7 } });
    expect(made.status).toBe(201);
    expect(made.headers.get("location")).toBe("/v1/pools/one");
    expect(made.body).toMatchObject({ id: "one", size: { max: 2 }, queue: { limit: 7 } });
    expect((await get("/v1/pools/one")).body).toMatchObject({ id: "one", counts: { queued: 0 } });
    await aTask("one");
    const deleted = await ask("DELETE", "/v1/pools/one?timeoutMs=0");
    expect(deleted.status).toBe(200);
    expect(deleted.body).toMatchObject({ cancelled: 1, completed: 0 });
    expectProblem(await get("/v1/pools/one"), 404, "not_found");
    expectProblem(await ask("DELETE", "/v1/pools/one"), 404, "not_found");
  });

  test("S4-02 get an id when they bring none", async () => {
    const { status, body } = await post("/v1/pools", {});
    expect(status).toBe(201);
    expect(body.id).toMatch(/^pool-[0-9a-f]{8}$/);
    await ask("DELETE", `/v1/pools/${body.id}`);
  });

  test("of an id that is taken are a conflict", async () => {
    expectProblem(await post("/v1/pools", { id: await aPool() }), 409, "conflict");
  });

  test.each([
    [{ colour: "red" }, "colour"],
    [{ size: { max: 0 } }, "size.max"],
    [{ size: { maxi: 1 } }, "size.maxi"],
    [{ size: { min: 3, max: 2 } }, "size.min"],
    [{ id: "a b" }, "id"],
    [{ id: 7 }, "id"],
    [{ queue: { limit: "many" } }, "queue.limit"],
    [{ agents: [{ kind: "robot" }] }, "agents[0].kind"],
  ])("with wrong options are refused: %j", async (options, path) => {
    expectProblem(await post("/v1/pools", options), 422, "invalid", { path });
  });

  test.each(["{", "", '{"id":', "id=x"])("of malformed text are refused: %j", async (body) => {
    expectProblem(await post("/v1/pools", body), 400, "malformed");
  });

  test.each(["-1", "1.5", "x", "", "2592000001"])("are not deleted with timeoutMs=%j", async (timeoutMs) => {
    const pool = await aPool();
    expectProblem(await ask("DELETE", `/v1/pools/${pool}?timeoutMs=${timeoutMs}`), 422, "invalid", {
      path: "timeoutMs",
    });
    expect((await get(`/v1/pools/${pool}`)).status).toBe(200);
  });

  test("are listed in the order they were made, page by page", async () => {
    const made = [await aPool(), await aPool(), await aPool()];
    const seen: string[] = [];
    let cursor = "";
    do {
      const { status, body } = await get(`/v1/pools?limit=2${cursor}`);
      expect(status).toBe(200);
      expect(body.items.length).toBeLessThanOrEqual(2);
      seen.push(...body.items.map(({ id }: { id: string }) => id));
      cursor = body.nextCursor === undefined ? "" : `&cursor=${encodeURIComponent(body.nextCursor)}`;
    } while (cursor !== "");
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.filter((id) => made.includes(id))).toEqual(made);
    expectProblem(await get("/v1/pools?cursor=nonsense"), 422, "invalid", { path: "cursor" });
    expectProblem(await get("/v1/pools?limit=0"), 422, "invalid", { path: "limit" });
  });
});

describe("metrics and analytics", () => {
  test("S0-31 S0-35 S3-23 a pool's metrics and analytics are told, those of an unknown pool are not found", async () => {
    const pool = await aPool();
    await aTask(pool, { type: "research", priority: "high" });
    const { taskId, fence } = await claim(await anAgent(pool));
    await post(`/v1/tasks/${taskId}/complete`, { fence, result: 1 });
    const metrics = await get(`/v1/pools/${pool}/metrics`);
    expect(metrics.status).toBe(200);
    expect(metrics.body).toMatchObject({
      agents: 1,
      byStatus: { completed: 1 },
      byPriority: { high: 1 },
      byType: { research: { started: 1, completed: 1, failed: 0 } },
      healthScore: 1,
    });
    const analytics = await get(`/v1/pools/${pool}/analytics`);
    expect(analytics.body).toMatchObject({ totalTasks: 1, completed: 1, failed: 0, errorRate: 0 });
    expectProblem(await get("/v1/pools/nobody/metrics"), 404, "not_found");
    expectProblem(await get("/v1/pools/nobody/analytics"), 404, "not_found");
  });
});

describe("submitting", () => {
  test("S0-14 answers 201 with the task and where it is", async () => {
    const pool = await aPool();
    const { status, headers, body } = await post(`/v1/pools/${pool}/tasks`, { prompt: "x", metadata: { a: [1] } });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      pool,
      prompt: "x",
      metadata: { a: [1] },
      status: "pending",
      waiting: { reason: "agent" },
    });
    expect(headers.get("location")).toBe(`/v1/tasks/${body.id}`);
    expect((await get(`/v1/tasks/${body.id}`)).body).toEqual(body);
  });

  test("with waitMs answers 200 once the task is settled", async () => {
    const pool = await aPool();
    const agent = await anAgent(pool);
    const submitted = post(`/v1/pools/${pool}/tasks?waitMs=20000`, { prompt: "x" });
    const { taskId, fence } = await claim(agent);
    await post(`/v1/tasks/${taskId}/complete`, { fence, result: 42 });
    const { status, body } = await submitted;
    expect(status).toBe(200);
    expect(body).toMatchObject({ id: taskId, status: "completed", result: 42 });
  });

  test("with waitMs answers 201 with the task as it is when the time has passed", async () => {
    const { status, body } = await post(`/v1/pools/${await aPool()}/tasks?waitMs=1`, { prompt: "x" });
    expect(status).toBe(201);
    expect(body).toMatchObject({ status: "pending" });
  });

  test("S3-B14 the same again with its idempotency key answers 200 and the same task", async () => {
    const pool = await aPool();
    const body = { prompt: "x", idempotencyKey: `key of ${pool}` };
    const first = await post(`/v1/pools/${pool}/tasks`, body);
    const second = await post(`/v1/pools/${pool}/tasks`, body);
    expect([first.status, second.status]).toEqual([201, 200]);
    expect(second.body.id).toBe(first.body.id);
    expectProblem(await post(`/v1/pools/${pool}/tasks`, { ...body, prompt: "y" }), 409, "conflict");
    expect((await get(`/v1/tasks?pool=${pool}`)).body.items).toHaveLength(1);
  });

  test("S3-B14 an id that is known is a conflict", async () => {
    const pool = await aPool();
    const id = `task-of-${pool}`;
    await aTask(pool, { id });
    expectProblem(await post(`/v1/pools/${pool}/tasks`, { prompt: "x", id }), 409, "conflict");
  });

  test("takes fairness key and escalation, shows them, and refuses an escalation without a deadline", async () => {
    const pool = await aPool({ keyConcurrency: 1, serving: { low: 3 } });
    const escalate = { atShare: 0.5, priority: "high" };
    const deadlineAt = new Date(Date.now() + 3_600_000).toISOString();
    const task = { prompt: "x", fairnessKey: "tenant a", escalate: { atShare: 0.5, priority: 2 }, deadlineAt };
    const { status, body } = await post(`/v1/pools/${pool}/tasks`, task);
    expect([status, body]).toMatchObject([201, { fairnessKey: "tenant a", escalate, deadlineAt, priority: "medium" }]);
    expectProblem(await post(`/v1/pools/${pool}/tasks`, { prompt: "x", escalate }), 422, "invalid", {
      path: "escalate",
    });
    await post(`/v1/pools/${pool}/tasks`, { prompt: "y", fairnessKey: "tenant a" });
    await post(`/v1/pools/${pool}/tasks`, { prompt: "z", fairnessKey: "tenant b" });
    const agent = await anAgent(pool, { concurrency: 3 });
    const { attempts } = (await post(`/v1/agents/${agent}/claim`, { max: 3, waitMs: 10_000 })).body;
    expect(attempts.map(({ task }: { task: TaskView }) => task.prompt)).toEqual(["x", "z"]);
    const { items } = (await get(`/v1/tasks?pool=${pool}&status=pending`)).body;
    expect(items[0].waiting).toEqual({ reason: "agent", detail: "as many tasks of its fairness key run as may" });
  });

  test.each([
    ["keyConcurrency", { keyConcurrency: 0 }],
    ["serving.low", { serving: { low: 0 } }],
    ["queue.maxWaitMs", { queue: { maxWaitMs: 600_001 } }],
    ["queue.overflow", { queue: { overflow: "drop" } }],
  ])("to a pool with a wrong %s is no matter: there is none", async (path, options) => {
    expectProblem(await post("/v1/pools", options), 422, "invalid", { path });
  });

  test("to a pool that is not there is not found", async () => {
    expectProblem(await post("/v1/pools/nobody/tasks", { prompt: "x" }), 404, "not_found");
    expectProblem(await post("/v1/pools/nobody/tasks/batch", { tasks: [] }), 404, "not_found");
  });

  test("types and capabilities are words of any kind, on one line", async () => {
    const type = "code review / größer";
    const pool = await aPool({ types: [type, "other"] });
    const agent = await anAgent(pool, { capabilities: ["c++ (gcc)"] });
    const task = await aTask(pool, { type, requires: ["c++ (gcc)"] });
    expect(task.type).toBe(type);
    expect((await claim(agent, { types: [type] })).taskId).toBe(task.id);
    const listed = await get(`/v1/tasks?pool=${pool}&type=${encodeURIComponent(type)}`);
    expect(listed.body.items).toHaveLength(1);
    expect((await get(`/v1/pools/${pool}/metrics`)).body.byType[type].started).toBe(1);
    for (const bad of ["", "two\nlines", "x".repeat(129)]) {
      expectProblem(await post(`/v1/pools/${pool}/tasks`, { prompt: "x", type: bad }), 422, "invalid", {
        path: "type",
      });
    }
  });

  test("S0-36 a type that the pool does not list is invalid", async () => {
    const pool = await aPool({ types: ["discovery", "general"] });
    expect((await post(`/v1/pools/${pool}/tasks`, { prompt: "x", type: "discovery" })).status).toBe(201);
    expectProblem(await post(`/v1/pools/${pool}/tasks`, { prompt: "x", type: "cooking" }), 422, "invalid", {
      path: "type",
    });
  });

  test.each([
    [{}, "prompt"],
    [{ prompt: 7 }, "prompt"],
    [{ prompt: "x", colour: "red" }, "colour"],
    [{ prompt: "x", priority: "urgent" }, "priority"],
    [{ prompt: "x", maxAttempts: 0 }, "maxAttempts"],
    [{ prompt: "x", dependencies: ["a b"] }, "dependencies[0]"],
    [{ prompt: "x", timeoutMs: -1 }, "timeoutMs"],
    [{ prompt: "x", runAt: "tomorrow" }, "runAt"],
  ])("a task that is wrong is invalid, with its path: %j", async (task, path) => {
    const pool = await aPool();
    expectProblem(await post(`/v1/pools/${pool}/tasks`, task), 422, "invalid", { path });
    expect((await get(`/v1/tasks?pool=${pool}`)).body.items).toEqual([]);
  });

  test("a prototype among the fields is refused", async () => {
    const body = '{"prompt":"x","context":{"__proto__":{"admin":true}}}';
    expectProblem(await post(`/v1/pools/${await aPool()}/tasks`, body), 422, "invalid", { path: "context.__proto__" });
  });

  test.each(["{", "", "prompt=x", '{"prompt":"x"'])("malformed text is refused: %j", async (body) => {
    expectProblem(await post(`/v1/pools/${await aPool()}/tasks`, body), 400, "malformed");
  });

  test("S3-B20 S3-B21 unknown dependencies and cycles are refused by name", async () => {
    const pool = await aPool();
    const unknown = await post(`/v1/pools/${pool}/tasks`, { prompt: "x", dependencies: ["nobody"] });
    expectProblem(unknown, 422, "unknown_dependency");
    const cycle = await post(`/v1/pools/${pool}/tasks/batch`, {
      tasks: [
        { id: `${pool}-a`, prompt: "x", dependencies: [`${pool}-b`] },
        { id: `${pool}-b`, prompt: "x", dependencies: [`${pool}-a`] },
      ],
    });
    expectProblem(cycle, 422, "dependency_cycle");
  });

  test("takes a body of 1 MB and not a byte more, announced or not", async () => {
    const pool = await aPool();
    const body = (bytes: number): string => `{"prompt":"${"x".repeat(bytes - '{"prompt":""}'.length)}"}`;
    const path = `/v1/pools/${pool}/tasks`;
    expect((await post(path, body(MB))).status).toBe(201);
    expectProblem(await post(path, body(MB + 1)), 413, "too_large");
    expect((await post(path, new Blob([body(MB)]).stream())).status).toBe(201);
    expectProblem(await post(path, new Blob([body(MB + 1)]).stream()), 413, "too_large");
    expect((await get(`/v1/pools/${pool}`)).body.counts.queued).toBe(2);
  });

  test("S0-12 with 99 queued a task is taken, with 100 it is 429 with Retry-After and nothing is stored", async () => {
    const pool = await aPool({ queue: { limit: 100 } });
    const tasks = Array.from({ length: 99 }, () => ({ prompt: "x" }));
    expect((await post(`/v1/pools/${pool}/tasks/batch`, { tasks })).status).toBe(201);
    expect((await post(`/v1/pools/${pool}/tasks`, { prompt: "the hundredth" })).status).toBe(201);
    const refused = await post(`/v1/pools/${pool}/tasks`, { prompt: "one too many", id: `${pool}-refused` });
    expectProblem(refused, 429, "queue_full");
    expect(refused.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
    expectProblem(await get(`/v1/tasks/${pool}-refused`), 404, "not_found");
    expect((await get(`/v1/pools/${pool}`)).body.counts.queued).toBe(100);
  });

  test("S0-L05 to a full queue that lets it wait is answered once there is room", async () => {
    const pool = await aPool({ queue: { limit: 1, overflow: "wait", maxWaitMs: 60_000 } });
    const path = `/v1/pools/${pool}/tasks`;
    await post(path, { prompt: "first" });
    const waiting = post(path, { prompt: "second" });
    const batch = post(`${path}/batch`, { tasks: [{ prompt: "third" }] });
    const agent = await anAgent(pool);
    const prompts: string[] = [];
    for (let n = 0; n < 3; n++) {
      const { taskId, fence } = await claim(agent);
      prompts.push((await get(`/v1/tasks/${taskId}`)).body.prompt);
      await post(`/v1/tasks/${taskId}/complete`, { fence, result: null });
    }
    expect([(await waiting).status, (await batch).status]).toEqual([201, 201]);
    expect(prompts.sort()).toEqual(["first", "second", "third"]);
  });

  test("S0-L05 to a full queue that lets it wait is 429 when there is no room in time", async () => {
    const pool = await aPool({ queue: { limit: 1, overflow: "wait", maxWaitMs: 30 } });
    const path = `/v1/pools/${pool}/tasks`;
    await post(path, { prompt: "first" });
    const refused = await post(path, { prompt: "second", id: `${pool}-second` });
    expectProblem(refused, 429, "queue_full", { limit: "queue" });
    expect(refused.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
    expectProblem(await get(`/v1/tasks/${pool}-second`), 404, "not_found");
  });

  test("S0-L05 and waiting for room is over when the client goes away", async () => {
    const pool = await aPool({ queue: { limit: 1, overflow: "wait", maxWaitMs: 60_000 } });
    const path = `/v1/pools/${pool}/tasks`;
    await post(path, { prompt: "first" });
    const held = vi.spyOn(engine, "submit");
    const gone = new AbortController();
    const waiting = ask("POST", path, { body: { prompt: "second" }, signal: gone.signal }).catch(() => "gone");
    await asked(held, 1);
    gone.abort();
    expect(await waiting).toBe("gone");
    await expect(held.mock.results[0]?.value).rejects.toMatchObject({ code: "cancelled" });
    held.mockRestore();
    await claim(await anAgent(pool));
    expect((await get(`/v1/pools/${pool}`)).body.counts).toMatchObject({ queued: 0, running: 1 });
  });

  test.each(["-1", "1.5", "x", "", "60001", "1e3"])(
    "waitMs=%j is invalid, and nothing is submitted",
    async (waitMs) => {
      const pool = await aPool();
      const answer = await post(`/v1/pools/${pool}/tasks?waitMs=${waitMs}`, { prompt: "x" });
      expectProblem(answer, 422, "invalid", { path: "waitMs" });
      expect((await get(`/v1/tasks?pool=${pool}`)).body.items).toEqual([]);
    },
  );
});

describe("routing", () => {
  test("S4-19 R-B02 a task without a pool is given one of those allowed, and told which", async () => {
    const [first, second] = [await aPool(), await aPool()];
    await anAgent(first);
    const request = { prompt: "x", selector: "least_loaded", allow: [first, second] };
    const { status, body, headers } = await post("/v1/tasks", request);
    expect(status).toBe(201);
    expect(body).toMatchObject({ pool: first, selector: "least_loaded", considered: [first, second] });
    expect(body.task).toMatchObject({ pool: first, prompt: "x", status: "pending" });
    expect(headers.get("location")).toBe(`/v1/tasks/${body.task.id}`);
    const wish = await post("/v1/tasks", { prompt: "x", selector: "affinity", pool: second, allow: [first, second] });
    expect(wish.body).toMatchObject({ pool: second, selector: "affinity" });
  });

  test("is 200 for a known key, 503 without a pool, 422 for what is not known", async () => {
    const pool = await aPool();
    const request = { prompt: "x", allow: [pool], idempotencyKey: `key-of-${pool}` };
    expect((await post("/v1/tasks", request)).status).toBe(201);
    expect((await post("/v1/tasks", request)).status).toBe(200);
    expectProblem(await post("/v1/tasks", { prompt: "x", allow: [] }), 503, "no_capacity");
    const bad = [
      [{ prompt: "x", selector: "best" }, "selector"],
      [{ prompt: "x", selector: "affinity" }, "pool"],
      [{ prompt: "x", allow: "all" }, "allow"],
      [{ allow: [pool] }, "prompt"],
      [{ prompt: "x", colour: "red", allow: [pool] }, "colour"],
    ] as const;
    for (const [body, path] of bad) expectProblem(await post("/v1/tasks", body), 422, "invalid", { path });
    expectProblem(await post("/v1/tasks", [1]), 422, "invalid");
  });
});

describe("a batch", () => {
  const shown = (answer: Answer): string[] => answer.body.items.map(({ prompt }: TaskView) => prompt);

  test("is answered with its tasks in order", async () => {
    const pool = await aPool();
    const answer = await post(`/v1/pools/${pool}/tasks/batch`, {
      tasks: ["a", "b", "c"].map((prompt) => ({ prompt })),
    });
    expect(answer.status).toBe(201);
    expect(shown(answer)).toEqual(["a", "b", "c"]);
  });

  test("may name its own ids in any order, and may be empty", async () => {
    const pool = await aPool();
    const tasks = [
      { id: `${pool}-late`, prompt: "b", dependencies: [`${pool}-early`] },
      { id: `${pool}-early`, prompt: "a" },
    ];
    const { status, body } = await post(`/v1/pools/${pool}/tasks/batch`, { tasks });
    expect(status).toBe(201);
    expect(body.items[0]).toMatchObject({ id: `${pool}-late`, waiting: { reason: "dependencies" } });
    const empty = await post(`/v1/pools/${pool}/tasks/batch`, { tasks: [] });
    expect([empty.status, empty.body]).toEqual([201, { items: [] }]);
  });

  test("is refused whole when one element is wrong, naming it", async () => {
    const pool = await aPool();
    const tasks = [{ prompt: "a" }, { prompt: "b", priority: "urgent" }];
    const refused = await post(`/v1/pools/${pool}/tasks/batch`, { tasks });
    expectProblem(refused, 422, "invalid", { path: "tasks[1].priority" });
    const odd = await post(`/v1/pools/${pool}/tasks/batch`, { tasks: [{ prompt: "a" }, 7] });
    expectProblem(odd, 422, "invalid", { path: "tasks[1]" });
    expect((await get(`/v1/tasks?pool=${pool}`)).body.items).toEqual([]);
  });

  test("with partial takes what is right and tells what is wrong, in order", async () => {
    const pool = await aPool();
    const tasks = [{ prompt: "a" }, { prompt: "b", priority: "urgent" }, { prompt: "c" }];
    const { status, body } = await post(`/v1/pools/${pool}/tasks/batch`, { tasks, partial: true });
    expect(status).toBe(201);
    expect(body.items).toEqual([
      expect.objectContaining({ prompt: "a" }),
      { error: expect.objectContaining({ status: 422, code: "invalid", path: "tasks[1].priority" }) },
      expect.objectContaining({ prompt: "c" }),
    ]);
    expect((await get(`/v1/tasks?pool=${pool}`)).body.items).toHaveLength(2);
  });

  test("that could not fit an empty pool is 422 too_large, one that only has to come back is 429", async () => {
    const pool = await aPool({ queue: { limit: 2 } });
    const path = `/v1/pools/${pool}/tasks/batch`;
    const tasks = (count: number) => ({ tasks: Array.from({ length: count }, () => ({ prompt: "x" })) });
    expectProblem(await post(path, tasks(3)), 422, "too_large", { path: "tasks", limit: "queue", room: 2 });
    expect((await post(path, tasks(1))).status).toBe(201);
    expectProblem(await post(path, tasks(2)), 429, "queue_full");
  });

  test("with partial fills the queue and tells the rest", async () => {
    const pool = await aPool({ queue: { limit: 1 } });
    const tasks = [{ prompt: "a" }, { prompt: "b" }];
    const { body } = await post(`/v1/pools/${pool}/tasks/batch`, { tasks, partial: true });
    expect(body.items[0]).toMatchObject({ prompt: "a" });
    expect(body.items[1].error).toMatchObject({ status: 429, code: "queue_full" });
  });

  test.each([
    [{}, "tasks"],
    [{ tasks: {} }, "tasks"],
    [{ tasks: [], partial: "yes" }, "partial"],
    [{ tasks: [], parts: 1 }, "parts"],
  ])("of another shape is invalid: %j", async (body, path) => {
    expectProblem(await post(`/v1/pools/${await aPool()}/tasks/batch`, body), 422, "invalid", { path });
  });

  test("takes 16 MB and not a byte more", async () => {
    const pool = await aPool();
    const path = `/v1/pools/${pool}/tasks/batch`;
    const body = (bytes: number): string => {
      const tasks = JSON.stringify({ tasks: Array.from({ length: 32 }, () => ({ prompt: "x".repeat(MB / 2 - 100) })) });
      return tasks + " ".repeat(bytes - tasks.length);
    };
    expect((await post(path, body(16 * MB))).status).toBe(201);
    expectProblem(await post(path, body(16 * MB + 1)), 413, "too_large");
    expect((await get(`/v1/pools/${pool}`)).body.counts.queued).toBe(32);
    await ask("DELETE", `/v1/pools/${pool}?timeoutMs=0`);
  });
});

describe("a task", () => {
  test("S0-36 that is not known is not found, whatever is asked of it", async () => {
    const report = { fence: 1 };
    expectProblem(await get("/v1/tasks/nobody"), 404, "not_found");
    expectProblem(await get("/v1/tasks/nobody?waitMs=60000"), 404, "not_found");
    expectProblem(await get("/v1/tasks/%E0%A4%A"), 404, "not_found");
    expectProblem(await post("/v1/tasks/nobody/cancel"), 404, "not_found");
    expectProblem(await post("/v1/tasks/nobody/replay"), 404, "not_found");
    expectProblem(await post("/v1/tasks/nobody/progress", { ...report, progress: 1 }), 404, "not_found");
    expectProblem(await post("/v1/tasks/nobody/complete", { ...report, result: 1 }), 404, "not_found");
    expectProblem(await post("/v1/tasks/nobody/fail", { ...report, error: { message: "x" } }), 404, "not_found");
    expectProblem(await post("/v1/tasks/nobody/release", report), 404, "not_found");
  });

  test("is waited for until it is settled", async () => {
    const { id } = await aTask(await aPool());
    const waited = get(`/v1/tasks/${id}?waitMs=60000`);
    await post(`/v1/tasks/${id}/cancel`, { reason: "no need" });
    expect((await waited).body).toMatchObject({ id, status: "cancelled", error: { message: "no need" } });
  });

  test("is shown as it is when the time to wait has passed", async () => {
    const { id } = await aTask(await aPool());
    const { status, body } = await get(`/v1/tasks/${id}?waitMs=1`);
    expect([status, body.status]).toEqual([200, "pending"]);
  });

  test.each([
    ["waitMs=60001", "waitMs"],
    ["waitMs=-1", "waitMs"],
    ["waitMs=soon", "waitMs"],
    ["waitMs=1&waitMs=2", "waitMs"],
    ["waitms=1", "waitms"],
  ])("asked for with ?%s is invalid", async (query, path) => {
    const { id } = await aTask(await aPool());
    expectProblem(await get(`/v1/tasks/${id}?${query}`), 422, "invalid", { path });
  });

  test("S0-39 is cancelled, twice like once, but not after its end", async () => {
    const pool = await aPool();
    const { id } = await aTask(pool);
    for (const body of [undefined, "{}"]) {
      const { status, body: task } = await post(`/v1/tasks/${id}/cancel`, body);
      expect([status, task.status]).toEqual([200, "cancelled"]);
    }
    const agent = await anAgent(pool);
    await aTask(pool);
    const { taskId, fence } = await claim(agent);
    await post(`/v1/tasks/${taskId}/complete`, { fence, result: null });
    expectProblem(await post(`/v1/tasks/${taskId}/cancel`), 409, "already_settled");
    expectProblem(await post(`/v1/tasks/${id}/cancel`, { why: 1 }), 422, "invalid", { path: "why" });
    expectProblem(await post(`/v1/tasks/${id}/cancel?reason=x`), 422, "invalid", { path: "reason" });
  });

  test("S0-25 S0-26 that failed is a dead letter, and only that is replayed", async () => {
    const pool = await aPool();
    const agent = await anAgent(pool);
    const { id } = await aTask(pool);
    expectProblem(await post(`/v1/tasks/${id}/replay`), 409, "conflict");
    const { fence } = await claim(agent);
    await post(`/v1/tasks/${id}/fail`, { fence, error: { message: "bad input", blame: "task" } });
    const letters = await get(`/v1/dead-letters?pool=${pool}`);
    expect(letters.body.items).toEqual([expect.objectContaining({ id, status: "failed", deadLettered: true })]);
    const { status, body } = await post(`/v1/tasks/${id}/replay`);
    expect(status).toBe(200);
    expect(body).toMatchObject({ id, status: "pending", replays: 1, attemptCount: 0, deadLettered: false });
    expect((await get(`/v1/dead-letters?pool=${pool}`)).body.items).toEqual([]);
    expectProblem(await post(`/v1/tasks/${id}/replay`, { x: 1 }), 422, "invalid", { path: "x" });
  });
});

describe("explain", () => {
  test("tells of a waiting task what speaks against each agent and what would have to change", async () => {
    const pool = await aPool();
    await anAgent(pool);
    const task = await aTask(pool);
    const { status, body } = await get(`/v1/tasks/${task.id}/explain`);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      id: task.id,
      status: "pending",
      waiting: { reason: "agent" },
      agents: [{ name: "ada", reason: "slot", detail: "it has not asked for work" }],
      against: { slot: 1 },
      ahead: 0,
      change: ["ada has to have a free slot"],
    });
    expectProblem(await get("/v1/tasks/nobody/explain"), 404, "not_found");
  });
});

describe("a dead letter", () => {
  async function deadLetter(
    options: Record<string, unknown> = {},
  ): Promise<{ pool: string; agent: string; id: string }> {
    const pool = await aPool();
    const agent = await anAgent(pool);
    const { id } = await aTask(pool, { input: { n: 1 }, context: { who: "me" }, maxAttempts: 2, ...options });
    const { taskId, fence } = await claim(agent);
    await post(`/v1/tasks/${taskId}/fail`, { fence, error: { message: "no", blame: "task" } });
    return { pool, agent, id };
  }

  test("S0-L02 is listed, shown, and discarded, and then is none", async () => {
    const { pool, id } = await deadLetter();
    expect((await get(`/v1/dead-letters?pool=${pool}`)).body.items.map((task: TaskView) => task.id)).toEqual([id]);
    const gone = await ask("DELETE", `/v1/dead-letters/${id}`);
    expect([gone.status, gone.body.status, gone.body.deadLettered]).toEqual([200, "failed", false]);
    expect((await get(`/v1/dead-letters?pool=${pool}`)).body.items).toEqual([]);
    expect((await get(`/v1/pools/${pool}`)).body.counts.deadLetters).toBe(0);
    expectProblem(await post(`/v1/tasks/${id}/replay`, {}), 409, "conflict");
    expectProblem(await ask("DELETE", `/v1/dead-letters/${id}`), 409, "conflict");
    expectProblem(await ask("DELETE", "/v1/dead-letters/nobody"), 404, "not_found");
  });

  test("S0-L02 is replayed with changes, under its id", async () => {
    const { agent, id } = await deadLetter();
    const edit = { prompt: "do it well", context: { who: "you" }, priority: "high", maxAttempts: 7, timeoutMs: 60_000 };
    const { status, body } = await post(`/v1/tasks/${id}/replay`, { edit });
    expect(status).toBe(200);
    expect(body).toMatchObject({ id, ...edit, input: { n: 1 }, status: "pending", replays: 1, attemptCount: 0 });
    const { body: claimed } = await post(`/v1/agents/${agent}/claim`, { max: 1, waitMs: 10_000 });
    expect(claimed.attempts[0].task).toMatchObject({ prompt: "do it well", input: { n: 1 }, context: { who: "you" } });
  });

  test("S0-L02 is replayed only with changes that a submission could have brought", async () => {
    const { id } = await deadLetter();
    for (const [edit, path] of [
      [{ priority: "soon" }, "edit.priority"],
      [{ maxAttempts: 0 }, "edit.maxAttempts"],
      [{ id: "other" }, "edit.id"],
      [{ dependencies: [] }, "edit.dependencies"],
      [{ prompt: 5 }, "edit.prompt"],
      [{ deadlineAt: "tomorrow" }, "edit.deadlineAt"],
    ] as const) {
      expectProblem(await post(`/v1/tasks/${id}/replay`, { edit }), 422, "invalid", { path });
    }
    expectProblem(await post(`/v1/tasks/${id}/replay`, { edit: { prompt: "x".repeat(1_048_577) } }), 413, "too_large");
    expect((await get(`/v1/tasks/${id}`)).body).toMatchObject({ deadLettered: true, replays: 0 });
  });
});

describe("the quarantine", () => {
  test("S2-L03 refuses what killed its agents with 422 until it is let go, or replayed", async () => {
    const pool = "poisonous";
    await post("/v1/pools", { id: pool, poisonLimit: 1, lease: { ttlMs: 100, renewMs: 10 } });
    const { body: agent } = await post(`/v1/pools/${pool}/agents`, { kind: "remote", name: "victim" });
    const bad = { prompt: "bad", context: { b: 1, a: [2] }, metadata: { is: "not looked at" } };
    await post(`/v1/pools/${pool}/tasks`, { id: "poison-1", ...bad });
    // It takes the task and is never heard of again.
    await claim(agent.id);
    const poisoned = await taskUntil("poison-1", ({ status }) => status === "failed");
    expect(poisoned).toMatchObject({ deadLettered: true, error: { code: "poisoned" } });

    const { body: list } = await get(`/v1/pools/${pool}/quarantine`);
    const [{ fingerprint, taskId, at }] = list.items;
    expect(list.items).toHaveLength(1);
    expect([taskId, at]).toEqual(["poison-1", poisoned.settledAt]);
    expect(fingerprint).toMatch(/^[0-9a-f]{64}$/);
    const again = { context: { a: [2], b: 1 }, prompt: "bad", type: "general" };
    const refused = await post(`/v1/pools/${pool}/tasks`, again);
    expectProblem(refused, 422, "quarantined");
    expect(refused.body).toMatchObject({ fingerprint, taskId: "poison-1" });
    expect((await post(`/v1/pools/${pool}/tasks`, { ...again, type: "other" })).status).toBe(201);

    const path = `/v1/pools/${pool}/quarantine/${fingerprint}`;
    expect((await ask("DELETE", path)).status).toBe(200);
    expectProblem(await ask("DELETE", path), 404, "not_found");
    expect((await get(`/v1/pools/${pool}/quarantine`)).body).toEqual({ items: [] });
    expect((await post(`/v1/pools/${pool}/tasks`, again)).status).toBe(201);
    expectProblem(await get("/v1/pools/none/quarantine"), 404, "not_found");
  });
});

describe("the list of tasks", () => {
  test("is filtered by pool, status and type", async () => {
    const pool = await aPool();
    const research = await aTask(pool, { type: "research" });
    const gone = await aTask(pool);
    await aTask(await aPool(), { type: "research" });
    await post(`/v1/tasks/${gone.id}/cancel`);
    const ids = async (query: string): Promise<string[]> =>
      (await get(`/v1/tasks?${query}`)).body.items.map(({ id }: TaskView) => id);
    expect(await ids(`pool=${pool}`)).toEqual([research.id, gone.id]);
    expect(await ids(`pool=${pool}&status=cancelled`)).toEqual([gone.id]);
    expect(await ids(`pool=${pool}&type=research`)).toEqual([research.id]);
    expect(await ids(`pool=${pool}&type=research&status=cancelled`)).toEqual([]);
  });

  test("is paged by its cursor, every task once", async () => {
    const pool = await aPool();
    const tasks = Array.from({ length: 5 }, (_, index) => ({ prompt: `${index}` }));
    await post(`/v1/pools/${pool}/tasks/batch`, { tasks });
    const pages: string[][] = [];
    let cursor = "";
    do {
      const { body } = await get(`/v1/tasks?pool=${pool}&limit=2${cursor}`);
      pages.push(body.items.map(({ prompt }: TaskView) => prompt));
      cursor = body.nextCursor === undefined ? "" : `&cursor=${encodeURIComponent(body.nextCursor)}`;
    } while (cursor !== "");
    expect(pages).toEqual([["0", "1"], ["2", "3"], ["4"]]);
  });

  test("shows 100 unless asked, and at most 1000", async () => {
    const pool = await aPool();
    const tasks = Array.from({ length: 1_001 }, () => ({ prompt: "x" }));
    expect((await post(`/v1/pools/${pool}/tasks/batch`, { tasks })).status).toBe(201);
    const size = async (query: string): Promise<number> =>
      (await get(`/v1/tasks?pool=${pool}${query}`)).body.items.length;
    expect(await size("")).toBe(100);
    expect(await size("&limit=1")).toBe(1);
    expect(await size("&limit=1000")).toBe(1_000);
    expect(await size("&limit=1001")).toBe(1_000);
    expect(await size(`&limit=${"9".repeat(400)}`)).toBe(1_000);
  });

  test.each([
    ["limit=0", "limit"],
    ["limit=-1", "limit"],
    ["limit=1.5", "limit"],
    ["limit=many", "limit"],
    ["limit=", "limit"],
    ["cursor=nonsense", "cursor"],
    ["cursor=", "cursor"],
    ["status=done", "status"],
    ["colour=red", "colour"],
  ])("asked for with ?%s is invalid", async (query, path) => {
    expectProblem(await get(`/v1/tasks?${query}`), 422, "invalid", { path });
    const ofDeadLetters = path === "status" ? "status" : path;
    expectProblem(await get(`/v1/dead-letters?${query}`), 422, "invalid", { path: ofDeadLetters });
  });
});

describe("remote agents", () => {
  test("join, and are shown", async () => {
    const pool = await aPool({ lease: { ttlMs: 6_000, renewMs: 2_000 } });
    const joined = await post(`/v1/pools/${pool}/agents`, {
      kind: "remote",
      name: "ada",
      capabilities: ["gpu"],
      concurrency: 2,
    });
    expect(joined.status).toBe(201);
    expect(joined.body).toMatchObject({ heartbeatMs: 2_000, leaseMs: 6_000 });
    expect(joined.headers.get("location")).toBe(`/v1/agents/${joined.body.id}`);
    const { status, body } = await get(`/v1/agents/${joined.body.id}`);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      name: "ada",
      pool,
      kind: "remote",
      capabilities: ["gpu"],
      concurrency: 2,
      lifecycle: "ready",
    });
    expect((await get(`/v1/pools/${pool}/agents`)).body).toEqual({
      items: [expect.objectContaining({ id: joined.body.id })],
    });
  });

  test("S0-09 S0-B14 above size.max are 503 no_capacity", async () => {
    const pool = await aPool({ size: { max: 1 } });
    await anAgent(pool, { name: "ada" });
    expectProblem(await post(`/v1/pools/${pool}/agents`, { kind: "remote", name: "bob" }), 503, "no_capacity");
  });

  test("of a name that is alive are a conflict unless they replace it", async () => {
    const pool = await aPool();
    await anAgent(pool, { name: "ada" });
    expectProblem(await post(`/v1/pools/${pool}/agents`, { kind: "remote", name: "ada" }), 409, "conflict");
    await anAgent(pool, { name: "ada", replace: true });
    expect((await get(`/v1/pools/${pool}/agents`)).body.items).toHaveLength(1);
  });

  test.each([
    [{}, "kind"],
    [{ kind: "robot" }, "kind"],
    [{ kind: "function", name: "x" }, "kind"],
    [{ kind: "function", name: "x" }, "kind"],
    [{ kind: "remote", name: "" }, "name"],
    [{ kind: "remote", name: "x", id: "a b" }, "id"],
    [{ kind: "remote", name: "x", concurrency: 0 }, "concurrency"],
    [{ kind: "remote", name: "x", capabilities: [1] }, "capabilities[0]"],
    [{ kind: "remote", name: "x", colour: "red" }, "colour"],
  ])("that ask wrongly are refused: %j", async (body, path) => {
    expectProblem(await post(`/v1/pools/${await aPool()}/agents`, body), 422, "invalid", { path });
  });

  test("that are not known, or join nowhere, are not found", async () => {
    expectProblem(await post("/v1/pools/nobody/agents", { kind: "remote", name: "ada" }), 404, "not_found");
    expectProblem(await get("/v1/pools/nobody/agents"), 404, "not_found");
    expectProblem(await get("/v1/agents/nobody"), 404, "not_found");
    expectProblem(await post("/v1/agents/nobody/claim", { max: 1, waitMs: 0 }), 404, "not_found");
    expectProblem(await post("/v1/agents/nobody/heartbeat", { attempts: [] }), 404, "not_found");
  });

  test("are listed by name, page by page", async () => {
    const pool = await aPool();
    for (const name of ["w-10", "w-9", "w-1"]) await anAgent(pool, { name });
    const first = (await get(`/v1/pools/${pool}/agents?limit=2`)).body;
    expect(first.items.map(({ name }: { name: string }) => name)).toEqual(["w-1", "w-9"]);
    const second = (await get(`/v1/pools/${pool}/agents?limit=2&cursor=${first.nextCursor}`)).body;
    expect(second.items.map(({ name }: { name: string }) => name)).toEqual(["w-10"]);
    expect(second.nextCursor).toBeUndefined();
  });
});

describe("a claim", () => {
  test("is answered at once when it does not want to wait", async () => {
    const agent = await anAgent(await aPool());
    for (const body of [{ max: 1, waitMs: 0 }, {}]) {
      const { status, body: answer } = await post(`/v1/agents/${agent}/claim`, body);
      expect([status, answer]).toEqual([200, { attempts: [] }]);
    }
  });

  test("gets what it asks for and no more, and the attempts have started once they are told", async () => {
    const pool = await aPool();
    const agent = await anAgent(pool, { concurrency: 5 });
    for (const prompt of ["a", "b", "c"]) await aTask(pool, { prompt, input: [1], context: { k: "v" } });
    const { body } = await post(`/v1/agents/${agent}/claim`, { max: 2, waitMs: 1_000 });
    expect(body.attempts).toHaveLength(2);
    const [attempt] = body.attempts;
    expect(attempt).toMatchObject({ number: 1, task: { prompt: "a", input: [1], type: "general", pool } });
    expect(attempt.task.context).toMatchObject({ k: "v" });
    expect(attempt.fence).toBeTypeOf("number");
    expect(Date.parse(attempt.leaseExpiresAt)).toBeGreaterThan(0);
    const task = await taskUntil(attempt.taskId, ({ status }) => status !== "assigned");
    expect(task).toMatchObject({ status: "in_progress", startedAt: expect.any(String) });
  });

  test("waits for work", async () => {
    const pool = await aPool();
    const agent = await anAgent(pool);
    const claimed = claim(agent, { waitMs: 60_000 });
    const { id } = await aTask(pool);
    expect((await claimed).taskId).toBe(id);
  });

  test("S3-B36 takes only the types it names; none when it names none, any when it does not say", async () => {
    const pool = await aPool();
    const agent = await anAgent(pool);
    const { id } = await aTask(pool, { type: "research" });
    for (const types of [[], ["cooking"]]) {
      const { body } = await post(`/v1/agents/${agent}/claim`, { max: 1, waitMs: 0, types });
      expect(body.attempts).toEqual([]);
    }
    expect((await claim(agent, { types: ["cooking", "research"] })).taskId).toBe(id);
  });

  test.each([
    [{ max: 0 }, "max"],
    [{ max: 1_001 }, "max"],
    [{ max: "all" }, "max"],
    [{ waitMs: 60_001 }, "waitMs"],
    [{ waitMs: -1 }, "waitMs"],
    [{ types: "all" }, "types"],
    [{ types: [7] }, "types[0]"],
    [{ colour: "red" }, "colour"],
  ])("that asks wrongly is refused: %j", async (body, path) => {
    const agent = await anAgent(await aPool());
    expectProblem(await post(`/v1/agents/${agent}/claim`, body), 422, "invalid", { path });
  });

  /** A claim on a connection of its own that nobody reads from. */
  function claimByHand(agent: string, waitMs: number): Socket {
    const body = JSON.stringify({ max: 1, waitMs });
    const socket = connect(http.port, "127.0.0.1");
    socket.write(
      `POST /v1/agents/${agent}/claim HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${KEY}\r\n` +
        `Content-Length: ${body.length}\r\n\r\n${body}`,
    );
    return socket;
  }

  test.each(["ends", "resets"])("whose client %s the connection while it waits takes no task with it", async (how) => {
    const pool = await aPool();
    const agent = await anAgent(pool);
    const claims = vi.spyOn(engine, "claim");
    const socket = claimByHand(agent, 60_000);
    await asked(claims, 1);
    claims.mockRestore();
    if (how === "ends") socket.destroy();
    else socket.resetAndDestroy();
    const { id } = await aTask(pool);
    const attempt = await claim(agent, { waitMs: 60_000 });
    expect(attempt.taskId).toBe(id);
    const done = await post(`/v1/tasks/${id}/complete`, { fence: attempt.fence, result: "ok" });
    expect(done.body).toMatchObject({ status: "completed", attemptCount: 1, failedAgentIds: [] });
  });

  test("of the same agent ends the one before with nothing", async () => {
    const pool = await aPool();
    const agent = await anAgent(pool);
    const claims = vi.spyOn(engine, "claim");
    const first = post(`/v1/agents/${agent}/claim`, { max: 1, waitMs: 60_000 });
    await asked(claims, 1);
    claims.mockRestore();
    const second = post(`/v1/agents/${agent}/claim`, { max: 1, waitMs: 60_000 });
    expect((await first).body.attempts).toEqual([]);
    const { id } = await aTask(pool);
    expect((await second).body.attempts).toEqual([expect.objectContaining({ taskId: id })]);
  });
});

describe("a claim that finds work as the server closes", () => {
  test("tells of nothing, and the work goes back", async () => {
    const pool = await aPool();
    const agent = await anAgent(pool);
    const { id } = await aTask(pool);
    const closing = new AbortController();
    const reallyClaim = engine.claim.bind(engine);
    vi.spyOn(engine, "claim").mockImplementationOnce(async (...claim) => {
      const claimed = await reallyClaim(...claim);
      closing.abort();
      return claimed;
    });
    const app = createApp(engine, { auth: "off", closing: closing.signal });
    const response = await app.request(`/v1/agents/${agent}/claim`, { method: "POST" });
    expect(await response.json()).toEqual({ attempts: [] });
    vi.restoreAllMocks();
    const attempt = await claim(agent);
    expect(attempt.taskId).toBe(id);
    expect((await get(`/v1/tasks/${id}`)).body.attemptCount).toBe(0);
  });
});

describe("reports", () => {
  /** A claimed task of a pool of its own. */
  async function running(options: Record<string, unknown> = {}): Promise<{ id: string; fence: number; agent: string }> {
    const pool = await aPool(options);
    const agent = await anAgent(pool);
    await aTask(pool);
    const { taskId, fence } = await claim(agent);
    return { id: taskId, fence, agent };
  }

  test("of progress are shown, until the result", async () => {
    const { id, fence } = await running();
    expect((await post(`/v1/tasks/${id}/progress`, { fence, progress: { share: 0.5 } })).status).toBe(200);
    expect((await get(`/v1/tasks/${id}`)).body.progress).toEqual({ share: 0.5 });
    const done = await post(`/v1/tasks/${id}/complete`, {
      fence,
      result: { ok: true },
      usage: { tokens: 7, costUsd: 0.5 },
    });
    expect(done.status).toBe(200);
    expect(done.body).toMatchObject({ status: "completed", result: { ok: true }, usage: { tokens: 7, costUsd: 0.5 } });
  });

  test.each([[null], [false], [0], [""], [[]], [{}]])("S3-B12 keep the result %j", async (result) => {
    const { id, fence } = await running();
    await post(`/v1/tasks/${id}/complete`, { fence, result });
    const { body } = await get(`/v1/tasks/${id}`);
    expect(body.status).toBe("completed");
    expect(body.result).toEqual(result);
  });

  test("repeated give the stored task", async () => {
    const { id, fence } = await running();
    const first = await post(`/v1/tasks/${id}/complete`, { fence, result: 1 });
    const second = await post(`/v1/tasks/${id}/complete`, { fence, result: 1 });
    expect([first.status, second.status]).toEqual([200, 200]);
    expect(second.body).toEqual(first.body);
  });

  test("S0-B07 with a fence that is not current are stale, whatever they say", async () => {
    const { id, fence } = await running();
    for (const wrong of [fence - 1, fence + 1, 0, Number.MAX_SAFE_INTEGER]) {
      const report = { fence: wrong };
      expectProblem(await post(`/v1/tasks/${id}/progress`, { ...report, progress: 1 }), 409, "stale_fence");
      expectProblem(await post(`/v1/tasks/${id}/complete`, { ...report, result: 1 }), 409, "stale_fence");
      expectProblem(await post(`/v1/tasks/${id}/fail`, { ...report, error: { message: "x" } }), 409, "stale_fence");
      expectProblem(await post(`/v1/tasks/${id}/release`, report), 409, "stale_fence");
    }
    expect((await get(`/v1/tasks/${id}`)).body.settledAt).toBeUndefined();
  });

  test("S0-B20 of a failure are final when the task is to blame, and tried again when the agent is", async () => {
    const task = await running();
    const error = { message: "bad input", code: "no_such_file", blame: "task", details: { file: "x" } };
    const failed = await post(`/v1/tasks/${task.id}/fail`, { fence: task.fence, error });
    expect(failed.status).toBe(200);
    expect(failed.body).toMatchObject({ status: "failed", error });
    const agent = await running({ retry: { backoff: { baseMs: 1 } } });
    await post(`/v1/tasks/${agent.id}/fail`, { fence: agent.fence, error: { message: "oops", blame: "agent" } });
    const again = await claim(agent.agent);
    expect(again.taskId).toBe(agent.id);
    expect(again.fence).toBeGreaterThan(agent.fence);
  });

  test("of a release give the task back uncharged", async () => {
    const { id, fence, agent } = await running();
    const released = await post(`/v1/tasks/${id}/release`, { fence });
    expect(released.status).toBe(200);
    expect(released.body).toMatchObject({ status: "pending", attemptCount: 0 });
    expect((await claim(agent)).taskId).toBe(id);
  });

  test("of life keep the lease and tell what to stop", async () => {
    const { id, fence, agent } = await running();
    const alive = await post(`/v1/agents/${agent}/heartbeat`, { attempts: [{ taskId: id, fence }] });
    expect(alive.status).toBe(200);
    expect(alive.body).toMatchObject({ stop: [], quiet: expect.any(Boolean), leaseExpiresAt: expect.any(String) });
    await post(`/v1/tasks/${id}/cancel`);
    const told = await post(`/v1/agents/${agent}/heartbeat`, { attempts: [{ taskId: id, fence }], health: "healthy" });
    expect(told.body.stop).toEqual([id]);
  });

  test.each([
    ["progress", { fence: 1 }, "progress"],
    ["progress", { progress: 1 }, "fence"],
    ["complete", { result: 1 }, "fence"],
    ["complete", { fence: "1", result: 1 }, "fence"],
    ["complete", { fence: 1.5, result: 1 }, "fence"],
    ["complete", { fence: 1, result: 1, usage: { tokens: -1 } }, "usage.tokens"],
    ["complete", { fence: 1, result: 1, extra: 1 }, "extra"],
    ["fail", { fence: 1 }, "error"],
    ["fail", { fence: 1, error: "oops" }, "error"],
    ["fail", { fence: 1, error: { message: "x", blame: "caller" } }, "error.blame"],
    ["fail", { fence: 1, error: { message: "x", why: 1 } }, "error.why"],
    ["release", {}, "fence"],
  ])("of %s that are wrong are refused: %j", async (report, body, path) => {
    const { id } = await aTask(await aPool());
    expectProblem(await post(`/v1/tasks/${id}/${report}`, body), 422, "invalid", { path });
  });

  test.each([
    [{}, "attempts"],
    [{ attempts: [{ taskId: "x" }] }, "attempts[0].fence"],
    [{ attempts: [{ taskId: "x", fence: 1, number: 1 }] }, "attempts[0].number"],
    [{ attempts: [], health: "fine" }, "health"],
  ])("of life that are wrong are refused: %j", async (body, path) => {
    const agent = await anAgent(await aPool());
    expectProblem(await post(`/v1/agents/${agent}/heartbeat`, body), 422, "invalid", { path });
  });

  test("take a result of many megabytes, and none above 16", async () => {
    const { id, fence } = await running();
    expectProblem(await post(`/v1/tasks/${id}/complete`, { fence, result: "x".repeat(17 * MB) }), 413, "too_large");
    expectProblem(await post(`/v1/tasks/${id}/progress`, { fence, progress: "x".repeat(MB) }), 413, "too_large");
    const done = await post(`/v1/tasks/${id}/complete`, { fence, result: "x".repeat(15 * MB) });
    expect(done.status).toBe(200);
    expect((await get(`/v1/tasks/${id}`)).body.result).toHaveLength(15 * MB);
  });
});

describe("faults", () => {
  test.each([
    ["an error", new Error("the secret of the house")],
    ["something that is no error", "the secret of the house"],
  ])("%s that the engine throws is a 500 that keeps its words for the log", async (_what, thrown) => {
    const events: LogEvent[] = [];
    const pools = (): never => {
      throw thrown;
    };
    const broken = Object.create(engine, { pools: { value: pools } }) as Engine;
    const app = createApp(broken, { auth: "off", log: (event) => events.push(event) });
    const response = await app.request("/v1/pools", { headers: { "x-request-id": "r-7" } });
    expect(response.status).toBe(500);
    expect(response.headers.get("x-request-id")).toBe("r-7");
    const text = await response.text();
    expect(JSON.parse(text)).toMatchObject({ code: "internal", status: 500 });
    expect(text).not.toContain("secret");
    expect(events).toEqual([
      expect.objectContaining({
        level: "error",
        event: "http.failed",
        path: "/v1/pools",
        message: "the secret of the house",
        requestId: "r-7",
      }),
    ]);
  });

  test("in memory every route answers as over a socket", async () => {
    const app = createApp(engine, { auth: { key: KEY } });
    const pool = await aPool();
    expect((await app.request("/health")).status).toBe(200);
    expect((await app.request("/v1/pools")).status).toBe(401);
    const submitted = await app.request(`/v1/pools/${pool}/tasks`, {
      method: "POST",
      headers: AUTHORIZED,
      body: JSON.stringify({ prompt: "x" }),
    });
    expect(submitted.status).toBe(201);
    const agent = await anAgent(pool);
    const claimed = await app.request(`/v1/agents/${agent}/claim`, { method: "POST", headers: AUTHORIZED });
    const { attempts } = (await claimed.json()) as { attempts: { taskId: string }[] };
    expect(attempts).toHaveLength(1);
    await taskUntil(attempts[0]?.taskId ?? "", ({ status }) => status === "in_progress");
  });
});

describe("a server", () => {
  let own: Engine;
  const servers: HttpServer[] = [];

  beforeEach(async () => {
    own = await openMemoryEngine();
  });

  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close();
    await own.close({ drainMs: 0 });
  });

  async function serve(options: Partial<Parameters<typeof serveHttp>[0]> = {}): Promise<HttpServer> {
    const server = await serveHttp({ engine: own, host: "127.0.0.1", port: 0, auth: "off", ...options });
    servers.push(server);
    return server;
  }

  test("tells where it answers", async () => {
    const server = await serve();
    expect(server.port).toBeGreaterThan(0);
    expect(server.url).toBe(`http://127.0.0.1:${server.port}`);
    expect((await get("/v1/pools", { base: server.url, headers: {} })).status).toBe(200);
  });

  test("S2-L06 whose port is taken does not start, and names the port", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    const error: unknown = await serve({ port }).catch((thrown: unknown) => thrown);
    expect(isPoolError(error, "start_failed")).toBe(true);
    expect(String(error)).toContain(String(port));
    await new Promise((resolve) => other.close(resolve));
    expect((await serve({ port })).port).toBe(port);
  });

  test.each(["0.0.0.0", "::", "troupe.example"])("without auth does not start on %s", async (host) => {
    const error: unknown = await serve({ host, auth: "off" }).catch((thrown: unknown) => thrown);
    expect(isPoolError(error, "config_invalid")).toBe(true);
  });

  test("on a public address answers under any name, to who has the key", async () => {
    const { port } = await serve({ host: "0.0.0.0", auth: { key: KEY } });
    const status = (headers: Record<string, string>): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        request({ host: "127.0.0.1", port, path: "/v1/pools", headers }, (response) => {
          response.resume();
          resolve(response.statusCode);
        })
          .on("error", reject)
          .end();
      });
    expect(await status({ host: "troupe.example", ...AUTHORIZED })).toBe(200);
    expect(await status({ host: "troupe.example" })).toBe(401);
  });

  test("that closes answers those who wait, and then is gone", async () => {
    const server = await serve({ closeMs: 600_000 });
    const at = { base: server.url, headers: {} };
    const [claims, waits] = [vi.spyOn(own, "claim"), vi.spyOn(own, "waitFor")];
    await post("/v1/pools", { id: "p" }, at);
    const agent = (await post("/v1/pools/p/agents", { kind: "remote", name: "ada" }, at)).body.id;
    const claimed = post(`/v1/agents/${agent}/claim`, { max: 1, waitMs: 60_000, types: [] }, at);
    const { id } = (await post("/v1/pools/p/tasks", { prompt: "x" }, at)).body;
    const waited = get(`/v1/tasks/${id}?waitMs=60000`, at);
    const submitted = post("/v1/pools/p/tasks?waitMs=60000", { prompt: "y" }, at);
    await asked(claims, 1);
    await asked(waits, 2);
    const closed = server.close();
    expect(server.close()).toBe(closed);
    expect([(await claimed).status, (await claimed).body]).toEqual([200, { attempts: [] }]);
    expect([(await waited).status, (await waited).body.status]).toEqual([200, "pending"]);
    expect([(await submitted).status, (await submitted).body.status]).toEqual([201, "pending"]);
    expect((await submitted).headers.get("connection")).toBe("close");
    await closed;
    await expect(get("/health", at)).rejects.toThrow();
    await server.close();
  });

  test("that closes ends connections that keep silent, from the first or after an answer", async () => {
    // Longer than a test may take: whoever is broken off only at the end of this fails it.
    const server = await serve({ closeMs: 600_000 });
    const silent = connect(server.port, "127.0.0.1");
    const kept = new Agent({ keepAlive: true });
    await once(silent, "connect");
    await new Promise<void>((resolve) => {
      request({ host: "127.0.0.1", port: server.port, path: "/health", agent: kept }, (response) => {
        response.resume();
        response.on("end", resolve);
      }).end();
    });
    const ended = once(silent, "close");
    silent.on("error", () => {});
    silent.resume();
    await server.close();
    await ended;
    kept.destroy();
  });

  test("that closes breaks off a request that is still not answered when its time is over", async () => {
    const server = await serve({ closeMs: 1 });
    const socket = connect(server.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.resume();
    const ended = once(socket, "close");
    const deletes = vi.spyOn(own, "deletePool").mockReturnValueOnce(new Promise(() => {}));
    socket.write("DELETE /v1/pools/p HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await asked(deletes, 1);
    await server.close();
    await ended;
    vi.restoreAllMocks();
  });

  test("is not ready while it closes", async () => {
    const closing = new AbortController();
    const app = createApp(own, { auth: "off", closing: closing.signal });
    expect((await app.request("/readyz")).status).toBe(200);
    closing.abort();
    const response = await app.request("/readyz");
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ code: "shutting_down" });
    expect(response.headers.get("connection")).toBe("close");
    expect((await app.request("/livez")).status).toBe(200);
  });

  test("is not ready once its engine is closed", async () => {
    const server = await serve();
    const at = { base: server.url, headers: {} };
    expect((await get("/readyz", at)).status).toBe(200);
    await own.close({ drainMs: 0 });
    expectProblem(await get("/readyz", at), 503, "unavailable");
    expectProblem(await post("/v1/pools", { id: "late" }, at), 503, "shutting_down");
  });
});

describe("spending", () => {
  test("S3-46 tasks of a spent pool or tenant wait, say why and until when, and usage adds up", async () => {
    const pool = await aPool({ tenantSpend: { tokens: 5, perMs: 3_600_000 }, spend: { costUsd: 2, perMs: 3_600_000 } });
    const agent = await anAgent(pool);
    const budget = { tokens: 100, wallMs: 60_000 };
    const first = await aTask(pool, { tenant: "acme", budget });
    expect(first).toMatchObject({ tenant: "acme", budget });
    const { fence } = await claim(agent);
    const usage = { tokens: 5, costUsd: 1 };
    const done = await post(`/v1/tasks/${first.id}/complete`, { fence, result: 1, usage });
    expect(done.body).toMatchObject({ status: "completed", usage });
    const second = await aTask(pool, { tenant: "acme" });
    expect(second.waiting).toMatchObject({ reason: "spend", detail: "tenant acme has spent 5 of 5 tokens" });
    expect(Date.parse(second.waiting?.until ?? "")).toBe(Date.parse(done.body.settledAt) + 3_600_000);
    expect((await get(`/v1/tasks/${second.id}/explain`)).body.summary).toContain("for money until");
    const third = await aTask(pool, { tenant: "other" });
    const next = await claim(agent);
    expect(next.taskId).toBe(third.id);
    await post(`/v1/tasks/${third.id}/complete`, { fence: next.fence, result: 1, usage: { costUsd: 1 } });
    expect(await aTask(pool, {})).toMatchObject({
      waiting: { reason: "spend", detail: `pool ${pool} has spent 2 of 2 USD` },
    });
  });

  test.each([
    ["spend", { perMs: 1_000 }, "spend"],
    ["spend", { tokens: 1 }, "spend.perMs"],
    ["spend", { tokens: 0, perMs: 1_000 }, "spend.tokens"],
    ["spend", { costUsd: 0, perMs: 1_000 }, "spend.costUsd"],
    ["spend", { wallMs: 0, perMs: 1_000 }, "spend.wallMs"],
    ["spend", { tokens: 1, perMs: 0 }, "spend.perMs"],
    ["tenantSpend", { tokens: 1, perMs: 1, per: 1 }, "tenantSpend.per"],
  ])("a pool with %s %o is refused at %s", async (name, value, path) => {
    expectProblem(await post("/v1/pools", { [name]: value }), 422, "invalid", { path });
  });

  test.each([
    [{ budget: {} }, "budget"],
    [{ budget: { tokens: 0 } }, "budget.tokens"],
    [{ budget: { wallMs: 0.5 } }, "budget.wallMs"],
    [{ tenant: "" }, "tenant"],
    [{ tenant: "x".repeat(257) }, "tenant"],
  ])("a task with %o is refused at %s", async (given, path) => {
    const pool = await aPool();
    expectProblem(await post(`/v1/pools/${pool}/tasks`, { prompt: "x", ...given }), 422, "invalid", { path });
    await aTask(pool, { tenant: "x".repeat(256), budget: { tokens: 1, costUsd: 0.001, wallMs: 1 } });
  });
});

describe("schedules", () => {
  test("S3-61 they are made, listed, paused and deleted", async () => {
    await engine.createPool({ id: "clockwork" });
    const body = {
      id: "yearly",
      pool: "clockwork",
      cron: "0 9 1 1 *",
      timezone: "Europe/Berlin",
      task: { prompt: "x" },
    };
    const made = await ask("POST", "/v1/schedules", { body });
    expect(made).toMatchObject({ status: 201, body: { ...body, paused: false, overlap: "allow", fired: 0 } });
    expect(made.headers.get("location")).toBe("/v1/schedules/yearly");
    expect(made.body.nextAt).toMatch(/-01-01T08:00:00\.000Z$/);
    expectProblem(await ask("POST", "/v1/schedules", { body }), 409, "conflict");
    expect((await get("/v1/schedules")).body.items).toEqual([made.body]);
    const paused = await ask("POST", "/v1/schedules/yearly", { body: { paused: true } });
    expect(paused).toMatchObject({ status: 200, body: { paused: true } });
    expect(paused.body.nextAt).toBeUndefined();
    expect((await ask("DELETE", "/v1/schedules/yearly")).status).toBe(200);
    for (const method of ["GET", "DELETE"]) expectProblem(await ask(method, "/v1/schedules/yearly"), 404, "not_found");
  });

  test.each([
    ["cron", { cron: "at noon" }],
    ["timezone", { timezone: "Nowhere" }],
    ["task.id", { task: { prompt: "x", id: "t" } }],
    ["pool", { pool: undefined }],
  ])("a bad %s is 422 with its path", async (path, given) => {
    const body = { pool: "clockwork", cron: "@daily", task: { prompt: "x" }, ...given };
    expectProblem(await ask("POST", "/v1/schedules", { body }), 422, "invalid", { path });
  });
});

describe("gates and modes", () => {
  test("S0-27 S0-28 a closed gate holds its types until it is opened", async () => {
    const pool = await aPool();
    const agent = await anAgent(pool);
    expectProblem(await get("/v1/gates/search"), 404, "not_found");
    const closed = await ask("PUT", "/v1/gates/search", { body: { available: false, holds: ["discovery"] } });
    expect(closed.status).toBe(200);
    expect(closed.body).toMatchObject({
      name: "search",
      available: false,
      holds: ["discovery"],
      reason: "closed by an operator",
    });
    const held = await aTask(pool, { type: "discovery" });
    expect(held).toMatchObject({ status: "pending", waiting: { reason: "gate", on: ["search"] } });
    expect((await get(`/v1/pools/${pool}`)).body.counts).toMatchObject({ queued: 0, gated: 1 });
    const flows = await aTask(pool, { type: "heartbeat" });
    expect((await claim(agent)).taskId).toBe(flows.id);
    await ask("PUT", "/v1/gates/search", { body: { available: true } });
    expect((await get("/v1/gates/search")).body).toMatchObject({ available: true, holds: ["discovery"] });
    expect((await get("/v1/gates")).body.items).toHaveLength(1);
    expect((await get(`/v1/tasks/${held.id}`)).body.waiting.reason).toBe("agent");
  });

  test.each([
    [{}, "available"],
    [{ available: "no" }, "available"],
    [{ available: true, holds: "x" }, "holds"],
    [{ available: true, colour: "red" }, "colour"],
  ])("a gate of %o is refused at %s", async (body, path) => {
    expectProblem(await ask("PUT", "/v1/gates/bad", { body }), 422, "invalid", { path });
  });

  test("a fail of blame dependency that names a gate closes it, and the task is refunded", async () => {
    const pool = await aPool();
    const agent = await anAgent(pool);
    await ask("PUT", "/v1/gates/index", { body: { available: true, holds: ["lookup"] } });
    const { id } = await aTask(pool, { type: "lookup" });
    const { fence } = await claim(agent);
    const error = { message: "index is gone", blame: "dependency", details: { gate: "index" } };
    const failed = await post(`/v1/tasks/${id}/fail`, { fence, error });
    expect(failed.body).toMatchObject({ status: "pending", attemptCount: 0, waiting: { reason: "gate" } });
    expect((await get("/v1/gates/index")).body).toMatchObject({ available: false, reason: "index is gone" });
  });

  test("a pool's options are changed one by one, and hold from the next task on; null takes back", async () => {
    const pool = await aPool();
    const path = `/v1/pools/${pool}`;
    const changed = await ask("PATCH", path, { body: { types: ["a"], strategy: "random", queue: { limit: 1 } } });
    expect(changed).toMatchObject({ status: 200, body: { id: pool, types: ["a"], strategy: "random" } });
    expect(changed.body.queue).toEqual({ limit: 1 });
    expectProblem(await post(`${path}/tasks`, { prompt: "x" }), 422, "invalid", { path: "type" });
    await aTask(pool, { type: "a" });
    expectProblem(await post(`${path}/tasks`, { prompt: "x", type: "a" }), 429, "queue_full");
    expect((await ask("PATCH", path, { body: { types: null } })).body).not.toHaveProperty("types");
    expect((await get(path)).body).toMatchObject({ strategy: "random", queue: { limit: 1 } });
    expectProblem(await ask("PATCH", path, { body: { agents: [] } }), 422, "invalid", { path: "agents" });
    expectProblem(await ask("PATCH", "/v1/pools/none", { body: {} }), 404, "not_found");
  });

  test("a paused pool lets its tasks wait, a drained one takes none, a resumed one goes on", async () => {
    const pool = await aPool();
    const agent = await anAgent(pool);
    expect((await post(`/v1/pools/${pool}/pause`)).body).toMatchObject({ id: pool, paused: true, draining: false });
    const task = await aTask(pool);
    expect(task.waiting?.reason).toBe("paused");
    expect((await post(`/v1/agents/${agent}/claim`, { max: 1 })).body.attempts).toEqual([]);
    const drained = await post(`/v1/pools/${pool}/drain`);
    expect(drained.body).toMatchObject({ paused: false, draining: true, health: "not_running" });
    expectProblem(await post(`/v1/pools/${pool}/tasks`, { prompt: "x" }), 409, "not_running");
    expect((await post(`/v1/pools/${pool}/resume`)).body).toMatchObject({ paused: false, draining: false });
    expect((await claim(agent)).taskId).toBe(task.id);
    expectProblem(await post("/v1/pools/none/pause"), 404, "not_found");
    expectProblem(await post(`/v1/pools/${pool}/pause`, { forMs: 5 }), 422, "invalid", { path: "forMs" });
  });
});

test("S0-19 S0-22 S0-40 S0-41 an agent that an operator fails loses its task, and is unhealthy until recovered", async () => {
  const pool = await aPool({ retry: { maxAttempts: 2 } });
  const ada = await anAgent(pool);
  const { id } = await aTask(pool);
  const { fence } = await claim(ada);
  const failed = await post(`/v1/agents/${ada}/fail`, { reason: "on fire" });
  expect(failed.body.agent.health).toBe("unhealthy");
  expect(failed.body.task).toEqual({ id, status: "pending", reassigned: false, failedForGood: false });
  expectProblem(await post(`/v1/tasks/${id}/complete`, { fence, result: 1 }), 409, "stale_fence");
  expect((await get(`/v1/agents/${ada}`)).body.health).toBe("unhealthy");
  expect((await post(`/v1/agents/${ada}/fail`)).body.task).toBeNull();
  expect((await post(`/v1/agents/${ada}/recover`)).body.health).toBe("healthy");
  expectProblem(await post("/v1/agents/none/fail"), 404, "not_found");
  expectProblem(await post("/v1/agents/none/recover"), 404, "not_found");
});
