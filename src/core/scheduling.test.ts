import { expect, test } from "vitest";
import { asPoolId, asTaskId } from "../base/ids.ts";
import { createWorld, MAIN, refusal, type World } from "../testing/world.ts";
import type { Schedule } from "./schedule.ts";
import { SCHEDULE_LIMIT } from "./schedule.ts";

const MINUTE = 60_000;
const startMs = Date.parse("2026-01-01T00:00:30Z");
const FIRST = startMs + MINUTE / 2;

function create(world: World, given: Partial<Schedule> = {}): void {
  const rule = { id: "s", pool: MAIN, cron: "* * * * *", timezone: "UTC", task: { prompt: "x" } };
  world.ask({ type: "create_schedule", schedule: { ...rule, overlap: "allow", paused: false, ...given } });
}

const schedule = (world: World, id = "s"): Schedule => world.state.schedules.get(id) as Schedule;
const asked = (world: World): number[] => world.effectsOf("submit_scheduled").map(({ atMs }) => atMs);

/** As the engine does: the task is submitted, and the core is told. */
function serve(world: World, atMs: number, id = `run-${atMs}`): void {
  world.submit({ id });
  world.ask({ type: "schedule_served", id: "s", atMs, result: { taskId: asTaskId(id) } });
}

test("an instant that has come asks for its task once, and the next follows when it was submitted", () => {
  const world = createWorld({ startMs });
  create(world);
  expect(schedule(world).nextAtMs).toBe(FIRST);
  world.advance(MINUTE / 2 - 1);
  expect(asked(world)).toEqual([]);
  world.advance(1);
  expect(asked(world)).toEqual([FIRST]);
  world.advance(10);
  expect(asked(world)).toEqual([FIRST]);
  serve(world, FIRST);
  expect(schedule(world)).toMatchObject({ nextAtMs: FIRST + MINUTE, lastAtMs: FIRST, fired: 1, missed: 0 });
  expect(world.eventsOf("schedule.missed")).toEqual([]);
  world.advance(MINUTE);
  expect(asked(world)).toEqual([FIRST, FIRST + MINUTE]);
});

test("an instant that nobody has confirmed is asked for again after a restart, and counts once", () => {
  const world = createWorld({ startMs });
  create(world);
  world.advance(MINUTE / 2);
  world.restart();
  world.advance(0);
  expect(asked(world)).toEqual([FIRST, FIRST]);
  serve(world, FIRST);
  world.ask({ type: "schedule_served", id: "s", atMs: FIRST, result: { taskId: asTaskId("again") } });
  expect(schedule(world)).toMatchObject({ fired: 1, lastTaskId: `run-${FIRST}` });
});

test("instants that were missed while the engine was down are made up for by one", () => {
  const world = createWorld({ startMs });
  create(world);
  world.nowMs += 10 * MINUTE;
  world.restart();
  world.advance(0);
  expect(asked(world)).toEqual([FIRST]);
  serve(world, FIRST);
  expect(schedule(world)).toMatchObject({ fired: 1, missed: 9, nextAtMs: FIRST + 10 * MINUTE });
  expect(world.eventsOf("schedule.missed")).toEqual([
    { type: "schedule.missed", scheduleId: "s", dueAtMs: FIRST, missed: 9 },
  ]);
  world.advance(0);
  expect(asked(world)).toEqual([FIRST]);
});

test("a refused submission is said on the schedule, which goes on; the next success takes it back", () => {
  const world = createWorld({ startMs });
  create(world);
  world.advance(MINUTE / 2);
  const error = { code: "queue_full", message: "full" };
  world.ask({ type: "schedule_served", id: "s", atMs: FIRST, result: { error, epoch: world.state.epoch } });
  expect(schedule(world)).toMatchObject({ lastError: error, fired: 0, nextAtMs: FIRST + MINUTE });
  expect(world.eventsOf("schedule.refused")).toHaveLength(1);
  world.advance(MINUTE);
  serve(world, FIRST + MINUTE);
  expect(schedule(world)).toMatchObject({ fired: 1 });
  expect(schedule(world).lastError).toBeUndefined();
});

test("with overlap skip nothing is asked for while the task before is open", () => {
  const world = createWorld({ startMs });
  create(world, { overlap: "skip" });
  world.advance(MINUTE / 2);
  serve(world, FIRST, "one");
  world.advance(MINUTE);
  expect(asked(world)).toEqual([FIRST]);
  expect(schedule(world)).toMatchObject({ fired: 1, lastAtMs: FIRST + MINUTE, nextAtMs: FIRST + 2 * MINUTE });
  expect(world.eventsOf("schedule.skipped")).toHaveLength(1);
  world.cancel("one");
  world.advance(MINUTE);
  expect(asked(world)).toEqual([FIRST, FIRST + 2 * MINUTE]);
});

