/** Small makers of what a store is given. Each names only what matters to the case. */
import { asAgentId, asPoolId, asTaskId } from "../base/ids.ts";
import type { AgentIdentity } from "../core/agent.ts";
import type { DurableEvent } from "../core/event.ts";
import type { PoolOptions } from "../core/pool.ts";
import type { OpenFacts, SettledFacts } from "../core/record.ts";
import type { Attempt, FinalStatus, TaskBody, TaskSpec } from "../core/task.ts";
import type { Admitted, Commit } from "../stores/store.ts";

/** Makes commits whose events follow each other. */
export class CommitWriter {
  #nextSeq: number;

  /** @param lastSeq - of the last event that the store has */
  constructor(lastSeq = 0) {
    this.#nextSeq = lastSeq + 1;
  }

  /** With one event unless some are given. */
  next(parts: Partial<Omit<Commit, "firstSeq">> = {}): Commit {
    const firstSeq = this.#nextSeq;
    const events = parts.events ?? [anEvent(`at-${firstSeq}`)];
    this.#nextSeq += events.length;
    return {
      atMs: 1_700_000_000_000.25 + firstSeq,
      admitted: [],
      open: [],
      settled: [],
      reopened: [],
      pools: [],
      agents: [],
      quarantine: [],
      dropped: [],
      ...parts,
      firstSeq,
      events,
    };
  }
}

export function anEvent(pool: string): DurableEvent {
  return { type: "pool.deleted", pool: asPoolId(pool) };
}

export function quarantined(pool: string, fingerprint: string): Commit["quarantine"][number] {
  const record = { pool: asPoolId(pool), fingerprint, by: asTaskId("task-9"), atMs: 1_700_000_000_000.5 };
  return { pool: record.pool, fingerprint, record };
}

/** The id of task `num`, unless it is given another. */
export const idOf = (num: number) => asTaskId(`task-${num}`);

export function aSpec(num: number, given: Partial<TaskSpec> = {}): TaskSpec {
  return {
    id: idOf(num),
    pool: asPoolId("main"),
    type: "general",
    requires: [],
    priority: 3,
    dependencies: [],
    onDependencyFailure: "cancel",
    maxAttempts: 3,
    retryable: true,
    createdAtMs: 1_700_000_000_000 + num,
    bodySize: 5,
    ...given,
  };
}

export function anAdmission(num: number, spec: Partial<TaskSpec> = {}, body: TaskBody = { prompt: "hello" }): Admitted {
  return { num, spec: aSpec(num, spec), body };
}

export function anAttempt(given: Partial<Attempt> = {}): Attempt {
  return {
    number: 1,
    agentId: asAgentId("agent-ada"),
    agentName: "ada",
    fence: 2 ** 32 + 7,
    assignedAtMs: 1_700_000_000_001,
    startedAtMs: 1_700_000_000_002,
    endedAtMs: 1_700_000_000_003.5,
    outcome: "failed",
    blame: "agent",
    error: { code: "crashed", message: "exit 1 “boom” 💥", retryable: true, details: { nested: [1, null, "x"] } },
    usage: { tokens: 12, costUsd: 0.25 },
    ...given,
  };
}

export function openTask(num: number, given: Partial<OpenFacts> = {}): OpenFacts {
  return {
    num,
    spec: aSpec(num),
    state: { name: "waiting", reason: "agent" },
    priority: 3,
    queuedAtMs: 1_700_000_000_000 + num,
    first: false,
    attemptCount: 0,
    lastNumber: 0,
    lastFence: 0,
    failedAgentIds: [],
    again: false,
    refunds: 0,
    replays: 0,
    unmet: 0,
    failedDependencies: [],
    attempts: [],
    ...given,
  };
}

export interface Ending {
  readonly status?: FinalStatus;
  readonly deadLettered?: boolean;
}

export function settledTask(
  num: number,
  { status = "completed", deadLettered = false }: Ending = {},
  spec: Partial<TaskSpec> = {},
): SettledFacts {
  return {
    num,
    spec: aSpec(num, spec),
    priority: 3,
    settlement: { status, settledAtMs: 1_700_000_001_000 + num, deadLettered },
    queuedAtMs: 1_700_000_000_000 + num,
    attemptCount: 1,
    lastNumber: 1,
    lastFence: num,
    failedAgentIds: [],
    failedDependencies: [],
    refunds: 0,
    replays: 0,
    attempts: [],
  };
}

/** One that its first agent has done at once. */
export function usualTask(num: number, given: Partial<TaskSpec> = {}): SettledFacts {
  const spec = aSpec(num, given);
  const settledAtMs = spec.createdAtMs + 30.5;
  const fine = { outcome: "succeeded", blame: undefined, error: undefined, usage: undefined } as const;
  const attempt = anAttempt({ ...fine, fence: 2 ** 32 + num, endedAtMs: settledAtMs });
  return {
    ...settledTask(num, {}, given),
    priority: spec.priority,
    settlement: { status: "completed", resultBytes: 10, settledAtMs, deadLettered: false },
    lastFence: attempt.fence,
    spent: { wallMs: 28.5 },
    attempts: [attempt],
  };
}

/** Parts of a commit that admits and settles these tasks at once. */
export function ended(...tasks: readonly SettledFacts[]): Pick<Commit, "admitted" | "settled"> {
  return {
    admitted: tasks.map(({ num, spec }) => ({ num, spec, body: { prompt: `prompt ${num}` } })),
    settled: tasks.map((facts) => ({ facts, result: `"result ${facts.num}"` })),
  };
}

export function anAgent(name: string, given: Partial<AgentIdentity> = {}): AgentIdentity {
  return {
    id: asAgentId(`agent-${name}`),
    pool: asPoolId("main"),
    name,
    kind: "function",
    ordinal: 0,
    capabilities: ["research", "*"],
    concurrency: 2,
    weight: 1.5,
    priority: 0,
    metadata: { team: "größer", nested: { list: [1, false, null] } },
    isolation: {
      contextWindowId: `${name}-window`,
      toolSessionId: `${name}-session`,
      memoryHandleId: `${name}-memory`,
    },
    ...given,
  };
}

export function poolOptions(id: string, given: Partial<PoolOptions> = {}): PoolOptions {
  const backoff = { baseMs: 200, factor: 2, capMs: 20_000, jitter: "full" } as const;
  return {
    id: asPoolId(id),
    types: ["research", "general"],
    unknownType: "refuse",
    breaker: false,
    health: false,
    strategy: "round_robin",
    holdBack: false,
    panicBelow: 0,
    size: { min: 1, default: 4, max: 16 },
    agents: [],
    queue: { limit: 100, blockedLimit: 10, delayedLimit: 0, gatedLimit: 5, overflow: "reject", maxWaitMs: 5_000 },
    ageing: false,
    retry: { maxAttempts: 3, failover: "immediate", refundLimit: 20, backoff, budget: false },
    lease: { ttlMs: 30_000, renewMs: 10_000 },
    onStuck: "mark",
    retention: { count: 1_000, ageMs: 60_000 },
    stopMs: 5_000,
    abandonMs: 60_000,
    restart: {
      delayMs: 0,
      factor: 2,
      capMs: 60_000,
      jitter: "none",
      max: 5,
      windowMs: 60_000,
      stableMs: 600_000,
      quarantineMs: 0,
      upTo: "size",
    },
    onUnhealthy: "trial",
    autoscale: false,
    probe: { intervalMs: 10_000, timeoutMs: 2_000, fall: 3, rise: 2 },
    poisonLimit: 3,
    forwardReferencesMs: 0,
    deadLetters: { limit: 10_000 },
    ...given,
  };
}
