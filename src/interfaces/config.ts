/**
 * The configuration of a server: `troupe.yaml`, `TROUPE_*` variables over it, flags over those.
 */
import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { z } from "zod";
import { MARK_VARIABLE } from "../agents/mark.ts";
import { PoolError } from "../base/errors.ts";
import { LIMIT_DEFAULTS, type Limits } from "../engine/options/agent.ts";
import type { PoolOptionsInput } from "../engine/options/pool.ts";
import type { RoutingInput } from "../engine/routing.ts";
import type { GivenEventLimits } from "../stores/event-limits.ts";
import { DEFAULT_FILE } from "../stores/open.ts";
import {
  authSchema,
  type ConfigFile,
  drainSchema,
  hostSchema,
  pathSchema,
  portSchema,
  readConfigFile,
  storeSchema,
} from "./config-file.ts";
import { type Origin, parseConfig } from "./config-problem.ts";
import { isLoopback as isLoopbackAuthority } from "./http/origin.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** What the command line gave, as text. Absent = not given. */
export interface ConfigFlags {
  readonly host?: string | undefined;
  readonly port?: string | undefined;
  readonly data?: string | undefined;
  readonly store?: string | undefined;
  readonly auth?: string | undefined;
}

export interface ConfigSources {
  /** Must exist when given; else `TROUPE_CONFIG`, else `troupe.yaml` of the working directory if there is one. */
  readonly file?: string | undefined;
  readonly env: Environment;
  readonly flags?: ConfigFlags | undefined;
  /** Relative paths of variables and flags are resolved against it; those of the file against the file's directory. */
  readonly cwd?: string | undefined;
}

export interface ServerConfig {
  /** The file that was read, absolute. */
  readonly file?: string | undefined;
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  readonly auth: "key" | "off";
  /** Absolute. */
  readonly data: string;
  /** `memory:` or `sqlite:<file>`; a relative file is in the data directory. */
  readonly store: string;
  readonly shutdown: { readonly drainMs: number };
  readonly limits: Limits;
  /** Durable events that are kept, and for how long; what the store does by itself where nothing is said. */
  readonly events: GivenEventLimits;
  /** How tasks that name no pool are given one. */
  readonly routing: RoutingInput;
  readonly pools: readonly PoolOptionsInput[];
  /** What is odd but not wrong, one sentence each. */
  readonly warnings: readonly string[];
}

export const SERVER_DEFAULTS = {
  host: "127.0.0.1",
  port: 8_000,
  auth: "key",
  data: "./.troupe",
  store: `sqlite:./${DEFAULT_FILE}`,
  /** 5 s: what orchestrators leave before they kill is 10 s. */
  drainMs: 5_000,
} as const;

export const CONFIG_FILE = "troupe.yaml";

/** The variables there are. Those of clients are known too, and the mark of a server inside an agent of another. */
const VARIABLES = [
  "TROUPE_HOST",
  "TROUPE_PORT",
  "TROUPE_DATA",
  "TROUPE_STORE",
  "TROUPE_AUTH",
  "TROUPE_CONFIG",
  "TROUPE_DRAIN_MS",
  "TROUPE_URL",
  "TROUPE_KEY",
  MARK_VARIABLE,
] as const;

type Variable = (typeof VARIABLES)[number];

/**
 * The effective configuration, checked.
 *
 * @throws PoolError `config_invalid`: names file, line and path, or the variable, or the flag
 */
export function loadConfig({ file, env, flags = {}, cwd = process.cwd() }: ConfigSources): ServerConfig {
  const shown =
    file ?? given(env, "TROUPE_CONFIG") ?? (existsSync(resolve(cwd, CONFIG_FILE)) ? CONFIG_FILE : undefined);
  const path = shown === undefined ? undefined : resolve(cwd, shown);
  const { server, pools }: ConfigFile =
    path === undefined || shown === undefined ? { server: {}, pools: [] } : readConfigFile(path, shown);

  const over = <T>(schema: z.ZodType<T>, flag: keyof ConfigFlags | undefined, variable: Variable): T | undefined => {
    const flagged = flag === undefined ? undefined : flags[flag];
    if (flagged !== undefined) return parseText(schema, flagged, `--${flag}`);
    const text = given(env, variable);
    return text === undefined ? undefined : parseText(schema, text, variable);
  };
  const data = over(pathSchema, "data", "TROUPE_DATA");
  const host = over(hostSchema, "host", "TROUPE_HOST") ?? server.host ?? SERVER_DEFAULTS.host;
  const auth = over(authSchema, "auth", "TROUPE_AUTH") ?? server.auth ?? SERVER_DEFAULTS.auth;
  if (auth === "off" && !isLoopback(host)) {
    throw new PoolError("config_invalid", `auth: "off" is for loopback addresses only, the host is ${host}`, {
      details: { path: "server.auth", host },
    });
  }
  return {
    file: path,
    host,
    port: over(portSchema, "port", "TROUPE_PORT") ?? server.port ?? SERVER_DEFAULTS.port,
    auth,
    data: data === undefined ? dataOfFile(server.data, path, cwd) : resolve(cwd, data),
    store: over(storeSchema, "store", "TROUPE_STORE") ?? server.store ?? SERVER_DEFAULTS.store,
    shutdown: {
      drainMs: over(drainSchema, undefined, "TROUPE_DRAIN_MS") ?? server.shutdown?.drainMs ?? SERVER_DEFAULTS.drainMs,
    },
    limits: { ...LIMIT_DEFAULTS, maxProcesses: server.limits?.maxProcesses ?? LIMIT_DEFAULTS.maxProcesses },
    events: server.events ?? {},
    routing: { categories: server.categories, fitness: server.fitness },
    pools,
    warnings: unknownVariables(env),
  };
}

/** True for addresses and names that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return isLoopbackAuthority(host.includes(":") ? `[${host}]` : host);
}

/** A variable's text; an empty one counts as not set. */
export function given(env: Environment, variable: Variable): string | undefined {
  const text = env[variable];
  return text === "" ? undefined : text;
}

/** The data directory of a client or a local command: flag, variable, default. */
export function dataDirectory(flag: string | undefined, env: Environment, cwd = process.cwd()): string {
  return resolve(cwd, flag ?? given(env, "TROUPE_DATA") ?? SERVER_DEFAULTS.data);
}

function dataOfFile(data: string | undefined, file: string | undefined, cwd: string): string {
  if (data === undefined || file === undefined) return resolve(cwd, SERVER_DEFAULTS.data);
  return resolve(dirname(file), data);
}

/** Text becomes a number where it looks like one and a number is expected. */
function parseText<T>(schema: z.ZodType<T>, text: string, place: string): T {
  const origin: Origin = { place: () => ({ text: place, details: { source: place } }) };
  const asNumber = /^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : undefined;
  if (asNumber !== undefined) {
    const parsed = schema.safeParse(asNumber);
    if (parsed.success) return parsed.data;
    if (!schema.safeParse(text).success) return parseConfig(schema, asNumber, origin);
  }
  return parseConfig(schema, text, origin);
}

function unknownVariables(env: Environment): string[] {
  return Object.keys(env)
    .filter((name) => name.startsWith("TROUPE_") && !(VARIABLES as readonly string[]).includes(name))
    .sort()
    .map((name) => `the variable ${name} is not known`);
}
