import { expect, test } from "vitest";
import { Tally } from "./tally.ts";

test("S1-10, S1-B17: without calls the figures are numbers too", () => {
  expect(new Tally().stats()).toEqual({
    succeeded: 0,
    failed: 0,
    successRate: 1,
    errorShare: 0,
    meanLatencyMs: 0,
    p95LatencyMs: 0,
    consecutiveFailures: 0,
    samples: 0,
    abandoned: 0,
  });
});

test("S1-10: it counts both, the failures in a row, the last of each, and the latency of successes", () => {
  const tally = new Tally();
  tally.succeeded(10, 1_000);
  tally.succeeded(30, 2_000);
  tally.failed(3_000);
  tally.failed(4_000);
  tally.abandoned();
  expect(tally.stats()).toEqual({
    succeeded: 2,
    failed: 2,
    successRate: 0.5,
    errorShare: 0.5,
    meanLatencyMs: 20,
    p95LatencyMs: 30,
    consecutiveFailures: 2,
    samples: 4,
    abandoned: 1,
    lastActivityAt: "1970-01-01T00:00:04.000Z",
    lastSuccessAt: "1970-01-01T00:00:02.000Z",
    lastFailureAt: "1970-01-01T00:00:04.000Z",
  });
  tally.succeeded(10, 5_000);
  expect(tally.stats()).toMatchObject({ consecutiveFailures: 0, lastActivityAt: "1970-01-01T00:00:05.000Z" });
});

test("S1-B13: an instant of 0 is an instant", () => {
  const tally = new Tally();
  tally.failed(0);
  expect(tally.stats()).toMatchObject({ lastFailureAt: "1970-01-01T00:00:00.000Z" });
});

test("p95 is the nearest rank of the last 100 successes", () => {
  const tally = new Tally();
  for (let ms = 1; ms <= 100; ms++) tally.succeeded(ms, 0);
  expect(tally.stats().p95LatencyMs).toBe(95);
  for (let i = 0; i < 6; i++) tally.succeeded(500, 0);
  expect(tally.stats().p95LatencyMs).toBe(500);
  for (let i = 0; i < 100; i++) tally.succeeded(1, 0);
  expect(tally.stats().p95LatencyMs).toBe(1);
});
