/** A data file that is full, over HTTP: refusals are true, nothing is lost, and all goes on when there is room again. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import type { AgentFunction } from "../src/agents/function.ts";
import { type LocalEngine, startEngine } from "../src/engine/engine.ts";
import type { TaskView } from "../src/engine/view.ts";
import { type HttpServer, serveHttp } from "../src/interfaces/http/server.ts";
import { openSqliteStore } from "../src/stores/sqlite.ts";

const MB = 1_048_576;
/** The reserve is an eighth of it. */
const MAX_BYTES = 4 * MB;
const KEY = "the-key-of-this-test";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Answer<T> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

async function ask<T = { code: string }>(
  { url }: HttpServer,
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer<T>> {
  const headers = { authorization: `Bearer ${KEY}` };
  const response = await fetch(url + path, { method, headers, body: body === undefined ? null : JSON.stringify(body) });
  return { status: response.status, headers: response.headers, body: (await response.json()) as T };
}

async function serverOver(file: string, run: AgentFunction): Promise<{ engine: LocalEngine; http: HttpServer }> {
  const store = await openSqliteStore(file, { maxBytes: MAX_BYTES });
  const engine = await startEngine({ store, dataDir: tmpdir() });
  closers.push(() => engine.close({ drainMs: 0 }));
  const agents = [{ kind: "function" as const, name: "ada" }];
  await engine.openPool({ id: "here", agents }, new Map([["ada", run]]));
  const http = await serveHttp({ engine, host: "127.0.0.1", port: 0, auth: { key: KEY } });
  closers.push(() => http.close());
  return { engine, http };
}

test("507 while there is no room, the reserve is for ending what runs, and all goes on when there is room again", async () => {
  const dir = mkdtempSync(join(tmpdir(), "troupe-full-"));
  closers.push(async () => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, "troupe.db");
  const { promise: finished, resolve: finish } = Promise.withResolvers<unknown>();
  let calls = 0;
  const { engine, http } = await serverOver(file, () => {
    calls += 1;
    return finished;
  });
  await engine.createPool({ id: "far", retention: { count: 0 } });
  const running = await ask<TaskView>(http, "POST", "/v1/pools/here/tasks", { id: "running", prompt: "x" });
  expect(running.status).toBe(201);

  // New tasks are refused while there still is the reserve.
  const accepted: string[] = [];
  const submit = (n: number) =>
    ask<TaskView & { code: string }>(http, "POST", "/v1/pools/far/tasks", { id: `t${n}`, prompt: "x".repeat(300_000) });
  let answer = await submit(0);
  for (let n = 1; answer.status === 201; n++) {
    accepted.push(answer.body.id);
    // The store is asked for its room once a second while it has some.
    if (n % 4 === 0) await new Promise((resolve) => setTimeout(resolve, 1_050));
    answer = await submit(n);
  }
  expect(answer).toMatchObject({ status: 507, body: { code: "store_full" } });
  expect(answer.headers.get("retry-after")).toBe("5");
  expect(accepted.length).toBeGreaterThan(5);

  // What is there can be ended: that takes the reserve.
  const [first = "", ...rest] = accepted;
  const joined = await ask<{ id: string }>(http, "POST", "/v1/pools/far/agents", { kind: "remote", name: "bob" });
  expect(joined.status).toBe(201);
  expect((await ask(http, "POST", `/v1/tasks/${first}/cancel`)).status).toBe(200);

  // An outcome that even the reserve has no room for: its term ends, and nothing else is kept from going on.
  const result = "r".repeat(2 * MB);
  finish(result);
  await expect.poll(() => engine.state.epoch).toBeGreaterThan(1);
  expect((await ask<TaskView>(http, "GET", "/v1/tasks/running")).body).toMatchObject({ status: "in_progress" });

  // Whatever the refusal of the moment is, it is true: who repeats gets through.
  for (const id of rest) {
    await expect.poll(async () => (await ask(http, "POST", `/v1/tasks/${id}/cancel`)).status).toBe(200);
  }
  await expect
    .poll(async () => (await ask<TaskView>(http, "GET", "/v1/tasks/running")).body.status, { timeout: 20_000 })
    .toBe("completed");
  const { body: view } = await ask<TaskView>(http, "GET", "/v1/tasks/running");
  expect(view).toMatchObject({ result, attemptCount: 1 });
  expect(view.attempts).toMatchObject([{ number: 1, outcome: "succeeded" }]);
  expect(calls).toBe(1);
}, 60_000);

test("after a full file new tasks are taken as soon as there is room, without a restart; all that was accepted is there", async () => {
  const dir = mkdtempSync(join(tmpdir(), "troupe-full-"));
  closers.push(async () => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, "troupe.db");
  const { engine, http } = await serverOver(file, () => "done");
  await engine.createPool({ id: "far", retention: { count: 0 } });
  const accepted = new Set<string>();
  const submit = async (id: string): Promise<number> => {
    const { status } = await ask(http, "POST", "/v1/pools/far/tasks", { id, prompt: "x".repeat(400_000) });
    if (status === 201) accepted.add(id);
    return status;
  };
  // Faster than the store is asked for its room: some commit is refused as a whole.
  const statuses = await Promise.all(Array.from({ length: 30 }, (_, n) => submit(`t${n}`)));
  expect(new Set(statuses)).toEqual(new Set([201, 507]));
  const [first = "", second = "", ...kept] = accepted;
  for (const id of [first, second]) {
    await expect.poll(async () => (await ask(http, "POST", `/v1/tasks/${id}/cancel`)).status).toBe(200);
    await expect.poll(async () => (await ask(http, "GET", `/v1/tasks/${id}`)).status).toBe(404);
  }
  await expect
    .poll(async () => (await ask(http, "POST", "/v1/pools/here/tasks", { prompt: "small" })).status)
    .toBe(201);
  for (const id of kept) {
    expect((await ask<TaskView>(http, "GET", `/v1/tasks/${id}`)).body).toMatchObject({ id, status: "pending" });
  }
}, 60_000);
