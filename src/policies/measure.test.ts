import { expect, test } from "vitest";
import { below, createRandom } from "../base/random.ts";
import {
  costAt,
  FAILURE_FLOOR_MS,
  HALF_LIFE_FLOOR_MS,
  HALF_LIFE_MEDIANS,
  MEDIAN_WINDOW,
  type Measure,
  newMeasure,
  observe,
  PoolLatency,
  SHARE_WINDOW,
  TYPES_KEPT,
} from "./measure.ts";

interface Ended {
  readonly tookMs?: number;
  readonly succeeded?: boolean;
  readonly type?: string;
  readonly endedAtMs?: number;
}

function measured(samples: readonly Ended[], pool = new PoolLatency()): Measure {
  const measure = newMeasure();
  for (const sample of samples) {
    observe(measure, { type: "general", succeeded: true, tookMs: 100, endedAtMs: 0, ...sample }, pool);
  }
  return measure;
}

/** A pool whose attempts take `medianMs`. */
function poolOf(medianMs: number): PoolLatency {
  const pool = new PoolLatency();
  pool.add(medianMs);
  return pool;
}

const times = (count: number, sample: Ended): Ended[] => Array.from({ length: count }, () => sample);
const FAILED = { succeeded: false, tookMs: 1 };

test("an agent that was never tried has a clean record and no times", () => {
  expect(newMeasure()).toMatchObject({ samples: 0, successRate: 1, errorShare: 0, latencyMs: 0, successMs: undefined });
});

test("S3-20 the success rate goes from 1 to 0.9 after one failure, to 0.81 after two", () => {
  expect(measured([FAILED]).successRate).toBeCloseTo(0.9, 12);
  expect(measured([FAILED, FAILED]).successRate).toBeCloseTo(0.81, 12);
  expect(measured([FAILED, {}]).successRate).toBeCloseTo(0.91, 12);
});

test("S3-19 every attempt that ends is a sample, and moves success rate and mean time by a tenth", () => {
  const measure = measured([{ tookMs: 1_000 }, { tookMs: 2_000 }, FAILED]);
  expect(measure.samples).toBe(3);
  expect(measure.successMs).toBeCloseTo(1_100, 9);
  expect(measure.successRate).toBeCloseTo(0.9, 12);
});

test("S3-20 S3-B05 the first sample seeds the mean time: three of ten seconds are ten seconds", () => {
  for (const count of [1, 2, 3]) {
    const measure = measured(times(count, { tookMs: 10_000 }));
    expect([measure.successMs, measure.latencyMs, measure.costMs]).toEqual([10_000, 10_000, 10_000]);
  }
});

test("S1-B07 a failure is charged as ten medians of the pool, however fast it was", () => {
  expect(measured([FAILED], poolOf(100)).latencyMs).toBe(1_000);
  expect(measured([FAILED], poolOf(100)).costMs).toBe(1_000);
  expect(measured([{ tookMs: 100 }, FAILED], poolOf(100)).latencyMs).toBeCloseTo(190, 9);
});

test("a failure that took longer than ten medians is charged as long as it took", () => {
  const took = (tookMs: number): number => measured([{ succeeded: false, tookMs }], poolOf(100)).latencyMs;
  expect([took(999), took(1_000), took(1_001)]).toEqual([1_000, 1_000, 1_001]);
});

test("while the pool has no median a failure is charged as a second", () => {
  expect(measured([FAILED]).latencyMs).toBe(FAILURE_FLOOR_MS);
  expect(measured([{ succeeded: false, tookMs: 5_000 }]).latencyMs).toBe(5_000);
  expect(measured([FAILED], poolOf(2)).latencyMs).toBe(20);
});

test("failures leave the mean over successes alone", () => {
  expect(measured([FAILED]).successMs).toBeUndefined();
  expect(measured([{ tookMs: 0 }]).successMs).toBe(0);
  expect(measured([{ tookMs: 300 }, FAILED, FAILED], poolOf(300)).successMs).toBe(300);
});

test("the cost rises by half of what a sample is above it, and falls by a tenth of what it is below", () => {
  expect(measured([{ tookMs: 100 }, { tookMs: 1_100 }]).costMs).toBeCloseTo(600, 9);
  expect(measured([{ tookMs: 1_100 }, { tookMs: 100 }]).costMs).toBeCloseTo(1_000, 9);
  expect(measured([{ tookMs: 100 }, { tookMs: 100 }]).costMs).toBe(100);
});

test("the cost is halved with every half-life, and stays as it is before its own instant", () => {
  const measure = measured([{ tookMs: 800, endedAtMs: 1_000 }]);
  const at = (nowMs: number): number => costAt(measure, nowMs, 30_000);
  expect([at(0), at(1_000), at(31_000), at(61_000), at(91_000)]).toEqual([800, 800, 400, 200, 100]);
  expect(at(1_000 + 64 * 30_000)).toBe(0);
  expect(measure.costMs).toBe(800);
});

