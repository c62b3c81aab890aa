import { expect, test } from "vitest";
import { type CandidateInput, candidates, place } from "../../testing/candidates.ts";
import { afterSuccess, begin, isPastShare, SLOW_START_MS, SLOW_START_SUCCESSES, type Warming } from "./slow-start.ts";
import { BALANCERS, type Strategy } from "./strategies.ts";

/** How many attempts at a time an agent of so many slots takes before others must have taken the rest. */
function slots(capacity: number, warming: Warming | undefined, nowMs = 0): number {
  for (let inFlight = 0; inFlight < capacity; inFlight++)
    if (isPastShare({ warming, inFlight, capacity }, nowMs)) return inFlight;
  return capacity;
}

test("an agent begins with a tenth of its slots, and with one at least", () => {
  expect([1, 2, 10, 19, 20, 100].map((capacity) => slots(capacity, begin(0)))).toEqual([1, 1, 1, 1, 2, 10]);
});

test("its share grows with time, and is whole after 30 s", () => {
  const at = [0, 3_000, 5_999, 6_000, 15_000, 29_999, SLOW_START_MS, 60_000];
  expect(at.map((nowMs) => slots(10, begin(0), nowMs))).toEqual([1, 1, 1, 2, 5, 9, 10, 10]);
});

test("its share grows with its successes, and it is like any other after five", () => {
  let warming: Warming | undefined = begin(0);
  const shares: number[] = [];
  for (let n = 0; n < SLOW_START_SUCCESSES; n++) {
    shares.push(slots(10, warming));
    warming = warming && afterSuccess(warming);
  }
  expect(shares).toEqual([1, 2, 4, 6, 8]);
  expect(warming).toBeUndefined();
});

test("an agent that is not in slow start takes all it can", () => {
  expect(slots(10, undefined)).toBe(10);
});

const BY_FIGURES: readonly Strategy[] = ["peak_ewma", "least_latency", "least_errors", "least_loaded", "score"];
const known = (ms: number) => ({ samples: 9, costMs: ms, latencyMs: ms, typeLatencyMs: new Map([["general", ms]]) });
/** Better in every way, but new and at its share. */
const fresh: CandidateInput = { warming: begin(0), inFlight: 1, capacity: 10, measure: known(1) };
const old: CandidateInput = { inFlight: 9, capacity: 10, measure: { ...known(99), errorShare: 0.5, successRate: 0.5 } };

test.each([...BY_FIGURES, "type_latency"] as const)("%s passes over who has its share, wherever it stands", (name) => {
  expect(place(BALANCERS[name], candidates(fresh, old))).toBe(1);
  expect(place(BALANCERS[name], candidates(old, fresh))).toBe(0);
  expect(place(BALANCERS[name], candidates(old, { ...fresh, inFlight: 0 }))).toBe(1);
  expect(place(BALANCERS[name], candidates(old, { ...fresh, warming: undefined }))).toBe(1);
});

test.each(BY_FIGURES)("%s chooses among those that have their share when nobody else is free", (name) => {
  const list = candidates({ ...fresh, ...old, warming: begin(0) }, fresh);
  expect(place(BALANCERS[name], list)).toBe(1);
});

test("power of two passes over who has its share, drawn first or second", () => {
  const drawing = (...draws: readonly number[]) => {
    const left = [...draws];
    return { next: () => left.shift() ?? Number.NaN };
  };
  const lists = [candidates(fresh, old), candidates(old, fresh)];
  const chosen = lists.flatMap((list) =>
    [0.1, 0.9].map((draw) => place(BALANCERS.power_of_two, list, {}, drawing(draw, 0))),
  );
  expect(chosen).toEqual([1, 1, 0, 0]);
});

test("priority, weights and turns are the user's word: slow start does not touch them", () => {
  const list = candidates({ ...fresh, priority: -1, weight: 100 }, { ...old, weight: 1 });
  for (const name of ["priority", "weighted", "round_robin"] as const) expect(place(BALANCERS[name], list)).toBe(0);
});
