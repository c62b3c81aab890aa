import { expect, test } from "vitest";
import type { AttemptView } from "../../engine/view.ts";
import { quantiles, recordOf, refusedRecord, summarise } from "./run-record.ts";
import type { FileTask } from "./task-file.ts";

const aLine = (line: number): FileTask => ({ line, pool: "p", task: { prompt: "x" }, size: 1, after: [] });

const instant = (ms: number): string => new Date(ms).toISOString();

function anAttempt(
  number: number,
  agentId: string,
  { startedAtMs, endedAtMs }: { startedAtMs: number; endedAtMs: number },
): AttemptView {
  return {
    number,
    agentId,
    agentName: agentId,
    hostId: "h",
    fence: number,
    assignedAt: instant(startedAtMs),
    startedAt: instant(startedAtMs),
    endedAt: instant(endedAtMs),
  };
}

test("queue time ends at the first attempt, run time is that of the last", () => {
  const attempts = [
    anAttempt(1, "a", { startedAtMs: 100, endedAtMs: 150 }),
    anAttempt(2, "b", { startedAtMs: 300, endedAtMs: 370 }),
  ];
  const record = recordOf(aLine(1), { id: "t", status: "completed", createdAt: instant(40), attempts });
  expect(record).toMatchObject({ queueMs: 60, runMs: 70, attempts: 2, failovers: 1 });
});

test("another attempt on the same agent is no failover", () => {
  const attempts = ["a", "a", "b", "a"].map((agent, at) =>
    anAttempt(at + 1, agent, { startedAtMs: at, endedAtMs: at }),
  );
  expect(recordOf(aLine(1), { id: "t", status: "failed", attempts })).toMatchObject({ attempts: 4, failovers: 2 });
});

test("of a task that the server has forgotten only the status counts", () => {
  const record = recordOf(aLine(1), { id: "t", status: "completed" });
  expect(record).toMatchObject({ status: "completed", attempts: 0, failovers: 0 });
  expect(summarise([record])).toMatchObject({ queueMs: null, runMs: null, problems: [] });
});

test("quantiles are samples by nearest rank", () => {
  const hundred = Array.from({ length: 100 }, (_, at) => 100 - at);
  expect(quantiles(hundred)).toEqual({ p50: 50, p99: 99 });
  expect(quantiles([7])).toEqual({ p50: 7, p99: 7 });
  expect(quantiles([1, undefined, 3])).toEqual({ p50: 1, p99: 3 });
  expect(quantiles([])).toBeNull();
  expect(quantiles([undefined])).toBeNull();
});

test("the summary counts every status and lists what did not complete by line", () => {
  const error = { code: "exhausted", message: "gave up" };
  const summary = summarise([
    refusedRecord(aLine(9), { code: "invalid", message: "no" }),
    recordOf(aLine(3), { id: "c", status: "cancelled" }),
    recordOf(aLine(1), { id: "a", status: "completed" }),
    recordOf(aLine(2), { id: "b", status: "failed", error }),
  ]);
  expect(summary.total).toBe(4);
  expect(summary.byStatus).toEqual({ completed: 1, failed: 1, cancelled: 1, refused: 1 });
  expect(summary.problems.map(({ line, status }) => [line, status])).toEqual([
    [2, "failed"],
    [3, "cancelled"],
    [9, "refused"],
  ]);
  expect(summary.problems[0]?.error).toEqual(error);
});