test("a new sample is laid on what is left of the cost, not on what it was", () => {
  const measure = measured([
    { tookMs: 1_000, endedAtMs: 0 },
    { tookMs: 500, endedAtMs: HALF_LIFE_FLOOR_MS },
  ]);
  expect(measure.costMs).toBe(500);
  expect(measure.costAtMs).toBe(HALF_LIFE_FLOOR_MS);
});

test("S1-05 the failure share is failures per sample, whatever their order", () => {
  expect(measured([FAILED]).errorShare).toBe(1);
  expect(measured([FAILED, {}]).errorShare).toBe(0.5);
  expect(measured([{}, {}, FAILED]).errorShare).toBeCloseTo(1 / 3, 12);
  expect(measured([FAILED, {}, {}]).errorShare).toBeCloseTo(1 / 3, 12);
});

test("the failure share is exact up to its window; what is older counts half", () => {
  const before = measured([...times(100, FAILED), ...times(SHARE_WINDOW - 101, {})]);
  expect(before.errorShare).toBeCloseTo(100 / (SHARE_WINDOW - 1), 12);
  expect(before.recent).toEqual({ samples: SHARE_WINDOW - 1, failures: 100 });
  const at = measured([...times(100, FAILED), ...times(SHARE_WINDOW - 100, {})]);
  expect(at.errorShare).toBe(0.5);
  expect(at.recent).toEqual({ samples: SHARE_WINDOW / 2, failures: 50 });
  expect(at.samples).toBe(SHARE_WINDOW);
});

test("S0-L11 each type of task has a mean of its own", () => {
  const { typeLatencyMs } = measured([
    { type: "ingest", tookMs: 100 },
    { type: "ingest", tookMs: 200 },
    { type: "research", tookMs: 9_000 },
    { type: "failing", ...FAILED },
  ]);
  expect(typeLatencyMs.get("ingest")).toBeCloseTo(110, 9);
  expect(typeLatencyMs.get("research")).toBe(9_000);
  expect(typeLatencyMs.get("failing")).toBe(FAILURE_FLOOR_MS);
  expect(typeLatencyMs.has("general")).toBe(false);
});

test("so many types are known and no more: the one learned first goes", () => {
  const full = Array.from({ length: TYPES_KEPT }, (_, n) => ({ type: `t${n}` }));
  expect([...measured(full).typeLatencyMs.keys()]).toHaveLength(TYPES_KEPT);
  expect(measured([...full, { type: "t1" }]).typeLatencyMs.has("t0")).toBe(true);
  const { typeLatencyMs } = measured([...full, { type: "new" }]);
  expect(typeLatencyMs.size).toBe(TYPES_KEPT);
  expect([typeLatencyMs.has("t0"), typeLatencyMs.has("t1"), typeLatencyMs.has("new")]).toEqual([false, true, true]);
});

test("the median of a pool is the middle of its last successes, the upper one of an even number", () => {
  const pool = new PoolLatency();
  expect(pool.medianMs).toBeUndefined();
  const after = [5, 1, 9, 7].map((tookMs) => {
    pool.add(tookMs);
    return pool.medianMs;
  });
  expect(after).toEqual([5, 5, 5, 7]);
});

test("the median goes by the last 63 successes only, equal ones included, at any length", () => {
  expect(MEDIAN_WINDOW).toBe(63);
  const random = createRandom(3);
  const pool = new PoolLatency();
  const all: number[] = [];
  for (let n = 0; n < 2_000; n++) {
    all.push(n % 7 === 0 ? 40 : below(random, 100));
    pool.add(all[n] as number);
    const last = all.slice(-MEDIAN_WINDOW).sort((a, b) => a - b);
    expect(pool.medianMs).toBe(last[last.length >> 1]);
  }
});

test("a cost is forgotten within thirty seconds, or a hundred medians if that is longer", () => {
  const edgeMs = HALF_LIFE_FLOOR_MS / HALF_LIFE_MEDIANS;
  expect(new PoolLatency().halfLifeMs).toBe(30_000);
  expect(poolOf(edgeMs).halfLifeMs).toBe(30_000);
  expect(poolOf(edgeMs + 1).halfLifeMs).toBe(30_100);
  expect(poolOf(60_000).halfLifeMs).toBe(6_000_000);
});

test("the same attempts give the same figures, to the last bit", () => {
  const once = (): string => {
    const random = createRandom(11);
    const pool = new PoolLatency();
    const measure = newMeasure();
    for (let n = 0; n < 500; n++) {
      const succeeded = random.next() < 0.9;
      const tookMs = below(random, 5_000);
      observe(measure, { type: `t${below(random, 3)}`, succeeded, tookMs, endedAtMs: n * 700 }, pool);
      if (succeeded) pool.add(tookMs);
    }
    return JSON.stringify([{ ...measure, typeLatencyMs: [...measure.typeLatencyMs] }, pool.medianMs]);
  };
  expect(once()).toBe(once());
});
