import { expect, test } from "vitest";
import { aCandidate, aChoice, type CandidateInput, candidates, place } from "../../testing/candidates.ts";
import type { Choice } from "./balancer.ts";
import { PROVEN_SAMPLES, provenSuccessRate, score, scoreOf } from "./score.ts";

const points = (agent: CandidateInput, choice: Partial<Choice> = {}): number =>
  scoreOf(aCandidate(agent), aChoice(choice));
const PRIORITIES = [1, 2, 3, 4];
const proven = (successRate: number) => ({ measure: { samples: PROVEN_SAMPLES, successRate } });

test("S3-16 a fresh idle agent scores 110, 95, 80, 75 from critical to low", () => {
  expect(PRIORITIES.map((priority) => points({}, { priority }))).toEqual([110, 95, 80, 75]);
});

test("S3-15 every running attempt costs 5 points, and the success rate is worth up to 20", () => {
  expect(points({ inFlight: 3, capacity: 20 })).toBe(80 - 15);
  expect(points(proven(0.5))).toBe(70);
  expect(points(proven(0))).toBe(60);
});

test("S3-15 S3-B05 the quick types add ten over the mean seconds, 0 to 10", () => {
  const speed = (successMs: number | undefined, type = "simple_qa"): number =>
    points({ measure: { successMs } }, { type }) - 80;
  expect([1_000, 2_000, 5_000, 100_000].map((ms) => speed(ms))).toEqual(
    [10, 5, 2, 0.1].map((n) => expect.closeTo(n, 9)),
  );
  expect([0, 1, 999].map((ms) => speed(ms))).toEqual([10, 10, 10]);
  expect(speed(1_001)).toBeLessThan(10);
  expect(speed(2_000, "quick_analysis")).toBe(5);
  expect(speed(2_000, "general")).toBe(0);
});

test("S3-B05 S3-16 an agent that was never tried gets five points for speed, not a hundred", () => {
  expect(points({}, { type: "quick_analysis", priority: 1 })).toBe(115);
});

test("S3-B06 under five samples an agent is believed to be no better than the pool", () => {
  const fresh = (samples: number, successRate: number): number =>
    points({ measure: { samples, successRate } }, { poolSuccessRate: 0.8 });
  expect(fresh(0, 1)).toBeCloseTo(76, 9);
  expect(fresh(4, 1)).toBeCloseTo(76, 9);
  expect(fresh(5, 1)).toBeCloseTo(80, 9);
  expect(fresh(4, 0.5)).toBeCloseTo(70, 9);
});

test("S3-B06 a new agent does not beat one that has proven itself", () => {
  const list = candidates(proven(0.9), {});
  expect(place(score, list, { poolSuccessRate: provenSuccessRate(list) })).toBe(0);
});

test("S3-B06 the pool's rate is the mean over those with five samples; 1 while there are none", () => {
  const few = { measure: { samples: 4, successRate: 0.1 } };
  expect(provenSuccessRate(candidates({}, few))).toBe(1);
  expect(provenSuccessRate([])).toBe(1);
  expect(provenSuccessRate(candidates(few, proven(0.9), proven(0.5), {}))).toBeCloseTo(0.7, 12);
});

test("S3-B04 of several agents the one with less to do and fewer failures is chosen", () => {
  expect(place(score, candidates({ inFlight: 1, capacity: 9 }, {}))).toBe(1);
  expect(place(score, candidates(proven(0.8), proven(0.9)))).toBe(1);
  // One attempt more is worth as much as a quarter of all succeeding.
  expect(place(score, candidates(proven(0.74), { ...proven(1), inFlight: 1, capacity: 9 }))).toBe(1);
  expect(place(score, candidates(proven(0.76), { ...proven(1), inFlight: 1, capacity: 9 }))).toBe(0);
});

test("S3-17 S3-B04 a score ranks only: the hidden cap at 15 attempts is gone, and 0 or less still runs", () => {
  expect(points({ inFlight: 15, capacity: 40 }, { priority: 4 })).toBe(0);
  expect(points({ inFlight: 22, capacity: 40 }, { priority: 1 })).toBe(0);
  expect(
    place(score, candidates({ inFlight: 16, capacity: 40 }, { inFlight: 15, capacity: 40 }), { priority: 4 }),
  ).toBe(1);
});

test("among equals score takes the faster, wherever it stands, once it is proven; else the earliest", () => {
  const took = (costMs: number, samples = PROVEN_SAMPLES) => ({ measure: { samples, costMs } });
  expect(place(score, candidates(took(900), took(90), took(100)))).toBe(1);
  expect(place(score, candidates(took(90), took(90)))).toBe(0);
  expect(place(score, candidates(took(900), took(90, PROVEN_SAMPLES - 1)))).toBe(0);
  expect(place(score, candidates({}, took(900)))).toBe(1);
  expect(place(score, candidates({}, took(90, PROVEN_SAMPLES - 1)))).toBe(0);
  // Speed decides nothing where the points differ.
  expect(place(score, candidates({ ...took(90), inFlight: 1, capacity: 2 }, took(900)))).toBe(1);
});
