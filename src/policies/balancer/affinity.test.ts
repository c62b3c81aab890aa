import { expect, test } from "vitest";
import { aChoice, candidates, noRandom, place } from "../../testing/candidates.ts";
import { affinity, hashOf, LOAD_BOUND } from "./affinity.ts";
import type { Candidate, Candidates } from "./balancer.ts";

const KEYS = Array.from({ length: 4_000 }, (_, n) => `customer-${n}`);
/** Nobody is near the bound. */
const IDLE = { crew: { inFlight: 1_000, agents: 1 } };

const homeOf = (list: Candidates<Candidate>, affinityKey: string): number =>
  place(affinity, list, { ...IDLE, affinityKey }) as number;

test("tasks of one key go to the same agent, wherever it stands in the list and whatever the others cost", () => {
  const list = candidates({}, {}, {}, { inFlight: 1, capacity: 4 }, {});
  const turned = [...list].reverse() as unknown as Candidates<Candidate>;
  for (const key of KEYS.slice(0, 200)) expect(homeOf(turned, key)).toBe(homeOf(list, key));
});

test("keys are spread evenly over the agents", () => {
  const list = candidates({}, {}, {}, {}, {});
  const counts = [0, 0, 0, 0, 0];
  for (const key of KEYS) counts[homeOf(list, key)] = (counts[homeOf(list, key)] ?? 0) + 1;
  // 800 each; the standard deviation is 25.
  expect(Math.min(...counts)).toBeGreaterThan(700);
  expect(Math.max(...counts)).toBeLessThan(900);
});

test("when an agent goes only its own keys move, and evenly; when it is back so are they", () => {
  const all = candidates({}, {}, {}, {}, {});
  const without = all.filter(({ ordinal }) => ordinal !== 2) as unknown as Candidates<Candidate>;
  const moved = [0, 0, 0, 0, 0];
  for (const key of KEYS) {
    const before = homeOf(all, key);
    const after = homeOf(without, key);
    if (before === 2) moved[after] = (moved[after] ?? 0) + 1;
    else expect(after).toBe(before);
  }
  expect(Math.min(...moved.filter((_, at) => at !== 2))).toBeGreaterThan(140);
});

test("no agent is loaded above 1.25 times the mean for the sake of a key", () => {
  expect(LOAD_BOUND).toBe(1.25);
  const AGENTS = 4;
  const inFlight = Array.from({ length: AGENTS }, () => 0);
  for (let running = 0; running < 400; running++) {
    const list = candidates(...inFlight.map((count) => ({ inFlight: count, capacity: 1_000 })));
    const at = place(affinity, list, { affinityKey: "one", crew: { inFlight: running, agents: AGENTS } }) as number;
    inFlight[at] = (inFlight[at] ?? 0) + 1;
    expect(Math.max(...inFlight)).toBeLessThanOrEqual(Math.ceil((LOAD_BOUND * (running + 1)) / AGENTS));
  }
  // One key fills its agents up to the bound before it goes on: 125, 125, 125, and what is left.
  expect([...inFlight].sort((a, b) => a - b)).toEqual([25, 125, 125, 125]);
});

test("the bound is met, not passed: the home takes the task that brings it to the bound", () => {
  const list = candidates({ inFlight: 4, capacity: 9 }, { inFlight: 4, capacity: 9 });
  const key = KEYS.find((name) => homeOf(list, name) === 0) as string;
  // (7 + 1) × 1.25 ÷ 2 = 5, and one less is 4.375, rounded up 5; for (5 + 1) it is 3.75, so 4.
  expect(place(affinity, list, { affinityKey: key, crew: { inFlight: 7, agents: 2 } })).toBe(0);
  const fuller = candidates({ inFlight: 5, capacity: 9 }, { inFlight: 2, capacity: 9 });
  expect(place(affinity, fuller, { affinityKey: key, crew: { inFlight: 7, agents: 2 } })).toBe(1);
});

test("where every free agent is at the bound the least loaded is taken", () => {
  const list = candidates({ inFlight: 7, capacity: 9 }, { inFlight: 6, capacity: 9 });
  expect(place(affinity, list, { affinityKey: "k", crew: { inFlight: 13, agents: 20 } })).toBe(1);
});

test("without a key the least loaded is taken", () => {
  expect(place(affinity, candidates({ inFlight: 1, capacity: 2 }, { capacity: 2 }))).toBe(1);
});

test("it is exact above 64 agents: the home is found among all", () => {
  const list = candidates(...Array.from({ length: 200 }, () => ({})));
  const homes = new Set(KEYS.map((key) => homeOf(list, key)));
  expect(homes.size).toBe(200);
});

test("agents of one hash are told apart by their places in the pool", () => {
  const list = candidates({ ordinal: 3, hash: 7 }, { ordinal: 1, hash: 7 }, { ordinal: 2, hash: 7 });
  expect(affinity(list, aChoice({ ...IDLE, affinityKey: "k" }), noRandom)?.ordinal).toBe(1);
});

test("hashes are whole numbers of 32 bits, and differ for ids that differ little", () => {
  const hashes = KEYS.map(hashOf);
  expect(new Set(hashes).size).toBe(KEYS.length);
  expect(hashes.every((hash) => Number.isInteger(hash) && hash >= 0 && hash < 2 ** 32)).toBe(true);
  expect(hashOf("")).toBe(hashOf(""));
});
