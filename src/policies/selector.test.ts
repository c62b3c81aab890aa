import { describe, expect, test } from "vitest";
import { createRandom } from "../base/random.ts";
import { type PoolCandidate, type SelectRequest, selectPool } from "./selector.ts";

const aPool = (id: string, given: Partial<PoolCandidate> = {}): PoolCandidate => ({
  id,
  load: 0,
  stopped: false,
  unhealthy: false,
  preferred: false,
  fitness: undefined,
  lastTurn: 0,
  ...given,
});

const random = createRandom(1);
const select = (pools: readonly PoolCandidate[], request: Partial<SelectRequest> = {}) =>
  selectPool(pools, { selector: "least_loaded", byFitness: false, ...request }, random);

const EVERY = ["least_loaded", "round_robin", "random", "affinity", "category"] as const;

describe.each(EVERY)("%s", (selector) => {
  const request = { selector, pool: "b" };

  test("R-B02 R-04 S4-B10 chooses no pool outside the allow list, and none that is stopped", () => {
    const pools = [
      aPool("a", { preferred: true }),
      aPool("b", { load: 9, lastTurn: 9 }),
      aPool("c", { stopped: true, preferred: true }),
    ];
    for (let n = 0; n < 20; n++) expect(select(pools, { ...request, allow: ["b", "c"] })?.pool).toBe("b");
    expect(select(pools, { ...request, allow: ["c"] })).toBeUndefined();
    expect(select(pools, { ...request, allow: [] })).toBeUndefined();
    expect(select(pools, { ...request, allow: ["nobody"] })).toBeUndefined();
    expect(select([], request)).toBeUndefined();
  });

  test('R-04 "*" is every pool', () => {
    expect(select([aPool("a"), aPool("b")], { ...request, allow: ["*"] })?.considered).toEqual(["a", "b"]);
  });

  test("S4-28 S4-B10 unhealthy pools come last: only when no other may be chosen", () => {
    const sick = { unhealthy: true, preferred: true };
    const pools = [aPool("a", sick), aPool("b", sick), aPool("c", { load: 9, lastTurn: 9 })];
    for (let n = 0; n < 20; n++) {
      const chosen = select(pools, { ...request, allow: ["*"] });
      expect(chosen?.pool).toBe("c");
      expect(chosen?.considered).toEqual(["a", "b", "c"]);
    }
    expect(["a", "b"]).toContain(select(pools, { ...request, allow: ["a", "b"] })?.pool);
  });

  test("R-B02 measured fitness goes by the same rules", () => {
    const pools = [
      aPool("a", { fitness: 1 }),
      aPool("b", { fitness: 0.5 }),
      aPool("c", { fitness: 1, unhealthy: true }),
      aPool("d", { fitness: 1, stopped: true }),
    ];
    const chosen = select(pools, { ...request, byFitness: true, allow: ["b", "c", "d"] });
    expect(chosen).toEqual({ pool: "b", selector: "fitness", considered: ["b", "c"] });
  });
});

test("S4-19 S4-B09 R-B01 least_loaded takes the smallest load; ties go to the first", () => {
  const pools = [aPool("a", { load: 0.5 }), aPool("b", { load: 0.25 }), aPool("c", { load: 0.25 })];
  expect(select(pools)).toEqual({ pool: "b", selector: "least_loaded", considered: ["a", "b", "c"] });
  const empty = [aPool("a", { load: Number.POSITIVE_INFINITY }), aPool("b", { load: 99 })];
  expect(select(empty)?.pool).toBe("b");
});

test("R-03 S4-B07 round_robin takes the one whose turn is longest ago; of those that never had one the first", () => {
  const turns = [3, 1, 2].map((lastTurn, n) => aPool(`p${n}`, { lastTurn, load: n }));
  expect(select(turns, { selector: "round_robin" })).toMatchObject({ pool: "p1", selector: "round_robin" });
  expect(select([...turns, aPool("new")], { selector: "round_robin" })?.pool).toBe("new");
  expect(select([aPool("a"), aPool("b")], { selector: "round_robin" })?.pool).toBe("a");
});

test("R-03 random takes each of them now and then", () => {
  const pools = ["a", "b", "c"].map((id) => aPool(id));
  const seen = new Set(Array.from({ length: 100 }, () => select(pools, { selector: "random" })?.pool));
  expect([...seen].sort()).toEqual(["a", "b", "c"]);
});

test("R-04 affinity is honoured inside the caller's list only, else the least loaded of those allowed is taken", () => {
  const pools = [aPool("a", { load: 3 }), aPool("b", { load: 2 }), aPool("c", { load: 1 })];
  const wish = { selector: "affinity", pool: "a" } as const;
  expect(select(pools, { ...wish, allow: ["a", "b"] })).toMatchObject({ pool: "a", selector: "affinity" });
  expect(select(pools, { ...wish, allow: ["*"] })).toMatchObject({ pool: "a", selector: "affinity" });
  expect(select(pools, { ...wish, allow: ["b", "c"] })).toMatchObject({ pool: "c", selector: "least_loaded" });
  expect(select(pools, wish)).toMatchObject({ pool: "c", selector: "least_loaded" });
});

test("R-11 category takes the least loaded of the preferred pools, if there is one", () => {
  const pools = [aPool("a"), aPool("b", { preferred: true, load: 2 }), aPool("c", { preferred: true, load: 1 })];
  expect(select(pools, { selector: "category" })).toMatchObject({ pool: "c", selector: "category" });
  expect(select(pools, { selector: "category", allow: ["a"] })).toMatchObject({ selector: "least_loaded" });
  expect(select(pools, { selector: "least_loaded" })?.pool).toBe("a");
});

describe("R-09 measured fitness", () => {
  const byFitness = true;

  test("takes the place of the selector: the fittest, of these the least loaded", () => {
    const pools = [
      aPool("a", { fitness: 0.5 }),
      aPool("b", { fitness: 0.9, load: 2 }),
      aPool("c", { fitness: 0.9, load: 1 }),
    ];
    expect(select(pools, { selector: "random", byFitness })).toMatchObject({ pool: "c", selector: "fitness" });
    expect(select(pools, { selector: "least_loaded" })?.pool).toBe("a");
  });

  test("one that was not measured is tried, and where none was the selector decides", () => {
    const pools = [aPool("a", { fitness: 0.99 }), aPool("b")];
    expect(select(pools, { byFitness })?.pool).toBe("b");
    expect(select([aPool("a"), aPool("b")], { byFitness })).toMatchObject({ pool: "a", selector: "least_loaded" });
  });
});
