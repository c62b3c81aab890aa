import { Hono } from "hono";
import { describe, expect, test } from "vitest";
import { createRandom, seededEntropy } from "../../base/random.ts";
import type { AppEnv } from "./context.ts";
import { trace } from "./trace.ts";

function askWith(headers: Record<string, string>): Promise<{ requestId: string | null; traceparent: string | null }> {
  const app = new Hono<AppEnv>();
  app.use(trace(seededEntropy(createRandom(1))));
  app.get("/", (c) => c.json({ requestId: c.get("requestId"), traceparent: c.get("traceparent") }));
  return Promise.resolve(app.request("/", { headers })).then(async (response) => {
    const echoed = {
      requestId: response.headers.get("x-request-id"),
      traceparent: response.headers.get("traceparent"),
    };
    expect(await response.json()).toEqual(echoed);
    return echoed;
  });
}

describe("S0-37 a request's id", () => {
  test.each(["a", "a".repeat(128), "req-1.2_3:4/5+6=7@8~9"])("is taken and echoed: %s", async (id) => {
    expect((await askWith({ "x-request-id": id })).requestId).toBe(id);
  });

  test.each(["", "a".repeat(129), "a b", 'a"b', "a<b>", "a,b"])("is made anew instead of taking %j", async (id) => {
    const { requestId } = await askWith({ "x-request-id": id });
    expect(requestId).not.toBe(id);
    expect(requestId).toMatch(/^[0-9a-f-]{32,36}$/);
  });
});

describe("a request's traceparent", () => {
  const [traceId, spanId] = ["4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"];

  test.each([`00-${traceId}-${spanId}-01`, `cc-${traceId}-${spanId}-00`])("is taken and echoed: %s", async (given) => {
    expect((await askWith({ traceparent: given })).traceparent).toBe(given);
  });

  test.each([
    `ff-${traceId}-${spanId}-01`,
    `00-${"0".repeat(32)}-${spanId}-01`,
    `00-${traceId}-${"0".repeat(16)}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${traceId}-${spanId}`,
    `00-${traceId}-${spanId}-01-x`,
    "",
  ])("is made anew instead of taking %j", async (given) => {
    const { traceparent } = await askWith({ traceparent: given });
    expect(traceparent).not.toBe(given);
    expect(traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  });

  test("is made when absent, and a new one each time", async () => {
    const app = new Hono<AppEnv>();
    app.use(trace(seededEntropy(createRandom(1))));
    app.get("/", (c) => c.text(c.get("traceparent")));
    const [one, two] = [await (await app.request("/")).text(), await (await app.request("/")).text()];
    expect(one).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    expect(two).not.toBe(one);
  });
});
