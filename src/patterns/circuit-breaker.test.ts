import { describe, expect, test, vi } from "vitest";
import { AgentError } from "../agents/agent-error.ts";
import { isPoolError, PoolError } from "../base/errors.ts";
import { createRandom } from "../base/random.ts";
import { createVirtualClock } from "../testing/virtual-clock.ts";
import { type CircuitBreakerOptions, createCircuitBreaker } from "./circuit-breaker.ts";

const failure = new Error("down");

function aBreaker(options: CircuitBreakerOptions = {}) {
  const clock = createVirtualClock(1_700_000_000_000);
  const told: string[] = [];
  const breaker = createCircuitBreaker({
    openMs: 30_000,
    jitter: "none",
    ratio: null,
    clock,
    random: createRandom(1),
    onTransition: (from, to, reason) => told.push(`${from} > ${to}: ${reason}`),
    ...options,
  });
  const fail = (times: number): void => {
    for (let i = 0; i < times; i++) breaker.recordFailure();
  };
  return { breaker, clock, told, fail };
}

const fails = (): Promise<never> => Promise.reject(failure);

describe("createCircuitBreaker", () => {
  test("S1-11: the fifth recorded failure opens it; a success in between begins the count anew", () => {
    const { breaker, fail } = aBreaker();
    fail(4);
    breaker.recordSuccess();
    fail(4);
    expect([breaker.state, breaker.isOpen]).toEqual(["closed", false]);
    fail(1);
    expect([breaker.state, breaker.isOpen]).toEqual(["open", true]);
  });

  test("S1-12: it is half-open when its time is over, whoever looks, without a call and without a timer", async () => {
    const { breaker, clock, fail } = aBreaker();
    fail(5);
    expect(clock.nextAtMs).toBeUndefined();
    await clock.advance(29_999);
    expect([breaker.state, breaker.isOpen]).toEqual(["open", true]);
    await clock.advance(1);
    expect([breaker.state, breaker.isOpen]).toEqual(["half_open", false]);
  });

  test("S1-B11, S1-14: while open neither failures nor successes are recorded", async () => {
    const { breaker, clock, fail } = aBreaker();
    fail(5);
    await clock.advance(29_000);
    fail(5);
    breaker.recordSuccess();
    expect(breaker.state).toBe("open");
    await clock.advance(1_000);
    expect(breaker.state).toBe("half_open");
  });

  test("S1-13: half-open settles the oldest permit: two successes close it", async () => {
    const { breaker, clock, fail } = aBreaker();
    fail(5);
    await clock.advance(30_000);
    breaker.tryAcquire();
    breaker.recordSuccess();
    expect(breaker.state).toBe("half_open");
    breaker.tryAcquire();
    breaker.recordSuccess();
    expect(breaker.state).toBe("closed");
  });

  test("what is recorded half-open without a permit out changes nothing", async () => {
    const { breaker, clock, fail } = aBreaker({ successes: 1 });
    fail(5);
    await clock.advance(30_000);
    breaker.recordSuccess();
    breaker.recordFailure();
    expect(breaker.state).toBe("half_open");
  });

  test("a permit settled by a record does not count again by its own word", async () => {
    const { breaker, clock, fail } = aBreaker();
    fail(5);
    await clock.advance(30_000);
    const permit = breaker.tryAcquire();
    breaker.recordSuccess();
    permit?.succeed();
    expect(breaker.state).toBe("half_open");
  });

  test("S1-13: a failed permit opens it again", async () => {
    const { breaker, clock, fail, told } = aBreaker();
    fail(5);
    await clock.advance(30_000);
    breaker.tryAcquire()?.fail();
    expect(breaker.state).toBe("open");
    expect(told.at(-1)).toBe("half_open > open: permit_failed");
    await clock.advance(59_999);
    expect(breaker.state).toBe("open");
    await clock.advance(1);
    expect(breaker.state).toBe("half_open");
  });

  test("only the first word about a permit counts, while closed too", () => {
    const { breaker } = aBreaker({ consecutive: 2 });
    const permit = breaker.tryAcquire();
    permit?.fail();
    permit?.fail();
    expect(breaker.state).toBe("closed");
    const other = breaker.tryAcquire();
    other?.cancel();
    other?.fail();
    expect(breaker.state).toBe("closed");
    breaker.tryAcquire()?.fail({ retryAfterMs: 90_000 });
    expect(breaker.state).toBe("open");
  });

  test("a failed permit may say for how long it wants to be left alone", async () => {
    const { breaker, clock } = aBreaker({ consecutive: 1 });
    breaker.tryAcquire()?.fail({ retryAfterMs: 90_000 });
    await clock.advance(89_999);
    expect(breaker.state).toBe("open");
    await clock.advance(1);
    expect(breaker.state).toBe("half_open");
  });

  test("S1-B10: 1,000 callers at the moment it becomes half-open: one is let through, the others are refused", async () => {
    const { breaker, clock, fail } = aBreaker();
    fail(5);
    await clock.advance(30_000);
    const called = vi.fn(() => new Promise(() => {}));
    const refused: unknown[] = [];
    for (let i = 0; i < 1_000; i++) breaker.execute(called).catch((error: unknown) => refused.push(error));
    await clock.settle();
    expect(called).toHaveBeenCalledTimes(1);
    expect(refused).toHaveLength(999);
    expect(refused.every((error) => isPoolError(error, "unavailable"))).toBe(true);
  });

  test("a probe that hangs blocks nobody for longer than permitMs", async () => {
    const { breaker, clock, fail } = aBreaker({ successes: 1 });
    fail(5);
    await clock.advance(30_000);
    breaker.execute(() => new Promise(() => {})).catch(() => {});
    await expect(breaker.execute(async () => 1)).rejects.toMatchObject({ details: { retryAfterMs: 60_000 } });
    await clock.advance(60_000);
    await expect(breaker.execute(async () => 1)).resolves.toBe(1);
    expect(breaker.state).toBe("closed");
  });

  test("a slow success that began before it opened closes nothing", async () => {
    const { breaker, clock, fail } = aBreaker({ successes: 1 });
    const slow = Promise.withResolvers<string>();
    const result = breaker.execute(() => slow.promise);
    fail(5);
    await clock.advance(30_000);
    expect(breaker.state).toBe("half_open");
    slow.resolve("late");
    await expect(result).resolves.toBe("late");
    expect(breaker.state).toBe("half_open");
  });

  test("S1-15, S1-B12: every transition is announced with its reason, open to half-open too", async () => {
    const { breaker, clock, told, fail } = aBreaker();
    fail(5);
    await clock.advance(30_000);
    await breaker.execute(async () => 1);
    await breaker.execute(async () => 1);
    fail(5);
    breaker.reset();
    expect(told).toEqual([
      "closed > open: consecutive",
      "open > half_open: time",
      "half_open > closed: successes",
      "closed > open: consecutive",
      "open > closed: reset",
    ]);
  });

  test("S1-15, S1-B12: an observer may use the breaker, and what it throws or rejects with stays its own", () => {
    const seen: string[] = [];
    const { breaker, fail } = aBreaker({
      onTransition: (_from, to) => {
        seen.push(`${to} ${breaker.state}`);
        if (to === "open") breaker.reset();
        if (to === "closed") return Promise.reject(new Error("observer"));
        throw new Error("observer");
      },
    });
    fail(5);
    expect(breaker.state).toBe("closed");
    expect(seen).toEqual(["open open", "closed closed"]);
  });

  test("S1-14: a reset forgets counts and openings", async () => {
    const { breaker, clock, fail } = aBreaker();
    fail(5);
    await clock.advance(30_000);
    breaker.tryAcquire()?.fail();
    breaker.reset();
    fail(4);
    expect(breaker.state).toBe("closed");
    fail(1);
    await clock.advance(30_000);
    expect(breaker.state).toBe("half_open");
  });

  test("S1-B13: a clock that begins at 0 is like any other", async () => {
    const { breaker, clock, fail } = aBreaker({ clock: createVirtualClock(0), openMs: 10 });
    fail(5);
    expect(breaker.state).toBe("open");
    await clock.advance(10);
  });
});

