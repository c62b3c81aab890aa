/** Cancelling: by a caller, with a pool, or with the engine. */
import { PoolError } from "../base/errors.ts";
import { type Command, DONE, type Known, type Reply } from "./command.ts";
import { stopAndFinish } from "./finish.ts";
import { notFound } from "./settle.ts";
import type { NamespaceState } from "./state.ts";
import type { Settlement, Task } from "./task.ts";
import type { Turn } from "./turn.ts";

export function cancellation(nowMs: number, code: string, message: string): Settlement {
  const error = { code, message, blame: "caller" as const };
  return { status: "cancelled", error, settledAtMs: nowMs, deadLettered: false };
}

/** Cancelling what is cancelled is fine; what has ended otherwise stays as it is. */
export function cancel(state: NamespaceState, command: Extract<Command, { type: "cancel" }>, turn: Turn): Reply {
  const { taskId, reason, known } = command;
  const task = state.tasks.get(taskId);
  if (task !== undefined && task.state.name !== "settled") {
    stopAndFinish(state, task, cancellation(turn.nowMs, "cancelled", reason), turn);
    return DONE;
  }
  refuseUnlessCancelled(task, taskId, known);
  return DONE;
}

function refuseUnlessCancelled(task: Task | undefined, taskId: Task["spec"]["id"], known: Known): void {
  const status = settlementOf(task, taskId, known).status;
  if (status === "cancelled") return;
  throw new PoolError("already_settled", `task ${taskId} is ${status}`, { details: { taskId, status } });
}

function settlementOf(task: Task | undefined, taskId: Task["spec"]["id"], known: Known): Settlement {
  const settlement = task?.state.name === "settled" ? task.state.settlement : known.tasks.get(taskId)?.settlement;
  if (settlement === undefined) throw notFound(taskId);
  return settlement;
}

export function openTasks(state: NamespaceState): Task[] {
  return [...state.tasks.values()].filter((task) => task.state.name !== "settled");
}
