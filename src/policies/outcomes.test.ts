import { describe, expect, test } from "vitest";
import { NO_OUTCOMES, type Outcomes, type Reach } from "./outcomes.ts";

const WIDE: Reach = { window: 100, maxAgeMs: Number.POSITIVE_INFINITY };

/** S succeeded, F failed; a millisecond apart, from `fromMs` on. */
function told(letters: string, reach: Reach = WIDE, from = NO_OUTCOMES, fromMs = 0): Outcomes {
  let outcomes = from;
  [...letters].forEach((letter, n) => {
    outcomes = outcomes.with({ atMs: fromMs + n, failed: letter === "F" }, reach);
  });
  return outcomes;
}

const letters = (outcomes: Outcomes): string => [...outcomes].map(({ failed }) => (failed ? "F" : "S")).join("");

describe("one more", () => {
  test("stands behind the others, and all are counted", () => {
    const outcomes = told("SFFSF");
    expect(letters(outcomes)).toBe("SFFSF");
    expect([outcomes.length, outcomes.failures, outcomes.inARow, outcomes.oldestAtMs]).toEqual([5, 3, 1, 0]);
  });

  test("leaves no more than the window, the oldest going first", () => {
    const outcomes = told("FFSFSFF", { ...WIDE, window: 4 });
    expect(letters(outcomes)).toBe("FSFF");
    expect([outcomes.length, outcomes.failures, outcomes.inARow]).toEqual([4, 3, 2]);
    expect(letters(told("FFS", { ...WIDE, window: 1 }))).toBe("S");
  });

  test("failures in a row are no more than what is looked back on", () => {
    expect(told("FFFFF", { ...WIDE, window: 3 }).inARow).toBe(3);
  });

  test("what is older than the reach goes; what is exactly as old stays", () => {
    const first = told("FS");
    expect(letters(first.with({ atMs: 10, failed: true }, { ...WIDE, maxAgeMs: 10 }))).toBe("FSF");
    expect(letters(first.with({ atMs: 11, failed: true }, { ...WIDE, maxAgeMs: 10 }))).toBe("SF");
  });

  test("changes no earlier value, also where two follow one", () => {
    const first = told("SF");
    const [good, bad] = [told("S", WIDE, first, 5), told("F", WIDE, first, 7)];
    expect([first, good, bad].map(letters)).toEqual(["SF", "SFS", "SFF"]);
    expect([...bad].map(({ atMs }) => atMs)).toEqual([0, 1, 7]);
    expect(letters(told("F", WIDE, good, 9))).toBe("SFSF");
    expect(letters(NO_OUTCOMES)).toBe("");
  });

  test("counts stay right over thousands, with a short window and a long one", () => {
    for (const window of [1, 3, 20, 500]) {
      let outcomes = NO_OUTCOMES;
      const all: boolean[] = [];
      for (let n = 0; n < 2_000; n++) {
        const failed = (n * n) % 7 < 3;
        all.push(failed);
        outcomes = outcomes.with({ atMs: n, failed }, { ...WIDE, window });
      }
      const last = all.slice(-window);
      expect([...outcomes].map(({ failed }) => failed)).toEqual(last);
      expect(outcomes.failures).toBe(last.filter(Boolean).length);
    }
  });

  test("a long life keeps no more in memory than a few windows", () => {
    let outcomes = NO_OUTCOMES;
    for (let n = 0; n < 10_000; n++) outcomes = outcomes.with({ atMs: n, failed: false }, { ...WIDE, window: 10 });
    expect(outcomes.placesHeld).toBeLessThan(200);
  });
});

describe("time alone", () => {
  test("takes away what is too old by then, and counts anew", () => {
    const outcomes = told("FFSF");
    const later = outcomes.within(11, 9);
    expect(letters(later)).toBe("SF");
    expect([later.failures, later.inARow]).toEqual([1, 1]);
    expect(letters(outcomes)).toBe("FFSF");
  });

  test("leaves the value itself where nothing is too old, and nothing where all is", () => {
    const outcomes = told("FFF");
    expect(outcomes.within(9, 9)).toBe(outcomes);
    expect([outcomes.within(99, 9).length, outcomes.within(99, 9).inARow]).toEqual([0, 0]);
  });
});

describe("taking a failure back", () => {
  test("takes the first failure of that instant, and the row shrinks if it was part of it", () => {
    expect(letters(told("SFSFF").withoutFailure(3))).toBe("SFSF");
    expect(told("SFSFF").withoutFailure(3).inARow).toBe(1);
    expect(told("SFSFF").withoutFailure(1).inARow).toBe(2);
    expect(told("SFSFF").withoutFailure(1).failures).toBe(2);
  });

  test("changes nothing where there was none at that instant", () => {
    const outcomes = told("SFS");
    expect(outcomes.withoutFailure(0)).toBe(outcomes);
    expect(outcomes.withoutFailure(7)).toBe(outcomes);
  });
});
