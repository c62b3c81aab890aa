import { expect, test } from "vitest";
import { anAttempt } from "../testing/agent-contract.ts";
import { encodeRequest, fill, promptOf } from "./run-request.ts";

test("a request holds what the task has, under the contract's names, and nothing else", () => {
  const { task } = anAttempt({ attempt: 3, prompt: "p", context: { a: 1 }, metadata: { hidden: true } });
  expect(JSON.parse(encodeRequest(task))).toEqual({
    taskId: "task-1",
    attempt: 3,
    type: "general",
    prompt: "p",
    context: { a: 1 },
  });
});

test("an input of null is there, one that is absent is not", () => {
  expect(JSON.parse(encodeRequest(anAttempt({ input: null }).task))).toHaveProperty("input", null);
  expect(JSON.parse(encodeRequest(anAttempt().task))).not.toHaveProperty("input");
});

test("the prompt stands before the input, an empty one too", () => {
  expect(promptOf(anAttempt({ prompt: "", input: 1 }).task)).toBe("");
  expect(promptOf(anAttempt({ input: null }).task)).toBe("null");
  expect(promptOf(anAttempt().task)).toBe("");
});

test.each([
  ["{a}{a}-{b}", "11-{a}"],
  ["{{a}}", "{1}"],
  ["{c} {} {toString} { a }", "{c} {} {toString} { a }"],
  ["$&", "$&"],
])("%s is filled in once", (template, filled) => {
  expect(fill(template, { a: "1", b: "{a}" })).toBe(filled);
});

test("a value with replacement patterns stands as it is", () => {
  expect(fill("{a}", { a: "$& $1 $$" })).toBe("$& $1 $$");
});
