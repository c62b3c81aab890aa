import { describe, expect, test } from "vitest";
import { AUTOSCALE_DEFAULTS, type Load, lookEveryMs, resize } from "./autoscale.ts";

const aLoad = (load: Partial<Load> = {}): Load => ({
  size: 4,
  min: 1,
  max: 16,
  waiting: 0,
  running: 0,
  oldestWaitMs: 0,
  concurrency: 1,
  peak: undefined,
  ...load,
});

const target = (load: Partial<Load>, options = {}) =>
  resize(aLoad(load), { ...AUTOSCALE_DEFAULTS, ...options })?.target;

describe("by delay", () => {
  test("S4-L01: grows once a task has waited for targetWaitMs, and not a moment before", () => {
    expect(target({ waiting: 1, oldestWaitMs: 4_999 })).toBeUndefined();
    expect(target({ waiting: 1, oldestWaitMs: 5_000 })).toBe(5);
  });

  test("grows by as many as there is work for, and to twice its size at most", () => {
    expect(target({ waiting: 3, oldestWaitMs: 5_000 })).toBe(7);
    expect(target({ waiting: 3, oldestWaitMs: 5_000, concurrency: 2 })).toBe(6);
    expect(target({ waiting: 4, oldestWaitMs: 5_000 })).toBe(8);
    expect(target({ waiting: 5, oldestWaitMs: 5_000 })).toBe(8);
  });

  test("never grows beyond size.max", () => {
    expect(target({ size: 15, waiting: 9, oldestWaitMs: 5_000 })).toBe(16);
    expect(target({ size: 16, waiting: 9, oldestWaitMs: 5_000 })).toBeUndefined();
  });
});

describe("by depth", () => {
  const options = { targetPerAgent: 2 };

  test("S3-67: grows while there are more open tasks than that for each agent", () => {
    expect(target({ waiting: 4, running: 4 }, options)).toBeUndefined();
    expect(target({ waiting: 5, running: 4 }, options)).toBe(5);
    expect(target({ waiting: 6, running: 4 }, options)).toBe(5);
    expect(target({ waiting: 7, running: 4 }, options)).toBe(6);
    expect(target({ waiting: 99, running: 4 }, options)).toBe(8);
  });

  test("says nothing where it is not asked for", () => {
    expect(target({ waiting: 1_000 })).toBeUndefined();
  });

  test("never grows beyond size.max", () => {
    expect(target({ size: 16, waiting: 99 }, options)).toBeUndefined();
    expect(target({ size: 15, waiting: 99 }, options)).toBe(16);
  });
});

describe("shrinking", () => {
  test("waits until the cool-down is over, to what its busiest moment needed", () => {
    expect(target({ peak: undefined })).toBeUndefined();
    expect(target({ peak: 2 })).toBe(2);
    expect(target({ peak: 2, concurrency: 2 })).toBe(1);
    expect(target({ peak: 3, concurrency: 2 })).toBe(2);
  });

  test("never goes below size.min", () => {
    expect(target({ peak: 0, min: 2 })).toBe(2);
    expect(target({ size: 2, peak: 0, min: 2 })).toBeUndefined();
  });

  test("leaves alone what is needed, or while somebody waits", () => {
    expect(target({ peak: 4 })).toBeUndefined();
    expect(target({ peak: 9 })).toBeUndefined();
    expect(target({ peak: 1, waiting: 1 })).toBeUndefined();
  });

  test("never to where the same load would make it grow again", () => {
    const options = { targetPerAgent: 1 };
    for (let peak = 0; peak <= 8; peak++) {
      const size = target({ size: 8, concurrency: 4, peak }, options) ?? 8;
      expect(target({ size, concurrency: 4, running: peak, peak }, options)).toBeUndefined();
    }
  });
});

test("as many stay as `targetPerAgent` asks for at the busiest moment, rounded up", () => {
  expect(target({ size: 8, concurrency: 9, peak: 7 }, { targetPerAgent: 2 })).toBe(4);
  expect(target({ size: 8, concurrency: 9, peak: 8 }, { targetPerAgent: 2 })).toBe(4);
  expect(target({ size: 8, concurrency: 9, peak: 9 }, { targetPerAgent: 2 })).toBe(5);
});

test("a pool is looked at twice in the shorter of its times, within 10 ms and a second", () => {
  const every = (targetWaitMs: number, cooldownMs: number): number => lookEveryMs({ targetWaitMs, cooldownMs });
  expect([every(5_000, 60_000), every(901, 60_000), every(60_000, 700), every(7, 100)]).toEqual([1_000, 451, 350, 10]);
});

test("fewer than size.min are brought up to it at once", () => {
  expect(target({ size: 1, min: 3 })).toBe(3);
});

test("says why", () => {
  expect(resize(aLoad({ waiting: 1, oldestWaitMs: 5_001 }), AUTOSCALE_DEFAULTS)?.reason).toContain("5001 ms");
  expect(resize(aLoad({ peak: 1 }), AUTOSCALE_DEFAULTS)?.reason).toContain("cool-down");
});
