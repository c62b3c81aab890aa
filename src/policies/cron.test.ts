import { expect, test } from "vitest";
import { MISSED_LIMIT, missedRuns, nextRunMs, problemOfCron } from "./cron.ts";

const at = (text: string): number => Date.parse(text);
const next = (cron: string, timezone: string, after: string): string | undefined => {
  const nextMs = nextRunMs({ cron, timezone }, at(after));
  return nextMs === undefined ? undefined : new Date(nextMs).toISOString();
};

test("the next instant is after the given one, never at it", () => {
  expect(next("0 9 * * *", "UTC", "2026-01-01T08:59:59.999Z")).toBe("2026-01-01T09:00:00.000Z");
  expect(next("0 9 * * *", "UTC", "2026-01-01T09:00:00.000Z")).toBe("2026-01-02T09:00:00.000Z");
  expect(next("@daily", "UTC", "2026-01-01T00:00:00.000Z")).toBe("2026-01-02T00:00:00.000Z");
  expect(next("*/10 * * * * *", "UTC", "2026-01-01T00:00:00.500Z")).toBe("2026-01-01T00:00:10.000Z");
});

test("a pattern is met by the clocks of its time zone", () => {
  expect(next("0 9 * * *", "Europe/Berlin", "2026-01-01T00:00:00Z")).toBe("2026-01-01T08:00:00.000Z");
  expect(next("0 9 * * *", "Europe/Berlin", "2026-07-01T00:00:00Z")).toBe("2026-07-01T07:00:00.000Z");
});

test("a time that the change of clocks leaves out is met at the end of the gap", () => {
  expect(next("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z")).toBe("2026-03-29T01:00:00.000Z");
  expect(next("30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z")).toBe("2026-03-30T00:30:00.000Z");
});

test("a time that the change of clocks repeats is met once", () => {
  expect(next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z")).toBe("2026-10-25T00:30:00.000Z");
  expect(next("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z")).toBe("2026-10-26T01:30:00.000Z");
});

test("a pattern that is met no more has no next instant", () => {
  expect(next("0 0 0 1 1 * 2026", "UTC", "2026-06-01T00:00:00Z")).toBeUndefined();
});

test("what is wrong with a rule is named by its field", () => {
  const problem = (cron: string, timezone = "UTC") =>
    problemOfCron({ cron, timezone }, at("2026-01-01T00:00:00Z"))?.path;
  expect(problem("0 9 * * 1-5", "Europe/Berlin")).toBeUndefined();
  for (const good of ["@hourly", "* * * * * *", "0 0 1 1 *", "0 0 0 1 1 * 2027"])
    expect(problem(good), good).toBeUndefined();
  for (const bad of ["", "bad", "* * * *", "61 * * * *", "? * * * *", "2026-05-01T00:00:00", "0 0 30 2 *", "@reboot"]) {
    expect(problem(bad), bad).toBe("cron");
  }
  expect(problem("* * * * *", "Nowhere/City")).toBe("timezone");
  expect(problem("* * * * *", "")).toBe("timezone");
});

test("instants that have passed are counted, up to a limit", () => {
  const rule = { cron: "0 * * * *", timezone: "UTC" };
  const from = at("2026-01-01T00:00:00Z");
  expect(missedRuns(rule, from, from + 3_599_999)).toBe(0);
  expect(missedRuns(rule, from, from + 3_600_000)).toBe(1);
  expect(missedRuns(rule, from, from + MISSED_LIMIT * 3_600_000)).toBe(MISSED_LIMIT);
  expect(missedRuns(rule, from, from + (MISSED_LIMIT + 1) * 3_600_000)).toBe(MISSED_LIMIT);
});
