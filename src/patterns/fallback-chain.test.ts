import { describe, expect, test, vi } from "vitest";
import { AgentError } from "../agents/agent-error.ts";
import { PoolError } from "../base/errors.ts";
import { createRandom } from "../base/random.ts";
import { createVirtualClock } from "../testing/virtual-clock.ts";
import { type ChainCallOptions, createFallbackChain, type FallbackChainOptions } from "./fallback-chain.ts";

const failure = new Error("down");
const never = (): Promise<never> => new Promise(() => {});

/** A chain whose entries are their own names. */
function aChain(names: readonly string[], options: FallbackChainOptions = {}) {
  const clock = createVirtualClock(1_000);
  const chain = createFallbackChain<string>({ clock, random: createRandom(3), ...options });
  for (const name of names) chain.add(name, name);
  const called: string[] = [];
  /** A function that fails on the entries named. */
  const failing =
    (bad: readonly string[] = [], error: unknown = failure) =>
    async (name: string): Promise<string> => {
      called.push(name);
      if (bad.includes(name)) throw error;
      return `by ${name}`;
    };
  return { chain, clock, called, failing };
}

const breaker = { consecutive: 2, ratio: null, openMs: 1_000, jitter: "none" as const, successes: 1 };

describe("createFallbackChain", () => {
  test("S1-26: entries are tried in their order, the first result is given", async () => {
    const { chain, called, failing } = aChain(["a", "b", "c"]);
    await expect(chain.execute(failing(["a"]))).resolves.toBe("by b");
    expect(called).toEqual(["a", "b"]);
  });

  test("S1-26: add chains, insert puts before a place, remove takes out; size and emptiness can be read", async () => {
    const { chain, called, failing } = aChain([]);
    expect([chain.size, chain.isEmpty]).toEqual([0, true]);
    expect(chain.add("b", "b").add("d", "d")).toBe(chain);
    expect(chain.insert(0, "a", "a").insert(2, "c", "c").insert(99, "e", "e")).toBe(chain);
    expect([chain.size, chain.isEmpty]).toEqual([5, false]);
    await chain.execute(failing(["a", "b", "c", "d"]));
    expect(called).toEqual(["a", "b", "c", "d", "e"]);
    expect([chain.remove("c"), chain.remove("c"), chain.size]).toEqual([true, false, 4]);
  });

  test.each([
    [() => aChain(["a"]).chain.add("a", "x"), "duplicate_id", undefined],
    [() => aChain([]).chain.add("", "x"), "invalid", "name"],
    [() => aChain([]).chain.insert(-1, "a", "x"), "invalid", "index"],
    [() => aChain([]).chain.insert(0.5, "a", "x"), "invalid", "index"],
  ])("an entry that is not possible is refused (%#)", (act, code, path) => {
    try {
      act();
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject(path === undefined ? { code } : { code, details: { path } });
    }
  });

  test("a chain takes 1,000 entries and no more", () => {
    const { chain } = aChain(Array.from({ length: 1_000 }, (_, n) => `a${n}`));
    expect(() => chain.add("b", "b")).toThrow(expect.objectContaining({ code: "no_capacity" }));
  });

  test("S1-27: the observer gets the name that failed and its error", async () => {
    const { chain, failing } = aChain(["a", "b", "c"]);
    const onFallback = vi.fn();
    await chain.execute(failing(["a", "b"]), { onFallback });
    expect(onFallback.mock.calls).toEqual([
      ["a", failure],
      ["b", failure],
    ]);
  });

  test("S1-B16: the observer is not told of a failure after which nobody follows", async () => {
    const { chain, failing } = aChain(["a", "b"]);
    const onFallback = vi.fn();
    await expect(chain.execute(failing(["a", "b"]), { onFallback })).rejects.toBe(failure);
    expect(onFallback.mock.calls).toEqual([["a", failure]]);
  });

  test("S1-B16: nor where all that follow are open", async () => {
    const { chain, failing } = aChain(["a", "b"], { breaker });
    for (let i = 0; i < 2; i++) await chain.execute(failing(["a", "b"])).catch(() => {});
    chain.reset("a");
    const onFallback = vi.fn();
    await expect(chain.execute(failing(["a"]), { onFallback })).rejects.toBe(failure);
    expect(onFallback).not.toHaveBeenCalled();
  });

  test("S1-15: an observer that throws or rejects disturbs nothing", async () => {
    for (const onFallback of [
      () => {
        throw new Error("observer");
      },
      () => Promise.reject(new Error("observer")),
    ]) {
      const { chain, failing } = aChain(["a", "b"]);
      await expect(chain.execute(failing(["a"]), { onFallback })).resolves.toBe("by b");
    }
  });

  test("S1-28: when all fail the last error is thrown; an empty chain is no_agents at once", async () => {
    const last = new Error("last");
    const { chain } = aChain(["a", "b"]);
    await expect(chain.execute((name) => Promise.reject(name === "a" ? failure : last))).rejects.toBe(last);
    const empty = aChain([]).chain.execute(() => 1);
    await expect(empty).rejects.toMatchObject({ code: "no_agents", retryable: false });
  });

  test("S1-29: an error that is not handled is thrown at once, and nobody else is tried", async () => {
    class Handled extends Error {}
    for (const handles of [(error: unknown) => error instanceof Handled, [Handled], [TypeError, Handled]]) {
      const { chain, called, failing } = aChain(["a", "b", "c"], { handles });
      await expect(chain.execute(failing(["a", "b"], new Handled()))).resolves.toBe("by c");
      called.length = 0;
      await expect(chain.execute(failing(["a"]))).rejects.toBe(failure);
      await expect(chain.executeDetailed(failing(["a"]))).rejects.toBe(failure);
      expect(called).toEqual(["a", "a"]);
    }
  });

  test("S1-29: an empty list, an entry that is no error class, and what is neither are refused", () => {
    for (const handles of [[], [Error, class Plain {}], [() => true], "Error", [undefined], {}]) {
      expect(() => createFallbackChain({ handles: handles as never })).toThrow(PoolError);
    }
    expect(() => createFallbackChain({ handles: [Error] })).not.toThrow();
  });

  test("S1-29: a predicate that fails handles nothing", async () => {
    const handles = (): never => {
      throw new Error("predicate");
    };
    const { chain, failing } = aChain(["a", "b"], { handles });
    await expect(chain.execute(failing(["a"]))).rejects.toBe(failure);
  });

  test("S1-B18: without `handles` every error is, but those which say that nobody else would do better", async () => {
    for (const error of [
      new TypeError("x"),
      "text",
      new AgentError({ message: "x", blame: "task", retryable: true }),
    ]) {
      const { chain, failing } = aChain(["a", "b"]);
      await expect(chain.execute(failing(["a"], error))).resolves.toBe("by b");
    }
    for (const blame of ["task", "agent"] as const) {
      const error = new AgentError({ message: "x", blame, retryable: blame === "task" ? undefined : false });
      const { chain, called, failing } = aChain(["a", "b"]);
      await expect(chain.execute(failing(["a"], error))).rejects.toBe(error);
      expect(called).toEqual(["a"]);
    }
    const { chain, failing } = aChain(["a", "b"], { classify: () => "caller" });
    await expect(chain.execute(failing(["a"]))).rejects.toBe(failure);
    expect(chain.stats()).toMatchObject({ a: { failed: 0 } });
  });

  test("S1-30: the detailed form tells who served and what failed before", async () => {
    const { chain, failing } = aChain(["a", "b"]);
    expect(await chain.executeDetailed(failing(["a"]))).toEqual({
      success: true,
      agent: "b",
      result: "by b",
      error: undefined,
      attempts: [{ agent: "a", error: failure }],
    });
  });

  test("S1-30: it does not throw when all fail, when the chain is empty, or when all entries are open", async () => {
    const { chain, failing } = aChain(["a", "b"], { breaker });
    for (let i = 0; i < 2; i++) {
      expect(await chain.executeDetailed(failing(["a", "b"]))).toEqual({
        success: false,
        agent: undefined,
        result: undefined,
        error: failure,
        attempts: [
          { agent: "a", error: failure },
          { agent: "b", error: failure },
        ],
      });
    }
    expect(await chain.executeDetailed(failing())).toMatchObject({
      success: false,
      error: { code: "no_agents", retryable: true, details: { agents: 2, retryAfterMs: 1_000 } },
      attempts: [],
    });
    expect(await aChain([]).chain.executeDetailed(() => 1)).toMatchObject({
      success: false,
      error: { code: "no_agents" },
      attempts: [],
    });
  });

  test("S1-L02: an entry whose breaker is open is skipped until its time is over, and its record kept", async () => {
    const { chain, clock, called, failing } = aChain(["a", "b"], { breaker });
    await chain.execute(failing(["a"]));
    await chain.execute(failing(["a"]));
    called.length = 0;
    await chain.execute(failing());
    expect(called).toEqual(["b"]);
    expect(chain.stats()).toMatchObject({
      a: { failed: 2, consecutiveFailures: 2, health: "healthy", breaker: { state: "open", reason: "consecutive" } },
      b: { succeeded: 3, breaker: { state: "closed" } },
    });
    await clock.advance(1_000);
    await expect(chain.execute(failing())).resolves.toBe("by a");
    expect(chain.stats()).toMatchObject({ a: { breaker: { state: "closed" } } });
  });

  test("S1-L02: by default the fifth failure in a row takes an entry out", async () => {
    const { chain, called, failing } = aChain(["a", "b"]);
    for (let i = 0; i < 6; i++) await chain.execute(failing(["a"]));
    expect(called.filter((name) => name === "a")).toHaveLength(5);
    const without = aChain(["a", "b"], { breaker: false });
    for (let i = 0; i < 6; i++) await without.chain.execute(without.failing(["a"]));
    expect(without.called.filter((name) => name === "a")).toHaveLength(6);
  });

  test("S1-L02: the health of an entry is that of its last calls", async () => {
    const { chain, failing } = aChain(["a", "b"], { breaker: false, health: { minimum: 2 } });
    await chain.execute(failing(["a"]));
    await chain.execute(failing(["a"]));
    expect(chain.stats()).toMatchObject({ a: { health: "unhealthy" }, b: { health: "healthy" } });
  });

  test("S1-B10: at half-open 1,000 calls at once try the entry once, the others go on to the next", async () => {
    const { chain, clock, failing, called } = aChain(["a", "b"], { breaker });
    await chain.execute(failing(["a"]));
    await chain.execute(failing(["a"]));
    await clock.advance(1_000);
    called.length = 0;
    const all = Array.from({ length: 1_000 }, () => chain.execute(failing()));
    await Promise.all(all);
    expect(called.filter((name) => name === "a")).toHaveLength(1);
  });

  test("a throttled entry is skipped while it rests", async () => {
    const { chain, clock, called, failing } = aChain(["a", "b"]);
    const error = new AgentError({ message: "x", blame: "throttle", retryAfterMs: 500 });
    await chain.execute(failing(["a"], error));
    await chain.execute(failing());
    await clock.advance(500);
    await chain.execute(failing());
    expect(called).toEqual(["a", "b", "b", "a"]);
  });

  test("S1-L06: calls at the same time do not disturb each other, nor do changes of the chain meanwhile", async () => {
    const { chain, clock } = aChain(["a", "b"], { breaker: false });
    const gates = Array.from({ length: 50 }, () => Promise.withResolvers<void>());
    const results = gates.map(({ promise }, n) =>
      chain.executeDetailed(async (name) => {
        await promise;
        if (name === "a" && n % 2 === 0) throw failure;
        return `${name}${n}`;
      }),
    );
    await clock.settle();
    chain.remove("b");
    chain.add("c", "c");
    for (const { resolve } of gates.toReversed()) resolve();
    const ends = await Promise.all(results);
    expect(ends.map(({ result }) => result)).toEqual(gates.map((_, n) => (n % 2 === 0 ? `b${n}` : `a${n}`)));
    expect(ends.every(({ attempts }, n) => attempts.length === (n % 2 === 0 ? 1 : 0))).toBe(true);
    expect(await chain.execute((name) => (name === "a" ? Promise.reject(failure) : name))).toBe("c");
  });

  test("S1-L04: an attempt that takes too long is ended and the next entry tried", async () => {
    const { chain, clock } = aChain(["a", "b"], { timeoutMs: 100 });
    const signals: AbortSignal[] = [];
    const attempts: number[] = [];
    const result = chain.executeDetailed((name, { signal, attempt }) => {
      signals.push(signal);
      attempts.push(attempt);
      return name === "a" ? never() : name;
    });
    await clock.advance(100);
    expect(await result).toMatchObject({
      success: true,
      agent: "b",
      attempts: [{ agent: "a", error: { code: "deadline_exceeded", details: { timeoutMs: 100 } } }],
    });
    expect([signals.map(({ aborted }) => aborted), attempts]).toEqual([
      [true, false],
      [1, 2],
    ]);
    expect(chain.stats()).toMatchObject({ a: { failed: 1 } });
  });

  test("S1-L04: the deadline ends the whole call, and is thrown by the detailed form too", async () => {
    const { chain, clock } = aChain(["a", "b"], { deadlineMs: 150 });
    const result = chain.executeDetailed(never, { timeoutMs: 100 });
    const end = expect(result).rejects.toMatchObject({
      code: "deadline_exceeded",
      details: { deadlineMs: 150 },
      cause: { details: { timeoutMs: 100 } },
    });
    await clock.advance(100);
    await clock.advance(50);
    await end;
    expect(chain.stats()).toMatchObject({ a: { failed: 1 }, b: { failed: 0 } });
    expect(clock.nextAtMs).toBeUndefined();
  });

  test("no timer is left when a call has ended before its deadline", async () => {
    const { chain, clock, failing } = aChain(["a", "b"], { deadlineMs: 1_000, timeoutMs: 500 });
    await chain.execute(failing(["a"]));
    expect(clock.nextAtMs).toBeUndefined();
  });

  test("no_agents says when the first of the entries may be called again", async () => {
    const { chain, clock, failing } = aChain(["a", "b"], { breaker: { ...breaker, consecutive: 1 } });
    await chain.execute(failing(["a"]));
    await clock.advance(300);
    await chain.execute(failing(["b"])).catch(() => {});
    await expect(chain.execute(failing())).rejects.toMatchObject({ details: { agents: 2, retryAfterMs: 700 } });
  });

  test("S1-L03: a signal ends a call: before it, in an attempt, and between two", async () => {
    const { chain, called, failing } = aChain(["a", "b"], { breaker });
    await expect(chain.execute(failing(), { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "cancelled",
    });
    expect(called).toEqual([]);
    const during = new AbortController();
    const result = chain.execute(never, { signal: during.signal });
    during.abort();
    await expect(result).rejects.toMatchObject({ code: "cancelled" });
    const between = new AbortController();
    const options: ChainCallOptions = { signal: between.signal, onFallback: () => between.abort() };
    await expect(chain.execute(failing(["a"]), options)).rejects.toMatchObject({
      code: "cancelled",
      cause: { name: "AbortError" },
    });
    expect(called).toEqual(["a"]);
    expect(chain.stats()).toMatchObject({ a: { inFlight: 1 }, b: { inFlight: 0, samples: 0 } });
  });

  test("a call that ends between two entries gives the next one's permit back", async () => {
    const { chain, clock, failing } = aChain(["a", "b"], { breaker });
    for (let i = 0; i < 2; i++) await chain.execute(failing(["a", "b"])).catch(() => {});
    await clock.advance(1_000);
    const stop = new AbortController();
    await chain.execute(failing(["a"]), { signal: stop.signal, onFallback: () => stop.abort() }).catch(() => {});
    await expect(chain.execute(failing())).resolves.toBe("by b");
  });

  test("S1-B08: an entry removed while a call on it runs leaves the call its result and tells nobody", async () => {
    const told: unknown[] = [];
    const { chain, clock } = aChain(["a"], {
      breaker: { consecutive: 1 },
      onTransition: (...change) => told.push(change),
    });
    const slow = Promise.withResolvers<string>();
    const result = chain.execute(() => slow.promise);
    await clock.settle();
    chain.remove("a");
    chain.add("a", "a");
    slow.reject(failure);
    await expect(result).rejects.toBe(failure);
    expect(chain.stats()).toMatchObject({ a: { samples: 0, breaker: { state: "closed" } } });
    await chain.execute(() => Promise.reject(failure)).catch(() => {});
    expect(told).toEqual([["a", "closed", "open", "consecutive"]]);
    expect([chain.reset("a"), chain.reset("nobody")]).toEqual([true, false]);
    expect(chain.stats()).toMatchObject({ a: { samples: 0, breaker: { state: "closed" } } });
  });

  test.each([
    [{ handels: () => true }, "handels"],
    [{ breaker: { permits: 0 } }, "breaker.permits"],
    [{ timeoutMs: 0 }, "timeoutMs"],
    [{ health: { window: 0 } }, "health.window"],
  ])("%j is refused at %s", (options, path) => {
    try {
      createFallbackChain(options as FallbackChainOptions);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: "invalid", details: { path } });
    }
  });

  test("a call with what is not known, or no function, is refused", async () => {
    const { chain } = aChain(["a"]);
    await expect(chain.execute(() => 1, { retries: 1 } as ChainCallOptions)).rejects.toMatchObject({
      details: { path: "retries" },
    });
    await expect(chain.execute("work" as never)).rejects.toMatchObject({ code: "invalid", details: { path: "fn" } });
    expect(chain.stats()).toMatchObject({ a: { samples: 0 } });
  });

  test("without options it runs on the system's clock", async () => {
    const chain = createFallbackChain<{ ask(): string }>().add("primary", { ask: () => "yes" });
    await expect(chain.execute((client) => client.ask())).resolves.toBe("yes");
  });
});
