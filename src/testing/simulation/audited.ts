/** What the auditor knows of tasks and pools. */
import type { PoolOptions } from "../../core/pool.ts";
import type { Attempt, TaskSpec } from "../../core/task.ts";
import type { Reach } from "./situations.ts";

export interface AuditedTask {
  readonly num: number;
  spec: TaskSpec;
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
  /** Fences under which it has succeeded. */
  readonly attempts: Map<number, Attempt>;
  deadLettered: boolean;
}

export interface AuditedPool {
  options: PoolOptions;
  waiting: number;
  blocked: number;
  delayed: number;
}

export interface AuditTools {
  readonly violate: (message: string) => void;
  readonly reach: Reach;
  /** An agent may have been lost in the same turn, without a durable trace. */
  readonly disturbed: () => boolean;
}

/** The auditor's books, as its checks read them. */
export interface Books {
  readonly tasks: ReadonlyMap<string, AuditedTask>;
  readonly pools: ReadonlyMap<string, AuditedPool>;
}
