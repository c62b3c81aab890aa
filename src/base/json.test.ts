import { expect, test } from "vitest";
import { refusal } from "../testing/world.ts";
import { decodeJson, encodeJson, utf8Bytes } from "./json.ts";

const encode = (value: unknown, limitBytes = 100): string => encodeJson(value, { limitBytes, path: "input" });

test("a value becomes its JSON text", () => {
  expect(encode({ a: [1, null, "x"] })).toBe('{"a":[1,null,"x"]}');
  expect([encode(null), encode(0), encode(""), encode(false)]).toEqual(["null", "0", '""', "false"]);
});

test("what a text was made of comes out of it again", () => {
  const strings = ["", "done", '"', "\\", 'a "b"', "\u0000\n\u2028", "\ud800", "ü → 漢字 🎭", "x".repeat(1_000)];
  for (const value of [...strings, null, true, -0.5, [], ["x"], { a: { b: "\\" } }]) {
    expect(decodeJson(encode(value, 10_000))).toEqual(value);
  }
});

test("what JSON can't hold is refused with the field's path", () => {
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  for (const value of [undefined, () => 1, Symbol("s"), 1n, circular]) {
    expect(refusal(() => encode(value))).toMatchObject({ code: "invalid", details: { path: "input" } });
  }
});

test("a text of exactly the limit is taken, one byte more is too large", () => {
  expect(encode("x".repeat(98))).toHaveLength(100);
  expect(refusal(() => encode("x".repeat(99)))).toMatchObject({
    code: "too_large",
    details: { path: "input", bytes: 101, limitBytes: 100 },
  });
});

test("the limit is in bytes of UTF-8, not in characters", () => {
  expect(encode("é".repeat(49))).toHaveLength(51);
  expect(refusal(() => encode("é".repeat(50))).details.bytes).toBe(102);
  expect(refusal(() => encode("€".repeat(33))).details.bytes).toBe(101);
});

test("bytes are counted as UTF-8", () => {
  expect(["", "a", "é", "€", "😀"].map(utf8Bytes)).toEqual([0, 1, 2, 3, 4]);
});
