/**
 * Where all options meet: the schemas that every door validates with, the defaults, the relations between them.
 * Past `resolvePool` and `resolveTask` nothing is optional that has a default.
 */
import { z } from "zod";
import { PoolError } from "../base/errors.ts";
import { asPoolId, asTaskId, ID_PATTERN, type PoolId, type TaskId } from "../base/ids.ts";
import { AGENT_KINDS } from "../core/agent.ts";
import type {
  AgentTemplate,
  CommandOptions,
  DaemonOptions,
  PoolOptions,
  QueueOptions,
  SizeOptions,
} from "../core/pool.ts";
import { DEFAULT_PRIORITY, type Priority } from "../core/task.ts";
import { BACKOFF_DEFAULTS } from "../policies/backoff.ts";
import { STRATEGIES } from "../policies/balancer/strategies.ts";
import { BREAKER_DEFAULTS, type BreakerOptions } from "../policies/breaker/options.ts";
import { HEALTH_DEFAULTS, type HealthOptions } from "../policies/health.ts";
import { RESTART_DEFAULTS } from "../policies/restart.ts";
import { RETENTION_DEFAULTS } from "../policies/retention.ts";
import { RETRY_BUDGET_DEFAULTS, type RetryBudgetOptions } from "../policies/retry-budget.ts";

/** 30 days: nothing that is bounded by a duration may wait longer. */
const LONGEST_MS = 30 * 24 * 3_600_000;
/** 10 min: a submission that waits for room is kept in memory, and holds what was looked up for it. */
const LONGEST_HOLD_MS = 600_000;
/** 10 years of settled tasks. */
const LONGEST_KEPT_MS = 3_650 * 24 * 3_600_000;
/** Entries a list in a request may have. */
const LONGEST_LIST = 10_000;

const id = z.string().regex(ID_PATTERN, "expected 1 to 128 letters, digits, '.', '_' or '-'");
const name = z.string().min(1).max(128);
const text = (max: number) => z.string().max(max);
const count = (min: number, max: number) => z.int().min(min).max(max);
const duration = (minMs: number) => z.int().min(minMs).max(LONGEST_MS);
const share = z.number().min(0).max(1);
const instant = z.iso.datetime({ offset: true });
const jsonObject = z.record(z.string(), z.json());
/** Nobody is served with weight 0, so there is none. */
const weight = z.int().min(1).max(1_000_000);
const jitter = z.enum(["full", "equal", "none"]);

export const prioritySchema = z.union([
  z.enum(["critical", "high", "medium", "normal", "low"]),
  z.literal([1, 2, 3, 4]),
]);

const PRIORITY_NUMBERS: Readonly<Record<string, Priority>> = {
  critical: 1,
  high: 2,
  medium: 3,
  normal: 3,
  low: 4,
  1: 1,
  2: 2,
  3: 3,
  4: 4,
};

/** What a caller may set of a task. */
export const taskSchema = z
  .strictObject({
    id: id.optional(),
    type: id.optional(),
    /** Text for the agent; this or `input` is required. */
    prompt: z.string().optional(),
    /** Any JSON for the agent. */
    input: z.json().optional(),
    context: jsonObject.optional(),
    metadata: jsonObject.optional(),
    requires: z.array(id).max(64).optional(),
    priority: prioritySchema.optional(),
    dependencies: z.array(id).max(LONGEST_LIST).optional(),
    onDependencyFailure: z.enum(["cancel", "fail", "run"]).optional(),
    preferredAgent: name.optional(),
    /** Whose task it is: the keys of one pool take turns. */
    fairnessKey: z.string().min(1).max(256).optional(),
    /** Tasks of one key go to the same agent where the strategy is `affinity`. */
    affinityKey: z.string().min(1).max(256).optional(),
    idempotencyKey: z.string().min(1).max(256).optional(),
    maxAttempts: count(1, 1_000).optional(),
    retryable: z.boolean().optional(),
    timeoutMs: duration(1).optional(),
    deadlineAt: instant.optional(),
    /** Raises the priority once that share of the time between admission and `deadlineAt` is gone. */
    escalate: z.strictObject({ atShare: share, priority: prioritySchema }).optional(),
    runAt: instant.optional(),
    delayMs: duration(0).optional(),
    parentId: id.optional(),
  })
  .refine((task) => task.prompt !== undefined || task.input !== undefined, {
    path: ["prompt"],
    error: "expected a prompt or an input",
  })
  .refine((task) => task.runAt === undefined || task.delayMs === undefined, {
    path: ["delayMs"],
    error: "runAt and delayMs exclude each other",
  })
  .refine((task) => task.escalate === undefined || task.deadlineAt !== undefined, {
    path: ["escalate"],
    error: "expected a deadlineAt to escalate before",
  });

