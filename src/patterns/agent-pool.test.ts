import { describe, expect, test, vi } from "vitest";
import { AgentError } from "../agents/agent-error.ts";
import { isPoolError, PoolError } from "../base/errors.ts";
import { createRandom } from "../base/random.ts";
import { STRATEGIES } from "../policies/balancer/strategies.ts";
import { createVirtualClock } from "../testing/virtual-clock.ts";
import { type AgentPoolOptions, type CallOptions, createAgentPool } from "./agent-pool.ts";
import type { AddAgentOptions } from "./roster.ts";

const failure = new Error("down");
const never = (): Promise<never> => new Promise(() => {});

/** A pool of agents whose clients are their own names, in turn unless said otherwise. */
function aPool(ids: readonly string[], options: AgentPoolOptions = {}) {
  const clock = createVirtualClock(1_700_000_000_000);
  const pool = createAgentPool<string>({ strategy: "round_robin", clock, random: createRandom(7), ...options });
  for (const id of ids) pool.add(id, id);
  const called: string[] = [];
  const startedAtMs: number[] = [];

  /** Calls once through; agents named in `bad` fail. Time passes as the delays ask for. */
  async function call(bad: readonly string[] = [], how: CallOptions = {}): Promise<unknown> {
    const result = pool.execute(async (id) => {
      called.push(id);
      startedAtMs.push(clock.monotonic());
      if (bad.includes(id)) throw failure;
      return id;
    }, how);
    return await ended(result);
  }

  /** What the call gives or throws, once time has done its part. */
  async function ended(result: Promise<unknown>): Promise<unknown> {
    let end: { value: unknown } | undefined;
    const done = result.then(
      (value) => {
        end = { value };
      },
      (error: unknown) => {
        end = { value: error };
      },
    );
    await clock.settle();
    while (end === undefined && clock.nextAtMs !== undefined) await clock.advance(clock.nextAtMs - clock.now());
    await done;
    return end?.value;
  }

  /** Gives the agent so many calls of its own, good (S) or bad (F). */
  async function history(id: string, letters: string): Promise<void> {
    for (const letter of letters) {
      const fn = (): string => {
        if (letter === "F") throw failure;
        return id;
      };
      await only(id, fn);
    }
  }

  /** One call that a staged pool gives to this agent. */
  async function only(id: string, fn: () => string): Promise<void> {
    chosen = id;
    await pool.execute(fn, { retries: 0 }).catch(() => {});
    chosen = undefined;
  }
  let chosen: string | undefined;
  return { pool, clock, called, startedAtMs, call, ended, history, choosing: () => chosen };
}

/** As `aPool`, with a strategy that takes the agent whose history is being made, else the first candidate. */
function aStagedPool(ids: readonly string[], options: AgentPoolOptions = {}) {
  let choosing: () => string | undefined = () => undefined;
  const staged = aPool(ids, {
    strategy: (candidates) => candidates.find(({ agentId }) => agentId === choosing()) ?? candidates[0],
    ...options,
  });
  choosing = staged.choosing;
  return staged;
}

