import { describe, expect, test } from "vitest";
import { type AgentSubject, agentContract, anAttempt, anIdentity, EventLog, runBy } from "../testing/agent-contract.ts";
import type { RunEnd } from "./agent.ts";
import { AgentError, type Classify, isAgentError } from "./agent-error.ts";
import { type AgentCall, type AgentFunction, functionDriver } from "./function.ts";
import { MESSAGE_LIMIT } from "./run-end.ts";

/** The contract's little language. */
function contractFunction(onHang: () => void): AgentFunction {
  return ({ task, signal }) => {
    const [, word, rest = ""] = /^(\w+) ?(.*)$/s.exec(task.prompt ?? "") ?? [];
    if (word === "echo") return JSON.parse(rest);
    if (word === "length") return Promise.resolve(rest.length);
    if (word === "fail") throw new AgentError({ message: "no such thing", blame: "task" });
    return new Promise((_, reject) => {
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      onHang();
    });
  };
}

const NO_PROCESS = "a function has no process";

async function openSubject(): Promise<AgentSubject> {
  let hung = 0;
  let wake = (): void => {};
  const driver = functionDriver(
    anIdentity(),
    contractFunction(() => {
      hung += 1;
      wake();
    }),
  );
  return {
    driver,
    diesAsAWhole: false,
    stopsRuns: false,
    async hanging(count) {
      while (hung < count) {
        await new Promise<void>((woken) => {
          wake = woken;
        });
      }
    },
    async close() {},
  };
}

agentContract("function", openSubject, {
  skip: {
    "a death with a run on it is a kill": NO_PROCESS,
    "starts again after a death, tells each death once": NO_PROCESS,
  },
});

const run = (agent: AgentFunction, attempt = anAttempt()): Promise<RunEnd> =>
  runBy(functionDriver(anIdentity(), agent), attempt);

const throwing = (thrown: unknown): Promise<RunEnd> =>
  run(() => {
    throw thrown;
  });

test("it is ready at once", () => {
  const events = new EventLog();
  functionDriver(anIdentity(), () => 1).start(events);
  expect(events.readyCount).toBe(1);
});

test.each([
  ["a value", () => 7, 7],
  ["a promise", async () => 7, 7],
  // biome-ignore lint/suspicious/noThenProperty: what is tested.
  ["a thenable", () => ({ then: (done: (value: number) => void) => done(7) }), 7],
  ["nothing", () => undefined, null],
  ["a promise of nothing", async () => {}, null],
  // biome-ignore lint/suspicious/noThenProperty: what is tested.
  ["an object with a field called then", () => ({ then: 1 }), { then: 1 }],
])("%s is a result", async (_, agent, result) => {
  expect(await run(agent)).toEqual({ outcome: { name: "succeeded" }, result });
});

test("runs that end in another order than they began have each its own end", async () => {
  const given: PromiseWithResolvers<unknown>[] = [];
  const driver = functionDriver(anIdentity(), () => {
    const run = Promise.withResolvers<unknown>();
    given.push(run);
    return run.promise;
  });
  const begin = (): Promise<RunEnd> => runBy(driver, anAttempt());
  const [first, second] = [begin(), begin()];
  given[1]?.resolve("b");
  expect(await second).toMatchObject({ result: "b" });
  const third = begin();
  given[0]?.reject(new Error("a"));
  given[2]?.resolve("c");
  expect(await first).toMatchObject({ outcome: { error: { message: "a" } } });
  expect(await third).toMatchObject({ result: "c" });
});

test("a promise of another kind that tells twice ends its own run only", async () => {
  const { promise: listened, resolve: listen } = Promise.withResolvers<(value: unknown) => void>();
  // biome-ignore lint/suspicious/noThenProperty: what is tested.
  const other = { then: listen };
  const own = Promise.withResolvers<unknown>();
  const promises: unknown[] = [other, own.promise];
  const driver = functionDriver(anIdentity(), () => promises.shift());
  const first = runBy(driver, anAttempt());
  const tell = await listened;
  tell(1);
  expect(await first).toMatchObject({ result: 1 });
  const second = runBy(driver, anAttempt());
  tell(2);
  own.resolve(3);
  expect(await second).toMatchObject({ result: 3 });
});

test.each(["agent", "task", "dependency", "unknown"] as const)(
  "an AgentError that blames %s fails so",
  async (blame) => {
    const error = new AgentError({ message: "bad", blame, code: "odd", retryable: true, details: { at: 3 } });
    expect(await throwing(error)).toEqual({
      outcome: {
        name: "failed",
        blame,
        error: { code: "odd", message: "bad", retryable: true, details: { at: 3 } },
      },
    });
  },
);

test("an AgentError without a word of blame is unknown and called failed", async () => {
  expect(await throwing(new AgentError({ message: "bad" }))).toEqual({
    outcome: { name: "failed", blame: "unknown", error: { code: "failed", message: "bad" } },
  });
});

test("retryable: false is told", async () => {
  const end = await throwing(new AgentError({ message: "bad", retryable: false }));
  expect(end.outcome).toHaveProperty("error.retryable", false);
});

test("an AgentError that blames throttle throttles", async () => {
  const error = new AgentError({ message: "slow down", blame: "throttle", retryAfterMs: 0 });
  expect(await throwing(error)).toEqual({
    outcome: { name: "throttled", error: { code: "throttled", message: "slow down" }, retryAfterMs: 0 },
  });
});

test.each([-1, Number.NaN, Number.POSITIVE_INFINITY])("a rest of %s is no rest", async (retryAfterMs) => {
  const end = await throwing(new AgentError({ message: "slow down", blame: "throttle", retryAfterMs }));
  expect(end.outcome).toMatchObject({ name: "throttled", retryAfterMs: undefined });
});

