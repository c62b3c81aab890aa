import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { duration, fields, printable, shellQuoted, shorten, table } from "./text.ts";

test("columns are aligned and no line ends in blanks", () => {
  expect(
    table(
      ["A", "LONG"],
      [
        ["value", ""],
        ["b", "c"],
      ],
    ),
  ).toBe("A      LONG\nvalue\nb      c");
});

test("a table without rows is its heading", () => {
  expect(table(["A", "B"], [])).toBe("A  B");
});

test("fields that are not there are left out", () => {
  expect(
    fields([
      ["id", "1"],
      ["error", undefined],
      ["status", "done"],
    ]),
  ).toBe("id      1\nstatus  done");
});

test("text from elsewhere can't control the terminal", () => {
  expect(printable("\u001b[2Jx\u0007\u009b\u202e\r\n")).toBe("\\u001b[2Jx\\u0007\\u009b\\u202e\\u000d\\u000a");
  expect(printable("a\n\tb\u001b", { lines: true })).toBe("a\n\tb\\u001b");
  expect(table(["A"], [["\u001b]0;x\u0007"]])).not.toContain("\u001b");
});

test("a long text is cut at the width, a text of many lines after the first", () => {
  expect(shorten("12345", 5)).toBe("12345");
  expect(shorten("123456", 5)).toBe("1234…");
  expect(shorten("ab\ncd", 5)).toBe("ab…");
});

test.each([
  [0, "0 ms"],
  [999, "999 ms"],
  [1_000, "1.0 s"],
  [59_900, "59.9 s"],
  [60_000, "1.0 min"],
  [3_600_000, "1.0 h"],
])("%d ms reads %s", (ms, text) => {
  expect(duration(ms)).toBe(text);
});

test.each(["plain", "/a b/key", "it's", "$(x)", "", "a\nb", "--x"])("a shell reads %o as it was", (argument) => {
  const { stdout } = spawnSync("/bin/sh", ["-c", `printf %s ${shellQuoted(argument)}`], { encoding: "utf8" });
  expect(stdout).toBe(argument);
});
