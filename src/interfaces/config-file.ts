/** `troupe.yaml`: read, located by line, and checked against the schemas of server and pools. */
import { readFileSync, statSync } from "node:fs";
import { type Document, isAlias, isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { z } from "zod";
import { isPoolError, messageOf, PoolError } from "../base/errors.ts";
import { LIMIT_DEFAULTS } from "../engine/options/agent.ts";
import { type PoolOptionsInput, poolSchema, resolvePool } from "../engine/options/pool.ts";
import { routingSchema } from "../engine/routing.ts";
import { configProblem, type Origin, parseConfig, type Step, splitPath } from "./config-problem.ts";

/** 1 MB: a configuration is written by people. */
const FILE_LIMIT_BYTES = 1_048_576;
const POOLS_LIMIT = 1_000;
/** A day: longer than any task that is worth waiting for. */
const LONGEST_DRAIN_MS = 86_400_000;
/** 10 years. */
const LONGEST_EVENTS_MS = 3_650 * 86_400_000;

export const hostSchema = z.string().min(1, "expected a host name or an address").max(255);
/** 0 lets the system choose. */
export const portSchema = z.int().min(0).max(65_535);
export const authSchema = z.enum(["key", "off"]);
export const pathSchema = z.string().min(1, "expected a path").max(4_096);
export const storeSchema = z.string().min(1, "expected a store URL").max(4_096);
export const drainSchema = z.int().min(0).max(LONGEST_DRAIN_MS);

const serverSchema = z.strictObject({
  host: hostSchema.optional(),
  port: portSchema.optional(),
  auth: authSchema.optional(),
  /** Relative to the file. */
  data: pathSchema.optional(),
  store: storeSchema.optional(),
  shutdown: z.strictObject({ drainMs: drainSchema.optional() }).optional(),
  limits: z.strictObject({ maxProcesses: z.int().min(1).max(10_000).optional() }).optional(),
  /** What readers that come back can be told of. */
  events: z
    .strictObject({
      count: z.int().min(1).max(100_000_000).optional(),
      ageMs: z.int().min(1_000).max(LONGEST_EVENTS_MS).optional(),
    })
    .optional(),
  categories: routingSchema.shape.categories,
  fitness: routingSchema.shape.fitness,
});

/** `pools` is read apart, because it is a list or a map. */
const fileSchema = z.strictObject({ server: z.unknown(), pools: z.unknown() }).partial();

/** What a file may hold, as a JSON Schema: for editors, and for whoever writes files by program. */
export function configFileSchema(): object {
  const pools = z.union([z.array(poolSchema.required({ id: true })), z.record(z.string(), poolSchema.nullable())]);
  const file = z.strictObject({ server: serverSchema.nullish(), pools: pools.nullish() });
  return { title: "troupe.yaml", ...z.toJSONSchema(file, { io: "input", unrepresentable: "any" }) };
}

export interface ConfigFile {
  readonly server: z.output<typeof serverSchema>;
  readonly pools: readonly PoolOptionsInput[];
}

/**
 * Reads and checks a configuration file. An empty file is a configuration without pools.
 *
 * @param path - absolute
 * @param shown - how messages name the file
 * @throws PoolError `config_invalid`: `troupe.yaml:12: pools[0].queue.limit: expected …`
 */
export function readConfigFile(path: string, shown: string): ConfigFile {
  const lines = new LineCounter();
  const document = parseDocument(readText(path, shown), { lineCounter: lines, prettyErrors: false });
  const origin = fileOrigin(document, lines, shown);
  const [broken] = document.errors;
  if (broken !== undefined) {
    const line = lines.linePos(broken.pos[0]).line;
    throw new PoolError("config_invalid", `${shown}:${line}: ${firstLine(broken.message)}`, {
      details: { file: shown, line },
      cause: broken,
    });
  }
  const top = parseConfig(fileSchema, plainValue(document, shown) ?? {}, origin);
  const server = parseConfig(serverSchema, top.server ?? {}, origin, ["server"]);
  return { server, pools: readPools(top.pools, server.limits?.maxProcesses, origin) };
}

function readText(path: string, shown: string): string {
  try {
    const { size } = statSync(path);
    if (size <= FILE_LIMIT_BYTES) return readFileSync(path, "utf8");
    throw new PoolError("config_invalid", `${shown}: ${size} bytes, at most ${FILE_LIMIT_BYTES} are read`);
  } catch (cause) {
    if (isPoolError(cause)) throw cause;
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    const message = missing ? `${shown}: there is no such file` : `${shown}: ${messageOf(cause)}`;
    throw new PoolError("config_invalid", message, { cause, details: { file: shown } });
  }
}

/** Refuses documents whose aliases unfold to too much. */
function plainValue(document: Document, shown: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    throw new PoolError("config_invalid", `${shown}: ${messageOf(cause)}`, { cause, details: { file: shown } });
  }
}

