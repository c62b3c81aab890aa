/** What the auditor knows of tasks and pools. */
import type { AgentIdentity } from "../../core/agent.ts";
import type { PoolMode, PoolOptions } from "../../core/pool.ts";
import type { Attempt, Priority, TaskSpec } from "../../core/task.ts";
import type { Reach } from "./situations.ts";

export interface AuditedTask {
  readonly num: number;
  spec: TaskSpec;
  /** That of the spec, until its deadline comes near. */
  priority: Priority;
  state: "waiting" | "leased" | "settled";
  /** Of a waiting task. */
  reason: string;
  untilMs: number;
  queuedAtMs: number;
  first: boolean;
  /** Dependencies that it still waits for. */
  readonly unmet: Set<string>;
  /** Of the running, or the last, attempt. */
  fence: number;
  agentId: string;
  number: number;
  /** In this life. */
  charged: number;
  refunds: number;
  failed: string[];
  again: boolean;
  replays: number;
  status: string;
  /** Its time had come by the clock of some engine; that of the next may be behind. */
  isDue: boolean;
  /** Fences under which it has succeeded. */
  readonly attempts: Map<number, Attempt>;
  deadLettered: boolean;
  /** Agents whose death counts against it; undefined until it has survived one. */
  killers: Set<string> | undefined;
  /** Its attempts that died with an engine: in this life, and without anything settled between them. */
  engineDeaths: number;
  engineDeathsInARow: number;
  /** Its next attempt is a retry that the budget has not paid for yet. */
  owes: boolean;
  /** Running time, in this life. */
  spentMs: number;
  /** Dependencies that nobody had submitted when it came, and how long they are waited for. */
  readonly awaited: ReadonlySet<string>;
  readonly awaitsUntilMs: number;
}

export interface AuditedPool {
  options: PoolOptions;
  waiting: number;
  blocked: number;
  delayed: number;
  /** Of `waiting`, those whose type a closed gate holds. */
  gated: number;
  mode: PoolMode;
  /** Instants at which first attempts began, and at which the retry budget paid for one more. */
  readonly firsts: number[];
  readonly retries: number[];
  /** What was spent in the window that is open, by tenant; without a name by the pool itself. */
  readonly spending: Map<string, { readonly wallMs: number; readonly untilMs: number }>;
  /** As it was decided last; undefined while nobody has. */
  size: number | undefined;
  /** By this engine. */
  scaledAtMs: number | undefined;
}

export interface AuditedSchedule {
  readonly overlap: "allow" | "skip";
  nextAtMs: number | undefined;
  lastTaskId: string | undefined;
  /** Submitted for an instant that is not told as served yet. */
  untold: string | undefined;
}

export interface AuditTools {
  readonly violate: (message: string) => void;
  readonly reach: Reach;
  /** An agent may have been lost in the same turn, without a durable trace. */
  readonly disturbed: () => boolean;
  /** The agent asks for tasks of some types only; the log does not tell. */
  readonly isChoosy: (agent: AgentIdentity) => boolean;
}
