/** Gates that are probed: real engines, a real server to ask, time in the test's hand. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { AgentError } from "../agents/agent-error.ts";
import { isPoolError } from "../base/errors.ts";
import { createVirtualClock, type VirtualClock } from "../testing/virtual-clock.ts";
import type { LogEvent } from "./engine-options.ts";
import { functionAgent } from "./library/agents.ts";
import type { Pool } from "./library/pool.ts";
import { createPool, createTroupe } from "./library/troupe.ts";

const toClose: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of toClose.splice(0).reverse()) await close();
});

/** A dependency that answers as it is told, and counts how often it was asked. */
async function dependency(): Promise<{ url: string; status: number; asked: number; server: Server }> {
  const state = { url: "", status: 200, asked: 0, server: undefined as unknown as Server };
  state.server = createServer((_request, response) => {
    state.asked += 1;
    if (state.status === 0) return;
    response.writeHead(state.status, { location: "/" }).end("x");
  });
  state.server.listen(0, "127.0.0.1");
  await once(state.server, "listening");
  toClose.push(() => {
    state.server.closeAllConnections();
    state.server.close();
  });
  state.url = `http://127.0.0.1:${(state.server.address() as AddressInfo).port}/health`;
  return state;
}

async function aPool(clock: VirtualClock, log: (event: LogEvent) => void = () => {}): Promise<Pool> {
  const pool = await createPool({ id: "main", clock, log, agents: [functionAgent("ada", ({ task }) => task.prompt)] });
  toClose.push(() => pool.close({ drainMs: 0 }));
  return pool;
}

const until = (holds: () => boolean): Promise<void> =>
  vi.waitFor(() => expect(holds()).toBe(true), { timeout: 10_000, interval: 5 });
const isOpen = (pool: Pool, name = "docs"): boolean =>
  pool.gates().find((gate) => gate.name === name)?.available === true;

test("S0-L10 a gate is polled over HTTP, closes when the answer is not 2xx and opens when it is", async () => {
  const clock = createVirtualClock(1_000_000);
  const there = await dependency();
  const pool = await aPool(clock);
  await pool.gate("docs", { holds: ["discovery"], probe: there.url, intervalMs: 50 });
  await clock.advance(49);
  expect(there.asked).toBe(0);
  there.status = 302;
  await clock.advance(1);
  await until(() => !isOpen(pool));
  const held = await pool.submit({ type: "discovery", prompt: "go" });
  expect(await pool.task(held.id)).toMatchObject({ status: "pending", waiting: { reason: "gate", on: ["docs"] } });
  expect((await pool.status()).counts).toMatchObject({ queued: 0, gated: 1 });
  there.status = 204;
  await clock.advance(50);
  await until(() => isOpen(pool));
  expect(await held.result()).toBe("go");
});

test("S0-L10 a dependency that does not answer in time, or is not there, is not available", async () => {
  const clock = createVirtualClock(1_000_000);
  const there = await dependency();
  there.status = 0;
  const pool = await aPool(clock);
  await pool.gate("docs", { holds: [], probe: there.url, intervalMs: 50, timeoutMs: 20 });
  await clock.advance(50);
  await until(() => there.asked === 1);
  await clock.advance(19);
  expect(isOpen(pool)).toBe(true);
  await clock.advance(1);
  await until(() => !isOpen(pool));
  expect(pool.gates()[0]?.reason).toBe("its probe did not answer within 20 ms");
  await pool.gate("docs", { available: true, probe: "http://127.0.0.1:1/" });
  await clock.advance(10_000);
  await until(() => !isOpen(pool));
  expect(pool.gates()[0]?.reason).toContain("its probe failed");
});

test("S0-L10 a function of this process says it, at once when the operator says nothing", async () => {
  const clock = createVirtualClock(1_000_000);
  const pool = await aPool(clock);
  let there: unknown = false;
  const probe = vi.fn(async ({ signal }: { signal: AbortSignal }) => {
    signal.throwIfAborted();
    if (there instanceof Error) throw there;
    return there as boolean;
  });
  expect(await pool.gate("docs", { holds: ["discovery"], probe })).toMatchObject({
    available: false,
    holds: ["discovery"],
  });
  there = true;
  await clock.advance(10_000);
  expect(isOpen(pool)).toBe(true);
  there = new Error("down");
  await clock.advance(10_000);
  expect(pool.gates()[0]).toMatchObject({ available: false, reason: "its probe failed: down" });
  there = "yes";
  await clock.advance(10_000);
  expect(isOpen(pool)).toBe(false);
  expect(probe).toHaveBeenCalledTimes(4);
});

