/** An entry of a pool's `agents`, and how each kind is started. */
import { z } from "zod";
import { AGENT_KINDS, type AgentKind } from "../../core/agent.ts";
import {
  type AgentTemplate,
  type CommandOptions,
  type DaemonOptions,
  LAST_PORT,
  type ProbeOptions,
} from "../../core/pool.ts";
import type { RestartOptions } from "../../policies/restart.ts";
import { check, given, missing } from "./parse.ts";
import { count, duration, id, jitter, jsonObject, name, share, text } from "./words.ts";

export const restartSchema = z.strictObject({
  delayMs: duration(0).optional(),
  factor: z.number().min(1).max(100).optional(),
  capMs: duration(0).optional(),
  jitter: jitter.optional(),
  max: count(0, 1_000_000).optional(),
  windowMs: duration(1).optional(),
  stableMs: duration(1).optional(),
  quarantineMs: duration(0).optional(),
  /** Whether the dead are replaced up to the pool's size, or only while fewer than `size.min` can work. */
  upTo: z.enum(["size", "min"]).optional(),
});

export const probeSchema = z.strictObject({
  intervalMs: duration(10).optional(),
  timeoutMs: duration(1).optional(),
  fall: count(1, 1_000).optional(),
  rise: count(1, 1_000).optional(),
});

export const daemonSchema = z.strictObject({
  program: text(4_096).min(1),
  args: z.array(text(65_536)).max(1_000).optional(),
  path: z.string().startsWith("/").max(2_048).optional(),
  basePort: count(0, 65_535).optional(),
  healthPath: z.string().startsWith("/").max(2_048).optional(),
  readyTimeoutMs: duration(1).optional(),
  readyIntervalMs: duration(1).optional(),
  readyProbeMs: duration(1).optional(),
  readyShare: share.optional(),
  logTemplate: text(4_096).optional(),
  link: z.array(text(4_096)).max(1_000).optional(),
  token: text(4_096).optional(),
  /** More memory than a process may hold: it is started anew once it is empty. Where the system tells of it. */
  memoryLimitMb: count(1, 1_048_576).optional(),
  /** Attempts that a process is given before it is started anew. */
  recycleAfter: count(1, 1_000_000_000).optional(),
});

const commandFields = {
  program: text(4_096).min(1),
  args: z.array(text(65_536)).max(1_000).optional(),
  stdin: z.enum(["prompt", "json", "none"]).optional(),
  output: z.enum(["text", "json", "jsonl"]).optional(),
  exitCodes: z
    .strictObject({ task: z.array(count(1, 255)).optional(), throttle: z.array(count(1, 255)).optional() })
    .optional(),
};

export const agentSchema = z.strictObject({
  kind: z.enum(AGENT_KINDS),
  name: name.optional(),
  count: count(1, 10_000).optional(),
  capabilities: z.array(name).max(1_000).optional(),
  concurrency: count(1, 100_000).optional(),
  weight: z.number().min(0).max(1_000_000).optional(),
  priority: z.int().min(-1_000_000).max(1_000_000).optional(),
  metadata: jsonObject.optional(),
  rate: z
    .strictObject({
      requestsPerMinute: count(1, 10_000_000).optional(),
      tokensPerMinute: count(1, 1_000_000_000).optional(),
      key: name.optional(),
    })
    .optional(),
  env: z.record(z.string(), z.string()).optional(),
  daemon: daemonSchema.optional(),
  command: z.strictObject(commandFields).optional(),
  restart: restartSchema.optional(),
  probe: z.union([z.literal(false), probeSchema]).optional(),
  ...commandFields,
  program: commandFields.program.optional(),
});

export type AgentInput = z.output<typeof agentSchema>;

const ownId = text(256).min(1);

/** Ids that nobody else may have; new ones are made of those that are not brought. */
export const isolationFields = {
  contextWindowId: ownId.optional(),
  toolSessionId: ownId.optional(),
  memoryHandleId: ownId.optional(),
};

const { capabilities, concurrency, weight, priority, metadata, rate } = agentSchema.shape;

/** What may be changed of an agent; what is not named stays. A rate of null is none. */
export const agentChangeSchema = z.strictObject({
  capabilities,
  concurrency,
  weight,
  priority,
  metadata,
  rate: rate.nullable(),
  ...isolationFields,
});

export type AgentChangeInput = z.input<typeof agentChangeSchema>;

/** An agent that is added to a pool by itself: an entry as those of `agents`, for one. */
export const newAgentSchema = agentSchema.omit({ count: true }).extend({ id: id.optional(), ...isolationFields });

export type NewAgentInput = z.input<typeof newAgentSchema>;

const DAEMON_DEFAULTS: Omit<DaemonOptions, "program"> = {
  args: [],
  path: "/",
  basePort: 8080,
  healthPath: "/health",
  readyTimeoutMs: 30_000,
  readyIntervalMs: 200,
  readyProbeMs: 500,
  readyShare: 0.5,
  link: [],
};

const COMMAND_DEFAULTS: Omit<CommandOptions, "program"> = {
  args: [],
  stdin: "prompt",
  output: "text",
  exitCodes: { task: [65], throttle: [75] },
};

