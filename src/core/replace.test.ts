import { describe, expect, test } from "vitest";
import { type AgentId, asAgentId } from "../base/ids.ts";
import type { PoolOptionsInput } from "../engine/options/pool.ts";
import { createWorld, MAIN, type World, type WorldOptions } from "../testing/world.ts";

const COMMAND = { kind: "command" as const, program: "cat" };
const RESTART = {
  delayMs: 1_000,
  factor: 2,
  jitter: "none" as const,
  max: 2,
  windowMs: 600_000,
  quarantineMs: 300_000,
};

/** A pool whose agents are replaced when they work badly. */
function world(pool: PoolOptionsInput = {}, agents: WorldOptions["agents"] = ["ada"]): World {
  const health = { consecutive: 3, degraded: 1, unhealthy: 1 };
  const retry = { maxAttempts: 1 };
  return createWorld({ agents, pool: { onUnhealthy: "replace", health, retry, restart: RESTART, ...pool } });
}

function fail(on: World, times: number): void {
  for (let n = 0; n < times; n++) on.fail(on.submit({ preferredAgent: "ada" }), { blame: "agent" });
}

/** Its driver has stopped it and brought it up again. */
function comeBack(on: World, name = "ada"): void {
  on.ask({ type: "agent_stopped", agentId: asAgentId(name) });
  on.ready(name);
}