test("the operator's word stands until the next probe says otherwise", async () => {
  const clock = createVirtualClock(1_000_000);
  const pool = await aPool(clock);
  const probe = vi.fn(() => true);
  await pool.gate("docs", { holds: ["discovery"], probe, intervalMs: 100, available: false });
  expect(probe).not.toHaveBeenCalled();
  await clock.advance(99);
  expect(isOpen(pool)).toBe(false);
  await clock.advance(1);
  expect(isOpen(pool)).toBe(true);
  await pool.gate("docs", { available: false });
  await clock.advance(99);
  expect(isOpen(pool)).toBe(false);
  await clock.advance(1);
  expect(isOpen(pool)).toBe(true);
});

test("an answer that was asked for before the operator spoke does not count", async () => {
  const clock = createVirtualClock(1_000_000);
  const pool = await aPool(clock);
  let answer: (available: boolean) => void = () => {};
  const probe = () => new Promise<boolean>((resolve) => (answer = resolve));
  await pool.gate("docs", { available: true, probe, intervalMs: 100 });
  await clock.advance(100);
  await pool.gate("docs", { available: false });
  answer(true);
  await clock.settle();
  expect(isOpen(pool)).toBe(false);
});

test("S0-29 closing and opening is said once in the log, and submission does not fail", async () => {
  const clock = createVirtualClock(1_000_000);
  const events: LogEvent[] = [];
  const pool = await aPool(clock, (event) => events.push(event));
  await pool.gate("docs", { holds: ["discovery"], available: false });
  await pool.gate("docs", { available: false });
  const task = await pool.submit({ type: "discovery", prompt: "later" });
  await pool.gate("docs", { available: true });
  expect(await task.result()).toBe("later");
  const said = events.filter(({ event }) => event.startsWith("gate."));
  expect(said).toMatchObject([
    { level: "warn", event: "gate.closed", gate: "docs", reason: "closed by an operator" },
    { level: "info", event: "gate.opened", gate: "docs" },
  ]);
});

test("a function that blames a dependency and names its gate closes it", async () => {
  const clock = createVirtualClock(1_000_000);
  let broken = true;
  const run = () => {
    if (broken) throw new AgentError({ message: "no index", blame: "dependency", details: { gate: "docs" } });
    return "found";
  };
  const pool = await createPool({ clock, agents: [functionAgent("ada", run)] });
  toClose.push(() => pool.close({ drainMs: 0 }));
  await pool.gate("docs", { holds: ["discovery"] });
  const task = await pool.submit({ type: "discovery", prompt: "x" });
  await clock.settle();
  expect(pool.gates()[0]).toMatchObject({ available: false, reason: "no index" });
  broken = false;
  await pool.gate("docs", { available: true });
  expect(await task.result()).toBe("found");
  expect(await pool.task(task.id)).toMatchObject({ attemptCount: 1 });
});

test("what a gate is given is checked", async () => {
  const pool = await aPool(createVirtualClock());
  const path = async (call: Promise<unknown>) => {
    const error = await call.catch((thrown: unknown) => thrown);
    return isPoolError(error, "invalid") ? error.details.path : error;
  };
  expect(await path(pool.gate("no spaces", {}))).toBe("name");
  expect(await path(pool.gate("docs", { holds: [""] }))).toBe("holds[0]");
  expect(await path(pool.gate("docs", { probe: "ftp://x/" }))).toMatch(/^probe/);
  expect(await path(pool.gate("docs", { probe: "http://x/", timeoutMs: 0 }))).toMatch(/^probe/);
  expect(pool.gates()).toEqual([]);
});

test("gates, pause and what they hold survive a restart, and a probe is asked by the new engine", async () => {
  const there = await dependency();
  there.status = 503;
  const dir = mkdtempSync(join(tmpdir(), "troupe-gates-"));
  toClose.push(() => rmSync(dir, { recursive: true, force: true }));
  const start = async () => {
    const troupe = await createTroupe({ store: `sqlite:${join(dir, "troupe.db")}`, dataDir: dir });
    toClose.push(() => troupe.close({ drainMs: 0 }));
    return troupe;
  };
  const agents = [functionAgent("ada", ({ task }) => task.prompt)];
  const first = await start();
  const pool = await first.create({ id: "main", agents });
  await first.gate("docs", { holds: ["discovery"], available: false, probe: there.url, intervalMs: 10 });
  await pool.pause();
  const { id } = await pool.submit({ id: "t", type: "discovery", prompt: "x" });
  await first.close({ drainMs: 0 });

  const second = await start();
  expect(second.gates()).toMatchObject([{ name: "docs", available: false, holds: ["discovery"] }]);
  const again = await second.create({ id: "main", agents });
  expect(await again.task(id)).toMatchObject({ waiting: { reason: "gate" } });
  there.status = 200;
  await until(() => second.gates()[0]?.available === true);
  expect(await again.task(id)).toMatchObject({ waiting: { reason: "paused" } });
  expect(await again.status()).toMatchObject({ paused: true, draining: false });
  await again.resume();
  await vi.waitFor(async () => expect((await again.task(id)).result).toBe("x"), { timeout: 10_000, interval: 5 });
});
