/** A task as people read it. */
import type { AttemptView, TaskView } from "../../engine/view.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { duration, fields, printable, shorten, table } from "./text.ts";

/** Characters of a prompt or an input in an overview. */
const EXCERPT = 200;

/** All of one task. */
export function describeTask(task: TaskView): string {
  const head = fields([
    ["id", task.id],
    ["pool", task.pool],
    ["type", task.type],
    ["priority", task.priority],
    ["status", statusOf(task)],
    ["prompt", task.prompt === undefined ? undefined : shorten(task.prompt, EXCERPT)],
    ["input", task.input === undefined ? undefined : shorten(JSON.stringify(task.input), EXCERPT)],
    ["depends on", task.dependencies.length === 0 ? undefined : task.dependencies.join(", ")],
    ["requires", task.requires.length === 0 ? undefined : task.requires.join(", ")],
    ["created", task.createdAt],
    ["started", task.startedAt],
    ["settled", task.settledAt],
    ["attempts", `${task.attemptCount} of ${task.maxAttempts}`],
    ["replays", task.replays === 0 ? undefined : String(task.replays)],
    ["progress", task.progress === undefined ? undefined : shorten(valueText(task.progress), EXCERPT)],
    ["error", task.error === undefined ? undefined : `${task.error.code}: ${task.error.message}`],
  ]);
  const parts = [head];
  if (task.attempts.length > 0) parts.push(attemptTable(task.attempts));
  if (task.result !== undefined) parts.push(`result\n${printable(valueText(task.result), { lines: true })}`);
  return parts.join("\n\n");
}

/** One line for each task. */
export function taskTable(tasks: readonly TaskView[]): string {
  return table(
    ["ID", "POOL", "TYPE", "PRIORITY", "STATUS", "ATTEMPTS", "CREATED"],
    tasks.map((task) => [
      task.id,
      task.pool,
      task.type,
      task.priority,
      statusOf(task),
      `${task.attemptCount}/${task.maxAttempts}`,
      task.createdAt,
    ]),
  );
}

/** The exit code of a command that waited: a task that is still open is no error. */
export function exitCodeOf(task: Pick<TaskView, "status">): ExitCode {
  return task.status === "failed" || task.status === "cancelled" ? EXIT.endedBadly : EXIT.ok;
}

function statusOf(task: TaskView): string {
  const waiting = task.waiting === undefined ? "" : ` (${task.waiting.reason})`;
  return `${task.status}${waiting}${task.deadLettered ? ", dead letter" : ""}`;
}

function attemptTable(attempts: readonly AttemptView[]): string {
  return table(
    ["ATTEMPT", "AGENT", "OUTCOME", "BLAME", "TOOK", "ERROR"],
    attempts.map((attempt) => [
      String(attempt.number),
      attempt.agentName,
      attempt.outcome ?? "running",
      attempt.blame ?? "",
      attempt.endedAt === undefined ? "" : duration(Date.parse(attempt.endedAt) - Date.parse(attempt.assignedAt)),
      attempt.error === undefined ? "" : shorten(`${attempt.error.code}: ${attempt.error.message}`, 80),
    ]),
  );
}

function valueText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value, undefined, 2);
}
