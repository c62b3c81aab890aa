import { expect, test } from "vitest";
import { createRandom } from "../../base/random.ts";
import { candidates, place } from "../../testing/candidates.ts";
import { leastLoaded } from "./least-loaded.ts";
import { powerOfTwo } from "./power-of-two.ts";

test("the smallest share of slots in use wins, not the smallest number", () => {
  expect(place(leastLoaded, candidates({ inFlight: 1, capacity: 2 }, { inFlight: 2, capacity: 10 }))).toBe(1);
});

test("equal shares are a tie, whatever the sizes: the earliest is taken", () => {
  const list = candidates({ ordinal: 1, inFlight: 1, capacity: 2 }, { ordinal: 0, inFlight: 2, capacity: 4 });
  expect(place(leastLoaded, list)).toBe(0);
});

test("power of two never takes the worst of three, and takes nobody by habit", () => {
  const random = createRandom(2);
  const list = candidates({ capacity: 4 }, { inFlight: 1, capacity: 4 }, { inFlight: 2, capacity: 4 });
  const counts = [0, 0, 0];
  for (let n = 0; n < 3_000; n++) {
    const at = place(powerOfTwo, list, {}, random) as number;
    counts[at] = (counts[at] ?? 0) + 1;
  }
  // The idle one is in two of three pairs; the last one in none where it is the better.
  expect(counts[2]).toBe(0);
  expect(counts[0]).toBeGreaterThan(1_850);
  expect(counts[0]).toBeLessThan(2_150);
});

test("power of two spreads evenly over agents that are alike", () => {
  const random = createRandom(4);
  const list = candidates({}, {}, {}, {});
  const counts = [0, 0, 0, 0];
  for (let n = 0; n < 8_000; n++) {
    const at = place(powerOfTwo, list, {}, random) as number;
    counts[at] = (counts[at] ?? 0) + 1;
  }
  expect(Math.min(...counts)).toBeGreaterThan(1_840);
  expect(Math.max(...counts)).toBeLessThan(2_160);
});

test("power of two draws two different agents: of two the less loaded one always wins", () => {
  const random = createRandom(6);
  const list = candidates({ inFlight: 1, capacity: 2 }, { capacity: 2 });
  for (let n = 0; n < 100; n++) expect(place(powerOfTwo, list, {}, random)).toBe(1);
});