export type TaskInput = z.input<typeof taskSchema>;

const { shape } = taskSchema;

/** What may be changed of a dead letter that is replayed: not who it is, nor what depends on whom. */
export const editSchema = z.strictObject({
  type: shape.type,
  prompt: shape.prompt,
  input: shape.input,
  context: shape.context,
  metadata: shape.metadata,
  requires: shape.requires,
  priority: shape.priority,
  preferredAgent: shape.preferredAgent,
  fairnessKey: shape.fairnessKey,
  maxAttempts: shape.maxAttempts,
  retryable: shape.retryable,
  timeoutMs: shape.timeoutMs,
  deadlineAt: shape.deadlineAt,
});

export type EditInput = z.input<typeof editSchema>;

const backoffSchema = z.strictObject({
  baseMs: duration(0).optional(),
  factor: z.number().min(1).max(100).optional(),
  capMs: duration(0).optional(),
  jitter: jitter.optional(),
});

const retryBudgetSchema = z.strictObject({
  ratio: z.number().min(0).max(1_000).optional(),
  windowMs: duration(1).optional(),
  floor: count(0, 1_000_000).optional(),
});

const restartSchema = z.strictObject({
  delayMs: duration(0).optional(),
  factor: z.number().min(1).max(100).optional(),
  capMs: duration(0).optional(),
  jitter: jitter.optional(),
  max: count(0, 1_000_000).optional(),
  windowMs: duration(1).optional(),
  stableMs: duration(1).optional(),
  quarantineMs: duration(0).optional(),
});

const probeSchema = z.strictObject({
  intervalMs: duration(10).optional(),
  timeoutMs: duration(1).optional(),
  fall: count(1, 1_000).optional(),
  rise: count(1, 1_000).optional(),
});

const breakerSchema = z.strictObject({
  consecutive: count(1, 1_000_000).optional(),
  ratio: z.union([z.null(), z.number().gt(0).max(1)]).optional(),
  window: count(1, 10_000).optional(),
  minimum: count(1, 10_000).optional(),
  maxAgeMs: duration(1).optional(),
  openMs: duration(0).optional(),
  factor: z.number().min(1).max(100).optional(),
  capMs: duration(0).optional(),
  jitter: jitter.optional(),
  permits: count(1, 1_000).optional(),
  permitMs: duration(1).optional(),
  successes: count(1, 1_000).optional(),
  probeHalfOpens: z.boolean().optional(),
});

const healthSchema = z.strictObject({
  window: count(1, 10_000).optional(),
  minimum: count(1, 10_000).optional(),
  maxAgeMs: duration(1).optional(),
  degraded: share.optional(),
  unhealthy: share.optional(),
  consecutive: count(1, 1_000_000).optional(),
});

