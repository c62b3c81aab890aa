/** Server-sent events over real sockets. */
import { tmpdir } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openEngine } from "../src/engine/open.ts";
import type { Engine } from "../src/engine/troupe.ts";
import { createApp } from "../src/interfaces/http/app.ts";
import { HEARTBEAT_MS } from "../src/interfaces/http/event-stream.ts";
import { type HttpServer, serveHttp } from "../src/interfaces/http/server.ts";
import { openStore } from "../src/stores/open.ts";
import { createVirtualClock } from "../src/testing/virtual-clock.ts";

let engine: Engine;
let http: HttpServer;

const openMemoryEngine = async (): Promise<Engine> =>
  openEngine({ store: await openStore("memory:", { dataDir: tmpdir() }), dataDir: tmpdir() });

beforeAll(async () => {
  engine = await openMemoryEngine();
  http = await serveHttp({ engine, host: "127.0.0.1", port: 0, auth: "off" });
});

afterAll(async () => {
  await http.close();
  await engine.close({ drainMs: 0 });
});

interface Message {
  readonly id?: string;
  readonly event?: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into events of every kind.
  readonly data?: any;
}

/** Messages of a stream as they come; comments and `retry` are left out. */
class Listening {
  readonly response: Response;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  #text = "";

  constructor(response: Response) {
    this.response = response;
    this.#reader = (response.body as ReadableStream<Uint8Array>).getReader();
  }

  /** Undefined at the end. */
  async next(): Promise<Message | undefined> {
    for (;;) {
      const end = this.#text.indexOf("\n\n");
      if (end === -1) {
        const { value, done } = await this.#reader.read();
        if (done) return undefined;
        this.#text += this.#decoder.decode(value, { stream: true });
        continue;
      }
      const block = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + 2);
      const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s, 2)));
      if (fields.data !== undefined) return { ...fields, data: JSON.parse(fields.data) };
    }
  }

  async until(event: string): Promise<Message[]> {
    const heard: Message[] = [];
    for (let message = await this.next(); message !== undefined; message = await this.next()) {
      heard.push(message);
      if (message.event === event) break;
    }
    return heard;
  }

  leave(): Promise<void> {
    return this.#reader.cancel();
  }
}

async function listen(path: string, lastEventId?: string, base = http.url): Promise<Listening> {
  const headers = lastEventId === undefined ? {} : { "last-event-id": lastEventId };
  return new Listening(await fetch(base + path, { headers }));
}

let pools = 0;

async function aPool(): Promise<string> {
  pools += 1;
  return (await engine.createPool({ id: `p${pools}` })).id;
}

describe("the event stream", () => {
  test("S3-05 R-06 tells of every durable event with its number, and goes on after the last that was heard", async () => {
    const stream = await listen("/v1/events");
    expect(stream.response.status).toBe(200);
    expect(stream.response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    const pool = await aPool();
    await engine.submit(pool, { id: "told", prompt: "x" });
    await engine.cancel("told");
    const heard = await stream.until("task.settled");
    expect(heard.map(({ event }) => event)).toEqual(["pool.created", "task.submitted", "task.settled"]);
    const ids = heard.map(({ id }) => Number(id));
    expect(ids).toEqual([ids[0], (ids[0] ?? 0) + 1, (ids[0] ?? 0) + 2]);
    expect(heard[2]?.data).toMatchObject({ seq: ids[2], type: "task.settled", taskId: "told", status: "cancelled" });
    await stream.leave();

    const again = await listen("/v1/events", String(ids[0]));
    expect((await again.until("task.settled")).map(({ id }) => Number(id))).toEqual(ids.slice(1));
    await again.leave();
  });

  test("a number above the head is answered by a gap, and what happens then is told", async () => {
    const stream = await listen("/v1/events", "999999999");
    expect(await stream.next()).toMatchObject({ event: "gap", data: { after: 999999999 } });
    const pool = await aPool();
    expect(await stream.next()).toMatchObject({ event: "pool.created", data: { pool } });
    await stream.leave();
  });

  test.each(["x", "-1", "1.5", "99999999999999999"])("Last-Event-ID %s is no number of an event", async (id) => {
    const response = await fetch(`${http.url}/v1/events`, { headers: { "last-event-id": id } });
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ code: "invalid", path: "Last-Event-ID" });
  });

  test("the stream of a task tells how it is and what becomes of it, of nothing else; notices have no number", async () => {
    const pool = await aPool();
    await engine.submit(pool, { id: "mine", prompt: "x" });
    const stream = await listen("/v1/tasks/mine/events");
    expect(await stream.next()).toMatchObject({ event: "task", data: { taskId: "mine", status: "pending" } });
    await engine.submit(pool, { id: "other", prompt: "x", delayMs: 100_000 });
    const { id: agentId } = await engine.join(pool, { name: "ada" });
    const claimed = await engine.claim(agentId, { max: 1, waitMs: 0 }, new AbortController().signal);
    claimed.written();
    const fence = claimed.attempts[0]?.fence ?? 0;
    await engine.progress("mine", fence, { done: 0.5 });
    await engine.complete("mine", fence, "secret result");
    const heard = await stream.until("task.settled");
    expect(heard.map(({ event, id }) => [event, id !== undefined])).toEqual([
      ["task.leased", true],
      ["task.started", true],
      ["task.progressed", false],
      ["task.settled", true],
    ]);
    expect(JSON.stringify(heard)).not.toContain("secret result");
    await stream.leave();
    expect((await fetch(`${http.url}/v1/tasks/nobody/events`)).status).toBe(404);
  });

  test("ends when the server closes, at once", async () => {
    const own = await serveHttp({ engine, host: "127.0.0.1", port: 0, auth: "off" });
    const stream = await listen("/v1/events", undefined, own.url);
    const closed = own.close();
    expect(await stream.until("never")).toEqual(expect.any(Array));
    await closed;
  });

  test("ends when the engine closes", async () => {
    const own = await openMemoryEngine();
    const server = await serveHttp({ engine: own, host: "127.0.0.1", port: 0, auth: "off" });
    const stream = await listen("/v1/events", undefined, server.url);
    await own.close({ drainMs: 0 });
    await stream.until("never");
    await server.close();
  });

  test("whoever leaves is forgotten", async () => {
    const own = await openMemoryEngine();
    const server = await serveHttp({ engine: own, host: "127.0.0.1", port: 0, auth: "off" });
    const taken: unknown[] = [];
    // More than may listen at a time, one after the other.
    for (let n = 0; n < 300; n++) {
      const stream = await listen("/v1/events", undefined, server.url);
      taken.push(stream.response.status);
      await stream.leave();
    }
    expect(taken.filter((status) => status !== 200)).toEqual([]);
    await own.close({ drainMs: 0 });
    await server.close();
  });

  test("gives signs of life while nothing happens", async () => {
    const clock = createVirtualClock();
    const app = createApp(engine, { auth: "off", clock });
    const response = await app.request("/v1/tasks/mine/events", { headers: { "last-event-id": "999999999" } });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const text = async () => new TextDecoder().decode((await reader.read()).value);
    expect(await text()).toBe("retry: 1000\n\n");
    expect(await text()).toMatch(/^event: gap\n/);
    for (let n = 0; n < 2; n++) {
      const next = text();
      await clock.advance(HEARTBEAT_MS - 1);
      await clock.advance(1);
      expect(await next).toBe(": heartbeat\n\n");
    }
    await reader.cancel();
    await clock.advance(10 * HEARTBEAT_MS);
    expect(clock.nextAtMs).toBeUndefined();
  });
});
