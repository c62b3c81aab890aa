import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { IntMap } from "./int-map.ts";
import { RecentMap } from "./recent-map.ts";
import { SlotMap } from "./slot-map.ts";

const KINDS: readonly { readonly name: string; readonly make: () => IntMap<object> | SlotMap<number, object> }[] = [
  { name: "IntMap", make: () => new IntMap() },
  { name: "SlotMap", make: () => new SlotMap() },
];

// Few, so that they meet again; and some beyond 32 bits, negative or not whole, as far as numbers may be keys.
const keys = fc.oneof(
  fc.integer({ min: -4, max: 12 }),
  fc.constantFrom(2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1, 0.5),
);
const doings = fc.record({
  does: fc.constantFrom("set", "set", "get", "delete", "take", "has", "clear" as const),
  key: keys,
});

describe.each(KINDS)("$name", ({ make }) => {
  test("whatever comes and goes, it answers as a Map does, in the same order", () => {
    fc.assert(
      fc.property(fc.array(doings, { maxLength: 300 }), (program) => {
        const ours = make();
        const plain = new Map<number, object>();
        for (const [n, { does, key }] of program.entries()) {
          const value = { n };
          if (does === "set") {
            ours.set(key, value);
            plain.set(key, value);
          } else if (does === "get") expect(ours.get(key)).toBe(plain.get(key));
          else if (does === "has") expect(ours.has(key)).toBe(plain.has(key));
          else if (does === "delete") expect(ours.delete(key)).toBe(plain.delete(key));
          else if (does === "take") {
            expect(ours.take(key)).toBe(plain.get(key));
            plain.delete(key);
          } else if (n % 5 === 0) {
            ours.clear();
            plain.clear();
          }
          expect(ours.size).toBe(plain.size);
        }
        expect([...ours]).toEqual([...plain]);
        expect([...ours.keys()]).toEqual([...plain.keys()]);
        expect([...ours.values()]).toEqual([...plain.values()]);
      }),
      { numRuns: 300 },
    );
  });

  test("many come, most go, and who is left is found", () => {
    const map = make();
    for (let key = 0; key < 5_000; key++) map.set(key, { key });
    for (let key = 0; key < 5_000; key++) if (key % 100 !== 7) map.delete(key);
    for (let key = 5_000; key < 20_000; key++) {
      map.set(key, { key });
      map.delete(key);
    }
    expect(map.size).toBe(50);
    expect([...map.keys()]).toEqual(Array.from({ length: 50 }, (_, n) => n * 100 + 7));
    for (const [key, value] of map) expect(value).toEqual({ key });
    expect(map.get(8)).toBeUndefined();
  });

  test("entries may go while it is looked through", () => {
    const map = make();
    for (let key = 0; key < 20; key++) map.set(key, { key });
    const seen: number[] = [];
    for (const key of map.keys()) {
      seen.push(key);
      map.delete(key);
      map.delete(key + 1);
    }
    expect(seen).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
    expect(map.size).toBe(0);
  });
});

test("the first of an IntMap is the one that has been in it longest", () => {
  const map = new IntMap<string>();
  expect(map.first()).toBeUndefined();
  map.set(9, "nine").set(1, "one").set(5, "five");
  expect(map.first()).toBe("nine");
  map.delete(9);
  map.set(1, "uno");
  expect(map.first()).toBe("uno");
  map.clear();
  expect(map.first()).toBeUndefined();
});

test("a RecentMap answers as a Map does, whoever was asked for last", () => {
  const names = fc.constantFrom("a", "b", "c");
  const steps = fc.record({ does: fc.constantFrom("set", "get", "get", "delete", "clear" as const), key: names });
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 60 }), (program) => {
      const ours = new RecentMap<string, object>();
      const plain = new Map<string, object>();
      for (const [n, { does, key }] of program.entries()) {
        const value = { n };
        for (const map of [ours, plain]) {
          if (does === "set") map.set(key, value);
          else if (does === "delete") map.delete(key);
          else if (does === "clear") map.clear();
        }
        expect(ours.get(key)).toBe(plain.get(key));
        expect([...ours]).toEqual([...plain]);
      }
    }),
  );
});

test("what a SlotMap shows to each is value and key", () => {
  const map = new SlotMap<string, number>().set("a", 1);
  const seen: unknown[] = [];
  map.set("b", 2).forEach((value, key, all) => {
    seen.push([key, value, all === map]);
  });
  expect(seen).toEqual([
    ["a", 1, true],
    ["b", 2, true],
  ]);
});
