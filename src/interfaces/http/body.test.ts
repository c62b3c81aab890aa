import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DEPTH_LIMIT, readBody } from "./body.ts";
import type { AppEnv } from "./context.ts";
import { problemOf } from "./problem.ts";

const LIMIT = 200;

const app = new Hono<AppEnv>();
let ended: (outcome: string) => void = () => {};
app.post("/", async (c) => c.json(await readBody(c, { limitBytes: LIMIT })));
app.post("/large", async (c) => c.json({ keys: Object.keys(await readBody(c)) }));
app.post("/optional", async (c) => c.json(await readBody(c, { optional: true })));
app.onError((error, c) => {
  ended(problemOf(error).code);
  return c.json(problemOf(error), problemOf(error).status);
});

let server: Server;
let url: string;

beforeAll(async () => {
  server = createServer((incoming, outgoing) => void getRequestListener(app.fetch)(incoming, outgoing));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(resolve));
});

type Body = string | Uint8Array | ReadableStream;

/** The two ways a body comes: through a socket, and in memory. */
const doors: readonly [string, (path: string, body: Body | undefined) => Promise<Response>][] = [
  [
    "a socket",
    (path, body) => fetch(url + path, { method: "POST", body: body ?? null, duplex: "half" } as RequestInit),
  ],
  [
    "memory",
    async (path, body) => app.request(path, { method: "POST", body: body ?? null, duplex: "half" } as RequestInit),
  ],
];

/** A body whose length is not announced. */
function chunked(...chunks: (string | Uint8Array)[]): ReadableStream {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks)
        controller.enqueue(typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk);
      controller.close();
    },
  });
}

const ofSize = (bytes: number): string => JSON.stringify({ a: "x".repeat(bytes - 8) });

const nested = (depth: number, open: string, close: string): string =>
  `{"a":${open.repeat(depth - 1)}${close.repeat(depth - 1)}}`;

describe.each(doors)("a body that comes through %s", (_door, send) => {
  test("is the object it holds", async () => {
    const value = { text: "ü🙂", list: [1, null, { deep: true }], empty: {} };
    expect(await (await send("/", JSON.stringify(value))).json()).toEqual(value);
    const bytes = new TextEncoder().encode(JSON.stringify(value));
    expect(await (await send("/", chunked(bytes.slice(0, 10), bytes.slice(10)))).json()).toEqual(value);
  });

  test("is taken at its limit, and refused one byte above", async () => {
    expect((await send("/", ofSize(LIMIT))).status).toBe(200);
    const refused = await send("/", ofSize(LIMIT + 1));
    expect(refused.status).toBe(413);
    expect(await refused.json()).toMatchObject({ code: "too_large", limitBytes: LIMIT });
  });

  test("is held to its limit when its length is not announced", async () => {
    const half = ofSize(LIMIT).slice(0, LIMIT / 2);
    expect((await send("/", chunked(half, ofSize(LIMIT).slice(LIMIT / 2)))).status).toBe(200);
    expect((await send("/", chunked(half, ofSize(LIMIT + 1).slice(LIMIT / 2)))).status).toBe(413);
  });

  test("counts bytes, not letters", async () => {
    expect((await send("/", JSON.stringify({ a: "ü".repeat(LIMIT / 2) }))).status).toBe(413);
  });

  test.each([
    "{",
    "{}}",
    "{'a':1}",
    "undefined",
    '{"a":1,}',
    "NaN",
    "a=b",
    new Uint8Array([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d]),
  ])("is malformed when it is not JSON: %s", async (body) => {
    const response = await send("/", body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: "malformed" });
  });

  test.each(["[]", "[{}]", "null", "1", '"{}"', "true"])("is invalid when it is %s, not an object", async (body) => {
    const response = await send("/", body);
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ code: "invalid", path: "" });
  });

  test("may be absent only where nothing is required", async () => {
    for (const body of ["", undefined]) {
      expect((await send("/", body)).status).toBe(400);
      expect(await (await send("/optional", body)).json()).toEqual({});
    }
    expect((await send("/optional", "{")).status).toBe(400);
  });

  test(`may be nested ${DEPTH_LIMIT} deep, not deeper`, async () => {
    for (const [open, close] of [
      ["[", "]"],
      ['{"a":', "}"],
    ] as const) {
      const inner = open === "[" ? "" : "1";
      const body = (depth: number) => nested(depth, open, close).replace(open + close, open + inner + close);
      expect((await send("/", body(DEPTH_LIMIT))).status).toBe(200);
      expect((await send("/large", body(DEPTH_LIMIT + 1))).status).toBe(422);
    }
  });

  test("nested a hundred thousand deep is refused without harm", async () => {
    const response = await send("/large", nested(100_000, "[", "]"));
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ code: "invalid" });
  });

  test.each([
    ['{"__proto__":{"x":1}}', "__proto__"],
    ['{"a":{"b":[0,{"__proto__":1}]}}', "a.b[1].__proto__"],
    ['{"\\u005f_proto__":null}', "__proto__"],
  ])("that reaches for a prototype is refused: %s", async (body, path) => {
    const response = await send("/", body);
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ code: "invalid", path });
  });
});

describe("a body that a socket announces", () => {
  /** Sends bytes as they are; resolves with all that came back once the server has ended the connection. */
  const raw = (bytes: string, until: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect(Number(new URL(url).port), "127.0.0.1", () => socket.write(bytes));
      let received = "";
      socket.setEncoding("utf8");
      socket.on("data", (data: string) => {
        received += data;
        if (received.includes(until)) {
          socket.destroy();
          resolve(received);
        }
      });
      socket.on("error", reject);
    });

  test("as too large is refused before any of it has come", async () => {
    const head = `POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${LIMIT + 1}\r\n\r\n`;
    expect(await raw(head, "too_large")).toContain("413 Payload Too Large");
  });

  test("in chunks is refused when the limit is passed, though no end has come", async () => {
    const chunk = "x".repeat(LIMIT + 1);
    const head = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    expect(await raw(`${head}${chunk.length.toString(16)}\r\n${chunk}\r\n`, "too_large")).toContain("413");
  });

  test("and that breaks off is malformed, not a fault of the server", async () => {
    const outcome = new Promise<string>((resolve) => {
      ended = resolve;
    });
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    socket.write("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{", () => socket.destroy());
    expect(await outcome).toBe("malformed");
  });
});
