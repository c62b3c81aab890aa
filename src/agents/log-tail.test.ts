import { expect, test } from "vitest";
import { LOG_TAIL_LIMIT, LogTail } from "./log-tail.ts";

function tailOf(...texts: readonly string[]): readonly string[] {
  const tail = new LogTail();
  for (const text of texts) tail.push(text);
  return tail.lines();
}

const line = (length: number): string => `${"x".repeat(length - 1)}\n`;
const sizeOf = (lines: readonly string[]): number => lines.join("\n").length;

test("nothing written, no lines", () => {
  expect(tailOf()).toEqual([]);
});

test("lines are put together from pieces; the last may be open", () => {
  expect(tailOf("a", "b\nc\r", "\n\nd")).toEqual(["ab", "c", "", "d"]);
});

test("exactly the limit is kept, one more costs the first line", () => {
  expect(tailOf("first\n", line(LOG_TAIL_LIMIT - 6))).toHaveLength(2);
  expect(tailOf("first\n", line(LOG_TAIL_LIMIT - 5))).toHaveLength(1);
});

test("a cut between two lines costs no line more", () => {
  expect(tailOf("first\n", line(LOG_TAIL_LIMIT / 2), line(LOG_TAIL_LIMIT / 2))).toHaveLength(2);
});

test("of one endless line its end is kept", () => {
  const lines = tailOf(`${"a".repeat(LOG_TAIL_LIMIT)}b`);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toHaveLength(LOG_TAIL_LIMIT);
  expect(lines[0]?.endsWith("ab")).toBe(true);
});

test("the last lines are kept, whatever the pieces", () => {
  const tail = new LogTail();
  for (let i = 0; i < 50_000; i++) tail.push(`line ${i}\n`);
  const lines = tail.lines();
  expect(lines.at(-1)).toBe("line 49999");
  expect(lines[0]).toMatch(/^line \d{5}$/);
  expect(sizeOf(lines)).toBeLessThanOrEqual(LOG_TAIL_LIMIT);
  expect(sizeOf(lines)).toBeGreaterThan(LOG_TAIL_LIMIT - 20);
  expect(tail.lines()).toEqual(lines);
});

test("whole lines are counted for ever, and those after a count are given as far as they are kept", () => {
  const tail = new LogTail();
  expect([tail.lineCount, tail.linesAfter(0)]).toEqual([0, []]);
  tail.push("a\nb");
  expect([tail.lineCount, tail.linesAfter(0), tail.linesAfter(1)]).toEqual([1, ["a"], []]);
  tail.push("b\nc\n");
  expect([tail.lineCount, tail.linesAfter(1), tail.linesAfter(3), tail.linesAfter(9)]).toEqual([
    3,
    ["bb", "c"],
    [],
    [],
  ]);
  for (let n = 0; n < 3; n++) tail.push(line(LOG_TAIL_LIMIT / 2));
  expect([tail.lineCount, tail.linesAfter(0).length, tail.linesAfter(5).length]).toEqual([6, 2, 1]);
});
