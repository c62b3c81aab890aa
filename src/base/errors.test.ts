import { expect, test } from "vitest";
import { ERROR_CODES, invalid, isPoolError, messageOf, PoolError } from "./errors.ts";

test("an error carries a code to branch on, a sentence, facts and its cause", () => {
  const cause = new Error("disk");
  const error = new PoolError("queue_full", "no room", { retryable: true, details: { limit: 3 }, cause });
  expect(error).toMatchObject({
    name: "PoolError",
    code: "queue_full",
    message: "no room",
    retryable: true,
    details: { limit: 3 },
    cause,
  });
});

test("without options an error is not retryable, has empty details and no cause", () => {
  const error = new PoolError("internal", "oh");
  expect(error.retryable).toBe(false);
  expect(error.details).toEqual({});
  expect("cause" in error).toBe(false);
});

test("an error of another copy of the package counts as one", () => {
  const foreign = Object.assign(new Error("no"), { code: "conflict", [Symbol.for("troupe.PoolError")]: true });
  expect(isPoolError(foreign)).toBe(true);
  expect(isPoolError(foreign, "conflict")).toBe(true);
  expect(isPoolError(foreign, "not_found")).toBe(false);
});

test("nothing else counts as one", () => {
  for (const other of [undefined, null, "conflict", 3, {}, new Error("x"), { code: "conflict" }]) {
    expect(isPoolError(other)).toBe(false);
    expect(isPoolError(other, "conflict")).toBe(false);
  }
});

test("the mark of an error is not among its enumerable fields", () => {
  expect(Object.getOwnPropertySymbols({ ...new PoolError("failed", "x") })).toEqual([]);
});

test("`invalid` names the field in the message and in the details", () => {
  expect(invalid("size.min", "too small")).toMatchObject({
    code: "invalid",
    message: "size.min: too small",
    details: { path: "size.min" },
  });
});

test("the message of whatever was thrown can be read", () => {
  expect(messageOf(new Error("boom"))).toBe("boom");
  expect(messageOf("plain")).toBe("plain");
  expect(messageOf(undefined)).toBe("undefined");
});

test("every code is listed once", () => {
  expect(new Set(ERROR_CODES).size).toBe(ERROR_CODES.length);
});