describe("an agent that works badly", () => {
  test("S4-11, S4-L06: is unhealthy at the third failure in a row, and replaced after the delay", () => {
    const on = world();
    const before = on.agent("ada").isolation;
    fail(on, 2);
    expect(on.agent("ada")).toMatchObject({ health: "healthy", lifecycle: "ready" });
    fail(on, 1);
    expect(on.agent("ada")).toMatchObject({ health: "unhealthy", lifecycle: "ready" });
    on.advance(999);
    expect(on.effectsOf("stop_agent")).toEqual([]);
    on.advance(1);
    expect(on.effectsOf("stop_agent")).toEqual([{ type: "stop_agent", agentId: "ada" }]);
    comeBack(on);
    expect(on.agent("ada")).toMatchObject({
      health: "healthy",
      lifecycle: "ready",
      restarts: 1,
      outcomes: { length: 0 },
    });
    expect(on.agent("ada").isolation).not.toEqual(before);
    expect(on.agent("ada").lastExit?.reason).toContain("3 failures in a row");
  });

  test("stays when its pool lets it be tried instead", () => {
    const on = world({ onUnhealthy: "trial" });
    fail(on, 3);
    on.advance(600_000);
    expect(on.agent("ada").restarts).toBe(0);
    expect(on.effectsOf("stop_agent")).toEqual([]);
  });

  test("is left alone when the budget is spent, and tried once after its quarantine", () => {
    const on = world();
    for (const delayMs of [1_000, 2_000]) {
      fail(on, 3);
      on.advance(delayMs);
      comeBack(on);
    }
    expect(on.agent("ada").restarts).toBe(2);
    fail(on, 3);
    expect(on.agent("ada").lifecycle).toBe("quarantined");
    on.advance(299_999);
    expect(on.agent("ada").lifecycle).toBe("quarantined");
    on.advance(1);
    expect(on.agent("ada").lifecycle).toBe("restarting");
  });

  test("S4-11: busy for too long it is marked, its task lost without a kill, and it begins anew", () => {
    const on = world({ stuckMs: 300_000, lease: { ttlMs: 86_400_000 } });
    const id = on.submit();
    on.start(id);
    on.advance(300_000);
    expect(on.agent("ada").health).toBe("healthy");
    on.advance(1);
    expect(on.agent("ada").health).toBe("unhealthy");
    expect(on.status(id)).toBe("leased");
    const fence = on.task(id).lastFence;
    on.advance(1_000);
    expect(on.effectsOf("stop")).toContainEqual({ type: "stop", agentId: "ada", taskId: id, fence });
    expect(on.settlement(id)).toMatchObject({ status: "failed" });
    expect(on.task(id).attempts.at(-1)).toMatchObject({ outcome: "lost", error: { code: "agent_replaced" } });
    comeBack(on);
    expect(on.agent("ada")).toMatchObject({ health: "healthy", runs: { size: 0 }, restarts: 1 });
  });

  test("leaves its task to whoever is free in the very turn in which it is left alone", () => {
    const restart = { ...RESTART, max: 0 };
    const lease = { ttlMs: 86_400_000 };
    const on = world({ stuckMs: 1_000, lease, restart, retry: { maxAttempts: 2 } }, ["ada", "bob"]);
    const id = on.submit({ preferredAgent: "ada" });
    on.start(id);
    on.advance(1_001);
    expect(on.agent("ada").lifecycle).toBe("quarantined");
    expect(on.runner(id)).toBe("bob");
  });

  test("that is a process with no replacement left to it is killed, and says itself what became of it", () => {
    const on = world({ restart: { ...RESTART, max: 0 } }, [{ name: "ada", kind: "daemon" }]);
    fail(on, 3);
    expect(on.effectsOf("kill_agent")).toMatchObject([{ agentId: "ada", reason: on.agent("ada").healthReason }]);
    expect(on.agent("ada").lifecycle).toBe("ready");
    on.crash("ada");
    expect(on.agent("ada").lifecycle).toBe("quarantined");
  });

  test("is never tried again where quarantine has no end", () => {
    const on = world({ restart: { ...RESTART, max: 0, quarantineMs: 0 } });
    fail(on, 3);
    on.advance(1_000_000_000);
    expect(on.agent("ada").lifecycle).toBe("quarantined");
    expect(on.state.due.nextAtMs).toBeUndefined();
  });

  test("that has become well before its time is replaced the next time that it works badly, as the first time", () => {
    const on = world({ stuckMs: 1_000, lease: { ttlMs: 86_400_000 } });
    const busy = (): string => {
      const id = on.submit();
      on.start(id);
      on.advance(1_001);
      return id;
    };
    for (let n = 0; n < 3; n++) {
      on.complete(busy());
      on.advance(60_000);
    }
    expect(on.agent("ada")).toMatchObject({ lifecycle: "ready", restartsAtMs: [] });
    busy();
    on.advance(1_000);
    expect(on.effectsOf("stop_agent")).toHaveLength(1);
  });

  test("is not replaced when it has become well before its time", () => {
    const on = world({ stuckMs: 300_000, lease: { ttlMs: 86_400_000 } });
    const id = on.submit();
    on.start(id);
    on.advance(300_001);
    on.complete(id);
    on.advance(60_000);
    expect(on.agent("ada")).toMatchObject({ health: "healthy", restarts: 0 });
    expect(on.effectsOf("stop_agent")).toEqual([]);
  });

  test("S0-B06: what an operator has failed stays failed until it is recovered", () => {
    const on = world();
    on.ask({ type: "fail_agent", agentId: asAgentId("ada"), reason: "sick" });
    on.advance(600_000);
    expect(on.agent("ada")).toMatchObject({ health: "unhealthy", lifecycle: "ready", restarts: 0 });
    on.ask({ type: "recover_agent", agentId: asAgentId("ada") });
    expect(on.agent("ada").health).toBe("healthy");
  });

  test("of a remote one nobody is spawned", () => {
    const on = world({}, [{ name: "ada", kind: "remote" }]);
    for (let n = 0; n < 3; n++) {
      on.claim("ada");
      fail(on, 1);
    }
    expect(on.agent("ada").health).toBe("unhealthy");
    on.advance(5_000);
    expect(on.effectsOf("stop_agent")).toEqual([]);
  });
});

