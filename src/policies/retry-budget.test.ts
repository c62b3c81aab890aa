import { expect, test } from "vitest";
import { RETRY_BUDGET_DEFAULTS, RetryBudget } from "./retry-budget.ts";

/** Draws as long as it is allowed. */
function drawAll(budget: RetryBudget, nowMs: number): number {
  let drawn = 0;
  for (; budget.allows(nowMs); drawn++) budget.drew(nowMs);
  return drawn;
}

test("a retry is taken while it is affordable, and not one more", () => {
  const budget = new RetryBudget({ ratio: 0.2, windowMs: 60_000, floor: 2 });
  expect([0, 30_000, 59_999].map((atMs) => budget.take(atMs))).toEqual([true, true, false]);
  // The first has left, the second has not.
  expect([60_000, 60_000].map((atMs) => budget.take(atMs))).toEqual([true, false]);
});

test("the defaults are a fifth of a minute's first attempts, and ten at least", () => {
  expect(RETRY_BUDGET_DEFAULTS).toEqual({ ratio: 0.2, windowMs: 60_000, floor: 10 });
});

test.each([
  { firsts: 0, floor: 0, ratio: 0.2, allowed: 0 },
  { firsts: 0, floor: 3, ratio: 0.2, allowed: 3 },
  { firsts: 14, floor: 3, ratio: 0.2, allowed: 3 },
  { firsts: 19, floor: 3, ratio: 0.2, allowed: 3 },
  { firsts: 20, floor: 3, ratio: 0.2, allowed: 4 },
  { firsts: 1_000, floor: 3, ratio: 0.2, allowed: 200 },
  { firsts: 1_000, floor: 3, ratio: 0, allowed: 3 },
  { firsts: 5, floor: 0, ratio: 2, allowed: 10 },
])("S3-L01 after $firsts first attempts $allowed retries are allowed (ratio $ratio, floor $floor)", (given) => {
  const { firsts, allowed, ...options } = given;
  const budget = new RetryBudget({ ...options, windowMs: 1_000 });
  for (let n = 0; n < firsts; n++) budget.began(500);
  expect(drawAll(budget, 500)).toBe(allowed);
});

test("a retry leaves the window after exactly its length, and a first attempt with it", () => {
  const budget = new RetryBudget({ ratio: 1, windowMs: 60_000, floor: 1 });
  budget.began(1_000);
  budget.began(1_000);
  expect(drawAll(budget, 2_000)).toBe(2);
  expect(budget.allows(60_999)).toBe(false);
  // The first attempts are gone, the retries are not.
  expect(budget.allows(61_000)).toBe(false);
  expect(budget.allows(61_999)).toBe(false);
  expect(drawAll(budget, 62_000)).toBe(1);
});

test("it tells when to look again: when a retry leaves, or a part of the window later", () => {
  const budget = new RetryBudget({ ratio: 0, windowMs: 60_000, floor: 1 });
  budget.drew(1_000);
  expect(budget.nextAtMs(1_000)).toBe(2_000);
  expect(budget.nextAtMs(60_500)).toBe(61_000);
  expect(new RetryBudget({ ratio: 0, windowMs: 1, floor: 0 }).nextAtMs(5)).toBe(6);
});

test("never are there more retries in a window than allowed, however they are spread", () => {
  const windowMs = 600;
  const budget = new RetryBudget({ ratio: 0, windowMs, floor: 7 });
  const drawn: number[] = [];
  for (let nowMs = 0; nowMs < 5_000; nowMs += 7) {
    for (; budget.allows(nowMs); budget.drew(nowMs)) drawn.push(nowMs);
    expect(drawn.filter((atMs) => atMs > nowMs - windowMs).length).toBeLessThanOrEqual(7);
  }
  // Nor are many fewer: each comes back when its window is over, at the latest a part of it later.
  expect(drawn.length).toBeGreaterThanOrEqual(7 * Math.floor(5_000 / (windowMs + windowMs / 60 + 7)));
});

test("what came in one part of the window leaves with the last of it, never early", () => {
  const budget = new RetryBudget({ ratio: 0, windowMs: 60_000, floor: 2 });
  expect([budget.take(0), budget.take(10)]).toEqual([true, true]);
  expect(budget.allows(60_009)).toBe(false);
  expect(budget.allows(60_010)).toBe(true);
});
