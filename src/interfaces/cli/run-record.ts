/** What a run remembers of each task, and the summary it makes of all. */
import type { TaskError } from "../../core/task.ts";
import type { AttemptView, TaskStatus, TaskView } from "../../engine/view.ts";
import type { FileTask } from "./task-file.ts";

export interface RunRecord {
  readonly line: number;
  readonly pool: string;
  /** Absent for a refused task that named none. */
  readonly id?: string | undefined;
  readonly status: TaskStatus | "refused";
  readonly error?: Pick<TaskError, "code" | "message"> | undefined;
  readonly attempts: number;
  /** Attempts on another agent than the one before. */
  readonly failovers: number;
  /** From admission to the first attempt. */
  readonly queueMs?: number | undefined;
  /** Of the attempt that settled it. */
  readonly runMs?: number | undefined;
}

/** @param task - settled; of one that the server has forgotten only id and status are known */
export function recordOf(
  { line, pool }: FileTask,
  task: Pick<TaskView, "id" | "status"> & Partial<TaskView>,
): RunRecord {
  const attempts = task.attempts ?? [];
  const [first] = attempts;
  return {
    line,
    pool,
    id: task.id,
    status: task.status,
    error: task.error === undefined ? undefined : { code: task.error.code, message: task.error.message },
    attempts: attempts.at(-1)?.number ?? 0,
    failovers: attempts.filter((attempt, at) => at > 0 && attempt.agentId !== attempts[at - 1]?.agentId).length,
    queueMs: between(task.createdAt, first?.startedAt ?? first?.assignedAt),
    runMs: runMsOf(attempts.at(-1)),
  };
}

export function refusedRecord({ line, pool, task }: FileTask, error: Pick<TaskError, "code" | "message">): RunRecord {
  return { line, pool, id: task.id, status: "refused", error, attempts: 0, failovers: 0 };
}

export interface Quantiles {
  readonly p50: number;
  readonly p99: number;
}

export interface RunSummary {
  readonly total: number;
  readonly byStatus: {
    readonly completed: number;
    readonly failed: number;
    readonly cancelled: number;
    readonly refused: number;
  };
  readonly attempts: number;
  readonly failovers: number;
  /** Null without samples. */
  readonly queueMs: Quantiles | null;
  readonly runMs: Quantiles | null;
  /** All that did not complete, in the order of their lines. */
  readonly problems: readonly Pick<RunRecord, "line" | "pool" | "id" | "status" | "error">[];
}

export function summarise(records: readonly RunRecord[]): RunSummary {
  const count = (status: RunRecord["status"]): number => records.filter((record) => record.status === status).length;
  return {
    total: records.length,
    byStatus: {
      completed: count("completed"),
      failed: count("failed"),
      cancelled: count("cancelled"),
      refused: count("refused"),
    },
    attempts: records.reduce((sum, record) => sum + record.attempts, 0),
    failovers: records.reduce((sum, record) => sum + record.failovers, 0),
    queueMs: quantiles(records.map(({ queueMs }) => queueMs)),
    runMs: quantiles(records.map(({ runMs }) => runMs)),
    problems: records
      .filter(({ status }) => status !== "completed")
      .map(({ line, pool, id, status, error }) => ({ line, pool, id, status, error }))
      .sort((a, b) => a.line - b.line),
  };
}

/** By nearest rank: each is one of the samples. */
export function quantiles(values: readonly (number | undefined)[]): Quantiles | null {
  const samples = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  const at = (share: number): number | undefined => samples[Math.ceil(share * samples.length) - 1];
  const [p50, p99] = [at(0.5), at(0.99)];
  return p50 === undefined || p99 === undefined ? null : { p50, p99 };
}

function runMsOf(attempt: AttemptView | undefined): number | undefined {
  return attempt === undefined ? undefined : between(attempt.startedAt ?? attempt.assignedAt, attempt.endedAt);
}

function between(from: string | undefined, to: string | undefined): number | undefined {
  return from === undefined || to === undefined ? undefined : Math.max(0, Date.parse(to) - Date.parse(from));
}
