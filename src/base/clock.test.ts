import { afterEach, expect, test, vi } from "vitest";
import { createVirtualClock } from "../testing/virtual-clock.ts";
import { type Clock, sleep, systemClock } from "./clock.ts";

afterEach(() => {
  vi.useRealTimers();
});

test("the system's timer fires once, after its delay and not before", () => {
  vi.useFakeTimers();
  const fire = vi.fn();
  systemClock.timer(50, fire);
  vi.advanceTimersByTime(49);
  expect(fire).toHaveBeenCalledTimes(0);
  vi.advanceTimersByTime(1);
  expect(fire).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(1_000);
  expect(fire).toHaveBeenCalledTimes(1);
});

test("a delay that the platform can't wait for is waited for in parts, and can be cancelled in each", () => {
  vi.useFakeTimers();
  const longestMs = 2 ** 31 - 1;
  const fire = vi.fn();
  const cancelled = vi.fn();
  systemClock.timer(longestMs + 10, fire);
  const timer = systemClock.timer(longestMs + 10, cancelled);
  vi.advanceTimersByTime(longestMs);
  expect(fire).not.toHaveBeenCalled();
  timer.cancel();
  vi.advanceTimersByTime(9);
  expect(fire).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(fire).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(longestMs);
  expect(cancelled).not.toHaveBeenCalled();
});

test("the longest delay that the platform knows is one part", () => {
  vi.useFakeTimers();
  const fire = vi.fn();
  systemClock.timer(2 ** 31 - 1, fire);
  vi.advanceTimersByTime(2 ** 31 - 1);
  expect(fire).toHaveBeenCalledTimes(1);
});

test("a delay that has passed fires as soon as possible, but not at once", () => {
  vi.useFakeTimers();
  const fire = vi.fn();
  systemClock.timer(-5, fire);
  expect(fire).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(fire).toHaveBeenCalledTimes(1);
});

test("a cancelled timer never fires, and may be cancelled twice", () => {
  vi.useFakeTimers();
  const fire = vi.fn();
  const timer = systemClock.timer(5, fire);
  timer.cancel();
  timer.cancel();
  vi.advanceTimersByTime(100);
  expect(fire).not.toHaveBeenCalled();
});

test("what is deferred runs later, in order, and before the next timer of the same clock", async () => {
  const seen: string[] = [];
  const done = new Promise<void>((resolve) => {
    systemClock.defer(() => seen.push("deferred"));
    systemClock.defer(resolve);
  });
  seen.push("now");
  await done;
  expect(seen).toEqual(["now", "deferred"]);
});

test("the system's times are epoch milliseconds, and milliseconds that never go back", () => {
  expect(Math.abs(systemClock.now() - Date.now())).toBeLessThan(5_000);
  const first = systemClock.monotonic();
  expect(systemClock.monotonic()).toBeGreaterThanOrEqual(first);
});

test("sleep ends after its delay", async () => {
  const clock = createVirtualClock();
  let awake = false;
  const slept = sleep(clock, 10).then(() => {
    awake = true;
  });
  await clock.advance(9);
  expect(awake).toBe(false);
  await clock.advance(1);
  expect(awake).toBe(true);
  await slept;
});

test("sleep ends as soon as its signal is aborted, and leaves neither timer nor listener", async () => {
  const clock = createVirtualClock();
  const controller = new AbortController();
  const removed = vi.spyOn(controller.signal, "removeEventListener");
  const slept = sleep(clock, 1_000, controller.signal);
  controller.abort();
  await slept;
  expect(clock.nextAtMs).toBeUndefined();
  expect(removed).toHaveBeenCalledTimes(1);
});

test("sleep that ends by itself removes its listener", async () => {
  const clock = createVirtualClock();
  const controller = new AbortController();
  const removed = vi.spyOn(controller.signal, "removeEventListener");
  const slept = sleep(clock, 5, controller.signal);
  await clock.advance(5);
  await slept;
  expect(removed).toHaveBeenCalledTimes(1);
});

test("sleep under an aborted signal ends at once and sets no timer", async () => {
  const clock: Clock = {
    ...createVirtualClock(),
    timer: () => {
      throw new Error("no timer was expected");
    },
  };
  await sleep(clock, 1_000, AbortSignal.abort());
});
