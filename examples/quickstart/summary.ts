/** What became of a run, from the tasks as the server shows them. */
import type { AttemptView, TaskStatus, TaskView } from "../../src/engine/view.ts";
import { type Plan, STAGES, type Stage } from "./plan.ts";

export interface StageSummary {
  readonly stage: Stage;
  readonly byStatus: Readonly<Partial<Record<TaskStatus, number>>>;
  readonly queueMs: readonly number[];
  readonly runMs: readonly number[];
}

export interface Summary {
  readonly stages: readonly StageSummary[];
  readonly tasks: number;
  readonly byStatus: Readonly<Partial<Record<TaskStatus, number>>>;
  readonly attempts: number;
  /** Tasks that one agent failed or lost and another one finished. */
  readonly failovers: readonly TaskView[];
  readonly queueMs: readonly number[];
  readonly runMs: readonly number[];
  /** Planned tasks that did not end as they should. */
  readonly unexpected: readonly TaskView[];
}

/** @param views - all tasks of the plan by id, the refused one among them */
export function summariseRun(plan: Plan, views: ReadonlyMap<string, TaskView>): Summary {
  const stages = STAGES.map((stage) => {
    const tasks = plan.tasks.filter((planned) => planned.stage === stage).map(({ task }) => views.get(task.id)!);
    return {
      stage,
      byStatus: countBy(tasks),
      queueMs: tasks.flatMap((task) => queueMsOf(task, views)),
      runMs: tasks.flatMap(runMsOf),
    };
  });
  const all = [...views.values()];
  return {
    stages,
    tasks: all.length,
    byStatus: countBy(all),
    attempts: all.reduce((total, { attempts }) => total + attempts.length, 0),
    failovers: all.filter(wasFailedOver),
    queueMs: stages.flatMap(({ queueMs }) => queueMs),
    runMs: stages.flatMap(({ runMs }) => runMs),
    unexpected: all.filter((task) =>
      task.id === plan.refused.task.id ? !isRefused(task) : task.status !== "completed",
    ),
  };
}

/**
 * The value below or at which a share of them lies (nearest rank).
 *
 * @param share - 0 to 1
 * @returns 0 without values
 */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

export function summaryLines(summary: Summary): string[] {
  const rows = summary.stages.map(({ stage, byStatus, queueMs, runMs }) => [stage, byStatus, queueMs, runMs] as const);
  const table = [...rows, ["all", summary.byStatus, summary.queueMs, summary.runMs] as const];
  const cells = table.map(([name, byStatus, queueMs, runMs]) => [
    name,
    String(byStatus.completed ?? 0),
    String(byStatus.failed ?? 0),
    String(byStatus.cancelled ?? 0),
    `${percentile(queueMs, 0.5)} / ${percentile(queueMs, 0.99)}`,
    `${percentile(runMs, 0.5)} / ${percentile(runMs, 0.99)}`,
  ]);
  return aligned([["", "completed", "failed", "cancelled", "queue ms p50 / p99", "run ms p50 / p99"], ...cells]);
}

/** Its attempts, one line each: `1 · readers-2 · failed (blame task) · 422 …`. */
export function attemptLines(attempts: readonly AttemptView[]): string[] {
  return attempts.map(({ number, agentName, outcome, blame, error }) => {
    const ended = blame === undefined ? outcome : `${outcome} (blame ${blame})`;
    return [`attempt ${number} on ${agentName}`, ended, error?.message].filter((part) => part !== undefined).join(": ");
  });
}

/** From when nothing but an agent was missing until the first one took it. */
function queueMsOf(task: TaskView, views: ReadonlyMap<string, TaskView>): number[] {
  const [first] = task.attempts;
  if (first === undefined) return [];
  const settled = task.dependencies.map((id) => views.get(id)?.settledAt ?? task.createdAt);
  const sinceMs = Math.max(...[task.createdAt, ...settled].map((at) => Date.parse(at)));
  return [Math.max(0, Date.parse(first.assignedAt) - sinceMs)];
}

/** Of the attempts that succeeded. */
function runMsOf(task: TaskView): number[] {
  return task.attempts.flatMap(({ outcome, startedAt, assignedAt, endedAt }) =>
    outcome === "succeeded" && endedAt !== undefined ? [Date.parse(endedAt) - Date.parse(startedAt ?? assignedAt)] : [],
  );
}

function wasFailedOver({ attempts }: TaskView): boolean {
  const last = attempts.at(-1);
  const before = attempts.slice(0, -1);
  return before.some(({ agentId, outcome }) => agentId !== last?.agentId && outcome !== "released");
}

function isRefused({ status, deadLettered, error, attempts }: TaskView): boolean {
  return status === "failed" && deadLettered && error?.blame === "task" && attempts.length === 1;
}

function countBy(tasks: readonly TaskView[]): Partial<Record<TaskStatus, number>> {
  const counts: Partial<Record<TaskStatus, number>> = {};
  for (const { status } of tasks) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

/** The first column to the left, the others to the right. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join("   "),
  );
}
