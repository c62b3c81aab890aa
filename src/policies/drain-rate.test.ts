/** When a full queue says to come back. */
import { describe, expect, test } from "vitest";
import { DrainRate, RETRY_AFTER_MAX_MS, RETRY_AFTER_MIN_MS } from "./drain-rate.ts";

/** A queue of `depth` from 0 ms on that loses one every `everyMs`, `times` times, and stays full. */
function drained(everyMs: number, times: number, depth = 10): DrainRate {
  const rate = new DrainRate();
  for (let n = 1; n <= depth; n++) rate.joined(n, 0);
  for (let n = 1; n <= times; n++) {
    rate.departed(depth - 1, n * everyMs);
    rate.joined(depth, n * everyMs);
  }
  return rate;
}

describe("the advice to come back", () => {
  test("is a second while nobody has been kept waiting", () => {
    expect(new DrainRate().retryAfterMs(1_000, 5_000)).toBe(RETRY_AFTER_MIN_MS);
  });

  test.each([1_500, 4_000, 20_000])("follows how fast the queue drained: one place per %d ms", (everyMs) => {
    const rate = drained(everyMs, 40);
    const one = rate.retryAfterMs(1, 40 * everyMs);
    expect(one).toBeGreaterThan(everyMs * 0.8);
    expect(one).toBeLessThan(everyMs * 1.2);
  });

  test("grows with the places that are wanted", () => {
    const rate = drained(2_000, 40);
    expect(rate.retryAfterMs(10, 80_000) / rate.retryAfterMs(1, 80_000)).toBeCloseTo(10, 1);
  });

  test("is never less than a second and never more than a minute", () => {
    expect(drained(1, 100).retryAfterMs(1, 100)).toBe(RETRY_AFTER_MIN_MS);
    expect(drained(30_000, 10).retryAfterMs(1_000, 300_000)).toBe(RETRY_AFTER_MAX_MS);
  });

  test("grows while nothing drains", () => {
    const rate = drained(1_000, 0);
    expect(rate.retryAfterMs(1, 500)).toBe(RETRY_AFTER_MIN_MS);
    expect(rate.retryAfterMs(1, 20_000)).toBeGreaterThan(19_000);
    expect(rate.retryAfterMs(1, 500_000)).toBe(RETRY_AFTER_MAX_MS);
  });

  test("forgets how it was before", () => {
    const rate = drained(10_000, 30);
    for (let atMs = 301_000; atMs < 900_000; atMs += 1_000) {
      rate.departed(9, atMs);
      rate.joined(10, atMs);
    }
    expect(rate.retryAfterMs(4, 900_000)).toBeLessThan(4_200);
  });

  test("does not count the time in which nobody waited", () => {
    const rate = drained(2_000, 20, 1);
    rate.departed(0, 40_000);
    rate.joined(1, 4_000_000);
    expect(rate.retryAfterMs(1, 4_000_000)).toBeLessThan(2_500);
  });

  test("does not count those who never had to wait", () => {
    const rate = drained(10_000, 30);
    const before = rate.retryAfterMs(1, 300_000);
    for (let n = 9; n >= 0; n--) rate.departed(n, 300_000);
    const left = rate.retryAfterMs(1, 300_000);
    for (let n = 0; n < 100; n++) {
      rate.joined(1, 300_001 + n);
      rate.departed(0, 300_001 + n);
    }
    expect(left).toBeLessThan(before);
    expect(rate.retryAfterMs(1, 300_200)).toBe(left);
  });
});

test("what happened within the last minute counts: one slow departure among quick ones changes little", () => {
  const rate = new DrainRate();
  rate.joined(1, 0);
  for (let n = 1; n <= 20; n++) rate.departed(2, n * 1_000);
  rate.departed(2, 30_000);
  const placesMs = rate.retryAfterMs(10, 30_000);
  expect(placesMs).toBeGreaterThan(10_000);
  expect(placesMs).toBeLessThan(20_000);
});
