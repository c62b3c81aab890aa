import { expect, test } from "vitest";
import { HEALTH_DEFAULTS, type HealthOptions } from "../policies/health.ts";
import { NO_OUTCOMES } from "../policies/outcomes.ts";
import { verdictOf } from "./passive-health.ts";

/** S is a success, F a failure. */
const calls = (letters: string) =>
  [...letters].reduce(
    (outcomes, letter) => outcomes.with({ atMs: 0, failed: letter === "F" }, HEALTH_DEFAULTS),
    NO_OUTCOMES,
  );
const health = (letters: string, options: Partial<HealthOptions> = {}) =>
  verdictOf(calls(letters), { ...HEALTH_DEFAULTS, ...options });

test("S1-B01: under ten calls nobody is anything but healthy", () => {
  expect(health("FFFFFFFFF")).toMatchObject({ health: "healthy", errorShare: 1 });
  expect(health("FFFFFFFFFF")).toMatchObject({ health: "unhealthy", byRatio: true });
  expect(health("")).toEqual({ health: "healthy", byRatio: false, errorShare: 0 });
});

test("S1-09: 0.3 is degraded and 0.7 is unhealthy, both bounds included", () => {
  expect(health("FFSSSSSSSS").health).toBe("healthy");
  expect(health("FFFSSSSSSS")).toEqual({ health: "degraded", byRatio: false, errorShare: 0.3 });
  expect(health("FFFFFFSSSS").health).toBe("degraded");
  expect(health("FFFFFFFSSS")).toEqual({ health: "unhealthy", byRatio: true, errorShare: 0.7 });
  expect(health("FFFFFFFFFFFFFFSSSSSS").health).toBe("unhealthy");
});

test("failures in a row make it unhealthy where that is asked for, whatever the share", () => {
  expect(health("SFFF", { consecutive: 3 })).toEqual({ health: "unhealthy", byRatio: false, errorShare: 0.75 });
  expect(health("FFF", { consecutive: 3 }).health).toBe("unhealthy");
  expect(health("FFFS", { consecutive: 3 }).health).toBe("healthy");
  expect(health("SFF", { consecutive: 3 }).health).toBe("healthy");
  expect(health("FFF").health).toBe("healthy");
});
