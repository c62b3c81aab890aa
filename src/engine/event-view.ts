/** Events as outsiders see them: the core's own words, ISO times, no bodies, no results and no secrets of options. */
import type { TaskId } from "../base/ids.ts";
import type { Json } from "../base/json.ts";
import type { DurableEvent, Notice, Resting } from "../core/event.ts";
import { WHOLE_POOL } from "../core/spend.ts";
import { PRIORITY_NAMES } from "../core/task.ts";
import { iso } from "./instant.ts";
import { attemptView } from "./present-task.ts";

type Fields = { readonly [name: string]: unknown };

/** The task that an event is about. */
export function taskOfEvent(event: DurableEvent | Notice): TaskId | undefined {
  if ("taskId" in event) return event.taskId;
  if (event.type === "task.submitted") return event.spec.id;
  return event.type === "task.replayed" ? event.facts.spec.id : undefined;
}

/** JSON text of `{ seq?, type, at, … }`; `seq` only of a durable event. */
export function eventText(event: DurableEvent | Notice, { seq, atMs }: { seq?: number; atMs: number }): string {
  const { type } = event;
  return JSON.stringify({
    ...(seq === undefined ? {} : { seq }),
    type: shownAs(type),
    at: iso(atMs),
    ...fieldsOf(event),
  });
}

/** Where an attempt runs makes no difference to those outside. */
export function shownAs(type: (DurableEvent | Notice)["type"]): string {
  return type === "task.started_here" ? "task.started" : type;
}

function fieldsOf(event: DurableEvent | Notice): Fields {
  switch (event.type) {
    case "agent.added": {
      const { id, pool, name, kind } = event.agent;
      return { agentId: id, pool, name, kind };
    }
    case "pool.scaled": {
      const { pool, from, to, by, reason } = event;
      return { pool, from, to, by, reason };
    }
    case "agent.changed": {
      const { id, pool, name, failed, drained } = event.agent;
      return { agentId: id, pool, name, failed, drained };
    }
    case "task.submitted": {
      const { id, pool, type, priority, dependencies, parentId } = event.spec;
      const waiting = waitingOf(event.resting);
      return { taskId: id, pool, taskType: type, priority: PRIORITY_NAMES[priority], dependencies, parentId, waiting };
    }
    case "task.waiting":
      return { taskId: event.taskId, waiting: waitingOf(event.resting) };
    case "task.deadline_near":
      return { taskId: event.taskId, priority: PRIORITY_NAMES[event.priority] };
    case "task.dependency_met":
      return { taskId: event.taskId, dependency: event.dependency, failed: event.failed };
    case "task.leased": {
      const { taskId, agentId, number, fence, expiresAtMs } = event;
      return { taskId, agentId, number, fence, leaseExpiresAt: iso(expiresAtMs) };
    }
    case "task.started":
    case "task.started_here":
      return { taskId: event.taskId, fence: event.fence };
    case "attempt.ended":
      return {
        taskId: event.taskId,
        attempt: attemptView(event.attempt),
        charged: event.charged,
        waiting: waitingOf(event.resting),
      };
    case "task.settled": {
      const { status, error, deadLettered, usage } = event.settlement;
      const attempt = event.attempt === undefined ? undefined : attemptView(event.attempt);
      return { taskId: event.taskId, status, error, deadLettered, usage, attempt };
    }
    case "task.replayed":
      return { taskId: event.facts.spec.id, pool: event.facts.spec.pool };
    case "task.progressed":
      return { taskId: event.taskId, fence: event.fence, progress: event.progress };
    case "agent.lifecycle": {
      const { agentId, lifecycle, retryAtMs, lastExit } = event;
      const retryAt = retryAtMs === undefined ? undefined : iso(retryAtMs);
      return { agentId, lifecycle, retryAt, reason: lastExit?.reason };
    }
    case "agent.health":
      return { agentId: event.agentId, source: event.source, health: event.health, reason: event.reason };
    case "spend.freed":
      return event.tenant === WHOLE_POOL ? { pool: event.pool } : { pool: event.pool, tenant: event.tenant };
    case "schedule.created": {
      const { id, pool, cron, timezone, nextAtMs } = event.schedule;
      return { scheduleId: id, pool, cron, timezone, nextAt: isoOf(nextAtMs) };
    }
    case "schedule.deleted":
      return { scheduleId: event.scheduleId };
    case "schedule.paused":
      return { scheduleId: event.scheduleId, paused: event.paused, nextAt: isoOf(event.nextAtMs) };
    case "schedule.fired":
      return { ...servedOf(event), taskId: event.submitted };
    case "schedule.refused":
      return { ...servedOf(event), error: event.error };
    case "schedule.skipped":
      return servedOf(event);
    case "schedule.missed":
      return { scheduleId: event.scheduleId, dueAt: iso(event.dueAtMs), missed: event.missed };
    default:
      return idsOf(event);
  }
}

const isoOf = (atMs: number | undefined): string | undefined => (atMs === undefined ? undefined : iso(atMs));

function servedOf(event: Extract<DurableEvent, { dueAtMs: number; nextAtMs: number | undefined }>): Fields {
  return { scheduleId: event.scheduleId, dueAt: iso(event.dueAtMs), nextAt: isoOf(event.nextAtMs) };
}

function waitingOf(resting: Resting): { readonly reason: string; readonly until?: string } {
  return "untilMs" in resting && Number.isFinite(resting.untilMs)
    ? { reason: resting.reason, until: iso(resting.untilMs) }
    : { reason: resting.reason };
}

const IDS = ["taskId", "agentId", "pool"] as const;

/** All that is safe to tell of an event without words of its own: options may hold secrets. */
function idsOf(event: object): Fields {
  const given = event as { readonly [name: string]: Json };
  return Object.fromEntries(IDS.flatMap((name) => (typeof given[name] === "string" ? [[name, given[name]]] : [])));
}
