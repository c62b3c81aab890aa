import { expect, test } from "vitest";
import { asAgentId, asPoolId, asTaskId, ID_PATTERN } from "./ids.ts";

test("an id has 1 to 128 characters", () => {
  const allowed = [0, 1, 128, 129].map((length) => ID_PATTERN.test("a".repeat(length)));
  expect(allowed).toEqual([false, true, true, false]);
});

test("an id holds letters, digits, dot, underscore and dash, and nothing else", () => {
  expect(ID_PATTERN.test("Az09._-")).toBe(true);
  for (const id of ["a b", "a/b", "a:b", "ä", "a\n", "\na", "", "a\u0000", "..%2f"]) {
    expect(ID_PATTERN.test(id), JSON.stringify(id)).toBe(false);
  }
});

test("branding leaves an id as it is", () => {
  expect([asTaskId("t"), asPoolId("p"), asAgentId("a")]).toEqual(["t", "p", "a"]);
});
