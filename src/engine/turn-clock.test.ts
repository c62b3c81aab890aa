import fc from "fast-check";
import { expect, test } from "vitest";
import type { Clock } from "../base/clock.ts";
import { createVirtualClock } from "../testing/virtual-clock.ts";
import { TurnClock } from "./turn-clock.ts";

/** A clock whose wall and monotonic times are set by hand. */
class HandClock implements Clock {
  wallMs: number;
  steadyMs = 500;

  constructor(wallMs = 1_000_000) {
    this.wallMs = wallMs;
  }

  now(): number {
    return this.wallMs;
  }

  monotonic(): number {
    return this.steadyMs;
  }

  /** Both go on. */
  pass(ms: number): void {
    this.wallMs += ms;
    this.steadyMs += ms;
  }

  timer = (): never => {
    throw new Error("sets no timers");
  };

  defer = (): never => {
    throw new Error("defers nothing");
  };
}

test("it starts at the wall clock and goes on with it", () => {
  const clock = new HandClock();
  const turns = new TurnClock(clock);
  expect(turns.now()).toBe(1_000_000);
  clock.pass(250);
  expect(turns.now()).toBe(1_000_250);
});

test("it goes by a virtual clock too", async () => {
  const clock = createVirtualClock(7_000);
  const turns = new TurnClock(clock);
  await clock.advance(30);
  expect(turns.now()).toBe(7_030);
});

test("when no time has passed it does not move, wherever the wall clock has jumped to", () => {
  const clock = new HandClock();
  const turns = new TurnClock(clock);
  clock.wallMs += 3_600_000;
  expect(turns.now()).toBe(1_000_000);
  clock.wallMs -= 7_200_000;
  expect(turns.now()).toBe(1_000_000);
});

test("after a jump forward it runs five percent faster, until it has caught up", () => {
  const clock = new HandClock();
  const turns = new TurnClock(clock);
  clock.wallMs += 100;
  clock.pass(1_000);
  expect(turns.now()).toBe(1_001_050);
  clock.pass(1_000);
  expect(turns.now()).toBe(1_002_100);
  clock.pass(1_000);
  expect(turns.now()).toBe(1_003_100);
});

test("after a jump backward it runs five percent slower, but never back", () => {
  const clock = new HandClock();
  const turns = new TurnClock(clock);
  clock.wallMs -= 3_600_000;
  clock.pass(1_000);
  expect(turns.now()).toBe(1_000_950);
  clock.pass(100);
  expect(turns.now()).toBe(1_001_045);
});

test("a small difference is made up for at once when five percent of the time passed allow it, and not overdone", () => {
  const clock = new HandClock();
  const turns = new TurnClock(clock);
  clock.wallMs += 3;
  clock.pass(1_000);
  expect(turns.now()).toBe(1_001_003);
});

test("a monotonic clock that goes back, against its promise, moves nothing back", () => {
  const clock = new HandClock();
  const turns = new TurnClock(clock);
  clock.pass(100);
  expect(turns.now()).toBe(1_000_100);
  clock.steadyMs -= 50;
  expect(turns.now()).toBe(1_000_100);
  clock.pass(10);
  expect(turns.now()).toBe(1_000_110);
});

test("it gives whole milliseconds, and loses no fractions over many readings", () => {
  const clock = new HandClock(1_000_000.25);
  const turns = new TurnClock(clock);
  for (let n = 0; n < 1_000; n++) {
    clock.pass(0.3);
    expect(Number.isInteger(turns.now())).toBe(true);
  }
  expect(turns.now()).toBe(1_000_300);
});

test("whatever the clocks do it never goes back, and never faster or slower than five percent", () => {
  const step = fc.record({ passMs: fc.nat({ max: 10_000 }), jumpMs: fc.integer({ min: -100_000, max: 100_000 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
      const clock = new HandClock();
      const turns = new TurnClock(clock);
      let last = turns.now();
      for (const { passMs, jumpMs } of steps) {
        clock.wallMs += jumpMs;
        clock.pass(passMs);
        const now = turns.now();
        expect(now).toBeGreaterThanOrEqual(last);
        expect(now - last).toBeLessThanOrEqual(passMs * 1.05 + 1);
        expect(now - last).toBeGreaterThanOrEqual(passMs * 0.95 - 1);
        last = now;
      }
    }),
  );
});

test("within a millisecond it goes on without asking the wall clock, and never back", () => {
  const clock = new HandClock();
  const turns = new TurnClock(clock);
  clock.wallMs -= 3_600_000;
  clock.pass(999.5);
  expect(turns.now()).toBe(1_000_949);
  let asked = 0;
  clock.now = () => {
    asked += 1;
    return clock.wallMs;
  };
  const told: number[] = [];
  for (let n = 0; n < 15; n++) {
    clock.pass(0.0625);
    told.push(turns.now());
  }
  expect([told[0], told[14], asked]).toEqual([1_000_949, 1_000_950, 0]);
  clock.pass(0.0625);
  told.push(turns.now());
  expect(asked).toBe(1);
  expect(told).toEqual([...told].sort((a, b) => a - b));
});
