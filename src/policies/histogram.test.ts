import { expect, test } from "vitest";
import { Histogram } from "./histogram.ts";

const of = (...samples: number[]): Histogram => {
  const histogram = new Histogram();
  for (const sample of samples) histogram.add(sample);
  return histogram;
};

test("without samples mean and quantiles are null", () => {
  expect(of().mean()).toBeNull();
  expect(of().quantile(0.99)).toBeNull();
  expect(of().count).toBe(0);
});

test("a single sample is its own mean and its own every quantile", () => {
  for (const ms of [0, 1, 15, 16, 31, 32, 33, 1_000, 86_400_000]) {
    expect(of(ms).mean()).toBe(ms);
    expect(of(ms).quantile(0.5)).toBe(ms);
    expect(of(ms).quantile(1)).toBe(ms);
  }
});

test("durations below 32 ms are told exactly, longer ones within a sixteenth, never too short", () => {
  for (let ms = 0; ms < 100_000; ms = ms < 300 ? ms + 1 : Math.ceil(ms * 1.07)) {
    const told = of(ms, 10_000_000).quantile(0.5) as number;
    expect(told).toBeGreaterThanOrEqual(ms);
    expect(told - ms).toBeLessThanOrEqual(ms < 32 ? 0 : ms / 16);
  }
});

test("a quantile is the duration that this share does not exceed", () => {
  const samples = of(...Array.from({ length: 100 }, (_, index) => (index < 99 ? 10 : 20)));
  expect(samples.quantile(0.99)).toBe(10);
  expect(samples.quantile(0.991)).toBe(20);
  expect(of(1, 2).quantile(0.5)).toBe(1);
  expect(of(1, 2).quantile(0.001)).toBe(1);
  expect(samples.mean()).toBeCloseTo(10.1, 10);
});

test("a negative duration counts as 0, and what is longer than two years is still counted", () => {
  expect(of(-5).mean()).toBe(0);
  expect(of(-5).quantile(1)).toBe(0);
  const long = of(2 ** 40, 1);
  expect(long.count).toBe(2);
  expect(long.quantile(0.5)).toBe(1);
  expect(long.quantile(1)).toBe(2 ** 36 - 1);
});