describe("S0-B08: a pool that replaces up to size.min", () => {
  const coordination = (start: number, size: PoolOptionsInput["size"] = {}): World => {
    const on = createWorld({ pool: { preset: "coordination", agents: [COMMAND], size } });
    on.ask({ type: "scale", pool: MAIN, target: start, by: "options" });
    readyAll(on);
    return on;
  };
  const ids = (on: World): AgentId[] => [...on.state.agents.keys()];
  const readyAll = (on: World): void => {
    for (const agentId of ids(on)) on.ask({ type: "agent_ready", agentId });
  };
  const failFirst = (on: World, at = 0): void => {
    on.ask({ type: "fail_agent", agentId: ids(on)[at] as AgentId, reason: "sick" });
  };

  test("spawns another when the only agent was failed, and the task goes to that", () => {
    const on = coordination(1);
    const task = on.submit({ type: "research" });
    failFirst(on);
    expect(ids(on)).toHaveLength(2);
    expect(on.eventsOf("pool.scaled").at(-1)).toMatchObject({ by: "replacement", from: 1, to: 2 });
    readyAll(on);
    on.advance(2_000);
    expect(on.status(task)).toBe("leased");
    expect(on.runner(task)).toBe(ids(on)[1]);
  });

  test("spawns nobody while enough can work, and never more than size.max", () => {
    const on = coordination(3, { max: 4, default: 3 });
    failFirst(on, 0);
    failFirst(on, 1);
    expect(ids(on)).toHaveLength(3);
    failFirst(on, 2);
    readyAll(on);
    expect(ids(on)).toHaveLength(4);
    failFirst(on, 3);
    expect(ids(on)).toHaveLength(4);
  });

  test("leaves the dead alone while enough can work, and starts them again when not", () => {
    const on = coordination(2);
    const [first, second] = ids(on);
    on.crash(String(first));
    on.advance(600_000);
    expect(on.agent(String(first)).lifecycle).toBe("crashed");
    on.ask({ type: "fail_agent", agentId: second as AgentId, reason: "sick" });
    expect(on.agent(String(first)).lifecycle).toBe("restarting");
    expect(ids(on)).toHaveLength(2);
  });

  test("starts just as many of the dead again as are missing", () => {
    const on = coordination(3);
    const [first, second, third] = ids(on);
    on.crash(String(first));
    on.crash(String(second));
    on.ask({ type: "fail_agent", agentId: third as AgentId, reason: "sick" });
    expect([first, second].map((id) => on.agent(String(id)).lifecycle)).toEqual(["restarting", "crashed"]);
    expect(ids(on)).toHaveLength(3);
  });

  test("spawns as many as are missing, one for one and two for two of the same turn", () => {
    const one = coordination(2, { min: 2, default: 2 });
    failFirst(one);
    expect(ids(one)).toHaveLength(3);
    const two = coordination(2, { min: 2, default: 2 });
    two.turn(ids(two).map((agentId) => ({ type: "fail_agent", agentId, reason: "sick" })));
    expect(ids(two)).toHaveLength(4);
  });

  test("spawns nobody while it is being drained", () => {
    const on = coordination(1);
    on.ask({ type: "drain_pool", pool: MAIN });
    failFirst(on);
    expect(ids(on)).toHaveLength(1);
  });

  test("starts nobody whom an operator has failed, and spawns others for them", () => {
    const on = coordination(2);
    const [first, second] = ids(on);
    on.crash(String(first));
    on.ask({ type: "fail_agent", agentId: first as AgentId, reason: "sick" });
    on.ask({ type: "fail_agent", agentId: second as AgentId, reason: "sick" });
    expect(on.agent(String(first)).lifecycle).toBe("crashed");
    expect(ids(on)).toHaveLength(3);
  });

  test("spawns nobody where its size drives no agents", () => {
    const on = createWorld({
      agents: ["ada"],
      pool: { preset: "coordination", agents: [{ ...COMMAND, name: "ada" }] },
    });
    on.ask({ type: "fail_agent", agentId: asAgentId("ada"), reason: "sick" });
    expect(ids(on)).toEqual(["ada"]);
    expect(on.eventsOf("pool.scaled")).toEqual([]);
  });

  test("restarts the last one that dies", () => {
    const on = coordination(2);
    const [first, second] = ids(on);
    on.crash(String(first));
    on.crash(String(second));
    on.advance(60_000);
    expect(on.agent(String(second)).lifecycle).toBe("restarting");
    expect(on.agent(String(first)).lifecycle).toBe("crashed");
  });
});
