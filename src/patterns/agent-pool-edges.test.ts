/** Edges of call-through pools: bounds that are still taken, what a reset forgets, whom a ratio softens. */
import { describe, expect, test } from "vitest";
import { AgentError } from "../agents/agent-error.ts";
import { createVirtualClock } from "../testing/virtual-clock.ts";
import { type AgentPoolOptions, type CallOptions, createAgentPool } from "./agent-pool.ts";

const failure = new Error("down");
const MONTH_MS = 30 * 24 * 3_600_000;

function aPool(ids: readonly string[], options: AgentPoolOptions = {}) {
  const clock = createVirtualClock(1_000_000);
  const pool = createAgentPool<string>({ strategy: "round_robin", breaker: false, clock, ...options });
  for (const id of ids) pool.add(id, id);
  /** One call that is not repeated; what it threw is its answer. */
  const once = async (fn: (id: string) => unknown, how: CallOptions = {}): Promise<unknown> =>
    await pool.execute(fn, { retries: 0, ...how }).catch((error: unknown) => error);
  return { pool, clock, once };
}

/** Always this agent. */
const only =
  (id: () => string): AgentPoolOptions["strategy"] =>
  (candidates) =>
    candidates.find(({ agentId }) => agentId === id()) ?? candidates[0];

describe("options", () => {
  test.each<AgentPoolOptions>([
    { breaker: { window: 4, minimum: 4 } },
    { breaker: { window: 4 } },
    { health: { window: 20, minimum: 20 } },
    { health: { window: 5 } },
    { health: { degraded: 0.7 } },
    { health: { unhealthy: 0.2 } },
    { timeoutMs: 1, deadlineMs: MONTH_MS },
  ])("%j are taken", (options) => {
    expect(() => createAgentPool(options)).not.toThrow();
  });

  test.each<AgentPoolOptions>([{ timeoutMs: MONTH_MS + 1 }, { deadlineMs: MONTH_MS + 1 }, { timeoutMs: 0.5 }])(
    "%j are not",
    (options) => {
      expect(() => createAgentPool(options)).toThrow(expect.objectContaining({ code: "invalid" }));
    },
  );

  test("a call may be repeated a thousand times less one, and no more", async () => {
    const { pool } = aPool(["a"]);
    expect(await pool.execute((id) => id, { retries: 999 })).toBe("a");
    await expect(pool.execute((id) => id, { retries: 1_001 })).rejects.toMatchObject({ details: { path: "retries" } });
  });
});

describe("S1-24 a reset", () => {
  test("empties the window of the agent's health", async () => {
    const { pool, once } = aPool(["a", "b"], { strategy: only(() => "a") });
    for (let n = 0; n < 10; n++) await once(() => (n < 7 ? Promise.reject(failure) : "a"));
    expect(pool.stats()).toMatchObject({ a: { health: "unhealthy" } });
    pool.reset("a");
    expect(pool.stats()).toMatchObject({ a: { health: "healthy", samples: 0 } });
    await once(() => Promise.reject(failure));
    expect(pool.stats()).toMatchObject({ a: { health: "healthy" } });
  });

  test("forgets how long its calls took: it is tried as one that has none", async () => {
    const { pool, clock, once } = aPool(["slow", "quick"], { strategy: "least_latency" });
    const work = async (id: string): Promise<string> => {
      const done = Promise.withResolvers<void>();
      clock.timer(id === "slow" ? 900 : 10, done.resolve);
      await done.promise;
      return id;
    };
    const call = async (): Promise<unknown> => {
      const result = once(work);
      await clock.settle();
      await clock.advance(10);
      await clock.advance(890);
      return await result;
    };
    expect([await call(), await call(), await call()]).toEqual(["slow", "quick", "quick"]);
    pool.reset("slow");
    expect(await call()).toBe("slow");
  });

  test("begins the length of its rests anew", async () => {
    const { pool, clock, once } = aPool(["a"]);
    const throttle = () => once(() => Promise.reject(new AgentError({ message: "slow down", blame: "throttle" })));
    await throttle();
    await clock.advance(1_000);
    await throttle();
    pool.reset("a");
    expect(pool.available()).toEqual(["a"]);
    await throttle();
    await clock.advance(999);
    expect(pool.available()).toEqual([]);
    await clock.advance(1);
    expect(pool.available()).toEqual(["a"]);
  });
});

test("a failure that took long costs what it took", async () => {
  const seen: number[] = [];
  const strategy: AgentPoolOptions["strategy"] = (candidates) => {
    seen.push(candidates[0].measure.latencyMs);
    return candidates[0];
  };
  const { clock, once } = aPool(["a"], { strategy });
  const result = once(async () => {
    const done = Promise.withResolvers<void>();
    clock.timer(50_000, done.resolve);
    await done.promise;
    throw failure;
  });
  await clock.settle();
  await clock.advance(50_000);
  expect(await result).toBe(failure);
  await once(() => "a");
  expect(seen).toEqual([0, 50_000]);
});

test("those that failed in a row take nobody's place among the half that may be unhealthy by ratio", async () => {
  let chosen = "a";
  const ids = ["a", "b", "c", "d"];
  const { pool, once } = aPool(ids, { strategy: only(() => chosen), health: { consecutive: 3 } });
  const histories = { c: "FFSFFSFFSF", d: "FFSFFSFFSF", a: "FFF", b: "FFF" };
  for (const [id, letters] of Object.entries(histories)) {
    chosen = id;
    for (const letter of letters) await once(() => (letter === "F" ? Promise.reject(failure) : id));
  }
  expect(ids.map((id) => pool.stats()[id]?.health)).toEqual(["unhealthy", "unhealthy", "unhealthy", "unhealthy"]);
});