const daemonSchema = z.strictObject({
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

const agentSchema = z.strictObject({
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
  probe: probeSchema.optional(),
  ...commandFields,
  program: commandFields.program.optional(),
});

/** Options of a pool, the same words in the library, over HTTP and in YAML. */
export const poolSchema = z.strictObject({
  id: id.optional(),
  types: z.array(id).min(1).max(1_000).optional(),
  unknownType: z.enum(["refuse", "general"]).optional(),
  strategy: z.enum(STRATEGIES).optional(),
  /** Tasks may wait for a faster agent when that is expected to end sooner: `peak_ewma` and `score`. */
  holdBack: z.boolean().optional(),
  size: z
    .strictObject({
      min: count(1, 10_000).optional(),
      default: count(1, 10_000).optional(),
      max: count(1, 10_000).optional(),
    })
    .optional(),
  agents: z.array(agentSchema).max(10_000).optional(),
  queue: z
    .strictObject({
      limit: count(0, 10_000_000).optional(),
      overflow: z.enum(["reject", "wait"]).optional(),
      maxWaitMs: z.int().min(0).max(LONGEST_HOLD_MS).optional(),
      blockedLimit: count(0, 10_000_000).optional(),
      delayedLimit: count(0, 10_000_000).optional(),
      gatedLimit: count(0, 10_000_000).optional(),
    })
    .optional(),
  ageing: z.union([z.literal(false), z.strictObject({ stepMs: duration(1).optional() })]).optional(),
  serving: z
    .strictObject({
      critical: weight.optional(),
      high: weight.optional(),
      medium: weight.optional(),
      low: weight.optional(),
    })
    .optional(),
  keyConcurrency: count(1, 1_000_000).optional(),
  retry: z
    .strictObject({
      maxAttempts: count(1, 1_000).optional(),
      failover: z.enum(["immediate", "backoff"]).optional(),
      refundLimit: count(0, 10_000).optional(),
      backoff: backoffSchema.optional(),
      budget: z.union([z.literal(false), retryBudgetSchema]).optional(),
    })
    .optional(),
  lease: z.strictObject({ ttlMs: duration(100).optional(), renewMs: duration(10).optional() }).optional(),
  timeoutMs: duration(1).optional(),
  retention: z
    .strictObject({
      count: count(0, 100_000_000).optional(),
      ageMs: z.int().min(1).max(LONGEST_KEPT_MS).optional(),
      bytes: z.int().min(0).max(Number.MAX_SAFE_INTEGER).optional(),
    })
    .optional(),
  stuckMs: duration(1).optional(),
  onStuck: z.enum(["mark", "restart"]).optional(),
  stopMs: duration(0).optional(),
  abandonMs: duration(0).optional(),
  restart: restartSchema.optional(),
  probe: probeSchema.optional(),
  poisonLimit: count(0, 10_000).optional(),
  deadLetters: z.strictObject({ limit: count(0, 1_000_000).optional() }).optional(),
  daemon: daemonSchema.optional(),
  breaker: z.union([z.literal(false), breakerSchema]).optional(),
  health: z.union([z.literal(false), healthSchema]).optional(),
});

export type PoolOptionsInput = z.input<typeof poolSchema>;
type AgentInput = z.output<typeof agentSchema>;

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

/** 10,000 of each: minutes of work for most pools, and a few megabytes. 5 s: what a caller waits without asking why. */
const QUEUE_DEFAULTS: QueueOptions = {
  limit: 10_000,
  blockedLimit: 10_000,
  delayedLimit: 10_000,
  gatedLimit: 10_000,
  overflow: "reject",
  maxWaitMs: 5_000,
};

/** Each priority twice as often as the next. */
const SERVING_DEFAULTS = { critical: 8, high: 4, medium: 2, low: 1 };

/** 10 s: three missed checks make half a minute, the length of a lease. */
const PROBE_DEFAULTS = { intervalMs: 10_000, timeoutMs: 2_000, fall: 3, rise: 2 };
const SIZE_DEFAULTS: SizeOptions = { min: 1, default: 4, max: 16 };

/** Limits of the server that options may not pass. */
export interface Limits {
  /** Agents of process kinds per pool. */
  readonly maxProcesses: number;
}

export const LIMIT_DEFAULTS: Limits = { maxProcesses: 100 };

/** Parses with a schema; the first problem becomes `invalid` with its path. */
export function parseWith<T>(schema: z.ZodType<T>, value: unknown, path = ""): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  if (issue === undefined) throw new PoolError("invalid", "the value is not valid");
  throw problem(issue, path);
}

function problem(issue: z.core.$ZodIssue, root: string): PoolError {
  const steps = issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0] ?? ""] : issue.path;
  const path = steps.reduce<string>(
    (joined, step) =>
      typeof step === "number" ? `${joined}[${step}]` : joined === "" ? String(step) : `${joined}.${String(step)}`,
    root,
  );
  const message = issue.code === "unrecognized_keys" ? "this field is not known" : issue.message;
  return new PoolError("invalid", `${path === "" ? "the value" : path}: ${message}`, { details: { path } });
}

/** Drops what is undefined, so that a default is not overwritten by it. */
function given<T extends object>(options: T | undefined): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const kept: { [K in keyof T]?: Exclude<T[K], undefined> } = {};
  for (const key in options) {
    const value = options[key];
    if (value !== undefined) kept[key] = value as Exclude<T[typeof key], undefined>;
  }
  return kept;
}

/**
 * Validates and completes the options of a pool.
 *
 * @param makeId - draws the id when none is given
 * @throws PoolError `invalid` with the path of the first problem
 */
