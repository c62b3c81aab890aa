/** An agent: who works. Identity is durable, everything else starts anew with the engine. */

import type { AgentId, PoolId, TaskId } from "../base/ids.ts";
import type { IntMap } from "../base/int-map.ts";
import type { Json } from "../base/json.ts";
import type { Warming } from "../policies/balancer/slow-start.ts";
import type { Breaker, Permit } from "../policies/breaker/breaker.ts";
import type { Measure } from "../policies/measure.ts";
import type { Outcomes } from "../policies/outcomes.ts";
import type { Rate, RateOptions } from "./rate.ts";

export type AgentKind = "function" | "daemon" | "command" | "remote";

export const AGENT_KINDS: readonly AgentKind[] = ["function", "daemon", "command", "remote"];

export type Lifecycle = "starting" | "ready" | "draining" | "crashed" | "restarting" | "stopped" | "quarantined";

/** Legal moves of an agent's lifecycle; `apply` checks them. */
export const AGENT_LIFECYCLE = {
  starting: ["ready", "crashed", "draining", "stopped"],
  ready: ["crashed", "draining", "stopped"],
  draining: ["ready", "crashed", "restarting", "stopped"],
  crashed: ["restarting", "quarantined", "stopped", "ready"],
  restarting: ["ready", "crashed", "draining", "stopped"],
  stopped: ["starting"],
  quarantined: ["restarting", "stopped"],
} as const satisfies Record<Lifecycle, readonly Lifecycle[]>;

/** It should be there: its silence, and what its probes say, means something. */
export function isWatched({ lifecycle }: Pick<Agent, "lifecycle">): boolean {
  return lifecycle === "ready" || lifecycle === "draining";
}

export type Health = "healthy" | "degraded" | "unhealthy";

/** Who has something to say about an agent's health. Each is heard by itself; the worst word counts. */
export type HealthSource = "probe" | "deaf" | "passive" | "self" | "stuck" | "operator";

/** What one source found wrong. */
export interface Finding {
  readonly health: Exclude<Health, "healthy">;
  readonly reason: string;
}

/** Durable part. `id` belongs to (pool, name) and survives restarts of agent and engine. */
export interface AgentIdentity {
  readonly id: AgentId;
  readonly pool: PoolId;
  readonly name: string;
  readonly kind: AgentKind;
  /** Number in the pool, from 0: `{id}` of templates, and the port of a daemon is base port + ordinal. */
  readonly ordinal: number;
  /** Place in the pool's `agents` of the entry that it was made from; undefined for those who joined by themselves. */
  readonly entry?: number | undefined;
  /** The pool shrinks: it finishes what it has and goes. */
  readonly dismissed?: true | undefined;
  /** Given at creation: decide which types it takes. */
  readonly capabilities: readonly string[];
  /** Found out since: they count for what a task requires, never for its type. */
  readonly verified?: readonly string[] | undefined;
  readonly concurrency: number;
  readonly weight: number;
  readonly priority: number;
  readonly metadata?: { readonly [key: string]: Json } | undefined;
  readonly isolation: Isolation;
  /** Why an operator has failed it; it stays unhealthy until the operator takes that back. */
  readonly failed?: string | undefined;
  /** An operator lets it take no more work, until that is taken back. */
  readonly drained?: true | undefined;
  readonly rate?: RateOptions | undefined;
}

/** What no two agents share; new with every spawn, unless whoever adds an agent brings it. */
export interface Isolation {
  readonly contextWindowId: string;
  readonly toolSessionId: string;
  readonly memoryHandleId: string;
}

/** One attempt that takes a slot of the agent, from lease until the run is known to have ended. */
export interface Run {
  readonly taskId: TaskId;
  readonly fence: number;
  /** When it was leased, or began if that is known from before a restart of the engine. */
  readonly sinceMs: number;
  /** The task is no longer leased to this run (timeout, cancel), but it may still be going on. */
  readonly orphaned: boolean;
  /** A heartbeat has named it. */
  readonly named: boolean;
  /** It has gone on for longer than `stuckMs`. */
  readonly stuck: boolean;
  /** Of the agent's breaker. */
  readonly permit: Permit;
  /** Its task has survived a kill: the agent takes nothing else meanwhile. */
  readonly alone: boolean;
  /** It was in company when its agent was found dead, so its own end there tells nothing about the task. */
  readonly shared: boolean;
}