function readPools(value: unknown, maxProcesses: number | undefined, origin: Origin): PoolOptionsInput[] {
  const seen = new Set<string>();
  return poolEntries(value, origin).map(({ steps, options }) => {
    const pool = parseConfig(poolSchema, options, origin, steps);
    if (pool.id === undefined) throw configProblem(origin, [...steps, "id"], "a pool of the file needs an id");
    if (seen.has(pool.id)) throw configProblem(origin, [...steps, "id"], `two pools are called ${pool.id}`);
    seen.add(pool.id);
    pool.agents?.forEach((agent, index) => {
      if (agent.kind !== "function") return;
      throw configProblem(
        origin,
        [...steps, "agents", index, "kind"],
        "expected daemon or command: functions can only be given by a program that uses the library",
      );
    });
    checkRelations(pool, maxProcesses ?? LIMIT_DEFAULTS.maxProcesses, origin, steps);
    return pool as PoolOptionsInput;
  });
}

/** A list of pools with ids, or a map from id to options. */
function poolEntries(value: unknown, origin: Origin): { steps: Step[]; options: unknown }[] {
  if (value === undefined || value === null) return [];
  if (typeof value !== "object")
    throw configProblem(origin, ["pools"], `expected a list or a map, got ${typeof value}`);
  const entries: { steps: Step[]; options: unknown }[] = Array.isArray(value)
    ? value.map((options: unknown, index) => ({ steps: ["pools", index], options }))
    : Object.entries(value).map(([id, options]) => ({ steps: ["pools", id], options: named(id, options, origin) }));
  if (entries.length > POOLS_LIMIT) {
    throw configProblem(origin, ["pools"], `${entries.length} pools, at most ${POOLS_LIMIT} are taken`);
  }
  return entries;
}

function named(id: string, options: unknown, origin: Origin): unknown {
  if (options === null) return { id };
  if (typeof options !== "object" || Array.isArray(options)) return options;
  const inner = (options as { id?: unknown }).id;
  if (inner !== undefined && inner !== id) {
    throw configProblem(origin, ["pools", id, "id"], `the pool is already called ${id}`);
  }
  return { ...options, id };
}

/** What the options must hold to one another, as the engine will ask. */
function checkRelations(pool: unknown, maxProcesses: number, origin: Origin, steps: readonly Step[]): void {
  try {
    resolvePool(pool, () => "pool", { ...LIMIT_DEFAULTS, maxProcesses });
  } catch (error) {
    if (!isPoolError(error, "invalid")) throw error;
    const path = typeof error.details.path === "string" ? error.details.path : "";
    const said = error.message.startsWith(`${path}: `) ? error.message.slice(path.length + 2) : error.message;
    throw configProblem(origin, [...steps, ...splitPath(path)], said, error);
  }
}

function fileOrigin(document: Document, lines: LineCounter, shown: string): Origin {
  return {
    place: (steps) => {
      const line = lines.linePos(offsetOf(document, steps)).line;
      return { text: `${shown}:${line}`, details: { file: shown, line } };
    },
  };
}

/** Where the value at a path is written; of what is not there, where the nearest thing around it begins. */
function offsetOf(document: Document, steps: readonly Step[]): number {
  let node = isNode(document.contents) ? resolved(document, document.contents) : undefined;
  let offset = node?.range?.[0] ?? 0;
  for (const step of steps) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => String(isScalar(key) ? key.value : key) === String(step));
      if (pair === undefined) break;
      offset = (isNode(pair.key) ? pair.key.range?.[0] : undefined) ?? offset;
      node = isNode(pair.value) ? resolved(document, pair.value) : undefined;
    } else if (isSeq(node)) {
      const item = typeof step === "number" ? node.items[step] : undefined;
      if (!isNode(item)) break;
      offset = item.range?.[0] ?? offset;
      node = resolved(document, item);
    } else break;
  }
  return offset;
}

function resolved(document: Document, node: Node): Node | undefined {
  return isAlias(node) ? node.resolve(document) : node;
}

const firstLine = (text: string): string => text.split("\n", 1)[0] ?? text;