export function resolvePool(input: unknown, makeId: () => string, limits: Limits = LIMIT_DEFAULTS): PoolOptions {
  const parsed = parseWith(poolSchema, input ?? {});
  const size = resolveSize(parsed.size);
  const restart = { ...RESTART_DEFAULTS, ...given(parsed.restart) };
  const probe = { ...PROBE_DEFAULTS, ...given(parsed.probe) };
  const entries = parsed.agents ?? (parsed.daemon === undefined ? [] : [{ kind: "daemon" } as AgentInput]);
  const lease = { ttlMs: 30_000, renewMs: 10_000, ...given(parsed.lease) };
  check(lease.renewMs * 2 <= lease.ttlMs, "lease.renewMs", `expected at most half of lease.ttlMs (${lease.ttlMs})`);
  const sized = entries.filter((entry) => entry.name === undefined && entry.count === undefined);
  check(sized.length <= 1, "agents", "only one entry may have neither name nor count: size drives it");
  const agents = entries.map((entry, index) =>
    resolveAgent(entry, {
      path: `agents[${index}]`,
      count: entry.count ?? (entry.name === undefined ? size.default : 1),
      daemon: parsed.daemon,
    }),
  );
  checkAgents(agents, limits);
  return {
    id: asPoolId(parsed.id ?? makeId()),
    types: parsed.types,
    unknownType: parsed.unknownType ?? "refuse",
    strategy: parsed.strategy ?? "peak_ewma",
    holdBack: parsed.holdBack ?? false,
    size,
    agents,
    queue: { ...QUEUE_DEFAULTS, ...given(parsed.queue) },
    serving: parsed.serving === undefined ? undefined : { ...SERVING_DEFAULTS, ...given(parsed.serving) },
    keyConcurrency: parsed.keyConcurrency,
    ageing: parsed.ageing === false ? false : { stepMs: 600_000, ...given(parsed.ageing) },
    retry: {
      maxAttempts: parsed.retry?.maxAttempts ?? 3,
      failover: parsed.retry?.failover ?? "immediate",
      refundLimit: parsed.retry?.refundLimit ?? 20,
      backoff: { ...BACKOFF_DEFAULTS, ...given(parsed.retry?.backoff) },
      budget: resolveBudget(parsed.retry?.budget),
    },
    lease,
    timeoutMs: parsed.timeoutMs,
    retention: { ...RETENTION_DEFAULTS, ...given(parsed.retention) },
    stuckMs: parsed.stuckMs,
    onStuck: parsed.onStuck ?? "mark",
    stopMs: parsed.stopMs ?? 5_000,
    abandonMs: parsed.abandonMs ?? 60_000,
    restart,
    probe,
    breaker: parsed.breaker === false ? false : resolveBreaker(parsed.breaker),
    health: parsed.health === false ? false : resolveHealth(parsed.health),
    // Two agents may die by accident with one task; three hardly do.
    poisonLimit: parsed.poisonLimit ?? 3,
    deadLetters: { limit: parsed.deadLetters?.limit ?? 10_000 },
  };

  function resolveAgent(
    entry: AgentInput,
    { path, count, daemon }: { path: string; count: number; daemon: PoolOptionsInput["daemon"] },
  ): AgentTemplate {
    check(entry.name === undefined || entry.count === undefined, `${path}.count`, "an entry with a name is one agent");
    const template: AgentTemplate = {
      kind: entry.kind,
      name: entry.name,
      count,
      capabilities: [...new Set(entry.capabilities ?? [])],
      concurrency: entry.concurrency ?? 1,
      weight: entry.weight ?? 1,
      priority: entry.priority ?? 0,
      metadata: entry.metadata,
      rate: entry.rate,
      env: entry.env ?? {},
      restart: { ...restart, ...given(entry.restart) },
      probe: { ...probe, ...given(entry.probe) },
    };
    if (entry.kind === "daemon") return { ...template, daemon: resolveDaemon(entry.daemon ?? daemon, path) };
    if (entry.kind === "command") return { ...template, command: resolveCommand(entry, path) };
    check(entry.kind !== "remote", `${path}.kind`, "remote agents join by themselves; leave them out");
    return template;
  }
}

/** A pool has none unless it is asked for. */
function resolveBudget(budget: z.output<typeof retryBudgetSchema> | false | undefined): RetryBudgetOptions | false {
  return budget === undefined || budget === false ? false : { ...RETRY_BUDGET_DEFAULTS, ...given(budget) };
}

function resolveBreaker(input: Exclude<PoolOptionsInput["breaker"], false>): BreakerOptions {
  const options = { ...BREAKER_DEFAULTS, ...given(input) };
  check(options.minimum <= options.window, "breaker.minimum", `expected at most breaker.window (${options.window})`);
  return options;
}

