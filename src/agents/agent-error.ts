/** How a function tells whose fault its failure is. */
import type { Json } from "../base/json.ts";
import type { Blame, Failure } from "../core/outcome.ts";
import type { RunEnd } from "./agent.ts";
import { clip, failed, thrownMessage } from "./run-end.ts";

/** What a function may blame. */
export type AgentErrorBlame = Extract<Blame, "agent" | "task" | "throttle" | "dependency" | "unknown">;

const BLAMES: readonly unknown[] = ["agent", "task", "throttle", "dependency", "unknown"] satisfies AgentErrorBlame[];

export interface AgentErrorOptions {
  readonly message: string;
  /** `task` is final; `throttle` rests the agent; the others are tried on another agent. `unknown` when absent. */
  readonly blame?: AgentErrorBlame | undefined;
  /** `false` makes the failure final whatever the blame; `true` lets a fault of the task be tried again. */
  readonly retryable?: boolean | undefined;
  /** With blame `throttle`: how long the agent rests. Milliseconds, 0 or more. */
  readonly retryAfterMs?: number | undefined;
  /** `failed` when absent; `throttled` with blame `throttle`. */
  readonly code?: string | undefined;
  /** Facts for whoever reads the task. What JSON can't hold is left out. */
  readonly details?: Json | undefined;
  readonly cause?: unknown;
}

const MARK = Symbol.for("troupe.AgentError");

/** Thrown by an agent's function to say whose fault a failure is. */
export class AgentError extends Error {
  override readonly name = "AgentError";
  readonly blame: AgentErrorBlame;
  readonly retryable: boolean | undefined;
  readonly retryAfterMs: number | undefined;
  readonly code: string | undefined;
  readonly details: Json | undefined;

  constructor({ message, blame, retryable, retryAfterMs, code, details, cause }: AgentErrorOptions) {
    super(message, cause === undefined ? undefined : { cause });
    this.blame = blame ?? "unknown";
    this.retryable = retryable;
    this.retryAfterMs = retryAfterMs;
    this.code = code;
    this.details = details;
    Object.defineProperty(this, MARK, { value: true });
  }
}

/** True for an `AgentError` of any copy of this package. */
export function isAgentError(thrown: unknown): thrown is AgentError {
  return typeof thrown === "object" && thrown !== null && MARK in thrown;
}

/** What a pool says of an error that does not speak for itself: a blame, or more; undefined = nothing is known of it. */
export type Classify = (error: unknown) => AgentErrorBlame | Classification | undefined;

/** As for `AgentError`; the message is the error's own when absent. */
export type Classification = Partial<Omit<AgentErrorOptions, "cause">>;

/** How a run ends that threw this. Takes nothing on trust: the error may come from another copy, or from a forger. */
export function endOfThrown(thrown: unknown, classify?: Classify): RunEnd {
  try {
    if (isAgentError(thrown)) return endOfAgentError(thrown);
    const told = classify?.(thrown);
    const facts = typeof told === "string" ? { blame: told } : told;
    if (facts !== undefined) return endOfAgentError(new AgentError({ message: thrownMessage(thrown), ...facts }));
  } catch {
    // A getter of the error threw, or who classifies: it is no better than any other error.
  }
  return failed("unknown", { code: "failed", message: thrownMessage(thrown) });
}

function endOfAgentError(thrown: AgentError): RunEnd {
  const blame = BLAMES.includes(thrown.blame) ? thrown.blame : "unknown";
  const error = failureOf(thrown, blame === "throttle" ? "throttled" : "failed");
  if (blame !== "throttle") return { outcome: { name: "failed", blame, error } };
  const { retryAfterMs } = thrown;
  const isDuration = typeof retryAfterMs === "number" && retryAfterMs >= 0 && Number.isFinite(retryAfterMs);
  return { outcome: { name: "throttled", error, retryAfterMs: isDuration ? retryAfterMs : undefined } };
}

function failureOf(thrown: AgentError, defaultCode: string): Failure {
  const { code, retryable } = thrown;
  const details = plain(thrown.details);
  return {
    code: typeof code === "string" && code !== "" ? clip(code) : defaultCode,
    message: thrownMessage(thrown),
    ...(typeof retryable === "boolean" && { retryable }),
    ...(details !== undefined && { details }),
  };
}

/** A copy that JSON can hold, or undefined. */
function plain(details: unknown): Json | undefined {
  if (details === undefined) return undefined;
  try {
    return JSON.parse(JSON.stringify(details)) as Json;
  } catch {
    return undefined;
  }
}
