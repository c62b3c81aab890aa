import { expect, test } from "vitest";
import { afterDeath, RESTART_DEFAULTS, type RestartOptions } from "./restart.ts";

const NOW = 1_000_000;
const random = { next: () => 0.5 };
const options = (given: Partial<RestartOptions> = {}): RestartOptions => ({
  ...RESTART_DEFAULTS,
  jitter: "none",
  ...given,
});

/** What is done about a child whose restarts were so long ago, and that has been ready for so long. */
function decide(agosMs: readonly number[], given: Partial<RestartOptions> = {}, readyForMs?: number, onTrial = false) {
  const restartsAtMs = agosMs.map((ago) => NOW - ago);
  const readyAtMs = readyForMs === undefined ? undefined : NOW - readyForMs;
  return afterDeath({ restartsAtMs, readyAtMs, onTrial }, NOW, random, options(given));
}

test("the first death is followed by a restart after the base delay", () => {
  expect(decide([])).toEqual({ name: "restart", delayMs: 1_000, counted: [] });
});

test("the delay grows with every restart inside the window, up to the cap", () => {
  expect(decide([10])).toMatchObject({ delayMs: 2_000, counted: [NOW - 10] });
  expect(decide([30, 20, 10])).toMatchObject({ delayMs: 8_000 });
  expect(decide([30, 20, 10], { capMs: 3_000 })).toMatchObject({ delayMs: 3_000 });
});

test("delay 0 restarts at once", () => {
  expect(decide([10], { delayMs: 0 })).toMatchObject({ name: "restart", delayMs: 0 });
});

test("the delay has jitter", () => {
  expect(decide([], { jitter: "full" })).toMatchObject({ delayMs: 500 });
  expect(decide([], { jitter: "equal" })).toMatchObject({ delayMs: 750 });
});

test("S2-17 the fifth restart inside the window is allowed, the sixth is a quarantine", () => {
  expect(decide([40, 30, 20, 10]).name).toBe("restart");
  expect(decide([50, 40, 30, 20, 10])).toEqual({ name: "quarantine", retryAfterMs: 300_000 });
});

test("S2-B05 a restart counts while it is younger than the window, and no longer at exactly its end", () => {
  const at = (ago: number) => decide([ago], { windowMs: 60_000 });
  expect(at(59_999)).toMatchObject({ counted: [NOW - 59_999], delayMs: 2_000 });
  expect(at(60_000)).toMatchObject({ counted: [], delayMs: 1_000 });
});

test("S2-B05 after exactly the stable time earlier restarts are forgotten, a millisecond less keeps them", () => {
  const long = { windowMs: 10_000_000, stableMs: 600_000 };
  const restarts = [700_005, 700_004, 700_003, 700_002, 700_001];
  expect(decide(restarts, long, 599_999).name).toBe("quarantine");
  expect(decide(restarts, long, 600_000)).toEqual({ name: "restart", delayMs: 1_000, counted: [] });
});

test("a child that never became ready has no stable time", () => {
  expect(decide([700_000], { windowMs: 10_000_000 })).toMatchObject({ counted: [NOW - 700_000] });
});

test("max 0 never restarts", () => {
  expect(decide([], { max: 0 }).name).toBe("quarantine");
});

test("max 1 restarts once", () => {
  expect([decide([], { max: 1 }).name, decide([5], { max: 1 }).name]).toEqual(["restart", "quarantine"]);
});

test("quarantine of 0 is for good", () => {
  expect(decide([], { max: 0, quarantineMs: 0 })).toEqual({ name: "quarantine", retryAfterMs: undefined });
  expect(decide([], { max: 0, quarantineMs: 1 })).toEqual({ name: "quarantine", retryAfterMs: 1 });
});

test("a child that dies on trial goes back to quarantine, however few restarts count", () => {
  expect(decide([10], {}, 5, true)).toEqual({ name: "quarantine", retryAfterMs: 300_000 });
  expect(decide([], {}, undefined, true).name).toBe("quarantine");
});

test("a trial is over after the stable time: the child is restarted as any other", () => {
  expect(decide([600_010], {}, 599_999, true).name).toBe("quarantine");
  expect(decide([600_010], {}, 600_000, true)).toEqual({ name: "restart", delayMs: 1_000, counted: [] });
});

test("the defaults are five restarts a minute, from 1 s to 60 s, ten stable minutes, five in quarantine", () => {
  expect(RESTART_DEFAULTS).toEqual({
    delayMs: 1_000,
    factor: 2,
    capMs: 60_000,
    jitter: "full",
    max: 5,
    windowMs: 60_000,
    stableMs: 600_000,
    quarantineMs: 300_000,
    upTo: "size",
  });
});