describe("execute of a breaker", () => {
  test("gives what the function returns or throws, and a signal and the number of the attempt", async () => {
    const { breaker } = aBreaker();
    await expect(breaker.execute(() => "plain")).resolves.toBe("plain");
    await expect(breaker.execute(({ signal, attempt }) => [signal.aborted, attempt])).resolves.toEqual([false, 1]);
    await expect(breaker.execute(fails)).rejects.toBe(failure);
    await expect(
      breaker.execute(() => {
        throw failure;
      }),
    ).rejects.toBe(failure);
  });

  test("refuses without calling while open, and says when to come back", async () => {
    const { breaker, clock, fail } = aBreaker();
    fail(5);
    await clock.advance(10_000);
    const fn = vi.fn();
    const error = await breaker.execute(fn).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: "unavailable",
      retryable: true,
      details: { state: "open", retryAfterMs: 20_000 },
    });
    expect(fn).not.toHaveBeenCalled();
  });

  test("S1-B18: every error counts but those that are not the fault of what is called", async () => {
    class Missing extends Error {}
    const { breaker } = aBreaker({
      consecutive: 1,
      classify: (error) => (error instanceof Missing ? "caller" : undefined),
    });
    const throws = (error: unknown) => breaker.execute(() => Promise.reject(error)).catch(() => {});
    await throws(new Missing());
    await throws(new AgentError({ message: "bad input", blame: "task" }));
    await throws(new AgentError({ message: "slow down", blame: "throttle" }));
    await throws(new AgentError({ message: "database", blame: "dependency" }));
    expect(breaker.state).toBe("closed");
    await throws(new AgentError({ message: "broken", blame: "agent", retryAfterMs: 40_000 }));
    expect(breaker.state).toBe("open");
    breaker.reset();
    await throws("a text");
    expect(breaker.state).toBe("open");
  });

  test("Retry-After of a failure that opens it counts when it is longer", async () => {
    const { breaker, clock } = aBreaker({ consecutive: 1 });
    await breaker
      .execute(() => Promise.reject(new AgentError({ message: "x", blame: "agent", retryAfterMs: 40_000 })))
      .catch(() => {});
    await clock.advance(39_999);
    expect(breaker.state).toBe("open");
    await clock.advance(1);
    expect(breaker.state).toBe("half_open");
  });

  test("a timeout is a failure, and aborts the signal", async () => {
    const { breaker, clock } = aBreaker({ consecutive: 1 });
    let signal: AbortSignal | undefined;
    const result = breaker.execute(
      (context) => {
        signal = context.signal;
        return new Promise(() => {});
      },
      { timeoutMs: 100 },
    );
    const end = expect(result).rejects.toMatchObject({ code: "deadline_exceeded", details: { timeoutMs: 100 } });
    await clock.advance(99);
    expect(signal?.aborted).toBe(false);
    await clock.advance(1);
    await end;
    expect([signal?.aborted, breaker.state]).toEqual([true, "open"]);
  });

  test("a cancelled call gives its permit back and says nothing about what is called", async () => {
    const { breaker, clock, fail } = aBreaker({ consecutive: 1 });
    fail(1);
    await clock.advance(30_000);
    const stop = new AbortController();
    const result = breaker.execute(() => new Promise(() => {}), { signal: stop.signal });
    stop.abort("enough");
    await expect(result).rejects.toMatchObject({ code: "cancelled", cause: "enough" });
    expect(breaker.state).toBe("half_open");
    expect(breaker.tryAcquire()).toBeDefined();
  });

  test("a failure that is not the fault of what is called gives a half-open permit back", async () => {
    const { breaker, clock, fail } = aBreaker({ consecutive: 1 });
    fail(1);
    await clock.advance(30_000);
    const bad = new AgentError({ message: "bad input", blame: "task" });
    await expect(breaker.execute(() => Promise.reject(bad))).rejects.toBe(bad);
    expect(breaker.state).toBe("half_open");
    expect(breaker.tryAcquire()).toBeDefined();
  });

  test("no timer is left when a call has ended, well or badly", async () => {
    const { breaker, clock } = aBreaker();
    const limits = { timeoutMs: 1_000, deadlineMs: 2_000 };
    expect(await breaker.execute(() => 1, limits)).toBe(1);
    await expect(breaker.execute(fails, limits)).rejects.toBe(failure);
    expect(clock.nextAtMs).toBeUndefined();
  });

  test("a call cancelled beforehand takes no permit", async () => {
    const { breaker } = aBreaker();
    const fn = vi.fn();
    await expect(breaker.execute(fn, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "cancelled" });
    expect(fn).not.toHaveBeenCalled();
  });

  test("what is no function is refused and counts for nothing", async () => {
    const { breaker } = aBreaker({ consecutive: 1 });
    await expect(breaker.execute(undefined as never)).rejects.toMatchObject({
      code: "invalid",
      details: { path: "fn" },
    });
    expect(breaker.state).toBe("closed");
  });
});