test("an AgentError of another copy of the package is known by its mark", async () => {
  const foreign = Object.assign(new Error("bad"), { [Symbol.for("troupe.AgentError")]: true, blame: "task" });
  expect(isAgentError(foreign)).toBe(true);
  expect((await throwing(foreign)).outcome).toMatchObject({ name: "failed", blame: "task" });
});

test("a blame that functions may not use counts as unknown", async () => {
  const forged = Object.assign(new AgentError({ message: "bad" }), { blame: "engine" });
  expect((await throwing(forged)).outcome).toMatchObject({ blame: "unknown" });
});

test("details that JSON can't hold are left out", async () => {
  const ring: Record<string, never> = {};
  Object.assign(ring, { ring });
  const end = await throwing(new AgentError({ message: "bad", details: ring }));
  expect(end.outcome).not.toHaveProperty("error.details");
});

test.each([
  ["an error", new TypeError("bad"), "bad"],
  ["a text", "bad", "bad"],
  ["undefined", undefined, "undefined"],
  ["null", null, "null"],
  ["a symbol", Symbol("bad"), "Symbol(bad)"],
  ["what has no text", Object.create(null), "something without a message was thrown"],
  ["an error whose message is a trap", trapped(), "something without a message was thrown"],
])("%s that is thrown fails with blame unknown", async (_, thrown, message) => {
  const expected = { outcome: { name: "failed", blame: "unknown", error: { code: "failed", message } } };
  expect(await throwing(thrown)).toEqual(expected);
  expect(await run(async () => throwIt(thrown))).toEqual(expected);
});

function trapped(): Error {
  return Object.defineProperty(new Error(), "message", {
    get() {
      throw new Error("trap");
    },
  });
}

function throwIt(thrown: unknown): never {
  throw thrown;
}

test.each([
  [MESSAGE_LIMIT, MESSAGE_LIMIT],
  [MESSAGE_LIMIT + 1, MESSAGE_LIMIT],
])("a message of %i units is told in %i", async (length, kept) => {
  const end = await throwing(new Error("x".repeat(length)));
  expect((end.outcome as { error: { message: string } }).error.message).toHaveLength(kept);
});

test("memory lives from run to run, and belongs to one agent", async () => {
  const count: AgentFunction = ({ memory }) => {
    const runs = ((memory.get("runs") as number | undefined) ?? 0) + 1;
    memory.set("runs", runs);
    return runs;
  };
  const ada = functionDriver(anIdentity(), count);
  const bob = functionDriver(anIdentity({ name: "bob" }), count);
  await runBy(ada, anAttempt());
  expect(await runBy(ada, anAttempt())).toMatchObject({ result: 2 });
  expect(await runBy(bob, anAttempt())).toMatchObject({ result: 1 });
});

test("progress and log may be taken out of the call", async () => {
  const lines: string[] = [];
  const driver = functionDriver(
    anIdentity(),
    ({ progress, log }: AgentCall) => {
      progress({ share: 0.5 });
      log("half");
    },
    { log: (line) => lines.push(line) },
  );
  const attempt = anAttempt();
  await runBy(driver, attempt);
  expect(attempt.told).toEqual([{ share: 0.5 }]);
  expect(lines).toEqual(["half"]);
});

test("S4-L07 the call carries the task and the signal of the attempt", async () => {
  const { signal } = new AbortController();
  const attempt = anAttempt({ prompt: "p", input: { a: 1 } }, signal);
  let seen: AgentCall | undefined;
  const driver = functionDriver(anIdentity(), (call) => {
    seen = call;
  });
  await runBy(driver, attempt);
  expect(seen?.task).toBe(attempt.task);
  expect(seen?.signal).toBe(signal);
});

describe("an error that the pool classifies", () => {
  const ends = async (classify: Classify, thrown: unknown = new Error("boom")): Promise<unknown> => {
    const driver = functionDriver(anIdentity(), () => Promise.reject(thrown), { classify });
    return (await runBy(driver, anAttempt())).outcome;
  };

  test("is blamed as it says, by a word or with more", async () => {
    expect(await ends(() => "task")).toEqual({
      name: "failed",
      blame: "task",
      error: { code: "failed", message: "boom" },
    });
    const told = { blame: "agent", code: "broken", retryable: false, message: "it broke", details: { n: 1 } } as const;
    expect(await ends(() => told)).toEqual({
      name: "failed",
      blame: "agent",
      error: { code: "broken", message: "it broke", retryable: false, details: { n: 1 } },
    });
    expect(await ends(() => ({ blame: "throttle", retryAfterMs: 5 }))).toMatchObject({
      name: "throttled",
      retryAfterMs: 5,
      error: { code: "throttled", message: "boom" },
    });
  });

  test("is asked about once, with what was thrown; an AgentError speaks for itself", async () => {
    const asked: unknown[] = [];
    const classify: Classify = (error) => {
      asked.push(error);
      return "task";
    };
    const boom = new Error("boom");
    await ends(classify, boom);
    expect(await ends(classify, new AgentError({ message: "mine", blame: "agent" }))).toMatchObject({ blame: "agent" });
    expect(asked).toEqual([boom]);
  });

  test("is unknown where the pool knows nothing, says nonsense or throws itself", async () => {
    const unknown = { name: "failed", blame: "unknown", error: { code: "failed", message: "boom" } };
    expect(await ends(() => undefined)).toEqual(unknown);
    expect(await ends(() => "nobody" as never)).toEqual(unknown);
    expect(
      await ends(() => {
        throw new Error("no idea");
      }),
    ).toEqual(unknown);
  });
});
