/** What settled tasks go. */
import { expect, test } from "vitest";
import { toRetire } from "./retention.ts";

const tasks = (count: number) => Array.from({ length: count }, (_, n) => ({ settledAtMs: n * 100, bytes: 10 }));
const all = (count: number) => ({ count, bytes: count * 10 });
const goes = (options: { count?: number; ageMs?: number; bytes?: number }, nowMs = 0): number =>
  toRetire(tasks(5), all(5), { count: 100, ageMs: 10_000, ...options }, nowMs).length;

test("what is within all three bounds stays", () => {
  expect(goes({ count: 5, bytes: 50 })).toBe(0);
});

test("the oldest go until count and bytes are kept", () => {
  expect(goes({ count: 4 })).toBe(1);
  expect(goes({ count: 0 })).toBe(5);
  expect(goes({ bytes: 49 })).toBe(1);
  expect(goes({ bytes: 0 })).toBe(5);
});

test("what was settled ageMs ago goes, and not a millisecond before", () => {
  expect(goes({ ageMs: 1_000 }, 999)).toBe(0);
  expect(goes({ ageMs: 1_000 }, 1_000)).toBe(1);
  expect(goes({ ageMs: 1_000 }, 1_100)).toBe(2);
});