function resolveHealth(input: Exclude<PoolOptionsInput["health"], false>): HealthOptions {
  const options = { ...HEALTH_DEFAULTS, ...given(input) };
  check(options.minimum <= options.window, "health.minimum", `expected at most health.window (${options.window})`);
  check(
    options.degraded <= options.unhealthy,
    "health.degraded",
    `expected at most health.unhealthy (${options.unhealthy})`,
  );
  const { consecutive, window } = options;
  check(consecutive === undefined || consecutive <= window, "health.consecutive", `expected at most ${window}`);
  return options;
}

function resolveDaemon(daemon: PoolOptionsInput["daemon"], path: string): DaemonOptions {
  if (daemon === undefined) throw missing(`${path}.daemon`, "expected how the daemon is started");
  return { ...DAEMON_DEFAULTS, ...given(daemon), program: daemon.program };
}

function resolveCommand(entry: AgentInput, path: string): CommandOptions {
  const { program, args, stdin, output, exitCodes } = entry.command ?? entry;
  if (program === undefined) throw missing(`${path}.program`, "expected the program to run");
  return {
    program,
    args: args ?? COMMAND_DEFAULTS.args,
    stdin: stdin ?? COMMAND_DEFAULTS.stdin,
    output: output ?? COMMAND_DEFAULTS.output,
    exitCodes: { ...COMMAND_DEFAULTS.exitCodes, ...given(exitCodes) },
  };
}

function resolveSize(input: PoolOptionsInput["size"]): SizeOptions {
  const max = input?.max ?? Math.max(SIZE_DEFAULTS.max, input?.min ?? 0, input?.default ?? 0);
  const min = input?.min ?? SIZE_DEFAULTS.min;
  check(min <= max, "size.min", `expected at most size.max (${max})`);
  const start = input?.default ?? Math.min(max, Math.max(min, SIZE_DEFAULTS.default));
  check(min <= start && start <= max, "size.default", `expected ${min} to ${max}`);
  return { min, default: start, max };
}

function checkAgents(agents: readonly AgentTemplate[], limits: Limits): void {
  const names = new Set<string>();
  let processes = 0;
  let ordinal = 0;
  agents.forEach((agent, index) => {
    if (agent.name !== undefined) {
      check(!names.has(agent.name), `agents[${index}].name`, `two agents are called ${agent.name}`);
      names.add(agent.name);
    }
    ordinal += agent.count;
    if (agent.kind === "daemon" || agent.kind === "command") processes += agent.kind === "daemon" ? agent.count : 0;
    if (agent.daemon === undefined || agent.daemon.basePort === 0) return;
    const last = agent.daemon.basePort + ordinal - 1;
    check(last <= 65_535, "daemon.basePort", `ports up to ${last} would be needed, 65535 is the last`);
  });
  check(processes <= limits.maxProcesses, "size", `${processes} processes, at most ${limits.maxProcesses} are allowed`);
}

function check(condition: boolean, path: string, message: string): void {
  if (!condition) throw missing(path, message);
}

function missing(path: string, message: string): PoolError {
  return new PoolError("invalid", `${path}: ${message}`, { details: { path } });
}

/** The number of a priority, by name or number; medium when absent. */
export function priorityOf(given: z.output<typeof prioritySchema> | undefined): Priority {
  return given === undefined ? DEFAULT_PRIORITY : (PRIORITY_NUMBERS[given] ?? DEFAULT_PRIORITY);
}

/** A task as a caller handed it in, checked; instants are epoch milliseconds. */
export interface ResolvedTask {
  readonly id?: TaskId | undefined;
  readonly pool: PoolId;
  readonly input: z.output<typeof taskSchema>;
  readonly priority: Priority;
  readonly dependencies: readonly TaskId[];
  readonly requires: readonly string[];
  readonly deadlineAtMs?: number | undefined;
  readonly runAtMs?: number | undefined;
}

/** @throws PoolError `invalid` with the path of the first problem */
export function resolveTask(pool: PoolId, input: unknown, nowMs: number, path = ""): ResolvedTask {
  const task = parseWith(taskSchema, input, path);
  return {
    id: task.id === undefined ? undefined : asTaskId(task.id),
    pool,
    input: task,
    priority: priorityOf(task.priority),
    dependencies: task.dependencies === undefined ? [] : [...new Set(task.dependencies)].map(asTaskId),
    requires: task.requires === undefined ? [] : [...new Set(task.requires)].sort(),
    deadlineAtMs: task.deadlineAt === undefined ? undefined : Date.parse(task.deadlineAt),
    runAtMs: task.runAt !== undefined ? Date.parse(task.runAt) : task.delayMs ? nowMs + task.delayMs : undefined,
  };
}
