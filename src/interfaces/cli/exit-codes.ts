/** What the command's exit code says. The one table; the help prints it. */
import type { ErrorCode } from "../../base/errors.ts";

export const EXIT = {
  ok: 0,
  endedBadly: 1,
  badInput: 2,
  notFound: 3,
  conflict: 4,
  refused: 5,
  unreachable: 69,
  internal: 70,
  addressTaken: 71,
  noDataDirectory: 73,
  storeFailed: 74,
  storeLocked: 75,
  unauthorized: 77,
  oldNode: 78,
  interrupted: 130,
  terminated: 143,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What only the command line can meet. */
export type CliErrorCode = "usage" | "unreachable" | "address_taken" | "data_unwritable" | "interrupted" | "terminated";

export const EXIT_OF: Readonly<Record<ErrorCode | CliErrorCode, ExitCode>> = {
  usage: EXIT.badInput,
  unreachable: EXIT.unreachable,
  address_taken: EXIT.addressTaken,
  data_unwritable: EXIT.noDataDirectory,
  interrupted: EXIT.interrupted,
  terminated: EXIT.terminated,

  malformed: EXIT.badInput,
  unauthorized: EXIT.unauthorized,
  forbidden: EXIT.unauthorized,
  not_found: EXIT.notFound,
  conflict: EXIT.conflict,
  duplicate_id: EXIT.conflict,
  stale_fence: EXIT.conflict,
  already_settled: EXIT.conflict,
  too_large: EXIT.badInput,
  invalid: EXIT.badInput,
  unknown_dependency: EXIT.badInput,
  dependency_cycle: EXIT.badInput,
  quarantined: EXIT.badInput,
  queue_full: EXIT.refused,
  rate_limited: EXIT.refused,
  internal: EXIT.internal,
  no_agents: EXIT.refused,
  no_capacity: EXIT.refused,
  start_failed: EXIT.refused,
  not_running: EXIT.refused,
  shutting_down: EXIT.refused,
  unavailable: EXIT.refused,
  store_failed: EXIT.storeFailed,
  store_full: EXIT.storeFailed,
  store_locked: EXIT.storeLocked,
  store_unknown_version: EXIT.storeFailed,
  config_invalid: EXIT.badInput,

  failed: EXIT.endedBadly,
  exhausted: EXIT.endedBadly,
  budget_exceeded: EXIT.endedBadly,
  poisoned: EXIT.endedBadly,
  deadline_exceeded: EXIT.endedBadly,
  dependency_failed: EXIT.endedBadly,
  cancelled: EXIT.endedBadly,
  pool_deleted: EXIT.endedBadly,
};

const MEANINGS: Readonly<Record<ExitCode, string>> = {
  [EXIT.ok]: "all is well",
  [EXIT.endedBadly]: "a task that was waited for failed or was cancelled, or was refused in a run",
  [EXIT.badInput]: "wrong usage, bad input, bad configuration",
  [EXIT.notFound]: "no such task, pool, or key",
  [EXIT.conflict]: "conflicts with what is there",
  [EXIT.refused]: "refused for now: queue full, no capacity, shutting down",
  [EXIT.unreachable]: "no troupe server answers at the URL",
  [EXIT.internal]: "a fault in troupe itself",
  [EXIT.addressTaken]: "up: the address can't be listened on, such as a port in use",
  [EXIT.noDataDirectory]: "up: the data directory can't be made or written",
  [EXIT.storeFailed]: "the store failed, is full, or was written by a newer version",
  [EXIT.storeLocked]: "up: another process owns the store",
  [EXIT.unauthorized]: "the key is missing, wrong, or not allowed to do this",
  [EXIT.oldNode]: "this Node is too old",
  [EXIT.interrupted]: "interrupted (SIGINT)",
  [EXIT.terminated]: "terminated (SIGTERM)",
};

/** The table as text, a line for each code. */
export function describeExitCodes(): string {
  const lines = Object.entries(MEANINGS).map(([code, meaning]) => `  ${code.padStart(3)}  ${meaning}`);
  return ["Exit codes:", ...lines].join("\n");
}