/** 10 s: three missed checks make half a minute, the length of a lease. */
export const PROBE_DEFAULTS = { intervalMs: 10_000, timeoutMs: 2_000, fall: 3, rise: 2 };

/** Limits of the server that options may not pass. */
export interface Limits {
  /** Agents of process kinds per pool. */
  readonly maxProcesses: number;
}

export const LIMIT_DEFAULTS: Limits = { maxProcesses: 100 };

/** What an entry takes from its pool, and where it stands. */
interface AgentContext {
  readonly path: string;
  readonly count: number;
  /** `size` drives it. */
  readonly sized: boolean;
  readonly daemon: z.output<typeof daemonSchema> | undefined;
  readonly restart: RestartOptions;
  readonly probe: ProbeOptions | false;
}

export function resolveAgent(
  entry: AgentInput,
  { path, count, sized, daemon, restart, probe }: AgentContext,
): AgentTemplate {
  check(entry.name === undefined || entry.count === undefined, `${path}.count`, "an entry with a name is one agent");
  const template: AgentTemplate = {
    kind: entry.kind,
    name: entry.name,
    count,
    sized,
    capabilities: [...new Set(entry.capabilities ?? [])],
    concurrency: entry.concurrency ?? 1,
    weight: entry.weight ?? 1,
    priority: entry.priority ?? 0,
    metadata: entry.metadata,
    rate: entry.rate,
    env: entry.env ?? {},
    restart: { ...restart, ...given(entry.restart) },
    probe: entry.probe === undefined ? probe : entry.probe && { ...PROBE_DEFAULTS, ...probe, ...given(entry.probe) },
  };
  if (entry.kind === "daemon") return { ...template, daemon: resolveDaemon(entry.daemon ?? daemon, path) };
  if (entry.kind === "command") return { ...template, command: resolveCommand(entry, path) };
  check(entry.kind !== "remote", `${path}.kind`, "remote agents join by themselves; leave them out");
  return template;
}

/**
 * The entry of one more agent. How it is started is said by itself, or as by the pool's entry of its kind.
 *
 * @param like - what the pool has of its kind
 */
export function resolveNewAgent(
  entry: z.output<typeof newAgentSchema>,
  like: AgentTemplate | undefined,
  { restart, probe }: Pick<AgentContext, "restart" | "probe">,
): AgentTemplate {
  const { kind } = entry;
  if (kind === "function") throw missing("kind", "function agents can only be given in process, by functionAgent()");
  check(kind !== "remote", "kind", "remote agents join by themselves");
  const ownProgram = kind === "daemon" ? entry.daemon : (entry.command ?? entry.program);
  const base = { restart: like?.restart ?? restart, probe: like?.probe ?? probe };
  const context = { path: "", count: 1, sized: false, daemon: undefined, ...base };
  if (ownProgram !== undefined || like === undefined) return resolveAgent(entry, context);
  const template = resolveAgent({ ...entry, kind: "function" }, context);
  const capabilities = entry.capabilities === undefined ? like.capabilities : template.capabilities;
  const env = { ...like.env, ...template.env };
  return { ...template, kind, capabilities, env, daemon: like.daemon, command: like.command };
}

const under = (path: string, field: string): string => (path === "" ? field : `${path}.${field}`);

function resolveDaemon(daemon: z.output<typeof daemonSchema> | undefined, path: string): DaemonOptions {
  if (daemon === undefined) throw missing(under(path, "daemon"), "expected how the daemon is started");
  return { ...DAEMON_DEFAULTS, ...given(daemon), program: daemon.program };
}

function resolveCommand(entry: AgentInput, path: string): CommandOptions {
  const { program, args, stdin, output, exitCodes } = entry.command ?? entry;
  if (program === undefined) throw missing(under(path, "program"), "expected the program to run");
  return {
    program,
    args: args ?? COMMAND_DEFAULTS.args,
    stdin: stdin ?? COMMAND_DEFAULTS.stdin,
    output: output ?? COMMAND_DEFAULTS.output,
    exitCodes: { ...COMMAND_DEFAULTS.exitCodes, ...given(exitCodes) },
  };
}

export function isProcess(kind: AgentKind): boolean {
  return kind === "daemon" || kind === "command";
}

/** @param max - what the entry that `size` drives may grow to */
export function checkAgents(agents: readonly AgentTemplate[], { max, limits }: { max: number; limits: Limits }): void {
  const names = new Set<string>();
  let processes = 0;
  let ordinal = 0;
  agents.forEach((agent, index) => {
    if (agent.name !== undefined) {
      check(!names.has(agent.name), `agents[${index}].name`, `two agents are called ${agent.name}`);
      names.add(agent.name);
    }
    ordinal += agent.count;
    if (isProcess(agent.kind)) processes += agent.sized ? max : agent.count;
    if (agent.daemon === undefined || agent.daemon.basePort === 0) return;
    const last = agent.daemon.basePort + ordinal - 1;
    check(last <= LAST_PORT, "daemon.basePort", `ports up to ${last} would be needed, ${LAST_PORT} is the last`);
  });
  const { maxProcesses } = limits;
  check(processes <= maxProcesses, "size", `${processes} processes, at most ${maxProcesses} are allowed`);
}