export interface LastExit {
  readonly code: number | null;
  readonly signal: string | null;
  readonly reason: string;
  readonly atMs: number;
  /** Last lines the process wrote. */
  readonly logTail: readonly string[];
}

/** A planned restart. */
export interface Leaving {
  readonly untilMs: number;
  /** It is empty and its driver has been told to stop it. */
  readonly stopping: boolean;
}

/** A remote agent's standing request for work. */
export interface OpenClaim {
  /** Names the waiting request, for the reply. */
  readonly claimId: number;
  readonly max: number;
  readonly untilMs: number;
  /** Fences leased to it in this turn. */
  readonly leased: readonly number[];
}

/** Means over all attempts since the engine started. */
export interface AgentStats {
  succeeded: number;
  failed: number;
  consecutiveFailures: number;
  /** Sum over successes. */
  latencySumMs: number;
  abandoned: number;
  lastActivityAtMs?: number | undefined;
}

export const newStats = (): AgentStats => ({
  succeeded: 0,
  failed: 0,
  consecutiveFailures: 0,
  latencySumMs: 0,
  abandoned: 0,
  lastActivityAtMs: undefined,
});

/** What the core holds of an agent. Written by `apply` only. */
export interface Agent {
  identity: AgentIdentity;
  isolation: Isolation;
  /** Another agent has one of these ids too: neither is given work until that is over. */
  isBreached: boolean;
  lifecycle: Lifecycle;
  /** The worst of `findings`; healthy without any. */
  health: Health;
  /** Why the health is what it is; empty while healthy. */
  healthReason: string;
  findings: ReadonlyMap<HealthSource, Finding>;
  /** By fence. `inFlight` is its size. */
  readonly runs: IntMap<Run>;
  /** How many it ran when its concurrency was cut below that; they may go on. */
  runsAtCut: number;
  cooldownUntilMs: number;
  /** Length of the last rest that no Retry-After set; 0 after a success. */
  cooldownMs: number;
  claim: OpenClaim | undefined;
  /** Types of the latest claim of a remote agent; undefined = any. */
  claimTypes: readonly string[] | undefined;
  /** Remote: tasks of which its last heartbeat named an attempt that is over. It may still be running them. */
  stillNames: ReadonlySet<TaskId>;
  /** Remote: last sign of life. */
  lastSeenAtMs: number;
  /** Since the engine started. */
  restarts: number;
  /** An operator has it started anew once it is empty; what still runs at `untilMs` is given back. */
  leaving: Leaving | undefined;
  /** Instants of the restarts inside the window of the budget. */
  restartsAtMs: readonly number[];
  readyAtMs: number | undefined;
  /** Slow start; undefined when it is like any other. */
  warming: Warming | undefined;
  /** It came out of quarantine and has not been stable since. */
  onTrial: boolean;
  /** It works badly, and is begun anew then. */
  replaceAtMs: number | undefined;
  /** When a crashed or quarantined agent is tried again. */
  retryAtMs: number | undefined;
  /** Probes in a row. */
  probes: { good: number; bad: number };
  lastExit: LastExit | undefined;
  stats: AgentStats;
  /** Starts anew with the engine. */
  breaker: Breaker;
  /** What passive health looks back on. */
  outcomes: Outcomes;
  /** When it may be tried again although its outcomes speak against it. */
  trialAtMs: number;
  /** Its limits per minute; shared by all with the same key. */
  rate: Rate | undefined;
  /** What a balancer goes by. */
  readonly measure: Measure;
}

/** Who it is by now: what is recorded of it must not bring back the ids of an earlier spawn. */
export function identityNow({ identity, isolation }: Pick<Agent, "identity" | "isolation">): AgentIdentity {
  return { ...identity, isolation };
}
