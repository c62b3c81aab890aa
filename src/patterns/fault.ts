/** Whose fault a failed call is, as its error, or the caller's classifier, says. */
import { type AgentErrorBlame, isAgentError } from "../agents/agent-error.ts";
import { LONGEST_RETRY_AFTER_MS } from "../policies/breaker/options.ts";

/**
 * `agent` and `unknown` count against the agent. `task` and `caller` don't, and end the call. `throttle` rests the
 * agent. `dependency` is nobody's here: tried again after a delay.
 */
export type CallBlame = AgentErrorBlame | "caller";

/** Says whose fault an error is. Undefined leaves it to the error: `AgentError` says its blame, all others are `unknown`. */
export type Classify = (error: unknown) => CallBlame | undefined;

export interface Fault {
  readonly blame: CallBlame;
  /** `false` makes it final whatever the blame; `true` lets a fault of the task be tried again. */
  readonly retryable: boolean | undefined;
  /** How long the agent wants to be left alone. Milliseconds. */
  readonly retryAfterMs: number | undefined;
}

const BLAMES: Readonly<Record<CallBlame, true>> = {
  agent: true,
  task: true,
  throttle: true,
  dependency: true,
  unknown: true,
  caller: true,
};

const UNKNOWN: Fault = { blame: "unknown", retryable: undefined, retryAfterMs: undefined };

export function faultOf(error: unknown, classify: Classify | undefined): Fault {
  const told = toldBy(error);
  const blame = classified(error, classify);
  return blame === undefined ? told : { ...told, blame };
}

/** It counts in breaker, health and stats of the agent. */
export function isAgentsFault({ blame }: Fault): boolean {
  return blame === "agent" || blame === "unknown";
}

/** Nobody else would do better, or nobody else may try. */
export function isFinal({ blame, retryable }: Fault): boolean {
  if (retryable === false || blame === "caller") return true;
  return blame === "task" && retryable !== true;
}

/** A classifier that fails has no opinion. */
function classified(error: unknown, classify: Classify | undefined): CallBlame | undefined {
  try {
    return asBlame(classify?.(error));
  } catch {
    return undefined;
  }
}

/** Takes nothing on trust: the error may come from another copy of this package, or from a forger. */
function toldBy(error: unknown): Fault {
  try {
    if (!isAgentError(error)) return UNKNOWN;
    const { blame, retryable, retryAfterMs } = error;
    return {
      blame: asBlame(blame) ?? "unknown",
      retryable: typeof retryable === "boolean" ? retryable : undefined,
      retryAfterMs: asDuration(retryAfterMs),
    };
  } catch {
    return UNKNOWN;
  }
}

function asBlame(value: unknown): CallBlame | undefined {
  return typeof value === "string" && Object.hasOwn(BLAMES, value) ? (value as CallBlame) : undefined;
}

function asDuration(value: unknown): number | undefined {
  return typeof value === "number" && value >= 0 ? Math.min(value, LONGEST_RETRY_AFTER_MS) : undefined;
}
