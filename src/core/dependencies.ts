/** Dependencies are met one by one; what it means when one does not complete. */
import type { TaskId } from "../base/ids.ts";
import type { Resting } from "./event.ts";
import type { FinalStatus, Settlement, Task, TaskError } from "./task.ts";
import type { Turn } from "./turn.ts";

/** What a dependency's end means for a task that waits for it. */
export function fateOf(task: Pick<Task, "spec">, status: FinalStatus): "met" | "cancelled" | "failed" {
  if (status === "completed" || task.spec.onDependencyFailure === "run") return "met";
  return task.spec.onDependencyFailure === "fail" ? "failed" : "cancelled";
}

export function dependencyFailure(dependency: TaskId, status: "cancelled" | "failed", nowMs: number): Settlement {
  const message = `its dependency ${dependency} did not complete`;
  const error: TaskError = { code: "dependency_failed", message, blame: "dependency", details: { dependency } };
  return { status, error, settledAtMs: nowMs, deadLettered: status === "failed" };
}

/** One dependency less; after the last the task waits for its time, or for an agent. */
export function meetDependency(task: Task, met: { dependency: TaskId; failed: boolean }, turn: Turn): void {
  turn.record({ type: "task.dependency_met", taskId: task.spec.id, ...met });
  if (task.unmet > 0) return;
  turn.record({
    type: "task.waiting",
    taskId: task.spec.id,
    resting: afterDependencies(task, turn.nowMs),
    again: false,
  });
}

const FOR_AN_AGENT: Resting = { reason: "agent" };

export function afterDependencies({ spec }: Pick<Task, "spec">, nowMs: number): Resting {
  const { runAtMs } = spec;
  return runAtMs !== undefined && runAtMs > nowMs ? { reason: "delay", untilMs: runAtMs } : FOR_AN_AGENT;
}
