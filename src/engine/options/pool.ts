/** Options of a pool: past `resolvePool` nothing is optional that has a default. */
import { z } from "zod";
import { asPoolId } from "../../base/ids.ts";
import type { PoolOptions, QueueOptions } from "../../core/pool.ts";
import { BACKOFF_DEFAULTS } from "../../policies/backoff.ts";
import { STRATEGIES } from "../../policies/balancer/strategies.ts";
import { RESTART_DEFAULTS } from "../../policies/restart.ts";
import { RETENTION_DEFAULTS } from "../../policies/retention.ts";
import {
  type AgentInput,
  agentSchema,
  checkAgents,
  daemonSchema,
  isProcess,
  LIMIT_DEFAULTS,
  type Limits,
  PROBE_DEFAULTS,
  probeSchema,
  resolveAgent,
  restartSchema,
} from "./agent.ts";
import { check, given, parseWith } from "./parse.ts";
import { PRESET_WORDS, PRESETS, withPreset } from "./presets.ts";
import {
  backoffSchema,
  breakerSchema,
  healthSchema,
  resolveBreaker,
  resolveBudget,
  resolveHealth,
  retryBudgetSchema,
} from "./record.ts";
import { autoscaleSchema, resolveAutoscale, resolveSize, sizeSchema } from "./size.ts";
import { spendSchema } from "./spend.ts";
import { count, duration, id, LONGEST_HOLD_MS, LONGEST_KEPT_MS, label, share, weight } from "./words.ts";

/** Options of a pool, the same words in the library, over HTTP and in YAML. */
export const poolSchema = z.strictObject({
  id: id.optional(),
  /** Words of a kind of pool; all others go before them. */
  preset: z.enum(PRESETS).optional(),
  types: z.array(label).min(1).max(1_000).optional(),
  unknownType: z.enum(["refuse", "general"]).optional(),
  strategy: z.enum(STRATEGIES).optional(),
  /** Tasks may wait for a faster agent when that is expected to end sooner: `peak_ewma` and `score`. */
  holdBack: z.boolean().optional(),
  /** For calls that do not wait in a queue: tasks of a pool whose breakers are all open wait. */
  panicBelow: share.optional(),
  size: sizeSchema.optional(),
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
  probe: z.union([z.literal(false), probeSchema]).optional(),
  /** What becomes of an agent that its own outcomes, or a task that does not end, speak against. */
  onUnhealthy: z.enum(["trial", "replace"]).optional(),
  autoscale: z.union([z.literal(false), autoscaleSchema]).optional(),
  poisonLimit: count(0, 10_000).optional(),
  deadLetters: z.strictObject({ limit: count(0, 1_000_000).optional() }).optional(),
  /** How long a task may wait for dependencies that nobody has submitted yet. 0 = they are refused. */
  forwardReferencesMs: duration(0).optional(),
  /** What the pool may spend in a window of `perMs`; then its tasks wait, reason `spend`, until the window is over. */
  spend: spendSchema.optional(),
  /** What each tenant of the pool may. */
  tenantSpend: spendSchema.optional(),
  daemon: daemonSchema.optional(),
  breaker: z.union([z.literal(false), breakerSchema]).optional(),
  health: z.union([z.literal(false), healthSchema]).optional(),
});

export type PoolOptionsInput = z.input<typeof poolSchema>;

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

/**
 * Validates and completes the options of a pool.
 *
 * @param makeId - draws the id when none is given
 * @throws PoolError `invalid` with the path of the first problem
 */
export function resolvePool(input: unknown, makeId: () => string, limits: Limits = LIMIT_DEFAULTS): PoolOptions {
  const words = parseWith(poolSchema, input ?? {});
  const parsed = withPreset(words);
  const restart = { ...RESTART_DEFAULTS, ...given(parsed.restart) };
  const probe = parsed.probe === false ? false : { ...PROBE_DEFAULTS, ...given(parsed.probe) };
  const entries = parsed.agents ?? (parsed.daemon === undefined ? [] : [{ kind: "daemon" } as AgentInput]);
  const lease = { ttlMs: 30_000, renewMs: 10_000, ...given(parsed.lease) };
  check(lease.renewMs * 2 <= lease.ttlMs, "lease.renewMs", `expected at most half of lease.ttlMs (${lease.ttlMs})`);
  const sized = entries.filter((entry) => entry.name === undefined && entry.count === undefined);
  check(sized.length <= 1, "agents", "only one entry may have neither name nor count: size drives it");
  const size = resolveSize(words.size, {
    preset: words.preset && PRESET_WORDS[words.preset].size,
    most: sized.some(({ kind }) => isProcess(kind)) ? limits.maxProcesses : Number.POSITIVE_INFINITY,
  });
  const agents = entries.map((entry, index) =>
    resolveAgent(entry, {
      path: `agents[${index}]`,
      count: entry.count ?? (entry.name === undefined ? size.default : 1),
      sized: sized.includes(entry),
      daemon: parsed.daemon,
      restart,
      probe,
    }),
  );
  checkAgents(agents, { max: size.max, limits });
  return {
    id: asPoolId(parsed.id ?? makeId()),
    preset: parsed.preset,
    types: parsed.types,
    unknownType: parsed.unknownType ?? "refuse",
    strategy: parsed.strategy ?? "peak_ewma",
    holdBack: parsed.holdBack ?? false,
    panicBelow: parsed.panicBelow ?? 0,
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
    onUnhealthy: parsed.onUnhealthy ?? "trial",
    autoscale: resolveAutoscale(parsed.autoscale),
    breaker: parsed.breaker === false ? false : resolveBreaker(parsed.breaker),
    health: parsed.health === false ? false : resolveHealth(parsed.health),
    // Two agents may die by accident with one task; three hardly do.
    poisonLimit: parsed.poisonLimit ?? 3,
    forwardReferencesMs: parsed.forwardReferencesMs ?? 0,
    spend: parsed.spend,
    tenantSpend: parsed.tenantSpend,
    deadLetters: { limit: parsed.deadLetters?.limit ?? 10_000 },
  };
}
