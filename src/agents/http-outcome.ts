/** What an HTTP answer means for the attempt: a status says whose fault a failure is. */
import type { IncomingHttpHeaders } from "node:http";
import type { RunEnd } from "./agent.ts";
import type { HttpAnswer } from "./http-call.ts";
import { failed, succeeded, throttled } from "./run-end.ts";

/** Client errors that speak of the agent (its keys, its routes, its load) and not of the task. */
const AGENT_STATUSES = [401, 403, 404, 405, 407, 408, 425, 429];

/** 30 days: no agent rests longer. */
const LONGEST_REST_MS = 30 * 24 * 3_600_000;

/** How much of an error's body is shown. UTF-16 units. */
const EXCERPT = 1_000;

/** @param nowMs - wall clock, for a Retry-After that is a date */
export function endOfAnswer(answer: HttpAnswer, nowMs: number): RunEnd {
  const { status } = answer;
  if (status >= 200 && status < 300) return endOfSuccess(answer);
  const failure = { code: `http_${status}`, message: describe(answer), details: { status } };
  const retryAfterMs = parseRetryAfter(answer.headers["retry-after"], nowMs);
  if (status === 429 || (status === 503 && retryAfterMs !== undefined)) return throttled(failure, retryAfterMs);
  const isTasksFault = status >= 400 && status < 500 && !AGENT_STATUSES.includes(status);
  return failed(isTasksFault ? "task" : "agent", failure);
}

/** JSON when the answer says so or happens to be, else text. */
function endOfSuccess({ status, headers, body }: HttpAnswer): RunEnd {
  const text = body.toString("utf8");
  const type = mediaType(headers);
  const isJson = type === "application/json" || type.endsWith("+json");
  if (status === 204 || status === 205 || (isJson && text.trim() === "")) return succeeded(null);
  if (type === "text/plain") return succeeded(text);
  try {
    return succeeded(JSON.parse(text));
  } catch (error) {
    if (!isJson) return succeeded(text);
    const message = `the daemon's answer says that it is JSON: ${(error as Error).message}`;
    return failed("agent", { code: "bad_output", message, details: { status } });
  }
}

function mediaType(headers: IncomingHttpHeaders): string {
  return (headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
}

function describe({ status, body }: HttpAnswer): string {
  const text = body
    .subarray(0, EXCERPT * 4)
    .toString("utf8")
    .trim()
    .slice(0, EXCERPT);
  return text === "" ? `the daemon answered ${status}` : `the daemon answered ${status}: ${text}`;
}

/**
 * Retry-After as milliseconds from now, 0 to 30 days.
 *
 * @param value - seconds, or a date in any form of RFC 9110; anything else counts as absent
 */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  const text = value?.trim() ?? "";
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1_000, LONGEST_REST_MS);
  // All three forms begin with the day's name, so that other words are not taken for a date.
  if (!/^(?:mon|tue|wed|thu|fri|sat|sun)/i.test(text)) return undefined;
  const atMs = Date.parse(/gmt$/i.test(text) ? text : `${text} GMT`);
  return Number.isNaN(atMs) ? undefined : Math.min(Math.max(0, atMs - nowMs), LONGEST_REST_MS);
}
