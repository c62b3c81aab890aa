import { expect, test } from "vitest";
import { AgentError } from "../agents/agent-error.ts";
import { LONGEST_RETRY_AFTER_MS } from "../policies/breaker/options.ts";
import { type CallBlame, type Classify, faultOf, isAgentsFault, isFinal } from "./fault.ts";

const UNKNOWN = { blame: "unknown", retryable: undefined, retryAfterMs: undefined };
const of = (error: unknown, classify?: Classify) => faultOf(error, classify);

test("S1-B18: whatever is thrown is of unknown blame unless it says otherwise", () => {
  for (const error of [new Error("x"), new TypeError("x"), "text", undefined, null, 5])
    expect(of(error)).toEqual(UNKNOWN);
});

test("only an AgentError is asked for its blame", () => {
  expect(of(Object.assign(new Error("x"), { blame: "task", retryable: false, retryAfterMs: 5 }))).toEqual(UNKNOWN);
});

test("an AgentError says its blame, whether it may be repeated, and for how long it wants to rest", () => {
  const error = new AgentError({ message: "x", blame: "throttle", retryable: false, retryAfterMs: 5 });
  expect(of(error)).toEqual({ blame: "throttle", retryable: false, retryAfterMs: 5 });
  expect(of(new AgentError({ message: "x" }))).toEqual(UNKNOWN);
});

test("a forged AgentError is not believed", () => {
  const forged = (fields: object): unknown => Object.assign(new AgentError({ message: "x" }), fields);
  expect(of(forged({ blame: "engine" }))).toEqual(UNKNOWN);
  expect(of(forged({ blame: "toString" }))).toEqual(UNKNOWN);
  expect(of(forged({ retryable: "no", retryAfterMs: "5" }))).toEqual(UNKNOWN);
  expect(of(forged({ retryAfterMs: -1 }))).toEqual(UNKNOWN);
  expect(of(forged({ retryAfterMs: Number.NaN }))).toEqual(UNKNOWN);
  expect(of(forged({ retryAfterMs: 0 })).retryAfterMs).toBe(0);
  expect(of(forged({ retryAfterMs: Number.POSITIVE_INFINITY })).retryAfterMs).toBe(LONGEST_RETRY_AFTER_MS);
  const trap = new Proxy(new AgentError({ message: "x" }), {
    get: () => {
      throw new Error("trap");
    },
  });
  expect(of(trap)).toEqual(UNKNOWN);
});

test("a classifier decides; where it is silent, fails or says nonsense the error's own word stands", () => {
  const error = new AgentError({ message: "x", blame: "task", retryable: true });
  expect(of(error, () => "agent")).toMatchObject({ blame: "agent", retryable: true });
  expect(of(error, () => undefined).blame).toBe("task");
  expect(of(error, () => "nobody" as CallBlame).blame).toBe("task");
  const broken = (): never => {
    throw new Error("broken");
  };
  expect(of(error, broken).blame).toBe("task");
});

test("agent and unknown count against the agent, nothing else does", () => {
  const counts = (blame: CallBlame): boolean => isAgentsFault({ ...UNKNOWN, blame });
  const blames: CallBlame[] = ["agent", "unknown", "task", "caller", "throttle", "dependency"];
  expect(blames.filter(counts)).toEqual(["agent", "unknown"]);
});

test("faults of task and caller are final; the word of the error decides over the blame", () => {
  const final = (blame: CallBlame, retryable?: boolean): boolean => isFinal({ ...UNKNOWN, blame, retryable });
  expect([final("task"), final("task", true), final("task", false)]).toEqual([true, false, true]);
  expect([final("caller"), final("caller", true)]).toEqual([true, true]);
  expect([final("agent"), final("agent", false), final("unknown"), final("throttle"), final("dependency")]).toEqual([
    false,
    true,
    false,
    false,
    false,
  ]);
});
