import { expect, test } from "vitest";
import { below, createRandom, createSystemRandom, seededEntropy, systemEntropy } from "./random.ts";

const draw = (seed: number, count: number): number[] => {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => random.next());
};

test("the same seed gives the same sequence, another seed another", () => {
  expect(draw(7, 50)).toEqual(draw(7, 50));
  expect(draw(7, 50)).not.toEqual(draw(8, 50));
});

test("the sequence of a seed never changes, so that stored runs stay true", () => {
  expect(draw(1, 3).map((n) => Math.floor(n * 2 ** 32))).toMatchInlineSnapshot(`
    [
      3359835970,
      1182520828,
      4267878529,
    ]
  `);
});

test("numbers lie in [0, 1) and spread over it", () => {
  const numbers = draw(3, 10_000);
  expect(numbers.every((n) => n >= 0 && n < 1)).toBe(true);
  const tenths = new Array<number>(10).fill(0);
  for (const n of numbers) tenths[Math.floor(n * 10)]! += 1;
  for (const count of tenths) expect(count > 800 && count < 1_200, `${tenths}`).toBe(true);
});

test("an integer below a bound is 0 at least and never the bound", () => {
  expect(below({ next: () => 0 }, 6)).toBe(0);
  expect(below({ next: () => 1 - 2 ** -32 }, 6)).toBe(5);
  expect(below({ next: () => 0.999 }, 1)).toBe(0);
});

test("two generators of the system don't give the same sequence", () => {
  const [a, b] = [createSystemRandom(), createSystemRandom()];
  expect([a.next(), a.next()]).not.toEqual([b.next(), b.next()]);
});

test("ids and secrets are as long as asked for, and never the same", () => {
  for (const entropy of [systemEntropy, seededEntropy(createRandom(1))]) {
    for (const count of [0, 1, 7, 8]) expect(entropy.hex(count)).toMatch(new RegExp(`^[0-9a-f]{${count}}$`));
    expect(entropy.uuid()).not.toBe(entropy.uuid());
    expect(entropy.secret()).not.toBe(entropy.secret());
    expect(entropy.secret()).toMatch(/^[A-Za-z0-9_-]{43}$/);
  }
});

test("a uuid of the system is one", () => {
  expect(systemEntropy.uuid()).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
});

test("seeded ids repeat with their seed", () => {
  const ids = () => {
    const entropy = seededEntropy(createRandom(4));
    return [entropy.uuid(), entropy.hex(8), entropy.secret()];
  };
  expect(ids()).toEqual(ids());
});
