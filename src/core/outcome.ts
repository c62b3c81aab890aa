/** How an attempt may end, and who is to blame when it ends badly. */
import type { Json } from "../base/json.ts";

/** Whose fault a failure is; decides what it counts against and whether another agent is tried. */
export type Blame = "agent" | "task" | "throttle" | "dependency" | "caller" | "engine" | "unknown";

/** What is told of a failure. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  /** `false` makes it final whatever the blame; `true` lets a failure of the task itself be tried again. */
  readonly retryable?: boolean | undefined;
  readonly details?: Json | undefined;
}

export interface Usage {
  readonly tokens?: number | undefined;
  readonly costUsd?: number | undefined;
}

/** The end of an attempt as its agent, or what watches it, tells it. */
export type Outcome =
  | { readonly name: "succeeded"; readonly resultBytes: number; readonly usage?: Usage | undefined }
  | { readonly name: "failed"; readonly blame: Blame; readonly error: Failure; readonly usage?: Usage | undefined }
  | { readonly name: "timed_out"; readonly blame: "agent"; readonly error: Failure }
  | { readonly name: "lost"; readonly blame: "agent" | "engine"; readonly error: Failure; readonly kill: boolean }
  | { readonly name: "throttled"; readonly error: Failure; readonly retryAfterMs?: number | undefined }
  | { readonly name: "released"; readonly error?: Failure | undefined }
  | { readonly name: "cancelled"; readonly error: Failure };

export type OutcomeName = Outcome["name"];

/** The blame of an outcome; a success has none. */
export function blameOf(outcome: Outcome): Blame | undefined {
  switch (outcome.name) {
    case "failed":
    case "timed_out":
    case "lost":
      return outcome.blame;
    case "throttled":
      return "throttle";
    case "cancelled":
      return "caller";
    case "succeeded":
    case "released":
      return undefined;
  }
}
