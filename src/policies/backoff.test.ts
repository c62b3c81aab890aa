import fc from "fast-check";
import { expect, test } from "vitest";
import { createRandom } from "../base/random.ts";
import { BACKOFF_DEFAULTS, type BackoffOptions, backoffMs, type Jitter } from "./backoff.ts";

const HALF = { next: () => 0.5 };
const options = (given: Partial<BackoffOptions> = {}): BackoffOptions => ({
  baseMs: 100,
  factor: 2,
  capMs: 1_000,
  jitter: "none",
  ...given,
});
const delays = (given: Partial<BackoffOptions>, attempts = [1, 2, 3, 4, 5, 6]): number[] =>
  attempts.map((attempt) => backoffMs(attempt, HALF, options(given)));

test("S2-11 S2-B11 without jitter the delay is base × factor ^ (attempt − 1), and never above the cap", () => {
  expect(delays({})).toEqual([100, 200, 400, 800, 1_000, 1_000]);
});

test("full jitter draws from 0 to the ceiling", () => {
  expect(delays({ jitter: "full" })).toEqual([50, 100, 200, 400, 500, 500]);
  expect(backoffMs(1, { next: () => 0 }, options({ jitter: "full" }))).toBe(0);
  expect(backoffMs(1, { next: () => 0.999 }, options({ jitter: "full" }))).toBe(99);
});

test("equal jitter draws from half the ceiling to the ceiling", () => {
  expect(delays({ jitter: "equal" })).toEqual([75, 150, 300, 600, 750, 750]);
  expect(backoffMs(1, { next: () => 0 }, options({ jitter: "equal" }))).toBe(50);
  expect(backoffMs(1, { next: () => 0.999 }, options({ jitter: "equal" }))).toBe(99);
});

test("factor 1 keeps the delay flat", () => {
  expect(delays({ factor: 1 })).toEqual([100, 100, 100, 100, 100, 100]);
});

test("base 0 is no delay, whatever the attempt", () => {
  expect(delays({ baseMs: 0 })).toEqual([0, 0, 0, 0, 0, 0]);
});

test("a cap below the base holds for the first delay too", () => {
  expect(delays({ capMs: 30 }, [1, 2])).toEqual([30, 30]);
});

test("a delay is whole milliseconds", () => {
  expect(delays({ baseMs: 1, factor: 1.5 }, [1, 2, 3])).toEqual([1, 1, 2]);
});

test("an attempt of any number takes no longer to compute and stays within the cap", () => {
  const jitters: Jitter[] = ["full", "equal", "none"];
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000_000_000 }),
      fc.constantFrom(...jitters),
      fc.integer(),
      (attempt, jitter, seed) => {
        const delayMs = backoffMs(attempt, createRandom(seed), options({ jitter }));
        expect(Number.isInteger(delayMs) && delayMs >= 0 && delayMs <= 1_000).toBe(true);
      },
    ),
  );
});

test("the defaults are 200 ms doubling to 20 s under full jitter", () => {
  expect(BACKOFF_DEFAULTS).toEqual({ baseMs: 200, factor: 2, capMs: 20_000, jitter: "full" });
});
