/** Schedules, by the log: each instant is served once, in order, and by a task of its own. */
import type { DurableEvent } from "../../core/event.ts";
import type { AuditedSchedule } from "./audited.ts";
import type { Books } from "./books.ts";

export type ScheduleEvent = Extract<DurableEvent, { readonly type: `schedule.${string}` }>;

export function scheduled(books: Books, event: ScheduleEvent): void {
  const { schedules } = books;
  if (event.type === "schedule.created") {
    const { id, overlap, nextAtMs } = event.schedule;
    books.holds(!schedules.has(id), `schedule ${id} is made once`);
    schedules.set(id, { overlap, nextAtMs, lastTaskId: undefined, untold: undefined });
    return;
  }
  const { scheduleId: id } = event;
  const schedule = schedules.get(id);
  books.holds(schedule !== undefined, `schedule ${id} was made before anything else happens to it`);
  if (schedule === undefined) return;
  switch (event.type) {
    case "schedule.deleted":
      schedules.delete(id);
      break;
    case "schedule.paused":
      schedule.nextAtMs = event.nextAtMs;
      schedule.untold = undefined;
      books.holds(
        event.paused === (event.nextAtMs === undefined),
        `schedule ${id} waits for nothing while it is paused`,
      );
      break;
    case "schedule.missed":
      books.holds(event.missed > 0 && event.dueAtMs === schedule.nextAtMs, `schedule ${id} missed something`);
      books.tools.reach("instants of a schedule passed unserved");
      break;
    case "schedule.fired":
    case "schedule.refused":
    case "schedule.skipped":
      served(books, schedule, event);
  }
}

/** A task has been submitted: if by a schedule, it is the only one of its instant. */
export function submittedFor({ schedules, tools }: Books, id: string, mark: string | undefined): void {
  const schedule = schedules.get(mark ?? "");
  if (schedule === undefined) return;
  if (schedule.untold !== undefined)
    tools.violate(`schedule ${mark} submits one task for an instant, not ${id} as well`);
  schedule.untold = id;
}

function served(
  books: Books,
  schedule: AuditedSchedule,
  event: Extract<ScheduleEvent, { readonly dueAtMs: number; readonly nextAtMs: number | undefined }>,
): void {
  const { scheduleId: id, dueAtMs, nextAtMs } = event;
  books.holds(dueAtMs === schedule.nextAtMs, `schedule ${id} serves ${schedule.nextAtMs}, not ${dueAtMs}`);
  books.holds(dueAtMs <= books.atMs, `schedule ${id} serves nothing before its time`);
  books.holds((nextAtMs ?? Number.POSITIVE_INFINITY) > books.atMs, `schedule ${id} goes on with what is still to come`);
  schedule.nextAtMs = nextAtMs;
  const before = books.tasks.get(schedule.lastTaskId ?? "");
  const isOpen = before !== undefined && before.state !== "settled";
  if (event.type === "schedule.skipped") {
    books.holds(isOpen && schedule.overlap === "skip", `schedule ${id} is skipped while its last task is open`);
    books.tools.reach("an instant was skipped, as the task before was open");
  }
  if (event.type !== "schedule.fired") return;
  const task = books.tasks.get(event.submitted);
  books.holds(task !== undefined, `the task ${event.submitted} of schedule ${id} is stored when it is told`);
  books.holds(event.submitted !== schedule.lastTaskId, `schedule ${id} submits another task each time`);
  const overlaps = isOpen && before.replays === 0 && schedule.overlap === "skip";
  books.holds(!overlaps, `schedule ${id} submits nothing while its last task is open`);
  schedule.lastTaskId = event.submitted;
  schedule.untold = undefined;
  books.tools.reach("a schedule submitted a task");
}