describe("strategies", () => {
  test("S1-01: each is chosen by its name, and all of them serve", async () => {
    for (const strategy of STRATEGIES) {
      const { call } = aPool(["a", "b"], { strategy });
      expect(["a", "b"]).toContain(await call());
    }
    expect(() => createAgentPool({ strategy: "best" as never })).toThrow(/one of peak_ewma/);
  });

  test("S1-20: with nobody to choose from each of them ends in no_agents", async () => {
    for (const strategy of STRATEGIES) {
      const { pool, call } = aPool([], { strategy });
      expect(await call()).toMatchObject({ code: "no_agents", message: "the pool has no agents" });
      pool.add("a", "a").reset("a");
      pool.remove("a");
      expect(await call()).toMatchObject({ code: "no_agents" });
    }
  });

  test("type latency knows who is fast at which kind of work", async () => {
    const { pool, clock, ended } = aPool(["a", "b"], { strategy: "type_latency" });
    const work = async (id: string): Promise<string> => {
      const done = Promise.withResolvers<void>();
      clock.timer(10, done.resolve);
      await done.promise;
      return id;
    };
    expect(await ended(pool.execute(work, { type: "sums" }))).toBe("a");
    const busy = pool.execute(never);
    busy.catch(() => {});
    expect(await ended(pool.execute(work, { type: "sums" }))).toBe("a");
    expect(await ended(pool.execute(work, { type: "prose" }))).toBe("b");
    expect(await ended(pool.execute(work))).toBe("b");
    expect(await ended(pool.execute(work))).toBe("b");
  });

  test("S1-02, S1-B06: round robin starts at the first and goes on in the order of joining", async () => {
    const { call, called } = aPool(["a", "b", "c"]);
    for (let i = 0; i < 6; i++) await call();
    expect(called.join("")).toBe("abcabc");
  });

  test("S1-B06: round robin keeps its place when an agent leaves, joins or is open", async () => {
    const { call, called, pool } = aPool(["a", "b", "c"], { breaker: { consecutive: 1, openMs: 1_000_000 } });
    await call();
    pool.remove("a");
    await call();
    pool.add("d", "d");
    await call();
    await call(["d"], { retries: 0 });
    await call();
    await call();
    await call();
    expect(called.join("")).toBe("abcdbcb");
  });

  test("S1-03: random is even over the available agents", async () => {
    const { call, called, pool } = aPool(["a", "b", "c", "d"], { strategy: "random" });
    pool.remove("d");
    for (let i = 0; i < 600; i++) await call();
    const counts = ["a", "b", "c"].map((id) => called.filter((one) => one === id).length);
    for (const count of counts) expect(count).toBeGreaterThan(150);
  });

  test("S1-04, S1-B07: least latency tries who has no calls, then the fastest; who fails fast does not win", async () => {
    const { pool, clock, call, called, ended } = aPool(["slow", "fast", "broken"], {
      strategy: "least_latency",
      breaker: false,
    });
    const takes: Record<string, number> = { slow: 50, fast: 20, broken: 1 };
    const work = async (id: string): Promise<void> => {
      const done = Promise.withResolvers<void>();
      clock.timer(takes[id] ?? 0, done.resolve);
      await done.promise;
      if (id === "broken") throw failure;
    };
    for (let i = 0; i < 3; i++) await ended(pool.execute(work, { retries: 0 }));
    expect(Object.values(pool.stats()).map(({ samples }) => samples)).toEqual([1, 1, 1]);
    await call();
    expect(called).toEqual(["fast"]);
  });

  test("S1-B07: a failure costs at least ten medians of the pool, so that slow is better than broken", async () => {
    const { pool, clock, ended } = aPool(["quick", "broken", "slow"], { strategy: "least_latency", breaker: false });
    const takes: Record<string, number> = { quick: 200, broken: 1, slow: 1_500 };
    const called: string[] = [];
    const work = async (id: string): Promise<void> => {
      called.push(id);
      const done = Promise.withResolvers<void>();
      clock.timer(takes[id] ?? 0, done.resolve);
      await done.promise;
      if (id === "broken") throw failure;
    };
    for (let i = 0; i < 3; i++) await ended(pool.execute(work, { retries: 0 }));
    pool.remove("quick");
    await ended(pool.execute(work, { retries: 0 }));
    expect(called).toEqual(["quick", "broken", "slow", "slow"]);
  });

  test("S1-05: least errors takes the smallest share of failures, the earliest of equals", async () => {
    const staged = aStagedPool(["a", "b", "c"], { strategy: "least_errors", breaker: false });
    await staged.call(["a"], { retries: 0 });
    expect(await staged.call()).toBe("b");
    expect(await staged.call()).toBe("b");
  });

  test("S1-06: weighted gives 20 calls to weight 10 for 2 to weight 1", async () => {
    const { pool, call, called } = aPool([], { strategy: "weighted" });
    pool.add("light", "light", { weight: 1 }).add("heavy", "heavy", { weight: 10 });
    for (let i = 0; i < 22; i++) await call();
    expect(called.filter((id) => id === "heavy")).toHaveLength(20);
  });

  test("S1-07: priority takes the lowest number, the earliest of equals", async () => {
    const { pool, call, called } = aPool([], { strategy: "priority" });
    pool.add("a", "a", { priority: 5 }).add("b", "b", { priority: -1 }).add("c", "c", { priority: -1 });
    await call();
    await call();
    expect(called).toEqual(["b", "b"]);
  });

  test("S1-L05: least loaded counts the calls in flight", async () => {
    const { pool, call, called, clock } = aPool(["a", "b"], { strategy: "least_loaded" });
    pool.execute(never).catch(() => {});
    await clock.settle();
    await call();
    await call();
    expect(called).toEqual(["b", "b"]);
    expect(pool.stats()).toMatchObject({ a: { inFlight: 1 }, b: { inFlight: 0 } });
  });

  test("affinity gives calls of one key to one agent", async () => {
    const { call, called } = aPool(["a", "b", "c", "d"], { strategy: "affinity" });
    for (let i = 0; i < 5; i++) await call([], { affinityKey: "session-1" });
    expect(new Set(called).size).toBe(1);
    for (let i = 0; i < 30; i++) await call([], { affinityKey: `session-${i}` });
    expect(new Set(called).size).toBe(4);
  });

  test("a strategy of the user's own sees who may be given the call, and what is known of them", async () => {
    const seen: unknown[] = [];
    const { pool, call, ended } = aPool([], {
      strategy: (candidates, { type, affinityKey, crew, lastOrdinal }) => {
        seen.push(
          ...candidates.map(({ agentId, ordinal, inFlight, capacity, weight, priority, measure }) => {
            return { agentId, ordinal, inFlight, capacity, weight, priority, samples: measure.samples };
          }),
        );
        seen.push({ type, affinityKey, crew, lastOrdinal });
        return candidates[candidates.length - 1];
      },
    });
    pool.add("a", "a", { weight: 2, priority: 3, concurrency: 4 }).add("b", "b");
    pool.execute(never).catch(() => {});
    seen.length = 0;
    await ended(pool.execute((id) => id, { type: "research", affinityKey: "k" }));
    expect(seen).toEqual([
      { agentId: "a", ordinal: 0, inFlight: 0, capacity: 4, weight: 2, priority: 3, samples: 0 },
      { agentId: "b", ordinal: 1, inFlight: 1, capacity: 1, weight: 1, priority: 0, samples: 0 },
      { type: "research", affinityKey: "k", crew: { inFlight: 1, agents: 2 }, lastOrdinal: 1 },
    ]);
    seen.length = 0;
    await call();
    expect(seen.slice(1)).toMatchObject([
      { agentId: "b", samples: 1 },
      { type: "general", affinityKey: undefined },
    ]);
  });

  test("a strategy of the user's own chooses; one that fails or names somebody else gives way, and it is told", async () => {
    const errors: unknown[] = [];
    let how: "last" | "throw" | "foreign" | "nobody" = "last";
    const { call } = aPool(["a", "b"], {
      strategy: (candidates) => {
        if (how === "throw") throw failure;
        if (how === "nobody") return undefined;
        return how === "foreign" ? { ...candidates[0] } : candidates[candidates.length - 1];
      },
      onStrategyError: (error) => errors.push(error),
    });
    expect(await call()).toBe("b");
    how = "throw";
    expect(await call()).toBe("a");
    how = "foreign";
    expect(await call()).toBe("a");
    expect(errors).toEqual([failure, expect.objectContaining({ code: "invalid" })]);
    how = "nobody";
    expect(await call()).toMatchObject({ code: "no_agents" });
  });
});

