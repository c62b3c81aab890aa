import { tmpdir } from "node:os";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { ERROR_CODES } from "../../base/errors.ts";
import { openEngine } from "../../engine/open.ts";
import type { Engine } from "../../engine/troupe.ts";
import { createMemoryStore } from "../../stores/memory.ts";
import { createApp } from "./app.ts";
import { OPEN_PATHS } from "./auth.ts";
import type { App } from "./context.ts";
import { type OpenApi, openApi } from "./openapi.ts";
import { OPERATIONS } from "./operations.ts";

let engine: Engine;
let app: App;

beforeAll(async () => {
  engine = await openEngine({ store: createMemoryStore(), dataDir: tmpdir() });
  app = createApp(engine, { auth: { key: "k" } });
});

afterAll(() => engine.close({ drainMs: 0 }));

const headers = { authorization: "Bearer k", host: "localhost" };

async function documented(): Promise<OpenApi> {
  const response = await app.request("/openapi.json", { headers });
  expect(response.status).toBe(200);
  return (await response.json()) as OpenApi;
}

test("the document that is served is made of that list", async () => {
  const { openapi, paths } = await documented();
  expect(openapi).toBe("3.1.0");
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(routes.toSorted()).toEqual(Object.keys(OPERATIONS).toSorted());
});

test("every reference leads somewhere, and every operation has a name of its own", async () => {
  const document = await documented();
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, to]) => to as string);
  expect(references.length).toBeGreaterThan(100);
  for (const reference of new Set(references)) {
    const found = reference
      .replace("#/", "")
      .split("/")
      .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], document);
    expect(found, reference).toBeDefined();
  }
  const names = Object.values(document.paths).flatMap((methods) =>
    Object.values(methods).map((each) => each.operationId),
  );
  expect(new Set(names).size).toBe(names.length);
});

test("every operation refuses with a problem whose codes are those of the product", async () => {
  const { paths, components } = await documented();
  for (const methods of Object.values(paths)) {
    for (const { responses } of Object.values(methods)) {
      expect(responses).toMatchObject({ default: { $ref: "#/components/responses/Problem" } });
    }
  }
  expect(components.schemas.Problem).toMatchObject({ properties: { code: { enum: ERROR_CODES } } });
});

test("only what anybody may ask needs no key", async () => {
  const { paths, security } = await documented();
  expect(security).toEqual([{ key: [] }]);
  const open = Object.entries(paths).filter(([, methods]) => Object.values(methods).some((each) => "security" in each));
  expect(open.map(([path]) => path).toSorted()).toEqual([...OPEN_PATHS].toSorted());
  expect((await app.request("/openapi.json")).status).toBe(401);
});

test.each([
  ["{ prompt } is a task", "/v1/pools/{pool}/tasks", { prompt: "x" }, true],
  ["an unknown field is not one of a task", "/v1/pools/{pool}/tasks", { prompt: "x", colour: "red" }, false],
  ["a priority has five names", "/v1/pools/{pool}/tasks", { prompt: "x", priority: "urgent" }, false],
  ["an agent of its own kind may be added", "/v1/pools/{pool}/agents", { kind: "remote", name: "ada" }, true],
])("the schemas of bodies say what the server checks: %s", async (_, path, body, isGood) => {
  const { paths } = await documented();
  const { requestBody } = (paths[path]?.post ?? {}) as {
    requestBody?: { content: { "application/json": { schema: object } } };
  };
  const schema = z.fromJSONSchema(requestBody?.content["application/json"].schema as never);
  expect(schema.safeParse(body).success).toBe(isGood);
});

test("parameters of path and query are there, with their bounds", async () => {
  const { paths } = await documented();
  expect(paths["/v1/tasks/{id}"]?.get?.parameters).toEqual([
    { name: "id", in: "path", required: true, schema: { type: "string" } },
    expect.objectContaining({ name: "waitMs", in: "query", required: false }),
  ]);
  const listed = (paths["/v1/tasks"]?.get?.parameters ?? []) as { name: string }[];
  expect(listed.map(({ name }) => name)).toEqual(["pool", "status", "type", "limit", "cursor"]);
});

test("/docs is a page of text: nothing in it runs, and its policy allows nothing but its own style", async () => {
  const response = await app.request("/docs", { headers });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toMatch(/^text\/html/);
  const policy = response.headers.get("content-security-policy") ?? "";
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toContain("unsafe");
  const page = await response.text();
  for (const route of Object.keys(OPERATIONS)) expect(page).toContain(`<h2>${route}</h2>`);
  expect(page).not.toMatch(/<script|javascript:| on\w+=| style=/i);
  expect(openApi().info).toMatchObject({ title: "Troupe" });
});
