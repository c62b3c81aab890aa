/**
 * Presets: the words of a pool under one name. What a user says goes before them, deep down.
 *
 * "none" in the contract's table means here: a probe of none is `probe: false` (liveness by leases, self-reports or not at
 * all), a restart of none is a budget of 0 (who dies keeps its place and is left alone), a limit of none is absent. A
 * flat time neither grows nor is drawn by lot. A size of any has no bound of its own but the schema's.
 */

export const PRESETS = ["coordination", "balanced", "daemons", "tasks", "trio"] as const;
export type Preset = (typeof PRESETS)[number];

/** As many as an option may say; process kinds are bounded by the server's own limit besides. */
const ANY_SIZE = { max: 10_000 };

const NO_RESTART = { max: 0, quarantineMs: 0 };

type Words = { readonly [name: string]: unknown };

/** Checked by a test against the schema that users' options pass. */
export const PRESET_WORDS = {
  /** A few agents that take known types of work and fail over at once; only an operator says that one is sick. */
  coordination: {
    types: ["discovery", "migration", "heartbeat", "ingest", "research", "general", "maintenance"],
    size: { min: 1, default: 4, max: 16 },
    queue: { limit: 100, overflow: "reject" },
    retry: {
      maxAttempts: 3,
      failover: "immediate",
      backoff: { baseMs: 2_000, factor: 2, jitter: "none" },
    },
    breaker: false,
    health: false,
    probe: false,
    // Whoever is dead or failed is replaced only as long as fewer than `size.min` can work.
    restart: { upTo: "min" },
    strategy: "type_latency",
    ageing: false,
    poisonLimit: 0,
    stopMs: 5_000,
  },
  /** Calls over clients that are there already: nothing waits, breakers decide. */
  balanced: {
    size: ANY_SIZE,
    queue: { limit: 0, overflow: "reject" },
    retry: {
      maxAttempts: 4,
      failover: "backoff",
      backoff: { baseMs: 100, factor: 2, jitter: "none" },
    },
    breaker: { consecutive: 5, ratio: null, openMs: 30_000, factor: 1, jitter: "none", successes: 2 },
    health: { window: 10, minimum: 10, degraded: 0.3, unhealthy: 0.7 },
    probe: { intervalMs: 30_000, timeoutMs: 2_000, fall: 3, rise: 2 },
    restart: NO_RESTART,
    timeoutMs: 30_000,
    strategy: "round_robin",
    ageing: false,
    poisonLimit: 0,
  },
  /** Supervised children, each on a port of its own, one request at a time; callers wait a little for a free one. */
  daemons: {
    size: { min: 1, default: 5, max: 100 },
    queue: { limit: 0, overflow: "wait", maxWaitMs: 5_000 },
    retry: {
      maxAttempts: 3,
      failover: "backoff",
      backoff: { baseMs: 100, factor: 2, jitter: "full" },
    },
    breaker: {
      consecutive: 3,
      ratio: null,
      openMs: 10_000,
      factor: 1,
      jitter: "none",
      successes: 1,
      probeHalfOpens: true,
    },
    // Shares say nothing: only failures in a row do.
    health: { consecutive: 3, degraded: 1, unhealthy: 1 },
    probe: { intervalMs: 10_000, timeoutMs: 1_000, fall: 3, rise: 1 },
    restart: { delayMs: 2_000, factor: 1, jitter: "none", max: 5, windowMs: 600_000, stableMs: 60_000 },
    timeoutMs: 10_000,
    stuckMs: 30_000,
    onStuck: "restart",
    strategy: "round_robin",
    ageing: false,
    poisonLimit: 2,
    stopMs: 3_000,
  },
  /**
   * Long queues of tasks for agents that differ. An agent's health is the success rate that `score` goes by (EWMA 0.1):
   * it ranks agents and bars none; silence ends leases, and nothing else is probed.
   */
  tasks: {
    size: ANY_SIZE,
    queue: { limit: 10_000, overflow: "reject" },
    retry: {
      maxAttempts: 4,
      failover: "immediate",
      backoff: { baseMs: 200, factor: 2, jitter: "full" },
    },
    breaker: false,
    health: false,
    probe: false,
    restart: NO_RESTART,
    strategy: "score",
    ageing: { stepMs: 60_000 },
    poisonLimit: 2,
    stopMs: 5_000,
  },
  /** Exactly three workers on one queue; one that fails three times in a row or hangs is replaced. */
  trio: {
    size: { min: 3, default: 3, max: 3 },
    queue: { limit: 100, overflow: "reject" },
    retry: { maxAttempts: 1 },
    breaker: { consecutive: 3, ratio: null, openMs: 5_000, factor: 1, jitter: "none", successes: 1 },
    // Shares say nothing: only failures in a row do.
    health: { consecutive: 3, degraded: 1, unhealthy: 1 },
    probe: false,
    onUnhealthy: "replace",
    stuckMs: 300_000,
    onStuck: "mark",
    strategy: "round_robin",
    ageing: false,
    poisonLimit: 0,
    stopMs: 5_000,
  },
} satisfies { readonly [name in Preset]: Words };

/** The preset's words with the user's over them. */
export function withPreset<T extends { readonly preset?: Preset | undefined }>(words: T): T {
  return words.preset === undefined ? words : (merge(PRESET_WORDS[words.preset], words as Words) as T);
}

/** Words over others: objects are merged, lists and single values replaced, what is undefined stays. */
export function merge(under: Words, over: Words): Words {
  const merged: { [name: string]: unknown } = { ...under };
  for (const [name, value] of Object.entries(over)) {
    if (value === undefined) continue;
    const before = merged[name];
    merged[name] = isWords(before) && isWords(value) ? merge(before, value) : value;
  }
  return merged;
}

const isWords = (value: unknown): value is Words =>
  typeof value === "object" && value !== null && !Array.isArray(value);