describe("attempts", () => {
  test("S1-17: four calls by default, and the last error is thrown as it is", async () => {
    const { call, called } = aPool(["a"], { breaker: false });
    expect(await call(["a"])).toBe(failure);
    expect(called).toHaveLength(4);
  });

  test("S1-17: `retries` says how many follow the first; 0 is one call", async () => {
    for (const [retries, calls] of [
      [0, 1],
      [1, 2],
      [6, 7],
    ] as const) {
      const { call, called } = aPool(["a"], { breaker: false });
      await call(["a"], { retries });
      expect(called).toHaveLength(calls);
    }
    const { call, called } = aPool(["a"], { breaker: false, retry: { maxAttempts: 2 } });
    await call(["a"]);
    expect(called).toHaveLength(2);
  });

  test("S1-18: the same agent is tried again after 100, 200 and 400 ms, and nothing is waited for after the last", async () => {
    const { call, startedAtMs, clock } = aPool(["a"], { breaker: false });
    await call(["a"]);
    expect(startedAtMs).toEqual([0, 100, 300, 700]);
    expect(clock.monotonic()).toBe(700);
  });

  test("S1-19, S1-B04, S1-B05: others are tried at once and every one of them, however sticky the strategy", async () => {
    const { pool, call, called, startedAtMs } = aPool([], { strategy: "priority" });
    pool.add("a", "a", { priority: 0 }).add("b", "b", { priority: 1 }).add("c", "c", { priority: 2 });
    expect(await call(["a", "b"])).toBe("c");
    expect(called).toEqual(["a", "b", "c"]);
    expect(startedAtMs).toEqual([0, 0, 0]);
  });

  test("S1-19: those already tried come again, after a delay, when there is nobody else", async () => {
    const { call, called, startedAtMs } = aPool(["a", "b"], { strategy: "priority", breaker: false });
    expect(await call(["a", "b"])).toBe(failure);
    expect(called).toEqual(["a", "b", "a", "a"]);
    expect(startedAtMs).toEqual([0, 0, 200, 600]);
  });

  test("with failover `backoff` another agent waits its turn too", async () => {
    const { call, startedAtMs } = aPool(["a", "b"], { retry: { failover: "backoff" } });
    expect(await call(["a"])).toBe("b");
    expect(startedAtMs).toEqual([0, 100]);
  });

  test("the backoff is an option", async () => {
    const backoff = { baseMs: 10, factor: 3, capMs: 50 };
    const { call, startedAtMs } = aPool(["a"], { breaker: false, retry: { backoff } });
    await call(["a"]);
    expect(startedAtMs).toEqual([0, 10, 40, 90]);
  });

  test("an agent that joins while a call waits is taken before those that failed it", async () => {
    const { pool, clock, called } = aPool(["a"], { breaker: false });
    const result = pool.execute(async (id) => {
      called.push(id);
      if (id === "a") throw failure;
    });
    await clock.settle();
    pool.add("b", "b");
    await clock.advance(100);
    await result;
    expect(called).toEqual(["a", "b"]);
  });

  test("S1-20: with nobody to call it is no_agents, or the last error once there was one", async () => {
    const empty = aPool([]);
    expect(await empty.call()).toMatchObject({ code: "no_agents", retryable: false, details: { agents: 0 } });
    const { pool, call, called, startedAtMs, clock } = aPool(["a"], { breaker: { consecutive: 1, jitter: "none" } });
    expect(await call(["a"])).toBe(failure);
    expect(called).toEqual(["a"]);
    expect([startedAtMs, clock.monotonic()]).toEqual([[0], 0]);
    expect(await call()).toMatchObject({
      code: "no_agents",
      retryable: true,
      details: { agents: 1, retryAfterMs: 5_000 },
    });
    pool.remove("a");
    expect(await call()).toMatchObject({ code: "no_agents" });
  });

  test("S1-20: an agent removed while the call waits leaves it with its last error", async () => {
    const { pool, clock, ended } = aPool(["a"], { breaker: false });
    const result = pool.execute(() => Promise.reject(failure));
    result.catch(() => {});
    await clock.settle();
    pool.remove("a");
    expect(await ended(result)).toBe(failure);
  });

  test("a retry waits for a breaker that lets it through by then", async () => {
    const { call, called } = aPool(["a"], { breaker: { consecutive: 1, openMs: 100, jitter: "none" } });
    expect(await call(["a"], { retries: 1 })).toBe(failure);
    expect(called).toEqual(["a", "a"]);
  });

  test("S1-B19: what must not be repeated is not: `retryable: false`, or a predicate that says so or fails", async () => {
    const fails = (): never => {
      throw new Error("predicate");
    };
    for (const retryable of [false, () => false, fails]) {
      const { call, called } = aPool(["a", "b"]);
      expect(await call(["a"], { retryable })).toBe(failure);
      expect(called).toEqual(["a"]);
    }
    const { call } = aPool(["a", "b"]);
    const asked = vi.fn(() => true);
    expect(await call(["a"], { retryable: asked })).toBe("b");
    expect(asked).toHaveBeenCalledExactlyOnceWith(failure);
  });

  test("the function gets its agent, the number of the attempt and a signal of its own", async () => {
    const { pool, ended } = aPool(["a", "b"]);
    const seen: unknown[] = [];
    const signals = new Set<AbortSignal>();
    const result = pool.execute((id, { attempt, signal }) => {
      seen.push([id, attempt, signal.aborted]);
      signals.add(signal);
      if (attempt === 1) throw failure;
      return 5;
    });
    expect(await ended(result)).toBe(5);
    expect(seen).toEqual([
      ["a", 1, false],
      ["b", 2, false],
    ]);
    expect(signals.size).toBe(2);
  });

  test("S1-16: any number of calls run at a time, each with its own attempts", async () => {
    const { pool, clock } = aPool(["a", "b", "c"], {
      breaker: false,
      health: { minimum: 20 },
      retry: { budget: false },
    });
    const results = Array.from({ length: 300 }, (_, n) =>
      pool.execute(async (id) => {
        if (id === "b") throw failure;
        return `${id}${n}`;
      }),
    );
    await clock.settle();
    const values = await Promise.all(results);
    expect(values.every((value, n) => value === `a${n}` || value === `c${n}`)).toBe(true);
    expect(Object.values(pool.stats()).every(({ inFlight }) => inFlight === 0)).toBe(true);
  });
});

describe("limits of time", () => {
  test("S1-L04, S1-25: an attempt that takes too long is ended, its signal aborted, and another agent tried", async () => {
    const { pool, clock } = aPool(["a", "b"]);
    const signals: AbortSignal[] = [];
    const result = pool.execute(
      (id, { signal }) => {
        signals.push(signal);
        return id === "a" ? never() : Promise.resolve(id);
      },
      { timeoutMs: 1_000 },
    );
    await clock.advance(999);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    await clock.advance(1);
    await expect(result).resolves.toBe("b");
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
    expect(pool.stats()).toMatchObject({ a: { failed: 1 }, b: { succeeded: 1 } });
  });

  test("S1-L04: the pool's timeout holds where the call has none", async () => {
    const { pool, clock, ended } = aPool(["a"], { timeoutMs: 50 });
    const error = await ended(pool.execute(never, { retries: 0 }));
    expect(error).toMatchObject({ code: "deadline_exceeded", retryable: true, details: { timeoutMs: 50 } });
    expect(clock.monotonic()).toBe(50);
    await ended(pool.execute(never, { retries: 0, timeoutMs: 10 }));
    expect(clock.monotonic()).toBe(60);
  });

  test("S1-L04: the deadline ends the whole call, in an attempt", async () => {
    const { pool, ended, clock } = aPool(["a", "b"]);
    let aborted = 0;
    const work = (_: string, { signal }: { signal: AbortSignal }): Promise<never> => {
      signal.addEventListener("abort", () => aborted++);
      return never();
    };
    const error = await ended(pool.execute(work, { timeoutMs: 60, deadlineMs: 100 }));
    expect(error).toMatchObject({ code: "deadline_exceeded", retryable: false, details: { deadlineMs: 100 } });
    expect((error as PoolError).cause).toMatchObject({ details: { timeoutMs: 60 } });
    expect([clock.monotonic(), aborted]).toEqual([100, 2]);
  });

  test("S1-L04: the deadline ends a delay too, and tells the last error as its cause", async () => {
    const { call, called, clock } = aPool(["a"], { breaker: false });
    const error = await call(["a"], { deadlineMs: 150 });
    expect(error).toMatchObject({ code: "deadline_exceeded", cause: failure });
    expect([called.length, clock.monotonic()]).toEqual([2, 150]);
  });

  test("a call cut by its own deadline does not count against the agent", async () => {
    const { pool, ended } = aPool(["a"], { breaker: { consecutive: 1 } });
    await ended(pool.execute(never, { deadlineMs: 5 }));
    expect(pool.stats()).toMatchObject({ a: { failed: 0, breaker: { state: "closed" } } });
  });

  test("S1-L03: a signal ends a call at once, in an attempt and in a delay", async () => {
    for (const waiting of [false, true]) {
      const { pool, clock } = aPool(["a"], { breaker: false });
      const stop = new AbortController();
      let seen: AbortSignal | undefined;
      const result = pool.execute(
        (_, { signal }) => {
          seen = signal;
          return waiting ? Promise.reject(failure) : never();
        },
        { signal: stop.signal },
      );
      const end = expect(result).rejects.toMatchObject({ code: "cancelled", cause: "enough" });
      await clock.settle();
      await clock.advance(50);
      stop.abort("enough");
      await end;
      expect(seen?.aborted).toBe(!waiting);
      expect(clock.nextAtMs).toBeUndefined();
    }
  });

  test("a call cancelled beforehand calls nobody", async () => {
    const { call, called } = aPool(["a"]);
    expect(await call([], { signal: AbortSignal.abort() })).toMatchObject({ code: "cancelled" });
    expect(called).toEqual([]);
  });

  test("no timer and no listener is left when a call has ended", async () => {
    const { call, clock } = aPool(["a"], { timeoutMs: 1_000, deadlineMs: 2_000 });
    const stop = new AbortController();
    const removed = vi.spyOn(stop.signal, "removeEventListener");
    const added = vi.spyOn(stop.signal, "addEventListener");
    await call([], { signal: stop.signal });
    await call(["a"], { signal: stop.signal, retries: 0 });
    expect(clock.nextAtMs).toBeUndefined();
    expect(removed.mock.calls.length).toBe(added.mock.calls.length);
  });

  test("what comes after the end of an attempt is dropped: a result, an error", async () => {
    const { pool, ended, clock } = aPool(["a"], { retry: { maxAttempts: 1 }, timeoutMs: 10 });
    const slow = Promise.withResolvers<string>();
    expect(await ended(pool.execute(() => slow.promise))).toMatchObject({ code: "deadline_exceeded" });
    slow.reject(new Error("late"));
    await clock.settle();
    expect(pool.stats()).toMatchObject({ a: { failed: 1, inFlight: 0 } });
  });

  test("a function that ignores its signal keeps its slot until it ends", async () => {
    const { pool, ended, clock } = aPool([], { timeoutMs: 10 });
    pool.add("a", "a", { concurrency: 1 });
    const slow = Promise.withResolvers<void>();
    await ended(pool.execute(() => slow.promise, { retries: 0 }));
    expect(pool.available()).toEqual([]);
    expect(await ended(pool.execute(() => 1, { retries: 0 }))).toMatchObject({ code: "no_agents" });
    slow.resolve();
    await clock.settle();
    expect(pool.available()).toEqual(["a"]);
    expect(pool.stats()).toMatchObject({ a: { abandoned: 0 } });
  });

  test("a function that never ends is given up after abandonMs", async () => {
    const { pool, ended, clock } = aPool([], { timeoutMs: 10, abandonMs: 1_000 });
    pool.add("a", "a", { concurrency: 1 });
    await ended(pool.execute(never, { retries: 0 }));
    await clock.advance(999);
    expect(pool.available()).toEqual([]);
    expect(pool.stats()).toMatchObject({ a: { inFlight: 1, abandoned: 0 } });
    await clock.advance(1);
    expect(pool.available()).toEqual(["a"]);
    expect(pool.stats()).toMatchObject({ a: { inFlight: 0, abandoned: 1 } });
  });

  test("a function that ignores a cancelled call is given up in the same way", async () => {
    const { pool, ended, clock } = aPool(["a"]);
    await ended(pool.execute(never, { deadlineMs: 10 }));
    await clock.advance(59_999);
    expect(pool.stats()).toMatchObject({ a: { inFlight: 1, abandoned: 0 } });
    await clock.advance(1);
    expect(pool.stats()).toMatchObject({ a: { inFlight: 0, abandoned: 1 } });
  });

  test("a minute is the default for giving up", async () => {
    const { pool, ended, clock } = aPool(["a"], { timeoutMs: 10 });
    await ended(pool.execute(never, { retries: 0 }));
    await clock.advance(59_999);
    expect(pool.stats()).toMatchObject({ a: { inFlight: 1 } });
    await clock.advance(1);
    expect(pool.stats()).toMatchObject({ a: { inFlight: 0 } });
  });
});

