/** The log as a story, for people and for the trace. */
import type { DurableEvent } from "../../core/event.ts";

/** One event in one line. */
export function lineOf(event: DurableEvent): string {
  switch (event.type) {
    case "task.submitted":
      return `${event.type} ${event.spec.id} ${event.resting.reason}`;
    case "task.leased":
      return `${event.type} ${event.taskId} ${event.agentId} ${event.fence}`;
    case "task.waiting":
      return `${event.type} ${event.taskId} ${event.resting.reason}`;
    case "attempt.ended":
      return `${event.type} ${event.taskId} ${event.attempt.fence} ${event.attempt.outcome} ${event.attempt.error?.code ?? ""} ${event.resting.reason}`;
    case "task.settled":
      return `${event.type} ${event.taskId} ${event.settlement.status} ${event.settlement.error?.code ?? ""} ${event.attempt?.fence ?? ""}`;
    case "task.replayed":
      return `${event.type} ${event.facts.spec.id}`;
    case "agent.added":
      return `${event.type} ${event.agent.name} ${event.agent.id}`;
    default:
      return `${event.type} ${"taskId" in event ? event.taskId : "pool" in event ? event.pool : ""}`;
  }
}
