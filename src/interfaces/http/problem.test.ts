import { describe, expect, test } from "vitest";
import { ERROR_CODES, PoolError } from "../../base/errors.ts";
import { headersOf, problemOf } from "./problem.ts";
import { STATUS } from "./status.ts";

describe("a problem", () => {
  test("has title, status, code, detail and the facts of the error as fields", () => {
    const error = new PoolError("invalid", "priority: expected one of four", { details: { path: "priority", got: 7 } });
    expect(problemOf(error)).toEqual({
      title: "Unprocessable Entity",
      status: 422,
      code: "invalid",
      detail: "priority: expected one of four",
      path: "priority",
      got: 7,
    });
  });

  test("is not overwritten by details of the same names", () => {
    const details = { status: 200, code: "fine", detail: "x", title: "y", type: "z", instance: "i", path: "kept" };
    expect(problemOf(new PoolError("not_found", "no task t", { details }))).toEqual({
      title: "Not Found",
      status: 404,
      code: "not_found",
      detail: "no task t",
      path: "kept",
    });
  });

  test("leaves out details that JSON can't hold", () => {
    const loop: Record<string, unknown> = {};
    loop.self = loop;
    expect(problemOf(new PoolError("conflict", "busy", { details: loop }))).toEqual({
      title: "Conflict",
      status: 409,
      code: "conflict",
      detail: "busy",
    });
  });

  test("of something that is not a PoolError is internal and keeps its message inside", () => {
    for (const thrown of [
      new Error("secret path"),
      "secret path",
      undefined,
      { code: "invalid", message: "secret path" },
    ]) {
      const problem = problemOf(thrown);
      expect(problem).toMatchObject({ status: 500, code: "internal" });
      expect(JSON.stringify(problem)).not.toContain("secret");
    }
  });

  test("of a PoolError of another copy of the package keeps its code", () => {
    const foreign = Object.defineProperty(
      Object.assign(new Error("no task t"), { code: "not_found", details: {} }),
      Symbol.for("troupe.PoolError"),
      { value: true },
    );
    expect(problemOf(foreign)).toMatchObject({ status: 404, code: "not_found" });
  });

  test("shows a duplicate id as a conflict", () => {
    expect(problemOf(new PoolError("duplicate_id", "task t is known"))).toMatchObject({
      status: 409,
      code: "conflict",
    });
  });
});

describe("the status of a code", () => {
  test("is 400 to 599 for every code there is", () => {
    for (const code of ERROR_CODES) expect(STATUS[code]).toSatisfy((status: number) => status >= 400 && status < 600);
  });

  test.each([
    [400, ["malformed"]],
    [401, ["unauthorized"]],
    [403, ["forbidden"]],
    [404, ["not_found"]],
    [409, ["conflict", "duplicate_id", "stale_fence", "already_settled", "not_running"]],
    [413, ["too_large"]],
    [422, ["invalid", "unknown_dependency", "dependency_cycle", "quarantined", "config_invalid"]],
    [429, ["queue_full", "rate_limited"]],
    [500, ["internal"]],
    [503, ["no_agents", "no_capacity", "start_failed", "shutting_down", "unavailable", "store_failed", "store_locked"]],
    [507, ["store_full"]],
  ] as const)("is %i for %j", (status, codes) => {
    for (const code of codes) expect(problemOf(new PoolError(code, "x")).status).toBe(status);
  });
});

describe("Retry-After", () => {
  const retryAfter = (retryAfterMs: unknown) =>
    headersOf(problemOf(new PoolError("queue_full", "full", { details: { retryAfterMs } })))["retry-after"];

  test.each([
    [0, "1"],
    [1, "1"],
    [999, "1"],
    [1_000, "1"],
    [1_001, "2"],
    [59_000.5, "60"],
    [-5, "1"],
    [Number.NaN, "1"],
    [Number.POSITIVE_INFINITY, "1"],
    [undefined, "1"],
    ["7000", "1"],
  ])("S0-B14 of a full queue that clears in %s ms is %s seconds", (retryAfterMs, seconds) => {
    expect(retryAfter(retryAfterMs)).toBe(seconds);
  });

  test("stands with every 429, also without a detail", () => {
    expect(headersOf(problemOf(new PoolError("rate_limited", "slow down")))["retry-after"]).toBe("1");
  });

  test("stands with another status only when the error says when to come back", () => {
    const full = (details: Record<string, unknown>) =>
      headersOf(problemOf(new PoolError("no_capacity", "x", { details })));
    expect(full({})["retry-after"]).toBeUndefined();
    expect(full({ retryAfterMs: 2_500 })["retry-after"]).toBe("3");
  });
});
