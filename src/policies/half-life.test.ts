import { expect, test } from "vitest";
import { powerOfHalf } from "./half-life.ts";

test("whole half-lives halve, exactly", () => {
  expect([0, 1, 2, 3, 10, 63].map(powerOfHalf)).toEqual([1, 0.5, 0.25, 0.125, 1 / 1_024, 2 ** -63]);
});

test("parts of a half-life are right to the 64th that they are taken in", () => {
  for (const halfLives of [0.5, 0.25, 1.5, 7 / 64, 2 + 63 / 64]) {
    expect(powerOfHalf(halfLives)).toBeCloseTo(0.5 ** halfLives, 12);
  }
  expect(powerOfHalf(0.999 / 64)).toBe(1);
  expect(powerOfHalf(1 / 64)).toBeLessThan(1);
});

test("it never rises with time, and from 64 half-lives on nothing is left", () => {
  for (let n = 1; n <= 64 * 64; n++) expect(powerOfHalf(n / 64)).toBeLessThan(powerOfHalf((n - 1) / 64));
  expect([64, 65, 1e300, Number.POSITIVE_INFINITY, Number.NaN].map(powerOfHalf)).toEqual([0, 0, 0, 0, 0]);
});
