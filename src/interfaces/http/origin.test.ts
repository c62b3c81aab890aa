import { Hono } from "hono";
import { describe, expect, test } from "vitest";
import type { AppEnv } from "./context.ts";
import { type Hosts, isLoopback, originCheck } from "./origin.ts";
import { problemOf } from "./problem.ts";

async function statusOf(hosts: Hosts, method: string, headers: Record<string, string>): Promise<number> {
  const app = new Hono<AppEnv>();
  app.use(originCheck(hosts));
  app.all("*", (c) => c.text("in"));
  app.onError((error, c) => c.json(problemOf(error), problemOf(error).status));
  return (await app.request("http://localhost/", { method, headers })).status;
}

describe("a Host that names this machine", () => {
  test.each([
    "localhost",
    "LOCALHOST:8000",
    "app.localhost",
    "127.0.0.1",
    "127.0.0.1:8000",
    "127.255.255.254:1",
    "127.1",
    "[::1]",
    "[::1]:8000",
    "[0:0:0:0:0:0:0:1]:80",
  ])("%s is loopback", (host) => {
    expect(isLoopback(host)).toBe(true);
  });

  test.each([
    "",
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evillocalhost",
    "128.0.0.1",
    "0.0.0.0",
    "[::]",
    "[::2]",
    "::1",
    "evil@localhost",
    "localhost/evil.example",
    "localhost:99999",
    "localhost:",
    "local host",
  ])("%j is not", (host) => {
    expect(isLoopback(host)).toBe(false);
  });
});

describe("on loopback", () => {
  test.each(["GET", "HEAD", "POST", "DELETE"])("a %s under a foreign Host is forbidden", async (method) => {
    expect(await statusOf("loopback", method, { host: "evil.example" })).toBe(403);
    expect(await statusOf("loopback", method, { host: "localhost:8000" })).toBe(200);
  });

  test("without a Host header the address of the request counts", async () => {
    expect(await statusOf("loopback", "GET", {})).toBe(200);
  });

  test.each(["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])(
    "a %s from a page elsewhere is forbidden",
    async (method) => {
      expect(await statusOf("loopback", method, { host: "127.0.0.1:8000", origin: "https://evil.example" })).toBe(403);
    },
  );

  test.each(["null", "", "http://127.0.0.1:3000", "http://localhost", "file:///etc", "http://evil.example:8000", "x"])(
    "a POST from the origin %j is forbidden",
    async (origin) => {
      expect(await statusOf("loopback", "POST", { host: "127.0.0.1:8000", origin })).toBe(403);
    },
  );

  test.each(["http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"])(
    "a POST from our own page at %s is taken",
    async (origin) => {
      expect(await statusOf("loopback", "POST", { host: "127.0.0.1:8000", origin })).toBe(200);
    },
  );

  test("a GET may come from any page, and a POST from no page at all", async () => {
    expect(await statusOf("loopback", "GET", { host: "localhost", origin: "https://evil.example" })).toBe(200);
    expect(await statusOf("loopback", "POST", { host: "localhost" })).toBe(200);
  });
});

describe("under a public name", () => {
  test("any Host is taken, and pages of that very host", async () => {
    const own = { host: "troupe.example", origin: "https://troupe.example" };
    expect(await statusOf("any", "POST", own)).toBe(200);
    expect(await statusOf("any", "POST", { ...own, host: "troupe.example:443" })).toBe(200);
    expect(await statusOf("any", "POST", { ...own, origin: "https://evil.example" })).toBe(403);
    expect(await statusOf("any", "POST", { ...own, origin: "https://troupe.example:8443" })).toBe(403);
    expect(await statusOf("any", "POST", { ...own, origin: "http://localhost" })).toBe(403);
  });
});
