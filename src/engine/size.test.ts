/** Pools that grow and shrink, through the library. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AgentError } from "../agents/agent-error.ts";
import type { AgentCall } from "../agents/function.ts";
import { isPoolError } from "../base/errors.ts";
import { createVirtualClock } from "../testing/virtual-clock.ts";
import { functionAgent } from "./library/agents.ts";
import type { Pool } from "./library/pool.ts";
import { createPool } from "./library/troupe.ts";

const workers = { kind: "function" as const, run: () => "done" };
const names = (pool: Pool) => pool.agents().map(({ name }) => name);
const refused = async (act: Promise<unknown>): Promise<unknown> => {
  try {
    await act;
  } catch (error) {
    if (isPoolError(error)) return [error.code, error.details.path];
    throw error;
  }
  return undefined;
};

let dir: string;
const pools: Pool[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "troupe-size-"));
});
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close({ drainMs: 0 });
  rmSync(dir, { recursive: true, force: true });
});

async function open(options: Parameters<typeof createPool>[0]): Promise<Pool> {
  const pool = await createPool({ dataDir: dir, ...options });
  pools.push(pool);
  return pool;
}

describe("functions without names", () => {
  test("S4-01: are as many as size says, called after their pool", async () => {
    const pool = await open({ id: "p", agents: [workers], size: { default: 2 } });
    expect(names(pool)).toEqual(["p-function-0", "p-function-1"]);
    expect(await pool.executeBatch(["a", "b", "c"])).toEqual(["done", "done", "done"]);
  });

  test("or as count says, beside named ones", async () => {
    const pool = await open({ id: "p", agents: [functionAgent("ada", () => 1), { ...workers, count: 2 }] });
    expect(names(pool)).toEqual(["ada", "p-function-1", "p-function-2"]);
    expect(await pool.execute({ prompt: "x", preferredAgent: "ada" })).toBe(1);
    expect(await pool.execute({ prompt: "x", preferredAgent: "p-function-2" })).toBe("done");
  });

  test("each have a memory of their own", async () => {
    const run: typeof workers.run = ({ memory }: { memory: Map<string, number> } = { memory: new Map() }) => {
      memory.set("calls", (memory.get("calls") ?? 0) + 1);
      return String(memory.get("calls"));
    };
    const pool = await open({ agents: [{ ...workers, run }], size: { default: 2 }, strategy: "round_robin" });
    expect(await pool.executeBatch(["a", "b", "c", "d"])).toEqual(["1", "1", "2", "2"]);
  });
});

describe("a pool in process", () => {
  test("S0-10, S0-11: add gives what there is room for, the default when nothing is said, and only the new ids", async () => {
    const pool = await open({ preset: "coordination", agents: [workers] });
    expect(pool.agents()).toHaveLength(4);
    const more = await pool.add();
    expect(more).toHaveLength(4);
    expect(pool.agents().map(({ id }) => id)).toEqual(expect.arrayContaining([...more]));
    expect(await pool.add(100)).toHaveLength(8);
    expect(await pool.add(1)).toEqual([]);
    expect(pool.agents()).toHaveLength(16);
  });

  test("S0-B13: nobody is added by 0, or fewer, or half of one", async () => {
    const pool = await open({ agents: [workers] });
    for (const count of [0, -1, 1.5]) expect(await refused(pool.add(count))).toEqual(["invalid", "add"]);
    expect(pool.agents()).toHaveLength(4);
  });

  test("S0-09, R-02: scale goes to a target or by a number, from 1 to size.max", async () => {
    const pool = await open({ agents: [workers], size: { default: 2, max: 5 } });
    expect(await pool.scale({ target: 5 })).toMatchObject({ size: 5, agentIds: { length: 3 } });
    expect(await refused(pool.scale({ target: 6 }))).toEqual(["invalid", "target"]);
    expect(await refused(pool.scale({ add: 1 }))).toEqual(["invalid", "add"]);
    expect(await refused(pool.scale({ target: 0 }))).toEqual(["invalid", "target"]);
    expect(await refused(pool.scale({}))).toEqual(["invalid", "target"]);
    expect(await refused(pool.scale({ target: 1, add: 1 }))).toEqual(["invalid", "target"]);
    expect(await pool.scale({ target: 1 })).toEqual({ size: 1, agentIds: [] });
    expect(await pool.scale({ add: 2 })).toMatchObject({ size: 3, agentIds: { length: 2 } });
    expect(await pool.executeBatch(["a", "b", "c"])).toEqual(["done", "done", "done"]);
  });

  test("S4-01: a trio stays one", async () => {
    const pool = await open({ id: "t", preset: "trio", agents: [workers] });
    expect(names(pool)).toEqual(["t-worker-0", "t-worker-1", "t-worker-2"]);
    expect(await refused(pool.scale({ target: 2 }))).toEqual(["invalid", "target"]);
    expect(await refused(pool.scale({ add: 1 }))).toEqual(["invalid", "add"]);
    expect(await pool.add(1)).toEqual([]);
  });

  test("named agents are one each: there is nothing to scale", async () => {
    const pool = await open({ agents: [functionAgent("ada", () => 1)] });
    expect(await refused(pool.scale({ target: 2 }))).toEqual(["invalid", "target"]);
    expect(await refused(pool.add(1))).toEqual(["invalid", "add"]);
  });

  test("S2-L04: a function that works when the pool shrinks ends its task and is gone", async () => {
    const ends: (() => void)[] = [];
    const run = () => new Promise((resolve) => ends.push(() => resolve("late")));
    const pool = await open({ agents: [{ ...workers, run }], size: { default: 2 } });
    const both = Promise.all([pool.execute("a"), pool.execute("b")]);
    await expect.poll(() => ends.length).toBe(2);
    await pool.scale({ target: 1 });
    expect(pool.agents().map(({ lifecycle }) => lifecycle)).toEqual(["ready", "draining"]);
    for (const end of ends) end();
    expect(await both).toEqual(["late", "late"]);
    expect(pool.agents()).toHaveLength(1);
  });
});

describe("a trio", () => {
  test("S4-11, S4-L06: a worker that fails three times in a row is replaced, under its name and id", async () => {
    const clock = createVirtualClock();
    const seen: unknown[] = [];
    const run = ({ memory, task }: AgentCall) => {
      memory.set("calls", (Number(memory.get("calls")) || 0) + 1);
      seen.push(memory.get("calls"));
      if (task.prompt === "bad") throw new AgentError({ message: "no", blame: "agent" });
      return "good";
    };
    const pool = await open({ preset: "trio", id: "t", agents: [{ kind: "function", run }], clock });
    const before = pool.agents();
    const call = (prompt: string) => pool.execute({ prompt, preferredAgent: "t-worker-1" }).catch(() => "failed");
    for (let n = 0; n < 3; n++) expect(await call("bad")).toBe("failed");
    expect(pool.agents().map(({ health }) => health)).toEqual(["healthy", "unhealthy", "healthy"]);
    await clock.advance(1_000);
    await clock.settle();
    const after = pool.agents();
    expect(after.map(({ id, name }) => [id, name])).toEqual(before.map(({ id, name }) => [id, name]));
    expect(after.map(({ health, lifecycle, restarts }) => [health, lifecycle, restarts])).toEqual([
      ["healthy", "ready", 0],
      ["healthy", "ready", 1],
      ["healthy", "ready", 0],
    ]);
    expect(after[1]?.toolSessionId).not.toBe(before[1]?.toolSessionId);
    expect(await call("fine")).toBe("good");
    expect(seen).toEqual([1, 2, 3, 1]);
  });

  test("S4-11: a worker that hangs for 300 s is replaced, its signal aborted and its task failed", async () => {
    const clock = createVirtualClock();
    let aborted = false;
    const run = ({ signal, task }: AgentCall) => {
      if (task.prompt !== "hang") return "good";
      signal.addEventListener("abort", () => (aborted = true));
      return new Promise(() => {});
    };
    const pool = await open({ preset: "trio", id: "t", agents: [{ kind: "function", run }], clock });
    const hung = pool.execute({ prompt: "hang", preferredAgent: "t-worker-0" }).catch((error: unknown) => error);
    await clock.settle();
    await clock.advance(300_001);
    expect(pool.agents()[0]).toMatchObject({ health: "unhealthy", lifecycle: "ready" });
    await clock.advance(1_000);
    await clock.settle();
    expect(isPoolError(await hung)).toBe(true);
    expect(aborted).toBe(true);
    expect(pool.agents()[0]).toMatchObject({ health: "healthy", lifecycle: "ready", restarts: 1, activity: "idle" });
    expect(await pool.execute({ prompt: "x", preferredAgent: "t-worker-0" })).toBe("good");
  });
});

describe("a pool that comes back from its store", () => {
  const stored = (options: object = {}) => ({
    id: "kept",
    store: "sqlite:pool.db",
    agents: [workers],
    size: { default: 2, max: 8 },
    ...options,
  });
  const reopen = async (pool: Pool, options: object = {}): Promise<Pool> => {
    await pool.close({ drainMs: 0 });
    return open(stored(options));
  };

  test("has the size that it was scaled to, and the same agents", async () => {
    const first = await open(stored());
    await first.scale({ target: 5 });
    const before = first.agents().map(({ id, name }) => [id, name]);
    const second = await reopen(first);
    expect(second.agents().map(({ id, name }) => [id, name])).toEqual(before);
    expect(await second.executeBatch(["a", "b", "c", "d", "e"])).toEqual(Array(5).fill("done"));
    await second.scale({ target: 1 });
    const third = await reopen(second);
    expect(names(third)).toEqual(["kept-function-0"]);
    expect(await third.scale({ add: 1 })).toMatchObject({ size: 2 });
  });

  test("follows options that want another size, or allow less", async () => {
    const first = await open(stored());
    await first.scale({ target: 5 });
    const second = await reopen(first, { size: { default: 2, max: 3 } });
    expect(second.agents()).toHaveLength(3);
    const third = await reopen(second, { size: { default: 4, max: 8 } });
    expect(names(third)).toEqual(["kept-function-0", "kept-function-1", "kept-function-2", "kept-function-3"]);
    const fourth = await reopen(third, { size: { min: 2, default: 4, max: 8 } });
    await fourth.scale({ target: 1 });
    const fifth = await reopen(fourth, { size: { min: 2, default: 4, max: 8 } });
    expect(fifth.agents()).toHaveLength(2);
  });

  test("finds its agents again when others stand before them", async () => {
    const first = await open(stored());
    await first.scale({ target: 3 });
    const before = first.agents().map(({ id }) => id);
    const second = await reopen(first, { agents: [functionAgent("ada", () => 1), workers] });
    expect(second.agents().map(({ id }) => id)).toEqual(expect.arrayContaining(before));
    expect(second.agents()).toHaveLength(4);
    expect(await second.execute({ prompt: "x", preferredAgent: "kept-function-2" })).toBe("done");
    await second.scale({ target: 1 });
    expect(names(second)).toEqual(["kept-function-0", "ada"]);
  });

  test("takes new words for all of them, under their names", async () => {
    const first = await open(stored());
    await first.scale({ target: 3 });
    const second = await reopen(first, { agents: [{ ...workers, concurrency: 7 }] });
    expect(second.agents().map(({ name, concurrency }) => [name, concurrency])).toEqual([
      ["kept-function-0", 7],
      ["kept-function-1", 7],
      ["kept-function-2", 7],
    ]);
    expect(await second.executeBatch(["a", "b"])).toEqual(["done", "done"]);
  });
});