describe("blame", () => {
  test("S1-21, S1-B18: every kind of error counts and is failed over", async () => {
    for (const error of [new TypeError("x"), new RangeError("x"), "text", undefined]) {
      const { pool, ended } = aPool(["a", "b"]);
      const result = pool.execute((id) => (id === "a" ? Promise.reject(error) : id));
      expect(await ended(result)).toBe("b");
      expect(pool.stats()).toMatchObject({ a: { failed: 1 } });
    }
  });

  test("S1-B18: an error that a classifier lays on the caller ends the call and leaves the agent unharmed", async () => {
    class BadInput extends Error {}
    for (const blame of ["caller", "task"] as const) {
      const { pool, ended } = aPool(["a", "b"], {
        breaker: { consecutive: 1 },
        classify: (error) => (error instanceof BadInput ? blame : undefined),
      });
      const error = new BadInput();
      expect(await ended(pool.execute(() => Promise.reject(error)))).toBe(error);
      expect(pool.stats()).toMatchObject({ a: { failed: 0, breaker: { state: "closed" } }, b: { samples: 0 } });
    }
  });

  test("a fault of the task is final, unless it says that it may be tried again", async () => {
    const calls = async (retryable?: boolean): Promise<number> => {
      const { pool, ended } = aPool(["a", "b"]);
      let count = 0;
      await ended(
        pool.execute(() => {
          count += 1;
          throw new AgentError({ message: "bad input", blame: "task", retryable });
        }),
      );
      return count;
    };
    expect([await calls(), await calls(false), await calls(true)]).toEqual([1, 1, 4]);
  });

  test("`retryable: false` is final whatever the blame, and counts against the agent", async () => {
    const { pool, ended } = aPool(["a", "b"]);
    const error = new AgentError({ message: "x", blame: "agent", retryable: false });
    expect(await ended(pool.execute(() => Promise.reject(error)))).toBe(error);
    expect(pool.stats()).toMatchObject({ a: { failed: 1 }, b: { samples: 0 } });
  });

  test("a fault of a dependency is tried again after a delay, and nobody is blamed", async () => {
    const { pool, ended, startedAtMs, clock } = aPool(["a", "b"]);
    const error = new AgentError({ message: "database", blame: "dependency" });
    await ended(
      pool.execute(
        () => {
          startedAtMs.push(clock.monotonic());
          throw error;
        },
        { retries: 1 },
      ),
    );
    expect(startedAtMs).toEqual([0, 100]);
    expect(pool.stats()).toMatchObject({ a: { samples: 0 }, b: { samples: 0 } });
  });
});

