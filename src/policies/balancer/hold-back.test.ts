import { expect, test } from "vitest";
import { aCandidate, type CandidateInput } from "../../testing/candidates.ts";
import { type Busy, CROWD, holdBackMs } from "./hold-back.ts";

const costs = (costMs: number, more: CandidateInput["measure"] = {}): CandidateInput => ({
  measure: { samples: 1, costMs, ...more },
});
const NOW_MS = 1_000_000;

/** At work since now, unless it says otherwise. */
const busy = (costMs: number, { forMs = 0, ...more }: CandidateInput & { forMs?: number } = {}): Busy => ({
  ...aCandidate({ ...costs(costMs, { costAtMs: NOW_MS }), ...more }),
  sinceMs: NOW_MS - forMs,
});

function wait(freeMs: number, others: readonly Busy[], { waiting = 1, nowMs = NOW_MS } = {}): number | undefined {
  const free = aCandidate(costs(freeMs, { costAtMs: NOW_MS }));
  return holdBackMs(free, others, { waiting, nowMs, halfLifeMs: 30_000 });
}

test("a task waits for a busy agent that is much faster, as long as that is expected to be at work", () => {
  expect(wait(1_000, [busy(100)])).toBe(100);
  expect(wait(1_000, [busy(100), busy(100)])).toBe(50);
});

test("nobody waits for an agent that is as slow, slower, or unknown", () => {
  expect(wait(1_000, [])).toBeUndefined();
  expect(wait(1_000, [busy(1_000)])).toBeUndefined();
  expect(wait(1_000, [busy(5_000)])).toBeUndefined();
  expect(wait(1_000, [{ ...busy(100), ...aCandidate(), sinceMs: NOW_MS }])).toBeUndefined();
});

test("an agent that was never tried is tried, not held back", () => {
  const others = [busy(1)];
  expect(holdBackMs(aCandidate(), others, { waiting: 1, nowMs: NOW_MS, halfLifeMs: 30_000 })).toBeUndefined();
});

test("it waits only if waiting and running there ends sooner than running here", () => {
  expect(CROWD).toBe(2);
  // 2 × 100 to begin and 100 to run.
  expect(wait(300, [busy(100)])).toBeUndefined();
  expect(wait(301, [busy(100)])).toBe(100);
});

test("the more tasks wait, the sooner the slow agent is used", () => {
  const holds = (waiting: number): boolean => wait(1_000, [busy(100)], { waiting }) !== undefined;
  // 2 × 4 × 100 + 100 against 1,000; five would take 1,100.
  expect([holds(1), holds(4), holds(5), holds(100)]).toEqual([true, true, false, false]);
});

test("an agent with more slots is expected to be free sooner", () => {
  expect(wait(1_000, [busy(100, { capacity: 4 })])).toBe(25);
  // It begins sooner, but takes as long: 2 × 25 and 100.
  expect(wait(150, [busy(100, { capacity: 4 })])).toBeUndefined();
  expect(wait(151, [busy(100, { capacity: 4 })])).toBe(25);
});

test("failures make an agent as slow as their repetition", () => {
  const failing = aCandidate(costs(100, { costAtMs: NOW_MS, successRate: 0.5 }));
  // 100 over 0.25: 400 against 300 to begin and run elsewhere.
  expect(holdBackMs(failing, [busy(100)], { waiting: 1, nowMs: NOW_MS, halfLifeMs: 30_000 })).toBe(100);
  expect(
    wait(1_000, [busy(250, { measure: { samples: 1, costMs: 250, costAtMs: NOW_MS, successRate: 0.5 } })]),
  ).toBeUndefined();
});

test("nobody waits for an agent that hangs: it is as slow as its attempt is old", () => {
  expect(wait(1_000, [busy(100, { forMs: 99 })])).toBe(100);
  expect(wait(1_000, [busy(100, { forMs: 200 })])).toBe(200);
  expect(wait(1_000, [busy(100, { forMs: 333 })])).toBe(333);
  expect(wait(1_000, [busy(100, { forMs: 334 })])).toBeUndefined();
  expect(wait(1_000, [busy(100, { forMs: 5_000 })])).toBeUndefined();
});

test("agents that are no faster do not shorten the wait", () => {
  expect(wait(1_000, [busy(100), busy(1_000)])).toBe(100);
  expect(wait(1_000, [busy(100), busy(999)])).toBeLessThan(100);
});

test("agents that hang do not keep a task from waiting for those that do not", () => {
  expect(wait(1_000, [busy(100, { forMs: 5_000 }), busy(100)])).toBe(100);
});
