import { expect, test } from "vitest";
import { createRandom } from "../../base/random.ts";
import { candidates, place } from "../../testing/candidates.ts";
import { byPriority } from "./by-priority.ts";
import { leastErrors } from "./least-errors.ts";
import { leastLatency, typeLatency } from "./least-latency.ts";
import { randomAgent } from "./random-agent.ts";

test("S1-03 random is uniform over the candidates, the first and the last included", () => {
  const random = createRandom(9);
  const list = candidates({}, {}, {}, {}, {});
  const counts = [0, 0, 0, 0, 0];
  for (let n = 0; n < 10_000; n++) {
    const at = place(randomAgent, list, {}, random) as number;
    counts[at] = (counts[at] ?? 0) + 1;
  }
  // 2,000 each; the standard deviation is 40.
  expect(Math.min(...counts)).toBeGreaterThan(1_840);
  expect(Math.max(...counts)).toBeLessThan(2_160);
});

test("S1-04 least latency takes the lowest mean, whatever the load", () => {
  const list = candidates({ measure: { latencyMs: 20 } }, { measure: { latencyMs: 10 }, inFlight: 3, capacity: 4 });
  expect(place(leastLatency, list)).toBe(1);
});

test("S1-04 an agent with no calls counts as 0 ms and is tried first; ties go to the earliest", () => {
  expect(place(leastLatency, candidates({ measure: { latencyMs: 1 } }, {}, {}))).toBe(1);
});

test("S1-05 least errors takes the lowest share of failures; an agent with no calls counts as 0", () => {
  const share = (errorShare: number) => ({ measure: { errorShare } });
  expect(place(leastErrors, candidates(share(0.3), share(0.1), share(0.2)))).toBe(1);
  expect(place(leastErrors, candidates(share(0.1), {}, share(0)))).toBe(1);
});

test("S1-07 priority takes the lowest number, negative ones included, whatever the load", () => {
  const list = candidates({ priority: 1 }, { priority: -2, inFlight: 3, capacity: 4 }, { priority: 0 });
  expect(place(byPriority, list)).toBe(1);
});

test("S1-07 equal priorities go to the earliest, wherever it stands in the list", () => {
  expect(place(byPriority, candidates({ ordinal: 5, priority: 1 }, { ordinal: 2, priority: 1 }))).toBe(2);
});

const forType = (ms: number, type = "general") => ({ measure: { typeLatencyMs: new Map([[type, ms]]) } });

test("S0-16 type latency takes the lowest mean for this type, not the lowest of all", () => {
  const list = candidates(
    { measure: { latencyMs: 1, typeLatencyMs: new Map([["general", 50]]) } },
    { measure: { latencyMs: 99, typeLatencyMs: new Map([["general", 40]]) } },
  );
  expect(place(typeLatency, list)).toBe(1);
});

test("S0-16 agents that have done the type go before those that have not", () => {
  expect(place(typeLatency, candidates({}, forType(10, "other"), forType(900)))).toBe(2);
});

test("S0-16 where nobody has done the type, any agent is taken: the least loaded", () => {
  const list = candidates(
    { ...forType(1, "other"), inFlight: 1, capacity: 2 },
    { ...forType(9, "other"), capacity: 2 },
    { capacity: 2 },
  );
  expect(place(typeLatency, list)).toBe(1);
});
