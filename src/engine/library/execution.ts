/** One call of `execute`, and what its caller gets of a task that has ended. */
import { ERROR_CODES, type ErrorCode, PoolError } from "../../base/errors.ts";
import type { TaskId } from "../../base/ids.ts";
import { decodeJson } from "../../base/json.ts";
import type { SettledFacts } from "../../core/record.ts";
import type { SettledRow } from "../../stores/store.ts";
import type { Ends } from "../handed.ts";

/** An object per task rather than a closure for each end. */
export class Execution implements Ends {
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: unknown) => void;
  readonly #listen: ((id: TaskId) => () => void) | undefined;
  #stop: (() => void) | undefined;

  /** @param listen - cancels the task when its caller wants it no more; returns what ends that */
  constructor(
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
    listen: ((id: TaskId) => () => void) | undefined,
  ) {
    this.#resolve = resolve;
    this.#reject = reject;
    this.#listen = listen;
  }

  admitted(id: TaskId): void {
    this.#stop = this.#listen?.(id);
  }

  settled(row: SettledRow): void {
    this.#stop?.();
    if (row.facts.settlement.status === "completed") this.#resolve(resultOf(row));
    else this.#reject(errorOf(row.facts));
  }

  refused(error: unknown): void {
    this.#stop?.();
    this.#reject(error);
  }
}

export function resultOf({ result }: SettledRow): unknown {
  return result === undefined ? null : decodeJson(result);
}

/** The task's own code where it is one of ours; what its agent said otherwise. */
export function errorOf({ spec, settlement, attempts }: SettledFacts): PoolError {
  const { status, error } = settlement;
  const code = error?.code ?? status;
  const known = (ERROR_CODES as readonly string[]).includes(code) ? (code as ErrorCode) : status;
  return new PoolError(known === "completed" ? "failed" : known, error?.message ?? `task ${spec.id} ${status}`, {
    details: { taskId: spec.id, ...error },
    cause: causeOf(attempts),
  });
}

/** What its last attempt that went wrong told of itself. */
function causeOf(attempts: SettledFacts["attempts"]): Error | undefined {
  const last = attempts.findLast(({ error }) => error !== undefined);
  if (last?.error === undefined) return undefined;
  const { message, ...facts } = last.error;
  return Object.assign(new Error(message), { ...facts, blame: last.blame, agentName: last.agentName });
}
