import { expect, test } from "vitest";
import { createRandom } from "../../base/random.ts";
import { aChoice, type CandidateInput, candidates, noRandom, place } from "../../testing/candidates.ts";
import type { Candidate, Candidates } from "./balancer.ts";
import { FULL_SCAN_LIMIT } from "./scan.ts";
import { BALANCERS, STRATEGIES, type Strategy } from "./strategies.ts";

/** What makes an agent the best, and what makes it like all others, for each strategy that compares. */
const BEST: Partial<Record<Strategy, { best: CandidateInput; rest: CandidateInput }>> = {
  peak_ewma: { best: { measure: { samples: 1, costMs: 5 } }, rest: { measure: { samples: 1, costMs: 50 } } },
  least_latency: { best: { measure: { latencyMs: 5 } }, rest: { measure: { latencyMs: 50 } } },
  least_errors: { best: {}, rest: { measure: { errorShare: 0.5 } } },
  least_loaded: { best: { inFlight: 1, capacity: 4 }, rest: { inFlight: 2, capacity: 4 } },
  score: { best: {}, rest: { inFlight: 1, capacity: 4 } },
  priority: { best: { priority: -1 }, rest: {} },
  type_latency: {
    best: { measure: { typeLatencyMs: new Map([["general", 5]]) } },
    rest: { measure: { typeLatencyMs: new Map([["general", 50]]) } },
  },
};
const SAMPLED: readonly Strategy[] = ["peak_ewma", "least_latency", "least_errors", "least_loaded", "score"];
const EXACT: readonly Strategy[] = ["priority", "type_latency"];

function crowd(strategy: Strategy, size: number, bestAt: number): Candidates<Candidate> {
  const { best = {}, rest = {} } = BEST[strategy] ?? {};
  return candidates(...Array.from({ length: size }, (_, n) => (n === bestAt ? best : rest)));
}

test.each([...SAMPLED, ...EXACT])("%s finds the best of 64 wherever it stands, and draws nothing", (strategy) => {
  for (const at of [0, 1, 31, 62, 63]) expect(place(BALANCERS[strategy], crowd(strategy, 64, at))).toBe(at);
  expect(FULL_SCAN_LIMIT).toBe(64);
});

test.each(SAMPLED)("above 64 candidates %s takes the better of two different random ones", (strategy) => {
  const drawing = (...draws: readonly number[]): number | undefined => {
    const left = [...draws];
    return place(BALANCERS[strategy], crowd(strategy, 65, 3), {}, { next: () => left.shift() ?? Number.NaN });
  };
  // The second draw is among the other 64: at or above the first it means the next one.
  const at = (index: number, of: number): number => (index + 0.5) / of;
  expect(drawing(at(3, 65), at(40, 64))).toBe(3);
  expect(drawing(at(40, 65), at(3, 64))).toBe(3);
  expect(drawing(at(10, 65), at(10, 64))).toBe(10);
  expect(drawing(at(20, 65), at(10, 64))).toBe(20);
  expect(drawing(at(2, 65), at(2, 64))).toBe(3);
});

test.each(EXACT)("%s is exact above 64 candidates too", (strategy) => {
  for (const at of [0, 100, 199]) expect(place(BALANCERS[strategy], crowd(strategy, 200, at))).toBe(at);
});

test.each(SAMPLED)("above 64 candidates that are alike %s leaves nobody out", (strategy) => {
  const random = createRandom(5);
  const list = crowd(strategy, 65, -1);
  const counts = Array.from({ length: 65 }, () => 0);
  const PICKS = 65_000;
  for (let n = 0; n < PICKS; n++) {
    const at = place(BALANCERS[strategy], list, {}, random) as number;
    counts[at] = (counts[at] ?? 0) + 1;
  }
  // 1,000 each; the standard deviation is 31.
  expect(Math.min(...counts)).toBeGreaterThan(850);
  expect(Math.max(...counts)).toBeLessThan(1_150);
});

test.each(STRATEGIES)("%s takes the only candidate, however full, slow and failing it is", (strategy) => {
  const measure = { samples: 9, successRate: 0, errorShare: 1, latencyMs: 1e9, costMs: 1e9, successMs: 1e9 };
  const [only] = candidates({ ordinal: 7, inFlight: 9, capacity: 10, priority: 99, measure });
  expect(place(BALANCERS[strategy], [only], { affinityKey: "k" }, createRandom(1))).toBe(7);
});

test.each(STRATEGIES.filter((name) => name !== "random" && name !== "power_of_two"))(
  "%s prefers the earliest in the pool among agents that are alike, wherever they stand in the list",
  (strategy) => {
    const list = candidates({}, {}, {}, {});
    const turned = [list[2], list[3], list[0], list[1]] as unknown as Candidates<Candidate>;
    expect(BALANCERS[strategy](turned, aChoice(), noRandom)?.ordinal).toBe(0);
  },
);

test("there are twelve strategies, by these names", () => {
  expect([...STRATEGIES].sort()).toEqual(
    [
      "affinity",
      "least_errors",
      "least_latency",
      "least_loaded",
      "peak_ewma",
      "power_of_two",
      "priority",
      "random",
      "round_robin",
      "score",
      "type_latency",
      "weighted",
    ].sort(),
  );
  expect(Object.keys(BALANCERS).sort()).toEqual([...STRATEGIES].sort());
});
