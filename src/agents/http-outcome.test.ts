import { expect, test } from "vitest";
import type { RunEnd } from "./agent.ts";
import { endOfAnswer, parseRetryAfter } from "./http-outcome.ts";

const NOW = Date.UTC(2025, 0, 1);
const DAY_MS = 24 * 3_600_000;

const answer = (status: number, headers: Record<string, string> = {}, body = ""): RunEnd =>
  endOfAnswer({ name: "answered", status, headers, body: Buffer.from(body) }, NOW);

const AGENT = [300, 301, 302, 304, 399, 401, 403, 404, 405, 407, 408, 425, 500, 501, 502, 503, 504, 599, 600, 999];
const TASK = [
  400, 402, 406, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 423, 424, 426, 428, 430, 431, 451, 499,
];

test.each(AGENT)("status %i is the agent's fault", (status) => {
  expect(answer(status).outcome).toMatchObject({
    name: "failed",
    blame: "agent",
    error: { code: `http_${status}`, details: { status } },
  });
});

test.each(TASK)("S2-B07 status %i is the task's fault", (status) => {
  expect(answer(status).outcome).toMatchObject({
    name: "failed",
    blame: "task",
    error: { code: `http_${status}`, details: { status } },
  });
});

test.each([200, 201, 202, 204, 205, 226, 299])("status %i is a success", (status) => {
  expect(answer(status).outcome).toEqual({ name: "succeeded" });
});

test("429 throttles, with or without a Retry-After", () => {
  expect(answer(429).outcome).toMatchObject({ name: "throttled", retryAfterMs: undefined });
  expect(answer(429, { "retry-after": "3" }).outcome).toMatchObject({ name: "throttled", retryAfterMs: 3_000 });
});

test("503 throttles with a Retry-After that can be read, else it is the agent's fault", () => {
  expect(answer(503, { "retry-after": "0" }).outcome).toMatchObject({ name: "throttled", retryAfterMs: 0 });
  expect(answer(503, { "retry-after": "soon" }).outcome).toMatchObject({ name: "failed", blame: "agent" });
  expect(answer(503).outcome).toMatchObject({ name: "failed", blame: "agent" });
});

test.each([400, 422, 500, 502])("a Retry-After changes nothing about %i", (status) => {
  expect(answer(status, { "retry-after": "3" }).outcome.name).toBe("failed");
});

test("a failure tells what the daemon said, shortened", () => {
  expect(answer(422, {}, " no such file\n").outcome).toHaveProperty(
    "error.message",
    "the daemon answered 422: no such file",
  );
  expect(answer(422).outcome).toHaveProperty("error.message", "the daemon answered 422");
  const { outcome } = answer(500, {}, "ü".repeat(100_000));
  expect((outcome as { error: { message: string } }).error.message.length).toBeLessThan(1_100);
});

test.each([
  ["JSON that says so", "application/json; charset=utf-8", '{"a":1}', { a: 1 }],
  ["JSON of another name", "application/problem+JSON", "[1]", [1]],
  ["JSON that says nothing", "", '{"a":1}', { a: 1 }],
  ["JSON that says HTML", "text/html", '{"a":1}', { a: 1 }],
  ["null", "application/json", "null", null],
  ["nothing where JSON is said", "application/json", "", null],
  ["text", "text/plain; charset=utf-8", "hello", "hello"],
  ["text that looks like a number", "text/plain", "42", "42"],
  ["text that says nothing", "", "hello {", "hello {"],
  ["nothing", "", "", ""],
  ["any letters", "", "ü 漢字 🎭", "ü 漢字 🎭"],
])("a body of %s is the result", (_, type, body, result) => {
  expect(answer(200, type === "" ? {} : { "content-type": type }, body)).toMatchObject({ result });
});

test("an answer without content gives null", () => {
  expect(answer(204)).toMatchObject({ result: null });
  expect(answer(205)).toMatchObject({ result: null });
});

test("a body that says it is JSON and is not is the agent's fault", () => {
  expect(answer(200, { "content-type": "application/json" }, "{").outcome).toMatchObject({
    name: "failed",
    blame: "agent",
    error: { code: "bad_output" },
  });
});

test.each([
  ["0", 0],
  [" 120 ", 120_000],
  ["2592000", 30 * DAY_MS],
  ["2592001", 30 * DAY_MS],
  ["9".repeat(400), 30 * DAY_MS],
  ["Wed, 01 Jan 2025 00:00:05 GMT", 5_000],
  ["Wednesday, 01-Jan-25 00:00:05 GMT", 5_000],
  ["Wed Jan  1 00:00:05 2025", 5_000],
  ["Tue, 31 Dec 2024 23:59:59 GMT", 0],
  ["Fri, 01 Jan 2125 00:00:00 GMT", 30 * DAY_MS],
  ["", undefined],
  ["-1", undefined],
  ["1.5", undefined],
  ["1e3", undefined],
  ["5 seconds", undefined],
  ["2025-01-01", undefined],
  ["Wed, 99 Foo 2025", undefined],
  [undefined, undefined],
])("a Retry-After of %j is %s ms", (value, ms) => {
  expect(parseRetryAfter(value, NOW)).toBe(ms);
});
