import { expect, test } from "vitest";
import { candidates, place } from "../../testing/candidates.ts";
import { roundRobin } from "./round-robin.ts";

const after = (lastOrdinal: number, ordinals: readonly number[]): number | undefined =>
  place(roundRobin, candidates(...ordinals.map((ordinal) => ({ ordinal }))), { lastOrdinal });

test("S1-B06 round robin starts at the first, not at the second", () => {
  expect(after(-1, [0, 1, 2])).toBe(0);
});

test("S1-02 round robin goes on to the next, and from the last to the first", () => {
  expect([after(0, [0, 1, 2]), after(1, [0, 1, 2]), after(2, [0, 1, 2])]).toEqual([1, 2, 0]);
});

test("a single candidate is taken again and again", () => {
  expect([after(-1, [4]), after(4, [4]), after(9, [4])]).toEqual([4, 4, 4]);
});

test("S1-B06 those that are missing are passed over without a jump", () => {
  expect([after(0, [0, 2, 3]), after(2, [0, 3]), after(3, [1, 2])]).toEqual([2, 3, 1]);
});

test("S1-B06 the rotation goes by identity: whoever comes and goes, the others keep their turns", () => {
  const taken: (number | undefined)[] = [];
  let last = -1;
  for (const present of [
    [0, 1, 2],
    [0, 1, 2, 3],
    [0, 2, 3],
    [0, 2, 3],
    [0, 1, 2, 3],
    [0, 1, 2, 3],
  ]) {
    const next = after(last, present);
    taken.push(next);
    last = next ?? last;
  }
  expect(taken).toEqual([0, 1, 2, 3, 0, 1]);
});

test("the rotation does not depend on the order of the list", () => {
  expect([after(0, [3, 0, 2, 1]), after(3, [2, 1, 3]), after(1, [3, 2])]).toEqual([1, 1, 2]);
});
