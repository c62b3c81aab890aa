import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import type { Clock } from "../../base/clock.ts";
import { ProgressDisplay, summaryText } from "./run-display.ts";

function aDisplay({ isTTY }: { isTTY: boolean }): {
  display: ProgressDisplay;
  written: () => string;
  advance: (ms: number) => void;
} {
  const stream = Object.assign(new PassThrough(), { isTTY });
  let nowMs = 0;
  const clock = { monotonic: () => nowMs } as Clock;
  let text = "";
  stream.on("data", (chunk) => {
    text += String(chunk);
  });
  return {
    display: new ProgressDisplay(stream as unknown as NodeJS.WriteStream, clock),
    written: () => text,
    advance: (ms) => {
      nowMs += ms;
    },
  };
}

const progress = (settled: number, total = 100): Parameters<ProgressDisplay["show"]>[0] => ({
  total,
  submitted: total,
  settled,
  bad: 0,
});

test("without a terminal there is a line for each tenth, and no control characters", () => {
  const { display, written } = aDisplay({ isTTY: false });
  for (let settled = 1; settled <= 100; settled++) display.show(progress(settled));
  display.end();
  const lines = written().trim().split("\n");
  expect(lines).toHaveLength(10);
  expect(lines[0]).toBe("10 of 100 settled");
  expect(lines.at(-1)).toBe("100 of 100 settled");
  expect(written()).not.toContain("\u001b");
});

test("what went badly and what is not yet submitted is said", () => {
  const { display, written } = aDisplay({ isTTY: false });
  display.show({ total: 10, submitted: 4, settled: 3, bad: 2 });
  expect(written()).toBe("3 of 10 settled, 2 badly, 6 not yet submitted\n");
});

test("a terminal has a bar that is drawn over itself, not more often than the eye sees, and at the end full", () => {
  const { display, written, advance } = aDisplay({ isTTY: true });
  display.show(progress(1));
  advance(49);
  display.show(progress(2));
  advance(1);
  display.show(progress(50));
  display.show(progress(100));
  display.end();
  const drawn = written().split("\r").slice(1);
  expect(drawn.map((line) => line.match(/(\d+) of/)?.[1])).toEqual(["1", "50", "100"]);
  expect(drawn[1]).toContain(`[${"█".repeat(15)}${"░".repeat(15)}]`);
  expect(drawn[2]).toContain(`[${"█".repeat(30)}]`);
  expect(written().endsWith("\n")).toBe(true);
});

test("a summary lists twenty problems and counts the rest", () => {
  const problems = Array.from({ length: 21 }, (_, at) => ({
    line: at + 1,
    pool: "p",
    id: undefined,
    status: "failed" as const,
    error: undefined,
  }));
  const byStatus = { completed: 0, failed: 21, cancelled: 0, refused: 0 };
  const text = summaryText({ total: 21, byStatus, attempts: 0, failovers: 0, queueMs: null, runMs: null, problems });
  expect(text).toMatch(/^20 +p +failed$/m);
  expect(text).not.toMatch(/^21 +p/m);
  expect(text).toContain("and 1 more");
  expect(text).not.toContain("completed");
  expect(text).not.toContain("queue time");
});
