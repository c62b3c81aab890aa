/** Pools under a clock that stands still, used as users' own tests use it: no waiting before time is moved on. */
import { expect, test } from "vitest";
import type { AgentFunction } from "../../agents/function.ts";
import { createAgentPool } from "../../patterns/agent-pool.ts";
import { createVirtualClock } from "../../testing/virtual-clock.ts";
import { functionAgent } from "./agents.ts";
import { createPool } from "./troupe.ts";

const NO_JITTER = { baseMs: 200, factor: 2, jitter: "none" } as const;

/** Runs until it is stopped. */
const forever: AgentFunction = ({ signal }) =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));

async function aPool(run: AgentFunction) {
  const clock = createVirtualClock();
  const pool = await createPool({ clock, agents: [functionAgent("ada", run)], retry: { backoff: NO_JITTER } });
  return { clock, pool };
}

test("a call that has just been made begins before time moves, and its attempts follow at their instants", async () => {
  const at: number[] = [];
  const { clock, pool } = await aPool(async () => {
    at.push(clock.now());
    throw new Error("no");
  });
  const call = pool.execute("x").catch(({ code }) => code);
  await clock.advance(200);
  expect(at).toEqual([0, 200]);
  await clock.advance(60_000);
  expect([at, await call]).toEqual([[0, 200, 600], "exhausted"]);
  await pool.close();
});

test("a call that has just been made runs out of time when time is moved on to its limit", async () => {
  const { clock, pool } = await aPool(forever);
  const call = pool.execute("x", { timeoutMs: 1_000 }).catch(({ code }) => code);
  await clock.advance(1_000);
  expect(await call).toBe("deadline_exceeded");
  await pool.close();
});

test("a function that ignores its signal holds its slot, degraded, until it is given up; one that heeds it is well", async () => {
  const clock = createVirtualClock();
  const deaf = functionAgent("deaf", () => new Promise(() => {}));
  const pool = await createPool({
    clock,
    agents: [deaf, functionAgent("good", forever)],
    strategy: "round_robin",
    timeoutMs: 1_000,
    abandonMs: 2_000,
    retry: { maxAttempts: 1 },
  });
  const shown = () => pool.agents().map(({ activity, health, stats }) => [activity, health, stats.abandoned]);
  const calls = [pool.execute("x"), pool.execute("y")].map((call) => call.catch(({ code }) => code));
  await clock.advance(1_000);
  expect(await Promise.all(calls)).toEqual(["exhausted", "exhausted"]);
  expect(shown()).toEqual([
    ["busy", "degraded", 0],
    ["idle", "healthy", 0],
  ]);
  await clock.advance(1_999);
  expect(shown()[0]).toEqual(["busy", "degraded", 0]);
  await clock.advance(1);
  expect(shown()[0]).toEqual(["idle", "healthy", 1]);
  await pool.close();
});

test("closing without a drain needs no time to pass", async () => {
  const { pool } = await aPool(forever);
  const task = await pool.submit("x");
  const result = task.result().catch(({ code }) => code);
  await pool.close({ drainMs: 0 });
  expect(await result).toBe("shutting_down");
});

test("a call through tries again after its delays, however far time is moved at once", async () => {
  const clock = createVirtualClock();
  const at: number[] = [];
  const clients = createAgentPool<string>({ clock }).add("a", "a");
  const call = clients
    .execute(async () => {
      at.push(clock.now());
      throw new Error("no");
    })
    .catch(({ message }) => message);
  await clock.advance(100);
  expect(at).toEqual([0, 100]);
  await clock.advance(10_000);
  expect([at, await call]).toEqual([[0, 100, 300, 700], "no"]);
});
