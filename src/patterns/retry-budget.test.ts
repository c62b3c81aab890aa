import { expect, test } from "vitest";
import { RetryBudget } from "./retry-budget.ts";

function taken(budget: RetryBudget, nowMs: number): number {
  let count = 0;
  while (count < 1_000 && budget.take(nowMs)) count += 1;
  return count;
}

function aBudget({ ratio = 0.2, windowMs = 60_000, floor = 10, firsts = 0 } = {}): RetryBudget {
  const budget = new RetryBudget({ ratio, windowMs, floor });
  for (let i = 0; i < firsts; i++) budget.first(0);
  return budget;
}

test("the floor is there however few calls there are, and it is not exceeded", () => {
  expect(taken(aBudget(), 0)).toBe(10);
  expect(taken(aBudget({ firsts: 49 }), 0)).toBe(10);
  expect(taken(aBudget({ floor: 0, ratio: 0 }), 0)).toBe(0);
});

test("above the floor it is the share of the first attempts", () => {
  expect(taken(aBudget({ firsts: 50 }), 0)).toBe(10);
  expect(taken(aBudget({ firsts: 55 }), 0)).toBe(11);
  expect(taken(aBudget({ firsts: 59 }), 0)).toBe(11);
});

test("first attempts and retries count for as long as the window, and not longer", () => {
  const budget = aBudget({ firsts: 100 });
  expect(taken(budget, 0)).toBe(20);
  expect(taken(budget, 59_999)).toBe(0);
  expect(taken(budget, 60_000)).toBe(10);
});

test("what is old leaves bit by bit", () => {
  const budget = aBudget({ floor: 2 });
  expect(budget.take(0)).toBe(true);
  expect(budget.take(30_000)).toBe(true);
  expect(budget.take(59_999)).toBe(false);
  expect(taken(budget, 60_000)).toBe(1);
  expect(taken(budget, 90_000)).toBe(1);
});