describe("throttling", () => {
  const throttled = (retryAfterMs?: number): AgentError =>
    new AgentError({ message: "slow", blame: "throttle", retryAfterMs });

  test("a throttled agent rests as long as it asked for; others are taken at once; nothing counts against it", async () => {
    const { pool, ended, clock } = aPool(["a", "b"], { breaker: { consecutive: 1 } });
    const result = pool.execute((id) => (id === "a" ? Promise.reject(throttled(7_000)) : id));
    expect(await ended(result)).toBe("b");
    expect(pool.available()).toEqual(["b"]);
    expect(pool.stats()).toMatchObject({
      a: { failed: 0, breaker: { state: "closed" }, cooldownUntil: new Date(clock.now() + 7_000).toISOString() },
    });
    await clock.advance(6_999);
    expect(pool.available()).toEqual(["b"]);
    await clock.advance(1);
    expect(pool.available()).toEqual(["a", "b"]);
    expect(pool.stats().a).not.toHaveProperty("cooldownUntil");
  });

  test("without Retry-After it rests 1 s, doubling to 60 s, until a success", async () => {
    const { pool, clock } = aPool(["a"]);
    const rest = async (): Promise<number> => {
      await pool.execute(() => Promise.reject(throttled()), { retries: 0 }).catch(() => {});
      const until = Date.parse(pool.stats().a?.cooldownUntil ?? "");
      const ms = until - clock.now();
      await clock.advance(ms);
      return ms;
    };
    const rests: number[] = [];
    for (let i = 0; i < 8; i++) rests.push(await rest());
    expect(rests).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    await pool.execute(() => 1);
    expect(await rest()).toBe(1_000);
  });

  test("a rest that was asked for leaves the length of the others as it is", async () => {
    const { pool, clock } = aPool(["a"]);
    for (const [asked, restMs] of [
      [undefined, 1_000],
      [5, 5],
      [5, 5],
      [undefined, 2_000],
    ] as const) {
      await pool.execute(() => Promise.reject(throttled(asked)), { retries: 0 }).catch(() => {});
      expect(pool.stats().a?.cooldownUntil).toBe(new Date(clock.now() + restMs).toISOString());
      await clock.advance(restMs);
    }
  });

  test("one that will have rested enough is waited for, though another will not serve for long", async () => {
    const breaker = { consecutive: 1, openMs: 60_000, jitter: "none" as const };
    const { pool, ended } = aPool(["a", "b"], { breaker });
    const called: string[] = [];
    const result = pool.execute(async (id) => {
      called.push(id);
      if (called.length === 1) throw throttled(50);
      if (id === "b") throw failure;
      return id;
    });
    expect(await ended(result)).toBe("a");
    expect(called).toEqual(["a", "b", "a"]);
  });

  test("a call begun before a reset does not make the agent rest after it", async () => {
    const { pool } = aPool(["a"]);
    const slow = Promise.withResolvers<never>();
    const result = pool.execute(() => slow.promise, { retries: 0 });
    pool.reset("a");
    slow.reject(throttled(5_000));
    await expect(result).rejects.toThrow("slow");
    expect(pool.available()).toEqual(["a"]);
  });

  test("the later of two rests counts", async () => {
    const { pool, clock } = aPool(["a"]);
    const slow = Promise.withResolvers<never>();
    const first = pool.execute(() => slow.promise, { retries: 0 }).catch(() => {});
    await pool.execute(() => Promise.reject(throttled(9_000)), { retries: 0 }).catch(() => {});
    slow.reject(throttled(2_000));
    await first;
    expect(pool.stats().a?.cooldownUntil).toBe(new Date(clock.now() + 9_000).toISOString());
  });

  test("alone, its error is thrown without waiting for the rest to end", async () => {
    const { pool, ended, clock } = aPool(["a"]);
    const error = throttled(5_000);
    expect(await ended(pool.execute(() => Promise.reject(error)))).toBe(error);
    expect(clock.monotonic()).toBe(0);
    expect(await ended(pool.execute(() => 1))).toMatchObject({ code: "no_agents", details: { retryAfterMs: 5_000 } });
  });

  test("a rest that is over by then is waited for", async () => {
    const { pool, ended, clock } = aPool(["a"]);
    const result = pool.execute((_, { attempt }) => (attempt === 1 ? Promise.reject(throttled(100)) : attempt));
    expect(await ended(result)).toBe(2);
    expect(clock.monotonic()).toBe(100);
  });
});

describe("breakers", () => {
  const breaker = { consecutive: 2, ratio: null, openMs: 1_000, jitter: "none" as const, successes: 1 };

  test("S1-08, S1-B02, S1-B03: an open agent is passed over, and comes back by itself when its time is over", async () => {
    const { pool, call, called, clock } = aPool(["a", "b"], { breaker, strategy: "priority" });
    await call(["a"]);
    await call(["a"]);
    expect(pool.available()).toEqual(["b"]);
    expect(pool.stats()).toMatchObject({
      a: { breaker: { state: "open", reason: "consecutive", until: new Date(clock.now() + 1_000).toISOString() } },
      b: { breaker: { state: "closed" } },
    });
    called.length = 0;
    await call(["a"]);
    const until = new Date(clock.now() + 1_000).toISOString();
    await clock.advance(999);
    await call(["a"]);
    expect(called).toEqual(["b", "b"]);
    expect(pool.stats()).toMatchObject({ a: { breaker: { until } } });
    await clock.advance(1);
    expect(pool.available()).toEqual(["a", "b"]);
    expect(pool.stats()).toMatchObject({ a: { breaker: { state: "half_open" } } });
    expect(await call()).toBe("a");
    expect(pool.stats()).toMatchObject({ a: { breaker: { state: "closed" } } });
  });

  test("S1-B10: at half-open 1,000 callers at once give the agent exactly its permits, the others fail over", async () => {
    const { pool, call, clock } = aPool(["a", "b"], { breaker: { ...breaker, permits: 2 }, strategy: "priority" });
    await call(["a"]);
    await call(["a"]);
    await clock.advance(1_000);
    const calls = { a: 0, b: 0 };
    for (let i = 0; i < 1_000; i++) {
      pool
        .execute((id) => {
          calls[id as "a" | "b"] += 1;
          return never();
        })
        .catch(() => {});
    }
    await clock.settle();
    expect(calls).toEqual({ a: 2, b: 998 });
  });

  test("S1-B12: changes are told with the agent's id", async () => {
    const told: unknown[] = [];
    const { call, clock } = aPool(["a"], { breaker, onTransition: (...change) => told.push(change) });
    await call(["a"], { retries: 1 });
    await clock.advance(1_000);
    await call();
    expect(told).toEqual([
      ["a", "closed", "open", "consecutive"],
      ["a", "open", "half_open", "time"],
      ["a", "half_open", "closed", "successes"],
    ]);
  });

  test("S1-15: an observer that throws, or changes the pool, disturbs no call", async () => {
    const { pool, call } = aPool(["a", "b"], {
      breaker,
      strategy: "priority",
      onTransition: (id) => {
        pool.remove(id);
        throw new Error("observer");
      },
    });
    await call(["a"]);
    expect(await call(["a"])).toBe("b");
    expect(pool.available()).toEqual(["b"]);
  });

  test("`breaker: false` never takes an agent out", async () => {
    const { pool, call } = aPool(["a"], { breaker: false, health: { minimum: 20 } });
    for (let i = 0; i < 19; i++) await call(["a"], { retries: 0 });
    expect(pool.available()).toEqual(["a"]);
    expect(pool.stats()).toMatchObject({ a: { breaker: { state: "closed" } } });
  });

  test("a permit ends with its attempt, however it ends", async () => {
    const { pool, call, clock, ended } = aPool(["a"], { breaker, timeoutMs: 50 });
    const halfOpen = async (): Promise<void> => {
      pool.reset("a");
      await call(["a"], { retries: 0 });
      await call(["a"], { retries: 0 });
      await clock.advance(1_000);
    };
    await halfOpen();
    const stop = new AbortController();
    const cancelled = pool.execute(never, { signal: stop.signal });
    stop.abort();
    await ended(cancelled);
    expect(pool.available()).toEqual(["a"]);
    await ended(pool.execute(() => Promise.reject(new AgentError({ message: "x", blame: "task" }))));
    expect(pool.available()).toEqual(["a"]);
    await ended(pool.execute(never, { retries: 0 }));
    expect(pool.stats()).toMatchObject({ a: { breaker: { state: "open" } } });
  });

  test("Retry-After of the failure that opens it keeps the agent out for as long", async () => {
    const { pool, ended, clock } = aPool(["a"], { breaker: { ...breaker, consecutive: 1 } });
    const error = new AgentError({ message: "x", blame: "agent", retryAfterMs: 9_000 });
    await ended(pool.execute(() => Promise.reject(error), { retries: 0 }));
    await clock.advance(8_999);
    expect(pool.available()).toEqual([]);
    await clock.advance(1);
    expect(pool.available()).toEqual(["a"]);
  });
});

