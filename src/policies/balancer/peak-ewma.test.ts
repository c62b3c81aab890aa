import { expect, test } from "vitest";
import { aCandidate, aChoice, type CandidateInput, candidates, place } from "../../testing/candidates.ts";
import { newMeasure, observe, PoolLatency } from "../measure.ts";
import { expectedMs, peakEwma } from "./peak-ewma.ts";

const costs = (costMs: number, more: CandidateInput["measure"] = {}): CandidateInput => ({
  capacity: 10,
  measure: { samples: 1, costMs, ...more },
});

test("the lowest cost times the attempts that would then run wins", () => {
  expect(place(peakEwma, candidates(costs(100), costs(90)))).toBe(1);
  // 100 × (1 + 1) against 150 × (0 + 1), and against 250.
  expect(place(peakEwma, candidates({ ...costs(100), inFlight: 1 }, costs(150)))).toBe(1);
  expect(place(peakEwma, candidates({ ...costs(100), inFlight: 1 }, costs(250)))).toBe(0);
});

test("the cost is divided by the square of the success rate", () => {
  const half = costs(100, { successRate: 0.5 });
  expect(place(peakEwma, candidates(half, costs(399)))).toBe(1);
  expect(place(peakEwma, candidates(half, costs(401)))).toBe(0);
});

test("agents that never succeed still differ by what they cost", () => {
  expect(place(peakEwma, candidates(costs(200, { successRate: 0 }), costs(100, { successRate: 0 })))).toBe(1);
  const never = aCandidate(costs(100, { successRate: 0 }));
  expect(expectedMs(never, aChoice())).toBeCloseTo(40_000, 6);
});

test("an agent that was never tried goes first, but only one attempt at a time", () => {
  expect(place(peakEwma, candidates(costs(1), { capacity: 10 }))).toBe(1);
  expect(place(peakEwma, candidates({ ...costs(1e6), inFlight: 9 }, { capacity: 10, inFlight: 1 }))).toBe(0);
});

test("among agents that are all just being tried for the first time the load decides", () => {
  const list = candidates({ capacity: 10, inFlight: 3 }, { capacity: 10, inFlight: 1 }, { capacity: 10, inFlight: 2 });
  expect(place(peakEwma, list)).toBe(1);
});

test("among agents that answer within no time the load decides", () => {
  expect(place(peakEwma, candidates({ ...costs(0), inFlight: 2 }, { ...costs(0), inFlight: 1 }))).toBe(1);
});

test("a cost is forgotten with time: an agent that was slow is tried again some day", () => {
  const slow = costs(1_000, { costAtMs: 0 });
  const at = (nowMs: number): number | undefined =>
    place(peakEwma, candidates(slow, costs(100, { costAtMs: nowMs })), { nowMs, halfLifeMs: 10_000 });
  expect([at(0), at(33_000), at(34_000)]).toEqual([1, 1, 0]);
});

test("S1-B07 an agent that fails fast does not attract work", () => {
  const pool = new PoolLatency();
  for (let n = 0; n < 20; n++) pool.add(100);
  const failing = newMeasure();
  const good = newMeasure();
  observe(good, { type: "general", succeeded: true, tookMs: 100, endedAtMs: 0 }, pool);
  for (let failures = 1; failures <= 20; failures++) {
    observe(failing, { type: "general", succeeded: false, tookMs: 1, endedAtMs: 0 }, pool);
    // Nine attempts more on the good one still cost less than the first on this one.
    const list = candidates({ measure: failing }, { measure: good, inFlight: 8, capacity: 10 });
    expect(place(peakEwma, list)).toBe(1);
  }
});

test("an agent that turns slow is passed over after one attempt", () => {
  const pool = new PoolLatency();
  const turned = newMeasure();
  const steady = newMeasure();
  for (let n = 0; n < 50; n++) {
    observe(turned, { type: "general", succeeded: true, tookMs: 90, endedAtMs: 0 }, pool);
    observe(steady, { type: "general", succeeded: true, tookMs: 100, endedAtMs: 0 }, pool);
  }
  expect(place(peakEwma, candidates({ measure: turned }, { measure: steady }))).toBe(0);
  observe(turned, { type: "general", succeeded: true, tookMs: 900, endedAtMs: 0 }, pool);
  expect(place(peakEwma, candidates({ measure: turned }, { measure: steady, inFlight: 3, capacity: 4 }))).toBe(1);
});

test("a burst of choices between two results spreads over agents that are alike: there is no herd", () => {
  const list = candidates(costs(100), costs(101), costs(102), costs(103));
  const inFlight = [0, 0, 0, 0];
  for (let n = 0; n < 20; n++) {
    const seats = list.map((candidate, at) => ({ ...candidate, inFlight: inFlight[at] ?? 0 }));
    const at = peakEwma(seats as unknown as typeof list, aChoice(), { next: () => 0 })?.ordinal as number;
    inFlight[at] = (inFlight[at] ?? 0) + 1;
  }
  expect(inFlight).toEqual([5, 5, 5, 5]);
});

test("what is expected of a task on an agent never tried is nothing", () => {
  expect(expectedMs(aCandidate({ measure: { costMs: 500 } }), aChoice())).toBe(0);
});
