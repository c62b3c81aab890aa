/** Schedules: every change is a new record in the place of the old. */
import { assert } from "../../base/assert.ts";
import type { Event } from "../event.ts";
import type { Schedule } from "../schedule.ts";
import type { NamespaceState } from "../state.ts";

export function addSchedule(state: NamespaceState, schedule: Schedule): void {
  state.schedules.set(schedule.id, schedule);
  watch(state, schedule);
}

type Changed = Extract<
  Event,
  { type: "schedule.paused" | "schedule.fired" | "schedule.refused" | "schedule.skipped" | "schedule.missed" }
>;

export function changeSchedule(state: NamespaceState, event: Changed): void {
  const known = state.schedules.get(event.scheduleId);
  assert(known !== undefined, `schedule ${event.scheduleId} exists`);
  const schedule = { ...known, ...changesOf(known, event) };
  state.schedules.set(schedule.id, schedule);
  if (event.type !== "schedule.missed") watch(state, schedule);
}

function changesOf(known: Schedule, event: Changed): Partial<Schedule> {
  if (event.type === "schedule.missed") return { missed: known.missed + event.missed };
  const { nextAtMs } = event;
  if (event.type === "schedule.paused") return { paused: event.paused, nextAtMs };
  const lastAtMs = event.dueAtMs;
  if (event.type === "schedule.skipped") return { nextAtMs, lastAtMs };
  if (event.type === "schedule.refused") return { nextAtMs, lastAtMs, lastError: event.error };
  return { nextAtMs, lastAtMs, lastTaskId: event.submitted, lastError: undefined, fired: known.fired + 1 };
}

function watch(state: NamespaceState, { id, nextAtMs }: Schedule): void {
  if (nextAtMs !== undefined) state.due.add({ kind: "schedule", atMs: nextAtMs, scheduleId: id });
}
