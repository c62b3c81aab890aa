import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type AppEnv, nodeOf } from "./context.ts";
import { followReply, waiting } from "./wait.ts";

const REQUEST = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

let server: Server;
let closing: AbortController;
let asked: PromiseWithResolvers<void>;
let aborted: PromiseWithResolvers<void>;
let go: PromiseWithResolvers<void>;
let fate: PromiseWithResolvers<string>;
let fates: string[];
let body: string;

const app = new Hono<AppEnv>();
app.get("/", async (c) => {
  await waiting(c, closing.signal, async (signal) => {
    signal.addEventListener("abort", () => aborted.resolve());
    if (signal.aborted) aborted.resolve();
    asked.resolve();
    await Promise.race([go.promise, closing.signal.aborted ? undefined : once(closing.signal, "abort")]);
  });
  const tell = (what: string) => () => {
    fates.push(what);
    fate.resolve(what);
  };
  followReply(nodeOf(c).outgoing, { written: tell("written"), broken: tell("broken") });
  return c.text(body);
});

beforeEach(async () => {
  closing = new AbortController();
  asked = Promise.withResolvers();
  aborted = Promise.withResolvers();
  go = Promise.withResolvers();
  fate = Promise.withResolvers();
  fates = [];
  body = "ok";
  server = createServer((incoming, outgoing) => void getRequestListener(app.fetch)(incoming, outgoing));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

async function ask(): Promise<Socket> {
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  socket.write(REQUEST);
  await asked.promise;
  return socket;
}

describe("a request that waits", () => {
  test("stops waiting when the client goes away, and its reply is broken", async () => {
    const socket = await ask();
    socket.destroy();
    await aborted.promise;
    go.resolve();
    expect(await fate.promise).toBe("broken");
  });

  test("stops waiting when the client resets the connection", async () => {
    const socket = await ask();
    socket.resetAndDestroy();
    await aborted.promise;
    go.resolve();
    expect(await fate.promise).toBe("broken");
  });

  test("stops waiting when the server closes, and is answered", async () => {
    const socket = await ask();
    closing.abort();
    await aborted.promise;
    expect(await fate.promise).toBe("written");
    socket.destroy();
  });

  test("does not begin to wait on a server that has closed", async () => {
    closing.abort();
    const socket = await ask();
    await aborted.promise;
    expect(await fate.promise).toBe("written");
    socket.destroy();
  });
});

describe("a reply", () => {
  test("is written when the socket has taken it, once", async () => {
    const socket = await ask();
    go.resolve();
    expect(await fate.promise).toBe("written");
    socket.destroy();
    await new Promise((resolve) => server.close(resolve));
    expect(fates).toEqual(["written"]);
  });

  test("is written also on a connection that ends with it", async () => {
    const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
    socket.write(REQUEST.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
    await asked.promise;
    go.resolve();
    expect(await fate.promise).toBe("written");
    socket.destroy();
  });

  test("to a connection that was reset a moment ago is broken", async () => {
    const socket = await ask();
    socket.resetAndDestroy();
    go.resolve();
    expect(await fate.promise).toBe("broken");
  });

  test("that the client does not read to its end is broken", async () => {
    // Larger than what the kernel keeps for a socket, so that the reply stays in ours.
    body = "x".repeat(32 * 1_048_576);
    const socket = await ask();
    socket.pause();
    go.resolve();
    await new Promise<void>((resolve) => {
      socket.once("readable", () => resolve());
    });
    socket.destroy();
    expect(await fate.promise).toBe("broken");
    expect(fates).toEqual(["broken"]);
  });

  test("in memory, without a socket, is written at once", async () => {
    go.resolve();
    expect(await (await app.request("/")).text()).toBe("ok");
    expect(fates).toEqual(["written"]);
  });
});
