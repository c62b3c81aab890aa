import fc from "fast-check";
import { expect, test } from "vitest";
import { asTaskId } from "../base/ids.ts";
import { Due, type DueEntry } from "./due.ts";

const wake = (atMs: number, id = `t${atMs}`): DueEntry => ({ kind: "wake", atMs, taskId: asTaskId(id) });

test("nothing is due where nothing was added", () => {
  const due = new Due();
  expect([due.nextAtMs, due.take(1e15), due.size]).toEqual([undefined, undefined, 0]);
});

test("an entry is due at its instant, not a millisecond before, and only once", () => {
  const due = new Due();
  due.add(wake(100));
  expect(due.take(99)).toBeUndefined();
  expect(due.take(100)).toEqual(wake(100));
  expect(due.take(100)).toBeUndefined();
});

test("entries come up by their instants, however they were added", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 50 })), fc.nat({ max: 50 }), (instants, nowMs) => {
      const due = new Due();
      for (const atMs of instants) due.add(wake(atMs));
      const sorted = [...instants].sort((a, b) => a - b);
      expect(due.nextAtMs).toBe(sorted[0]);
      const taken: number[] = [];
      for (let entry = due.take(nowMs); entry !== undefined; entry = due.take(nowMs)) taken.push(entry.atMs);
      expect(taken).toEqual(sorted.filter((atMs) => atMs <= nowMs));
      expect(due.size).toBe(instants.length - taken.length);
    }),
  );
});

function filled(count: number): Due {
  const due = new Due();
  for (let atMs = 1; atMs <= count; atMs++) due.add(wake(atMs));
  return due;
}

const isTenth = (entry: DueEntry): boolean => entry.atMs % 10 === 0;

test("dead entries are let go of from 1,024 entries on, live ones stay and come up in order", () => {
  const few = filled(1_023);
  few.compact(isTenth);
  expect(few.size).toBe(1_023);
  const due = filled(1_024);
  due.compact(isTenth);
  expect([due.size, due.nextAtMs]).toEqual([102, 10]);
  expect(due.take(10)).toEqual(wake(10));
  expect(due.nextAtMs).toBe(20);
});

test("a large list of live entries is not walked again before it has doubled", () => {
  const due = filled(2_000);
  due.compact(() => true);
  let asked = 0;
  const count = (): boolean => {
    asked += 1;
    return true;
  };
  due.compact(count);
  for (let n = 0; n < 1_999; n++) due.add(wake(5_000 + n));
  due.compact(count);
  expect(asked).toBe(0);
  due.add(wake(9_000));
  due.compact(count);
  expect(asked).toBe(4_000);
});
