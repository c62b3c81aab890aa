/**
 * The one error class of the product: a code to branch on, a sentence for people, facts as fields.
 * An attempt that fails is not an error but an outcome; a broken invariant is an `assert`.
 */

/** Every code a caller may meet. Each interface maps all of them in one table. */
export const ERROR_CODES = [
  "malformed",
  "unauthorized",
  "forbidden",
  "not_found",
  "conflict",
  "duplicate_id",
  "stale_fence",
  "already_settled",
  "too_large",
  "invalid",
  "unknown_dependency",
  "dependency_cycle",
  "quarantined",
  "queue_full",
  "rate_limited",
  "internal",
  "no_agents",
  "no_capacity",
  "start_failed",
  "not_running",
  "shutting_down",
  "unavailable",
  "store_failed",
  "store_full",
  "store_locked",
  "store_unknown_version",
  "config_invalid",
  // A task that ended without a result; `execute` throws it with the task's own code.
  "failed",
  "exhausted",
  "budget_exceeded",
  "poisoned",
  "deadline_exceeded",
  "dependency_failed",
  "cancelled",
  "pool_deleted",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface PoolErrorOptions {
  readonly retryable?: boolean;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

const MARK = Symbol.for("troupe.PoolError");

/**
 * The caller asked for something impossible, or waits for something that ended badly.
 *
 * `details.path` names the field that is wrong, `details.retryAfterMs` when to come back.
 */
export class PoolError extends Error {
  override readonly name = "PoolError";
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: PoolErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.details = options.details ?? {};
    Object.defineProperty(this, MARK, { value: true });
  }
}

/** True for a `PoolError` of any copy of this package; with a code, only for that code. */
export function isPoolError(error: unknown, code?: ErrorCode): error is PoolError {
  if (typeof error !== "object" || error === null || !(MARK in error)) return false;
  return code === undefined || (error as { code?: unknown }).code === code;
}

/** A refusal that names the field: `invalid` with `details.path`. */
export function invalid(path: string, message: string): PoolError {
  return new PoolError("invalid", `${path}: ${message}`, { details: { path } });
}

/** The message of whatever was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
