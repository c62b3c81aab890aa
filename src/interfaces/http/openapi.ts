/** The document of this API, OpenAPI 3.1, made of the schemas that check what comes in and describe what goes out. */
import { z } from "zod";
import { ANSWERS } from "./answers.ts";
import { OPEN_PATHS } from "./auth.ts";
import { OPERATIONS, type Operation } from "./operations.ts";
import { PROBLEM_TYPE } from "./problem.ts";

type Json = { readonly [key: string]: unknown };

export interface OpenApi extends Json {
  readonly openapi: "3.1.0";
  readonly paths: { readonly [path: string]: { readonly [method: string]: Json } };
  readonly components: { readonly schemas: { readonly [name: string]: Json } } & Json;
}

const schemaNamed = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });

/** Of the API, as paths say it. */
const VERSION = "1";

export function openApi(): OpenApi {
  const paths: Record<string, Record<string, Json>> = {};
  for (const [route, operation] of Object.entries(OPERATIONS)) {
    const [method = "", path = ""] = route.split(" ");
    paths[path] = { ...paths[path], [method.toLowerCase()]: described(method, path, operation) };
  }
  const schemas = Object.entries(ANSWERS).map(([name, schema]) => [name, jsonSchema(schema, "output")]);
  return {
    openapi: "3.1.0",
    info: { title: "Troupe", version: VERSION },
    security: [{ key: [] }],
    paths,
    components: {
      securitySchemes: {
        key: { type: "http", scheme: "bearer", description: "`troupe key` prints it" },
      },
      schemas: Object.fromEntries(schemas),
      responses: {
        Problem: {
          description: "A refusal: `code` says which, `detail` why; 429 and 507 come with `Retry-After`",
          headers: { "Retry-After": { schema: { type: "integer" }, description: "Seconds" } },
          content: { [PROBLEM_TYPE]: { schema: schemaNamed("Problem") } },
        },
      },
    },
  };
}

function described(method: string, path: string, { summary, query, body, bodyIsOptional, answers }: Operation): Json {
  const parameters = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]): Json => {
    return { name, in: "path", required: true, schema: { type: "string" } };
  });
  const queried = Object.entries(query?.shape ?? {}).map(([name, schema]): Json => {
    return { name, in: "query", required: false, schema: jsonSchema(schema as z.ZodType, "input") };
  });
  const content = (schema: Json): Json => ({ content: { "application/json": { schema } } });
  const responses = Object.entries(answers).map(([status, name]): [string, Json] => {
    const isText = name.startsWith("text/");
    const shown = isText ? { content: { [name]: { schema: { type: "string" } } } } : content(schemaNamed(name));
    return [status, { description: Number(status) === 201 ? "Made" : "Done", ...shown }];
  });
  return {
    operationId: operationId(method, path),
    summary,
    ...(OPEN_PATHS.has(path) ? { security: [] } : {}),
    ...(parameters.length + queried.length === 0 ? {} : { parameters: [...parameters, ...queried] }),
    ...(body === undefined
      ? {}
      : { requestBody: { required: bodyIsOptional !== true, ...content(jsonSchema(body, "input")) } }),
    responses: { ...Object.fromEntries(responses), default: { $ref: "#/components/responses/Problem" } },
  };
}

/** `POST /v1/agents/{id}/claim` → `post_v1_agents_id_claim`. */
function operationId(method: string, path: string): string {
  return `${method.toLowerCase()}_${path.replaceAll(/\W+/g, "_").replaceAll(/^_|_$/g, "")}`;
}

function jsonSchema(schema: z.ZodType, io: "input" | "output"): Json {
  const { $schema: _, $defs: __, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  return withAnyJson(rest) as Json;
}

/** Only "any JSON" refers to itself, and that is what an empty schema says. */
function withAnyJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withAnyJson);
  if (typeof value !== "object" || value === null) return value;
  if ("$ref" in value && String(value.$ref).startsWith("#/$defs/")) return {};
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, withAnyJson(each)]));
}
