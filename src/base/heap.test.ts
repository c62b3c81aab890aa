import fc from "fast-check";
import { expect, test } from "vitest";
import { Heap } from "./heap.ts";

const numbers = (): Heap<number> => new Heap<number>((a, b) => a < b);

test("an empty heap has no top", () => {
  const heap = numbers();
  expect([heap.size, heap.peek(), heap.pop(), heap.size]).toEqual([0, undefined, undefined, 0]);
});

test("a heap of one gives it back and is empty", () => {
  const heap = numbers();
  heap.push(7);
  expect([heap.size, heap.peek(), heap.pop(), heap.size, heap.peek()]).toEqual([1, 7, 7, 0, undefined]);
});

test("looking at the top takes nothing away", () => {
  const heap = numbers();
  heap.push(2);
  heap.push(1);
  expect([heap.peek(), heap.peek(), heap.size]).toEqual([1, 1, 2]);
});

test("whatever is pushed and popped in any order, the smallest that is in comes out", () => {
  const program = fc.array(fc.oneof(fc.integer({ min: -20, max: 20 }), fc.constant("pop" as const)), {
    maxLength: 200,
  });
  fc.assert(
    fc.property(program, (steps) => {
      const heap = numbers();
      const model: number[] = [];
      for (const step of steps) {
        if (step === "pop") expect(heap.pop()).toBe(model.shift());
        else {
          heap.push(step);
          model.push(step);
          model.sort((a, b) => a - b);
        }
        expect(heap.peek()).toBe(model[0]);
        expect(heap.size).toBe(model.length);
      }
    }),
  );
});

test("what is kept comes out in order, whatever was there", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: -20, max: 20 }), { maxLength: 200 }),
      fc.integer({ min: 1, max: 5 }),
      (items, nth) => {
        const heap = numbers();
        for (const item of items) heap.push(item);
        heap.keep((item) => item % nth === 0);
        const kept = items.filter((item) => item % nth === 0).sort((a, b) => a - b);
        expect(heap.size).toBe(kept.length);
        expect(kept.map(() => heap.pop())).toEqual(kept);
        expect(heap.pop()).toBeUndefined();
      },
    ),
  );
});
