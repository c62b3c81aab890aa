/** Errors as outsiders see them: `application/problem+json`, RFC 9457. */
import { STATUS_CODES } from "node:http";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { type ErrorCode, isPoolError, PoolError } from "../../base/errors.ts";
import { STATUS } from "./status.ts";

export const PROBLEM_TYPE = "application/problem+json";

/** What went wrong: a code to branch on, a sentence for people, and the facts of the error as fields of their own. */
export interface Problem {
  readonly title: string;
  readonly status: ContentfulStatusCode;
  readonly code: string;
  readonly detail: string;
  readonly [field: string]: unknown;
}

/** Inside there is a code for each kind of conflict over an id; outside it is one. */
const SHOWN_AS: Partial<Record<ErrorCode, ErrorCode>> = { duplicate_id: "conflict" };

/** The problem of whatever was thrown. What is not a `PoolError` is our own fault, and its message stays inside. */
export function problemOf(thrown: unknown): Problem {
  const error = isPoolError(thrown)
    ? thrown
    : new PoolError("internal", "the server made a mistake; its log says more");
  const status = statusOf(error);
  return {
    ...factsOf(error),
    title: STATUS_CODES[status] ?? "Error",
    status,
    code: SHOWN_AS[error.code] ?? error.code,
    detail: error.message,
  };
}

/** Headers of the answer with this problem; 429 always says when to come back, in whole seconds of at least 1. */
export function headersOf(problem: Problem): Record<string, string> {
  const headers: Record<string, string> = { "content-type": PROBLEM_TYPE };
  const { retryAfterMs, status } = problem;
  const known = typeof retryAfterMs === "number" && Number.isFinite(retryAfterMs);
  if (known || status === 429) {
    headers["retry-after"] = String(Math.max(1, Math.ceil((known ? retryAfterMs : 0) / 1_000)));
  }
  if (status === 401) headers["www-authenticate"] = 'Bearer realm="troupe"';
  return headers;
}

function statusOf(error: PoolError): ContentfulStatusCode {
  // A batch that could never fit is no matter of bytes.
  if (error.code === "too_large" && error.details.limit !== undefined) return 422;
  return STATUS[error.code] ?? 500;
}

/** The error's details, as far as JSON can hold them. `type` and `instance` are words of the RFC. */
function factsOf(error: PoolError): Record<string, unknown> {
  try {
    const { type: _type, instance: _instance, ...facts } = JSON.parse(JSON.stringify(error.details));
    return facts;
  } catch {
    return {};
  }
}
