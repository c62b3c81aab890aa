/** Schedules over real engines, with time in the test's hand. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { type Clock, systemClock } from "../base/clock.ts";
import { createVirtualClock } from "../testing/virtual-clock.ts";
import { functionAgent } from "./library/agents.ts";
import { createTroupe, type Troupe, type TroupeRouteOptions } from "./library/troupe.ts";
import { SCHEDULED_TASK_LIMIT } from "./options/schedule.ts";

const MINUTE = 60_000;
const START = Date.parse("2026-01-01T00:00:30Z");
const toClose: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of toClose.splice(0).reverse()) await close();
});

/** Time passes as outside, from this instant on. */
function clockFrom(startMs: number): Clock {
  const beganMs = systemClock.monotonic();
  const { monotonic, timer, defer } = systemClock;
  return { now: () => startMs + monotonic() - beganMs, monotonic, timer, defer };
}

async function aTroupe(clock: Clock, store = "memory:"): Promise<Troupe> {
  const troupe = await createTroupe({ clock, store });
  toClose.push(() => troupe.close({ drainMs: 0 }));
  return troupe;
}

const aSchedule = { id: "s", pool: "main", cron: "* * * * *", task: { prompt: "report" } };
const until = (holds: () => unknown): Promise<unknown> =>
  vi.waitFor(() => expect(holds()).toBeTruthy(), { timeout: 10_000, interval: 5 });

test("S3-61 a schedule submits its task when its time has come, and shows it", async () => {
  const clock = createVirtualClock(START);
  const troupe = await aTroupe(clock);
  const pool = await troupe.create({ id: "main", agents: [functionAgent("ada", ({ task }) => task.prompt)] });
  const made = await troupe.schedules.create(aSchedule);
  expect(made).toMatchObject({ id: "s", timezone: "UTC", nextAt: "2026-01-01T00:01:00.000Z", fired: 0, paused: false });
  await clock.advance(MINUTE / 2);
  await until(() => troupe.schedules.get("s").fired === 1);
  const { items } = await pool.tasks();
  expect(items).toMatchObject([{ prompt: "report", pool: "main" }]);
  expect(troupe.schedules.get("s")).toMatchObject({
    lastTaskId: items[0]?.id,
    lastAt: "2026-01-01T00:01:00.000Z",
    nextAt: "2026-01-01T00:02:00.000Z",
  });
  await troupe.schedules.delete("s");
  await clock.advance(2 * MINUTE);
  expect(troupe.schedules.list()).toEqual([]);
  expect((await pool.tasks()).items).toHaveLength(1);
});

test("over a restart it stays, and what was missed runs once", async () => {
  const directory = mkdtempSync(join(tmpdir(), "troupe-schedules-"));
  toClose.push(() => rmSync(directory, { recursive: true, force: true }));
  const store = `sqlite:${join(directory, "data.db")}`;
  const first = await aTroupe(clockFrom(START), store);
  await first.create({ id: "main" });
  await first.schedules.create(aSchedule);
  await first.close({ drainMs: 0 });
  const second = await aTroupe(clockFrom(START + 60 * MINUTE), store);
  await until(() => second.schedules.get("s").fired === 1);
  expect(second.schedules.get("s")).toMatchObject({ fired: 1, missed: 59, nextAt: "2026-01-01T01:01:00.000Z" });
  expect((await second.get("main")?.tasks())?.items).toHaveLength(1);
});

test("a routed schedule asks its selector each time", async () => {
  const clock = createVirtualClock(START);
  const troupe = await aTroupe(clock);
  for (const id of ["one", "two"]) await troupe.create({ id, agents: [functionAgent("ada", () => null)] });
  const { pool: _, ...routed } = aSchedule;
  const options: TroupeRouteOptions = { selector: "round_robin", allow: ["one", "two"] };
  await troupe.schedules.create({ ...routed, selector: options.selector, allow: ["one", "two"] });
  for (const fired of [1, 2]) {
    await clock.advance(MINUTE);
    await until(() => troupe.schedules.get("s").fired === fired);
  }
  for (const id of ["one", "two"]) expect((await troupe.get(id)?.tasks())?.items, id).toHaveLength(1);
});

test("a full queue refuses its task, and the schedule says so", async () => {
  const clock = createVirtualClock(START);
  const troupe = await aTroupe(clock);
  await troupe.create({ id: "main", queue: { limit: 0 } });
  await troupe.schedules.create(aSchedule);
  await clock.advance(MINUTE / 2);
  await until(() => troupe.schedules.get("s").lastError);
  expect(troupe.schedules.get("s")).toMatchObject({
    fired: 0,
    lastError: { code: "queue_full" },
    nextAt: "2026-01-01T00:02:00.000Z",
  });
});

test("it can be paused and resumed", async () => {
  const clock = createVirtualClock(START);
  const troupe = await aTroupe(clock);
  await troupe.create({ id: "main" });
  await troupe.schedules.create({ ...aSchedule, paused: true });
  expect(troupe.schedules.get("s").nextAt).toBeUndefined();
  await troupe.schedules.resume("s");
  expect((await troupe.schedules.pause("s")).paused).toBe(true);
  await clock.advance(5 * MINUTE);
  expect(troupe.schedules.get("s")).toMatchObject({ fired: 0, missed: 0 });
  await troupe.schedules.resume("s");
  await clock.advance(MINUTE);
  await until(() => troupe.schedules.get("s").fired === 1);
});

test("one that runs serves nothing while it is paused", async () => {
  const clock = createVirtualClock(START);
  const troupe = await aTroupe(clock);
  const pool = await troupe.create({ id: "main" });
  await troupe.schedules.create(aSchedule);
  expect(await troupe.schedules.pause("s")).toMatchObject({ paused: true });
  await clock.advance(5 * MINUTE);
  expect((await pool.tasks()).items).toEqual([]);
});

test("what is wrong with a schedule is named by its path", async () => {
  const troupe = await aTroupe(createVirtualClock(START));
  await troupe.create({ id: "main" });
  const refused = async (given: object) => {
    const error = await troupe.schedules.create({ ...aSchedule, ...given } as never).then(
      () => undefined,
      (thrown: unknown) => thrown as { code: string; details: { path: string } },
    );
    return [error?.code, error?.details.path];
  };
  expect(await refused({ cron: "every day" })).toEqual(["invalid", "cron"]);
  expect(await refused({ timezone: "Mars/Base" })).toEqual(["invalid", "timezone"]);
  expect(await refused({ pool: undefined })).toEqual(["invalid", "pool"]);
  expect(await refused({ pool: "nowhere" })).toEqual(["not_found", "pool"]);
  expect(await refused({ selector: "affinity", pool: undefined })).toEqual(["invalid", "pool"]);
  expect(await refused({ allow: ["main"] })).toEqual(["invalid", "allow"]);
  expect(await refused({ task: {} })).toEqual(["invalid", "task.prompt"]);
  expect(await refused({ task: { prompt: "x", id: "t" } })).toEqual(["invalid", "task.id"]);
  expect(await refused({ task: { prompt: "x", idempotencyKey: "k" } })).toEqual(["invalid", "task.idempotencyKey"]);
  expect(await refused({ every: 5 })).toEqual(["invalid", "every"]);
  const room = SCHEDULED_TASK_LIMIT - JSON.stringify({ prompt: "" }).length;
  expect(await refused({ task: { prompt: "x".repeat(room + 1) } })).toEqual(["too_large", "task"]);
  expect(await refused({ task: { prompt: "x".repeat(room) } })).toEqual([undefined, undefined]);
  expect(await refused({})).toEqual(["conflict", "id"]);
});
