import { expect, test } from "vitest";
import { assert, InvariantError } from "./assert.ts";

test("what holds passes, whatever truthy thing says so", () => {
  for (const held of [true, 1, "yes", {}]) expect(() => assert(held, "it holds")).not.toThrow();
});

test("what does not hold is a broken invariant that says what should have held", () => {
  for (const broken of [false, 0, "", undefined, null]) {
    expect(() => assert(broken, "the sum is even")).toThrow(new InvariantError("broken invariant: the sum is even"));
  }
});

test("a broken invariant can be told from an error of the caller by its name", () => {
  expect(new InvariantError("x").name).toBe("InvariantError");
});
