import { Hono } from "hono";
import { describe, expect, test } from "vitest";
import { type Auth, authCheck } from "./auth.ts";
import type { AppEnv } from "./context.ts";
import { headersOf, problemOf } from "./problem.ts";

const KEY = "k3y-_.~+/=";

function askAs(auth: Auth, path: string, init: RequestInit = {}): Promise<Response> {
  const app = new Hono<AppEnv>();
  app.use(authCheck(auth));
  app.all("*", (c) => c.text("in"));
  app.onError((error, c) => c.json(problemOf(error), problemOf(error).status, headersOf(problemOf(error))));
  return Promise.resolve(app.request(path, init));
}

const statusWith = async (authorization: string): Promise<number> =>
  (await askAs({ key: KEY }, "/v1/tasks", { headers: { authorization } })).status;

describe("the key", () => {
  test.each([`Bearer ${KEY}`, `bearer ${KEY}`, `BEARER   ${KEY}`])("opens when presented as %j", async (header) => {
    expect(await statusWith(header)).toBe(200);
  });

  test.each([
    "",
    KEY,
    "Bearer",
    "Bearer ",
    `Basic ${KEY}`,
    `Bearer${KEY}`,
    `Bearer ${KEY}x`,
    `Bearer ${KEY.slice(0, -1)}`,
    `Bearer ${KEY.toUpperCase()}`,
    `Bearer ${KEY} ${KEY}`,
    `Bearer wrong, Bearer ${KEY}`,
  ])("does not open when presented as %j", async (header) => {
    expect(await statusWith(header)).toBe(401);
  });

  test("missing or wrong, the answer names the command that prints it", async () => {
    for (const headers of [{}, { authorization: "Bearer wrong" }]) {
      const response = await askAs({ key: KEY }, "/v1/tasks", { headers });
      expect(response.status).toBe(401);
      expect(response.headers.get("www-authenticate")).toContain("Bearer");
      const problem = (await response.json()) as { code: string; detail: string };
      expect(problem.code).toBe("unauthorized");
      expect(problem.detail).toContain("troupe key");
      expect(problem.detail).not.toContain(KEY);
    }
  });

  test("is not needed when auth is off", async () => {
    expect((await askAs("off", "/v1/tasks")).status).toBe(200);
  });
});

describe("without a key", () => {
  test.each(["/health", "/livez", "/readyz"])("%s may be read", async (path) => {
    expect((await askAs({ key: KEY }, path)).status).toBe(200);
    expect((await askAs({ key: KEY }, path, { method: "HEAD" })).status).toBe(200);
  });

  test.each([
    "/",
    "/health/",
    "/health/pool",
    "/HEALTH",
    "/livez/x",
    "//health",
    "/v1/../health2",
    "/v1/%2e%2e/healthz",
  ])("%s may not", async (path) => {
    expect((await askAs({ key: KEY }, `http://localhost${path}`)).status).toBe(401);
  });

  test("nothing may be changed, not even under an open path", async () => {
    expect((await askAs({ key: KEY }, "/health", { method: "POST" })).status).toBe(401);
  });
});
