/**
 * The port between the engine and whatever does the work.
 *
 * A driver speaks to one agent. It runs attempts and tells what it sees; it decides nothing about the task.
 */
import type { AgentId, PoolId, TaskId } from "../base/ids.ts";
import type { Json } from "../base/json.ts";
import type { AgentIdentity } from "../core/agent.ts";
import type { Outcome } from "../core/outcome.ts";
import type { LogTail } from "./log-tail.ts";

/** What an attempt gives its agent. Values are the agent's own copies. */
export interface AttemptTask {
  readonly id: TaskId;
  readonly pool: PoolId;
  readonly type: string;
  readonly attempt: number;
  readonly fence: number;
  readonly prompt?: string | undefined;
  readonly input?: Json | undefined;
  /** What the caller gave, and `dependencies[id]`: the results of the task's dependencies. */
  readonly context: { readonly [key: string]: Json };
  readonly metadata: { readonly [key: string]: Json };
}

export interface Attempt {
  readonly task: AttemptTask;
  readonly agentId: AgentId;
  /**
   * Aborted when the run must be stopped (asked, then killed after `stopMs`). Made for whoever reads it first: it costs
   * more than all else of a short run.
   */
  readonly signal: AbortSignal;
  /** Tells how far it is; the latest value is shown. */
  progress(value: Json): void;
  /** The run is known to have ended. Called once. */
  ended(end: RunEnd): void;
}

/** How a run ended: the outcome, and the result's value when it succeeded. */
export type RunEnd =
  | { readonly outcome: Exclude<Outcome, { name: "succeeded" }> }
  | {
      readonly outcome: {
        readonly name: "succeeded";
        readonly usage?: { readonly tokens?: number; readonly costUsd?: number };
      };
      readonly result: unknown;
    };

/** What a driver tells the engine by itself. */
export interface AgentEvents {
  /** It can take work. */
  ready(): void;
  /** The process is gone (or could not be started); every run on it has ended or will be reported as lost. */
  exited(exit: {
    /** We had ended it. */
    readonly asked?: true;
    readonly code: number | null;
    readonly signal: string | null;
    readonly reason: string;
    readonly logTail: readonly string[];
  }): void;
}

export interface AgentDriver {
  readonly identity: AgentIdentity;
  /**
   * Brings the agent up; calls `events.ready` or `events.exited` later, and `exited` once per death after that.
   * Called again after a death, when the core decides to restart. Agents without a process are ready at once.
   */
  start(events: AgentEvents): void;
  /**
   * Runs one attempt, and tells it when the run is known to have ended. Never throws. What is told after the attempt's
   * signal was aborted is a formality, the core has already decided.
   */
  run(attempt: Attempt): void;
  /** Active check of a ready agent; undefined when the kind has none. */
  probe?(signal: AbortSignal): Promise<boolean>;
  /**
   * Asked every `lease.renewMs` while attempts run on it: true keeps their leases. For process kinds: alive and not
   * stopped (SIGSTOP).
   */
  alive(): boolean;
  /** Why it had better be started anew; undefined while it need not, or when the kind has nothing that wears out. */
  worn?(): string | undefined;
  /** What it has written, the last of it; undefined when the kind has no output that we see. */
  readonly log?: LogTail;
  /** Stops it for a restart or a removal: asks, then kills after `stopMs`; resolves when it is gone. Safe to call twice. */
  close(): Promise<void>;
}