describe("panic", () => {
  const breaker = { consecutive: 1, ratio: null, openMs: 60_000, jitter: "none" as const };

  test("where fewer than `panicBelow` of the agents are fit, open breakers are disregarded", async () => {
    const { pool, call, called } = aPool(["a", "b", "c", "d"], { breaker, panicBelow: 0.5 });
    await call(["a"], { retries: 0 });
    await call(["b"], { retries: 0 });
    called.length = 0;
    for (let i = 0; i < 4; i++) await call();
    expect(called.join("")).toBe("cdcd");
    await call(["c"], { retries: 0 });
    called.length = 0;
    for (let i = 0; i < 4; i++) await call();
    expect(called.join("")).toBe("dabc");
    expect(pool.available()).toEqual(["d"]);
    expect(pool.stats()).toMatchObject({ a: { succeeded: 1, breaker: { state: "open" } } });
  });

  test("in a panic a call has its retries, on agents that are open too", async () => {
    const { call, called } = aPool(["a"], { breaker, panicBelow: 1 });
    expect(await call(["a"])).toBe(failure);
    expect(called).toHaveLength(4);
  });

  test("a share that is reached is no panic", async () => {
    const { call, called } = aPool(["a", "b"], { breaker, panicBelow: 0.5 });
    await call(["a"], { retries: 0 });
    for (let i = 0; i < 3; i++) await call();
    expect(called).toEqual(["a", "b", "b", "b"]);
  });

  test("0 is off, and who rests is left alone also in a panic", async () => {
    const off = aPool(["a"], { breaker });
    await off.call(["a"], { retries: 0 });
    expect(await off.call()).toMatchObject({ code: "no_agents" });
    const on = aPool(["a"], { breaker, panicBelow: 1 });
    await on.call(["a"], { retries: 0 });
    expect(await on.call()).toBe("a");
    const rest = new AgentError({ message: "x", blame: "throttle", retryAfterMs: 1_000 });
    await on.ended(on.pool.execute(() => Promise.reject(rest)));
    expect(await on.call()).toMatchObject({ code: "no_agents" });
  });
});

describe("health", () => {
  test("S1-B01: one failure of a newcomer does not ban it", async () => {
    const { pool, call } = aPool(["a"]);
    await call(["a"], { retries: 0 });
    expect(pool.available()).toEqual(["a"]);
    expect(await call()).toBe("a");
  });

  test("S1-08, S1-09: an unhealthy agent gets no calls, a degraded one only where nobody is better", async () => {
    const { pool, history, call, called } = aStagedPool(["a", "b", "c"], { breaker: false });
    await history("a", "FFFFFFFSSS");
    expect(pool.stats()).toMatchObject({ a: { health: "unhealthy" } });
    expect(pool.available()).toEqual(["b", "c"]);
    await history("b", "FFFSSSSSSS");
    expect(pool.stats()).toMatchObject({ b: { health: "degraded" } });
    expect(pool.available()).toEqual(["b", "c"]);
    await call();
    pool.remove("c");
    await call();
    expect(called).toEqual(["c", "b"]);
  });

  test("S1-19: an untried degraded agent goes before a healthy one that failed this call", async () => {
    const { history, call } = aStagedPool(["bad", "good"], { breaker: false });
    await history("bad", "FFFSSSSSSS");
    expect(await call(["good"])).toBe("bad");
  });

  test("S1-B03: who is unhealthy without a breaker is tried once in 30 s, and heals by its successes", async () => {
    const { pool, history, clock, call, called } = aStagedPool(["a", "b"], { breaker: false, health: { window: 10 } });
    await history("a", "FFFFFFFFFF");
    expect(pool.available()).toEqual(["b"]);
    await clock.advance(29_999);
    expect(pool.available()).toEqual(["b"]);
    await clock.advance(1);
    expect(pool.available()).toEqual(["a", "b"]);
    await call();
    expect(called).toEqual(["a"]);
    expect(pool.available()).toEqual(["b"]);
    for (let i = 0; i < 3; i++) {
      await clock.advance(30_000);
      await call();
    }
    expect(called.join("")).toBe("aaaa");
    expect(pool.stats()).toMatchObject({ a: { health: "degraded" } });
    expect(pool.available()).toEqual(["a", "b"]);
  });

  test("S1-B03: outcomes are forgotten by age", async () => {
    const { pool, history, clock } = aStagedPool(["a", "b"], { breaker: false, health: { maxAgeMs: 20_000 } });
    await history("a", "FFFFFFFFFF");
    await clock.advance(20_000);
    expect(pool.stats()).toMatchObject({ a: { health: "unhealthy" } });
    await clock.advance(1);
    expect(pool.stats()).toMatchObject({ a: { health: "healthy", failed: 10 } });
    expect(pool.available()).toEqual(["a", "b"]);
  });

  test("S1-B02: an unhealthy agent is given its breaker's half-open permit; the breaker that closes makes it healthy", async () => {
    const breaker = { consecutive: 10, ratio: null, openMs: 1_000, jitter: "none" as const };
    const { pool, history, clock, call } = aStagedPool(["a", "b"], { breaker });
    await history("a", "FFFFFFFFFF");
    expect(pool.available()).toEqual(["b"]);
    await clock.advance(1_000);
    expect(pool.stats()).toMatchObject({ a: { health: "unhealthy", breaker: { state: "half_open" } } });
    expect(pool.available()).toEqual(["a", "b"]);
    expect(await call()).toBe("a");
    expect(await call()).toBe("a");
    expect(pool.stats()).toMatchObject({ a: { health: "healthy", breaker: { state: "closed" } } });
  });

  test("while its breaker is open an unhealthy agent is not tried, however long ago its last call", async () => {
    const breaker = { consecutive: 10, ratio: null, openMs: 200_000, jitter: "none" as const };
    const { pool, history, clock } = aStagedPool(["a", "b"], { breaker });
    await history("a", "FFFFFFFFFF");
    await clock.advance(199_999);
    expect(pool.available()).toEqual(["b"]);
  });

  test("at most half of the pool is unhealthy by ratio: the worst of them", async () => {
    const { pool, history } = aStagedPool(["a", "b", "c"], { breaker: false });
    await history("a", "FFFFFFFSSS");
    await history("b", "FFFFFFFFFS");
    await history("c", "FFFFFFFFSS");
    const healths = Object.values(pool.stats()).map(({ health }) => health);
    expect(healths).toEqual(["degraded", "unhealthy", "degraded"]);
    expect(pool.available()).toEqual(["a", "c"]);
  });

  test("a pool of one is never unhealthy by ratio, two may lose one", async () => {
    const one = aStagedPool(["a"], { breaker: false });
    await one.history("a", "FFFFFFFFFF");
    expect(one.pool.stats()).toMatchObject({ a: { health: "degraded" } });
    const two = aStagedPool(["a", "b"], { breaker: false });
    await two.history("a", "FFFFFFFFFF");
    await two.history("b", "FFFFFFFFFF");
    expect(Object.values(two.pool.stats()).map(({ health }) => health)).toEqual(["unhealthy", "degraded"]);
  });

  test("failures in a row, where they are asked for, are not softened", async () => {
    const { pool, history } = aStagedPool(["a"], { breaker: false, health: { consecutive: 3 } });
    await history("a", "FFF");
    expect(pool.stats()).toMatchObject({ a: { health: "unhealthy" } });
    expect(pool.available()).toEqual([]);
  });
});

