import { describe, expect, test } from "vitest";
import { ActivityRing, analyse, BUCKET_MS, perHour, WINDOW_MS } from "./analytics.ts";

const MINUTE = 60_000;
const NOTHING = { slots: 1, runningMs: 0 };

test("S3-B35 S3-23 without samples every mean and every rate is null", () => {
  const ring = new ActivityRing(0);
  expect(analyse(ring.sums(10 * MINUTE), { slots: 0, runningMs: 0 })).toEqual({
    meanQueueTimeMs: null,
    meanCompletionTimeMs: null,
    throughputPerHour: null,
    utilisation: null,
    errorRate: null,
  });
  expect(analyse(ring.sums(10 * MINUTE), NOTHING).utilisation).toBe(0);
});

describe("S3-B33 throughput divides what was completed by the time that has really passed", () => {
  test.each([
    [10, 5, 120],
    [110, 55, 120],
    [10, 1, 600],
    [1, 60, 1],
  ])("%i in %i minutes are %i an hour", (done, minutes, expected) => {
    const ring = new ActivityRing(1_000_000);
    for (let n = 0; n < done; n++) ring.completed(1_000_000 + (n * minutes * MINUTE) / done, 5);
    const sums = ring.sums(1_000_000 + minutes * MINUTE);
    expect(sums.elapsedMs).toBe(minutes * MINUTE);
    expect(analyse(sums, NOTHING).throughputPerHour).toBe(expected);
  });
});

test("S3-24 where only failures were seen the throughput is 0, and at the very first instant it is null", () => {
  const ring = new ActivityRing(0);
  ring.failed(0);
  expect(analyse(ring.sums(0), NOTHING).throughputPerHour).toBeNull();
  expect(analyse(ring.sums(MINUTE), NOTHING).throughputPerHour).toBe(0);
  expect(perHour(1, 0)).toBeNull();
  expect(perHour(1, 3_600_000)).toBe(1);
});

test("S3-23 what is exactly 24 h old is gone, what is younger is there", () => {
  const ring = new ActivityRing(0);
  ring.completed(0, 1);
  ring.completed(BUCKET_MS, 1);
  expect(ring.sums(WINDOW_MS - 1).completed).toBe(2);
  expect(ring.sums(WINDOW_MS).completed).toBe(1);
  expect(ring.sums(WINDOW_MS + BUCKET_MS - 1).completed).toBe(1);
  expect(ring.sums(WINDOW_MS + BUCKET_MS).completed).toBe(0);
});

test("S3-B34 after a day the measured time begins with the oldest bucket, so old work leaves both sides of the rate", () => {
  const ring = new ActivityRing(0);
  for (let atMs = 0; atMs < 3 * WINDOW_MS; atMs += BUCKET_MS) ring.completed(atMs, 1);
  const sums = ring.sums(3 * WINDOW_MS);
  expect(sums.sinceMs).toBe(2 * WINDOW_MS + BUCKET_MS);
  expect(sums.elapsedMs).toBe(WINDOW_MS - BUCKET_MS);
  expect(sums.completed).toBe(WINDOW_MS / BUCKET_MS - 1);
  expect(analyse(sums, NOTHING).throughputPerHour).toBe(60);
});

test("a bucket is used anew after a day, and what was in it does not come back", () => {
  const ring = new ActivityRing(0);
  ring.failed(5);
  ring.cancelled(WINDOW_MS + 5);
  const sums = ring.sums(WINDOW_MS + 10);
  expect(sums).toMatchObject({ failed: 0, cancelled: 1 });
});

test("a shorter window counts only what happened in it", () => {
  const ring = new ActivityRing(0);
  ring.completed(0, 1);
  ring.completed(70 * MINUTE, 1);
  expect(ring.sums(80 * MINUTE, 60 * MINUTE)).toMatchObject({
    completed: 1,
    sinceMs: 21 * MINUTE,
    elapsedMs: 59 * MINUTE,
  });
});

test("S3-23 S3-26 queue time, completion time, error rate and utilisation are those of the window", () => {
  const ring = new ActivityRing(0);
  ring.assigned(1, 10);
  ring.assigned(2, 30);
  ring.assigned(3, -5);
  ring.completed(4, 100);
  ring.completed(5, 300);
  ring.failed(6);
  ring.cancelled(7);
  ring.worked(8, 6_000);
  ring.worked(8, -1);
  expect(analyse(ring.sums(MINUTE), { slots: 2, runningMs: 6_000 })).toEqual({
    meanQueueTimeMs: 40 / 3,
    meanCompletionTimeMs: 200,
    throughputPerHour: 120,
    utilisation: 0.1,
    errorRate: 1 / 3,
  });
});

test("utilisation is never above 1, whenever the attempts that ended had begun", () => {
  const ring = new ActivityRing(0);
  ring.worked(MINUTE, 10 * MINUTE);
  expect(analyse(ring.sums(2 * MINUTE), NOTHING).utilisation).toBe(1);
});

test("cancelled tasks are ends, so that there is a throughput, but no failures", () => {
  const ring = new ActivityRing(0);
  ring.completed(1, 5);
  ring.cancelled(1);
  ring.cancelled(1);
  expect(analyse(ring.sums(MINUTE), NOTHING)).toMatchObject({ throughputPerHour: 60, errorRate: 0 });
  const none = new ActivityRing(0);
  none.cancelled(1);
  expect(analyse(none.sums(MINUTE), NOTHING)).toMatchObject({ throughputPerHour: 0, errorRate: null });
});
