/** One attempt on one agent: runs the function and tells the agent's record how it ended. */
import type { Call, CallContext } from "./call.ts";
import { type Classify, type Fault, faultOf, isFinal } from "./fault.ts";
import type { Member, Run } from "./member.ts";

export type Attempted<R> =
  | { readonly name: "succeeded"; readonly result: R }
  /** The call as a whole has ended: deadline, or the caller's signal. */
  | { readonly name: "stopped" }
  | {
      readonly name: "failed";
      readonly error: unknown;
      /** There is no point in, or no right to, another attempt. */
      readonly isFinal: boolean;
      /** A retry of it would add load to what may be overloaded. */
      readonly drawsOnBudget: boolean;
      /** The cause lies behind the agent: another agent would meet it too. */
      readonly isElsewhere: boolean;
    };

export interface AttemptParts<T, R> {
  readonly call: Call;
  /** From 1. */
  readonly number: number;
  readonly type: string;
  readonly classify: Classify | undefined;
  readonly fn: (agent: T, context: CallContext) => R | PromiseLike<R>;
}

const TIMED_OUT: Fault = { blame: "agent", retryable: undefined, retryAfterMs: undefined };

/** Never rejects. */
export async function attemptOn<T, R>(member: Member<T>, run: Run, parts: AttemptParts<T, R>): Promise<Attempted<R>> {
  const { call, number, type, classify, fn } = parts;
  const end = await call.attempt(
    number,
    (context) => fn(member.agent, context),
    () => member.leave(run),
  );
  switch (end.name) {
    case "succeeded":
      member.succeeded(run, type);
      return end;
    case "failed":
      return failed(end.error, faultOf(end.error, classify));
    case "timed_out":
      member.overdue(run);
      return failed(end.error, TIMED_OUT);
    case "stopped":
      member.overdue(run);
      member.cancelled(run);
      return { name: "stopped" };
  }

  function failed(error: unknown, fault: Fault): Attempted<R> {
    member.failed(run, fault, type);
    const { blame } = fault;
    const drawsOnBudget = blame !== "throttle";
    return { name: "failed", error, isFinal: isFinal(fault), drawsOnBudget, isElsewhere: blame === "dependency" };
  }
}