describe("retry budget", () => {
  const outage = async (options: AgentPoolOptions, calls: number): Promise<number> => {
    const { pool, ended } = aPool(["a", "b"], { breaker: false, ...options });
    let count = 0;
    const results = Array.from({ length: calls }, () =>
      pool.execute(() => {
        count += 1;
        throw failure;
      }),
    );
    await ended(Promise.allSettled(results));
    return count;
  };

  test("in an outage retries are a fifth of the calls, at least ten a minute, and the rest fail at once", async () => {
    expect(await outage({}, 100)).toBe(120);
    expect(await outage({}, 10)).toBe(20);
    expect(await outage({ retry: { budget: { ratio: 0, floor: 3 } } }, 100)).toBe(103);
  });

  test("without a budget every call has its retries", async () => {
    expect(await outage({ retry: { budget: false } }, 100)).toBe(400);
  });

  test("the budget comes back with time", async () => {
    const { call, called, clock } = aPool(["a", "b"], { retry: { budget: { ratio: 0, floor: 1, windowMs: 1_000 } } });
    expect(await call(["a"])).toBe("b");
    expect(await call(["a"])).toBe(failure);
    await clock.advance(1_000);
    called.length = 0;
    await call(["b"]);
    expect(called).toEqual(["b", "a"]);
  });

  test("a throttled call draws nothing", async () => {
    const { pool, ended } = aPool(["a", "b"], { retry: { budget: { ratio: 0, floor: 0 } } });
    const error = new AgentError({ message: "x", blame: "throttle" });
    expect(await ended(pool.execute((id) => (id === "a" ? Promise.reject(error) : id)))).toBe("b");
  });
});

describe("the roster", () => {
  test("S1-22: agents are added with weight, priority and metadata, listed and removed", () => {
    const { pool } = aPool(["a"]);
    expect(pool.add("b", "b", { weight: 2, priority: 1, metadata: { region: "eu" } })).toBe(pool);
    expect(pool.available()).toEqual(["a", "b"]);
    expect(pool.stats().b?.metadata).toEqual({ region: "eu" });
    expect(pool.stats().a).not.toHaveProperty("metadata");
    expect(pool.remove("a")).toBe(true);
    expect(pool.remove("a")).toBe(false);
    expect(pool.available()).toEqual(["b"]);
  });

  test("S1-B08: a known id is refused unless it is to be replaced, which gives a clean record in the same place", async () => {
    const { pool, call } = aPool(["a", "b"]);
    await call(["a"], { retries: 0 });
    expect(() => pool.add("a", "new")).toThrow(PoolError);
    try {
      pool.add("a", "new");
    } catch (error) {
      expect(isPoolError(error, "duplicate_id")).toBe(true);
    }
    pool.add("a", "new", { replace: true });
    expect(Object.keys(pool.stats())).toEqual(["a", "b"]);
    expect(pool.stats().a).toMatchObject({ samples: 0 });
    expect(await call()).toBe("b");
    expect(await call()).toBe("new");
  });

  test("S1-B09: weights that are negative or no finite number are refused", () => {
    const { pool } = aPool([]);
    for (const weight of [-1, -0.001, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => pool.add("a", "a", { weight })).toThrow(/weight/);
    }
    expect(pool.available()).toEqual([]);
  });

  test("S1-B09: weight 0 is never chosen under weighted, also not to fail over; all 0 is no_agents", async () => {
    const { pool, call, called } = aPool([], { strategy: "weighted", breaker: false });
    pool.add("zero", "zero", { weight: 0 }).add("one", "one");
    await call();
    await call(["one"]);
    expect(new Set(called)).toEqual(new Set(["one"]));
    expect(pool.available()).toEqual(["one"]);
    pool.remove("one");
    const message = "all agents of the pool have weight 0";
    expect(await call()).toMatchObject({ code: "no_agents", retryable: false, message, details: { agents: 1 } });
  });

  test("a pool takes 10,000 agents and no more, but replaces any of them", () => {
    const { pool } = aPool(Array.from({ length: 10_000 }, (_, n) => `a${n}`));
    expect(() => pool.add("b", "b")).toThrow(expect.objectContaining({ code: "no_capacity" }));
    expect(() => pool.add("a9", "b", { replace: true })).not.toThrow();
  });

  test("weight 0 matters under no other strategy", async () => {
    const { pool, call } = aPool([]);
    pool.add("zero", "zero", { weight: 0 });
    expect(await call()).toBe("zero");
  });

  test.each([
    ["", {}, "id"],
    ["a b", {}, "id"],
    ["x".repeat(129), {}, "id"],
    ["a", { priority: Number.NaN }, "priority"],
    ["a", { concurrency: 0 }, "concurrency"],
    ["a", { concurrency: 1.5 }, "concurrency"],
    ["a", { wieght: 2 }, "wieght"],
  ])("adding %j with %j is refused at %s", (id, options, path) => {
    const { pool } = aPool([]);
    try {
      pool.add(id, "x", options as AddAgentOptions);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: "invalid", details: { path } });
    }
  });

  test("an id like __proto__ is an id", async () => {
    const { pool } = aPool(["__proto__"]);
    expect(Object.keys(pool.stats())).toEqual(["__proto__"]);
    expect(pool.remove("__proto__")).toBe(true);
  });

  test("S1-L05: an agent at its limit gets no call; with all at theirs it is no_agents", async () => {
    const { pool, clock, call, called } = aPool([], {});
    pool.add("a", "a", { concurrency: 2 }).add("b", "b", { concurrency: 1 });
    const ends = Array.from({ length: 3 }, () => Promise.withResolvers<string>());
    const results = ends.map(({ promise }) =>
      pool.execute((id) => {
        called.push(id);
        return promise;
      }),
    );
    await clock.settle();
    expect(called.toSorted()).toEqual(["a", "a", "b"]);
    expect(pool.available()).toEqual([]);
    expect(await call()).toMatchObject({ code: "no_agents" });
    ends[0]?.resolve("done");
    await results[0];
    expect(pool.available()).toHaveLength(1);
    for (const { resolve } of ends) resolve("done");
    expect(await Promise.all(results)).toEqual(["done", "done", "done"]);
  });

  test("S1-B15: removing an agent while a call on it runs leaves the call its result, and nobody is told", async () => {
    const told: string[] = [];
    const { pool, clock } = aPool(["a", "b"], { breaker: { consecutive: 1 }, onTransition: (id) => told.push(id) });
    const ends = [Promise.withResolvers<string>(), Promise.withResolvers<string>()] as const;
    const results = ends.map(({ promise }) => pool.execute(() => promise, { retries: 0 }));
    await clock.settle();
    pool.remove("a");
    pool.remove("b");
    pool.add("b", "b");
    ends[0].resolve("done");
    ends[1].reject(failure);
    expect(await results[0]).toBe("done");
    await expect(results[1]).rejects.toBe(failure);
    expect(told).toEqual([]);
    expect(pool.stats()).toMatchObject({ b: { samples: 0, inFlight: 0, breaker: { state: "closed" } } });
  });

  test("S1-B15: a call whose agent is removed fails over to the others", async () => {
    const { pool, ended } = aPool(["a", "b"]);
    const result = pool.execute((id) => {
      pool.remove(id);
      if (id === "a") throw failure;
      return id;
    });
    expect(await ended(result)).toBe("b");
    expect(pool.stats()).toEqual({});
  });

  test("what becomes of a replaced agent is told to nobody", async () => {
    const told: string[] = [];
    const { pool, clock } = aPool(["a"], { breaker: { consecutive: 1 }, onTransition: (id) => told.push(id) });
    const slow = Promise.withResolvers<never>();
    const result = pool.execute(() => slow.promise, { retries: 0 });
    await clock.settle();
    pool.add("a", "new", { replace: true });
    slow.reject(failure);
    await expect(result).rejects.toBe(failure);
    expect(told).toEqual([]);
  });

  test("no_agents says when the first of the agents may be asked again", async () => {
    const { pool, call, clock } = aPool(["a", "b"], { breaker: { consecutive: 1, jitter: "none" } });
    await call(["a"], { retries: 0 });
    await clock.advance(1_000);
    await call(["b"], { retries: 0 });
    expect(await call()).toMatchObject({ code: "no_agents", details: { agents: 2, retryAfterMs: 4_000 } });
    expect(pool.available()).toEqual([]);
  });

  test("a replaced agent is somebody else: untried, and deaf to what its forerunner did", async () => {
    const { pool, ended, called } = aPool(["a"]);
    const result = pool.execute((client) => {
      called.push(client);
      if (client === "new") return client;
      pool.add("a", "new", { replace: true });
      throw failure;
    });
    expect(await ended(result)).toBe("new");
    expect(pool.stats()).toMatchObject({ a: { succeeded: 1, failed: 0 } });
  });

  test("S1-10, S1-23, S1-B17: stats are numbers by id", async () => {
    const { pool, call } = aPool(["a"]);
    await call();
    await call(["a"], { retries: 0 });
    expect(pool.stats()).toEqual({
      a: {
        succeeded: 1,
        failed: 1,
        inFlight: 0,
        successRate: 0.5,
        errorShare: 0.5,
        meanLatencyMs: 0,
        p95LatencyMs: 0,
        consecutiveFailures: 1,
        samples: 2,
        abandoned: 0,
        lastActivityAt: "2023-11-14T22:13:20.000Z",
        lastSuccessAt: "2023-11-14T22:13:20.000Z",
        lastFailureAt: "2023-11-14T22:13:20.000Z",
        health: "healthy",
        breaker: { state: "closed" },
      },
    });
  });

  test("S1-24: a reset clears stats, health, rest and breaker of one, resetAll of all; booleans tell", async () => {
    const { pool, call, ended } = aPool(["a", "b", "c"], { breaker: { consecutive: 1 } });
    await call(["a"], { retries: 0 });
    await call(["b"], { retries: 0 });
    await ended(
      pool.execute(() => Promise.reject(new AgentError({ message: "x", blame: "throttle" })), { retries: 0 }),
    );
    expect(pool.available()).toEqual([]);
    expect(pool.reset("a")).toBe(true);
    expect(pool.reset("nobody")).toBe(false);
    expect(pool.available()).toEqual(["a"]);
    expect(pool.stats()).toMatchObject({ a: { samples: 0 }, b: { samples: 1 } });
    expect(pool.resetAll()).toBe(true);
    expect(pool.available()).toEqual(["a", "b", "c"]);
    expect(pool.stats()).toMatchObject({ b: { samples: 0, consecutiveFailures: 0 } });
    expect(createAgentPool().resetAll()).toBe(false);
  });

  test("S1-24: what began before a reset does not count after it, but keeps its slot", async () => {
    const { pool, clock } = aPool(["a"], { breaker: { consecutive: 1 } });
    const slow = Promise.withResolvers<never>();
    const result = pool.execute(() => slow.promise, { retries: 0 });
    await clock.settle();
    pool.reset("a");
    expect(pool.stats()).toMatchObject({ a: { inFlight: 1 } });
    slow.reject(failure);
    await expect(result).rejects.toBe(failure);
    expect(pool.stats()).toMatchObject({ a: { inFlight: 0, samples: 0, breaker: { state: "closed" } } });
  });
});