describe("options of a breaker", () => {
  test.each([
    [{ consecutive: 0 }, "consecutive"],
    [{ consecutive: 1.5 }, "consecutive"],
    [{ ratio: 0 }, "ratio"],
    [{ ratio: 1.01 }, "ratio"],
    [{ window: 0 }, "window"],
    [{ window: 10_001 }, "window"],
    [{ minimum: 0 }, "minimum"],
    [{ minimum: 21 }, "minimum"],
    [{ maxAgeMs: 0 }, "maxAgeMs"],
    [{ openMs: -1 }, "openMs"],
    [{ openMs: Number.NaN }, "openMs"],
    [{ openMs: Number.POSITIVE_INFINITY }, "openMs"],
    [{ factor: 0.9 }, "factor"],
    [{ capMs: -1 }, "capMs"],
    [{ jitter: "half" }, "jitter"],
    [{ permits: 0 }, "permits"],
    [{ permitMs: 0 }, "permitMs"],
    [{ successes: 0 }, "successes"],
    [{ probeHalfOpens: 1 }, "probeHalfOpens"],
    [{ treshold: 5 }, "treshold"],
  ])("%j is refused at %s", (options, path) => {
    const create = (): unknown => createCircuitBreaker(options as CircuitBreakerOptions);
    expect(create).toThrow(PoolError);
    try {
      create();
    } catch (error) {
      expect(error).toMatchObject({ code: "invalid", details: { path } });
    }
  });

  test("the defaults are those of the contract: five failures, half to all of 5 s, one permit, two successes", async () => {
    const clock = createVirtualClock();
    const breaker = createCircuitBreaker({ clock, random: { next: () => 0 } });
    for (let i = 0; i < 5; i++) breaker.recordFailure();
    await clock.advance(2_499);
    expect(breaker.state).toBe("open");
    await clock.advance(1);
    expect(breaker.state).toBe("half_open");
    const permit = breaker.tryAcquire();
    expect(breaker.tryAcquire()).toBeUndefined();
    permit?.succeed();
    expect(breaker.state).toBe("half_open");
    breaker.tryAcquire()?.succeed();
    expect(breaker.state).toBe("closed");
  });

  test("half of at least five outcomes opens it by default", () => {
    const breaker = createCircuitBreaker({ clock: createVirtualClock() });
    for (const good of [true, false, true, false]) good ? breaker.recordSuccess() : breaker.recordFailure();
    expect(breaker.state).toBe("closed");
    breaker.recordFailure();
    expect(breaker.state).toBe("open");
  });

  test("a window smaller than the default minimum brings the minimum down", () => {
    const breaker = createCircuitBreaker({ clock: createVirtualClock(), window: 2, consecutive: 9 });
    breaker.recordSuccess();
    breaker.recordFailure();
    expect(breaker.state).toBe("open");
  });

  test("without a clock it runs on that of the system", async () => {
    const breaker = createCircuitBreaker({ consecutive: 1, openMs: 0 });
    breaker.recordFailure();
    expect(breaker.state).toBe("half_open");
    await breaker.execute(async () => 1);
    await breaker.execute(async () => 1);
    expect(breaker.state).toBe("closed");
  });
});
