/** Weighted serving. */
import { describe, expect, test } from "vitest";
import { Serving } from "./serving.ts";

const WEIGHTS: Readonly<Record<number, number>> = { 1: 8, 2: 4, 3: 2, 4: 1 };
const weightOf = (one: number): number => WEIGHTS[one] ?? 0;

function serve(serving: Serving, waiting: [number, ...number[]], times: number): number[] {
  return Array.from({ length: times }, () => {
    const one = serving.next(waiting, weightOf);
    serving.served(one, waiting, weightOf);
    return one;
  });
}

const share = (order: number[], one: number): number => order.filter((other) => other === one).length;

describe("weighted serving", () => {
  test("S3-60 gives exactly the shares in every round", () => {
    const serving = new Serving();
    for (let round = 0; round < 3; round++) {
      const order = serve(serving, [1, 2, 3, 4], 15);
      expect([1, 2, 3, 4].map((one) => share(order, one))).toEqual([8, 4, 2, 1]);
    }
  });

  test("spreads them over the round", () => {
    const order = serve(new Serving(), [1, 2, 3, 4], 15);
    expect(order.slice(0, 5)).toEqual([1, 2, 1, 3, 1]);
    expect(order.join("")).not.toContain("111");
  });

  test("shares what nobody else wants among those who wait", () => {
    const order = serve(new Serving(), [2, 4], 10);
    expect([share(order, 2), share(order, 4)]).toEqual([8, 2]);
  });

  test("saves nothing up for those who did not wait", () => {
    const serving = new Serving();
    serve(serving, [4], 1_000);
    expect(share(serve(serving, [3, 4], 3), 4)).toBe(1);
  });

  test("looking does not count as serving", () => {
    const serving = new Serving();
    for (let n = 0; n < 10; n++) expect(serving.next([1, 2], weightOf)).toBe(1);
  });
});
