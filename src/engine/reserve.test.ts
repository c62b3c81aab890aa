import { expect, test } from "vitest";
import { isPoolError } from "../base/errors.ts";
import { createMemoryStore } from "../stores/memory.ts";
import { createVirtualClock } from "../testing/virtual-clock.ts";
import { Reserve } from "./reserve.ts";

function reserveOf(room: () => number | undefined): {
  reserve: Reserve;
  advance(ms: number): Promise<void>;
  asked(): number;
} {
  const clock = createVirtualClock(0);
  let asked = 0;
  const store = Object.assign(createMemoryStore(), {
    room: () => {
      asked += 1;
      return room();
    },
  });
  return { reserve: new Reserve(store, clock), advance: (ms) => clock.advance(ms), asked: () => asked };
}

test.each([
  [0, true],
  [-1, true],
  [1, false],
  [undefined, false],
])("room of %s bytes refuses new tasks: %s", (bytes, refuses) => {
  const { reserve } = reserveOf(() => bytes);
  if (refuses) {
    expect(() => reserve.assertRoom()).toThrow(
      expect.toSatisfy(
        (error) => isPoolError(error, "store_full") && error.retryable && error.details.retryAfterMs === 5_000,
      ),
    );
  } else expect(() => reserve.assertRoom()).not.toThrow();
});

test("a store that knows of no limit refuses nobody", () => {
  const reserve = new Reserve(createMemoryStore(), createVirtualClock(0));
  expect(() => reserve.assertRoom()).not.toThrow();
});

test("the store is asked once a second while it has room, and every time while it has none", async () => {
  let bytes = 1;
  const { reserve, advance, asked } = reserveOf(() => bytes);
  reserve.assertRoom();
  await advance(999);
  bytes = 0;
  reserve.assertRoom();
  expect(asked()).toBe(1);
  await advance(1);
  expect(() => reserve.assertRoom()).toThrow();
  expect(() => reserve.assertRoom()).toThrow();
  expect(asked()).toBe(3);
  bytes = 1;
  reserve.assertRoom();
});