describe("options", () => {
  test.each([
    [{ breaker: { consecutive: 0 } }, "breaker.consecutive"],
    [{ breaker: { window: 4, minimum: 5 } }, "breaker.minimum"],
    [{ health: { degraded: 1.1 } }, "health.degraded"],
    [{ health: { degraded: 0.8 } }, "health.degraded"],
    [{ health: { minimum: 21 } }, "health.minimum"],
    [{ retry: { maxAttempts: 0 } }, "retry.maxAttempts"],
    [{ retry: { backoff: { baseMs: -1 } } }, "retry.backoff.baseMs"],
    [{ retry: { budget: { ratio: -0.1 } } }, "retry.budget.ratio"],
    [{ retry: { budget: { windowMs: 0 } } }, "retry.budget.windowMs"],
    [{ retry: { failover: "later" } }, "retry.failover"],
    [{ timeoutMs: 0 }, "timeoutMs"],
    [{ deadlineMs: Number.NaN }, "deadlineMs"],
    [{ abandonMs: -1 }, "abandonMs"],
    [{ panicBelow: 1.1 }, "panicBelow"],
    [{ strategie: "random" }, "strategie"],
  ])("%j is refused at %s", (options, path) => {
    try {
      createAgentPool(options as AgentPoolOptions);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: "invalid", details: { path } });
    }
  });

  test.each([
    [{ retries: -1 }, "retries"],
    [{ retries: 0.5 }, "retries"],
    [{ timeoutMs: 0 }, "timeoutMs"],
    [{ deadlineMs: -1 }, "deadlineMs"],
    [{ retry: 1 }, "retry"],
  ])("a call with %j is refused at %s", async (options, path) => {
    const { pool, called } = aPool(["a"]);
    const result = pool.execute(async () => called.push("a"), options as CallOptions);
    await expect(result).rejects.toMatchObject({ code: "invalid", details: { path } });
    expect(called).toEqual([]);
  });

  test("what is no function is refused and counts for nothing", async () => {
    const { pool } = aPool(["a"]);
    await expect(pool.execute("work" as never)).rejects.toMatchObject({ code: "invalid", details: { path: "fn" } });
    expect(pool.stats()).toMatchObject({ a: { samples: 0 } });
  });

  test("without options it runs, on the system's clock and peak_ewma", async () => {
    const pool = createAgentPool<{ ask(): string }>();
    pool.add("a", { ask: () => "yes" });
    await expect(pool.execute((client) => client.ask())).resolves.toBe("yes");
  });

  test("undefined is the default", async () => {
    const pool = createAgentPool<string>({ breaker: undefined, retry: { backoff: undefined }, timeoutMs: undefined });
    pool.add("a", "a", { weight: undefined });
    await expect(pool.execute((id) => id, { retries: undefined, signal: undefined })).resolves.toBe("a");
  });
});
