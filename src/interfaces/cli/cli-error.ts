/** What goes wrong outside the engine: usage, addresses, directories, signals. */
import { isPoolError, messageOf } from "../../base/errors.ts";
import { type CliErrorCode, EXIT, EXIT_OF, type ExitCode } from "./exit-codes.ts";

export class CliError extends Error {
  override readonly name = "CliError";
  readonly code: CliErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: CliErrorCode,
    message: string,
    options: { details?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** An error as `--json` prints it. */
export interface ErrorReport {
  readonly code: string;
  readonly message: string;
  readonly exitCode: ExitCode;
  readonly retryable: boolean;
  readonly details: Readonly<Record<string, unknown>>;
}

export function reportOf(thrown: unknown): ErrorReport {
  if (thrown instanceof CliError) {
    const { code, message, details } = thrown;
    return { code, message, exitCode: EXIT_OF[code], retryable: code === "unreachable", details };
  }
  if (isPoolError(thrown)) {
    const { code, message, details, retryable } = thrown;
    return { code, message, exitCode: EXIT_OF[code], retryable, details };
  }
  return { code: "internal", message: messageOf(thrown), exitCode: EXIT.internal, retryable: false, details: {} };
}