test("with overlap allow it is asked for all the same", () => {
  const world = createWorld({ startMs, agents: ["ada"] });
  create(world);
  world.advance(MINUTE / 2);
  serve(world, FIRST, "one");
  world.advance(MINUTE);
  expect(asked(world)).toEqual([FIRST, FIRST + MINUTE]);
});

test("a paused schedule lets its instants pass, and goes on with the next one", () => {
  const world = createWorld({ startMs });
  create(world, { paused: true });
  expect(schedule(world).nextAtMs).toBeUndefined();
  world.advance(10 * MINUTE);
  world.ask({ type: "pause_schedule", id: "s", paused: false });
  expect([asked(world), schedule(world).nextAtMs]).toEqual([[], FIRST + 10 * MINUTE]);
  world.ask({ type: "pause_schedule", id: "s", paused: true });
  const { length } = world.events;
  world.ask({ type: "pause_schedule", id: "s", paused: true });
  expect(world.events).toHaveLength(length);
  world.advance(10 * MINUTE);
  expect(asked(world)).toEqual([]);
});

test("an id is taken once; pool and schedule must be there", () => {
  const world = createWorld({ startMs });
  create(world);
  expect(refusal(() => create(world))).toMatchObject({ code: "conflict", details: { path: "id" } });
  expect(refusal(() => create(world, { id: "t", pool: asPoolId("nowhere") }))).toMatchObject({ code: "not_found" });
  expect(refusal(() => world.ask({ type: "delete_schedule", id: "t" }))).toMatchObject({ code: "not_found" });
  expect(refusal(() => world.ask({ type: "pause_schedule", id: "t", paused: true }))).toMatchObject({
    code: "not_found",
  });
});

test("a deleted schedule asks for nothing; those of a deleted pool go with it", () => {
  const world = createWorld({ startMs });
  world.addPool({ id: "other" });
  create(world);
  create(world, { id: "of-other", pool: asPoolId("other") });
  create(world, { id: "routed", pool: undefined, route: { selector: "random" } });
  world.ask({ type: "delete_schedule", id: "s" });
  world.ask({ type: "delete_pool", pool: asPoolId("other") });
  expect([...world.state.schedules.keys()]).toEqual(["routed"]);
  world.advance(MINUTE);
  expect(world.effectsOf("submit_scheduled").map(({ scheduleId }) => scheduleId)).toEqual(["routed"]);
});

test("there may be so many schedules and no more", () => {
  const world = createWorld({ startMs, checks: "end" });
  for (let n = 1; n <= SCHEDULE_LIMIT; n++) create(world, { id: `s${n}`, paused: true });
  expect(refusal(() => create(world, { id: "more", paused: true }))).toMatchObject({
    code: "queue_full",
    details: { limit: "schedules", bound: SCHEDULE_LIMIT },
  });
  world.ask({ type: "delete_schedule", id: "s1" });
  create(world, { id: "more", paused: true });
});

test("nothing is asked for while the engine closes; the next one makes up for it", () => {
  const world = createWorld({ startMs });
  create(world);
  world.ask({ type: "drain", matching: false });
  world.advance(MINUTE);
  expect(asked(world)).toEqual([]);
  world.restart();
  world.advance(0);
  expect(asked(world)).toEqual([FIRST]);
});

test("what was refused by a term that ended is no word on its instant: the next term serves it", () => {
  const world = createWorld({ startMs });
  create(world);
  world.advance(MINUTE / 2);
  const { epoch } = world.state;
  world.restart();
  const error = { code: "store_full", message: "no space" };
  world.ask({ type: "schedule_served", id: "s", atMs: FIRST, result: { error, epoch } });
  expect([schedule(world).nextAtMs, schedule(world).lastError]).toEqual([FIRST, undefined]);
  expect(asked(world)).toEqual([FIRST, FIRST]);
  serve(world, FIRST);
  expect(schedule(world)).toMatchObject({ nextAtMs: FIRST + MINUTE, fired: 1 });
});

test("an engine that stops takes no more schedules", () => {
  const world = createWorld({ startMs });
  world.ask({ type: "drain", matching: true });
  expect(refusal(() => create(world)).code).toBe("shutting_down");
});
