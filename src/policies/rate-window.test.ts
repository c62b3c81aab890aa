import { expect, test } from "vitest";
import { RateWindow } from "./rate-window.ts";

const START = 1_000_000_000;

test("what was used counts for a minute, and not at its end", () => {
  const window = new RateWindow();
  window.add(3, START);
  expect(window.used(START + 59_999)).toBe(3);
  expect(window.used(START + 60_000)).toBe(0);
});

test("uses of different seconds go one after another", () => {
  const window = new RateWindow();
  window.add(1, START);
  window.add(2, START + 10_000);
  window.add(4, START + 10_999);
  expect(window.used(START + 59_000)).toBe(7);
  expect(window.used(START + 60_000)).toBe(6);
  expect(window.used(START + 70_000)).toBe(0);
});

test("it tells when there will be room: at once below the limit, else when enough has been forgotten", () => {
  const window = new RateWindow();
  window.add(1, START);
  window.add(1, START + 5_000);
  expect(window.freeAtMs(3, START + 6_000)).toBe(START + 6_000);
  expect(window.freeAtMs(2, START + 6_000)).toBe(START + 60_000);
  expect(window.freeAtMs(1, START + 6_000)).toBe(START + 65_000);
  window.add(10, START + 6_000);
  expect(window.freeAtMs(2, START + 6_000)).toBe(START + 66_000);
});

test("an hour of silence empties it, and instants never go back", () => {
  const window = new RateWindow();
  window.add(5, START);
  expect(window.used(START + 3_600_000)).toBe(0);
  window.add(2, START);
  expect(window.used(START)).toBe(2);
});

test("what has gone stays gone, also after its second was used again", () => {
  const window = new RateWindow();
  window.add(1, 0);
  window.add(1, 60_000);
  expect(window.used(60_000)).toBe(1);
  expect([window.used(119_999), window.used(120_000), window.used(180_000)]).toEqual([1, 0, 0]);
});

test("asked later and nothing else, it knows that there is room", () => {
  const window = new RateWindow();
  window.add(1, 0);
  expect(window.freeAtMs(1, 61_000)).toBe(61_000);
});
