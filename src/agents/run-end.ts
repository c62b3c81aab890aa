/** The ways a run may end, as drivers tell them. Messages are bounded, so that no agent can fill the log. */
import { messageOf } from "../base/errors.ts";
import type { Json } from "../base/json.ts";
import type { Blame } from "../core/outcome.ts";
import type { RunEnd } from "./agent.ts";

/** UTF-16 units of an agent's message that are kept. */
export const MESSAGE_LIMIT = 4_096;

/** A result's encoded size; a larger one is the task's fault. Bytes. */
export const RESULT_LIMIT_BYTES = 16 * 1_048_576;

export interface FailureFacts {
  readonly code: string;
  readonly message: string;
  readonly details?: Json | undefined;
}

const SUCCEEDED = { name: "succeeded" } as const;

/** A success; what JSON calls absent is stored as null. */
export function succeeded(result: unknown): RunEnd {
  return { outcome: SUCCEEDED, result: result === undefined ? null : result };
}

export function failed(blame: Blame, { code, message, details }: FailureFacts): RunEnd {
  const error = { code, message: clip(message) };
  return { outcome: { name: "failed", blame, error: details === undefined ? error : { ...error, details } } };
}

export function throttled({ code, message, details }: FailureFacts, retryAfterMs: number | undefined): RunEnd {
  const error = { code, message: clip(message) };
  return {
    outcome: { name: "throttled", error: details === undefined ? error : { ...error, details }, retryAfterMs },
  };
}

/** The process died with the task on it, and we did not ask it to. */
export function killed(message: string): RunEnd {
  const error = { code: "agent_died", message: clip(message) };
  return { outcome: { name: "lost", blame: "agent", error, kill: true } };
}

/** The run did not come to its end because the agent was stopped, or did not even begin: nobody's fault. */
export function released(message = "the agent was stopped"): RunEnd {
  return { outcome: { name: "released", error: { code: "agent_stopped", message } } };
}

/** The run was stopped because its signal was aborted. */
export function cancelled(): RunEnd {
  return { outcome: { name: "cancelled", error: { code: "cancelled", message: "the run was stopped" } } };
}

export function tooLarge(what: string): RunEnd {
  const message = `${what} is larger than ${RESULT_LIMIT_BYTES} bytes`;
  return failed("task", { code: "too_large", message, details: { limitBytes: RESULT_LIMIT_BYTES } });
}

export function clip(message: string): string {
  return message.length <= MESSAGE_LIMIT ? message : `${message.slice(0, MESSAGE_LIMIT - 1)}…`;
}

/** The message of whatever was thrown, also of what can't be made a text. */
export function thrownMessage(thrown: unknown): string {
  try {
    return clip(String(messageOf(thrown)));
  } catch {
    return "something without a message was thrown";
  }
}
