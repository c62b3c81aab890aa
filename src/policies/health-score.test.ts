import { expect, test } from "vitest";
import { healthScore } from "./health-score.ts";

const fine = { isBreached: false, queued: 0, queueLimit: 10 };

test("S0-33 the health score takes off half the failed share, a fifth for a breach, a tenth for a queue above 80 %", () => {
  expect(healthScore({ tasks: 0, failed: 0, ...fine })).toBe(1);
  expect(healthScore({ tasks: 4, failed: 1, ...fine })).toBe(0.875);
  expect(healthScore({ tasks: 1, failed: 1, ...fine })).toBe(0.5);
  expect(healthScore({ tasks: 1, failed: 0, ...fine, isBreached: true })).toBe(0.8);
  expect(healthScore({ tasks: 1, failed: 0, ...fine, queued: 8 })).toBe(1);
  expect(healthScore({ tasks: 1, failed: 0, ...fine, queued: 9 })).toBe(0.9);
  expect(healthScore({ tasks: 1, failed: 1, ...fine, isBreached: true, queued: 9 })).toBe(0.2);
});

test("S0-33 a queue that takes none is nearly full with the first that waits", () => {
  expect(healthScore({ tasks: 0, failed: 0, isBreached: false, queued: 0, queueLimit: 0 })).toBe(1);
  expect(healthScore({ tasks: 1, failed: 0, isBreached: false, queued: 1, queueLimit: 0 })).toBe(0.9);
});
