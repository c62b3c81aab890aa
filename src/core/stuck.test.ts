/** Agents that are busy on one task for too long. */
import { describe, expect, test } from "vitest";
import { asAgentId } from "../base/ids.ts";
import { resolvePool } from "../engine/options/pool.ts";
import { createWorld, type World, type WorldAgent, type WorldOptions } from "../testing/world.ts";

const stuckMs = 300;

function aWorld(pool: WorldOptions["pool"] = {}, agent: Omit<WorldAgent, "name"> = {}): World {
  return createWorld({ agents: [{ name: "ada", ...agent }], pool: { stuckMs, ...pool } });
}

function busy(world: World, id = "t"): void {
  world.submit({ id });
  world.start(id);
}

const kills = (world: World): unknown[] => world.effectsOf("kill_agent").map(({ agentId }) => agentId);

describe("an agent", () => {
  test("S2-16 is unhealthy once it is busy on one task for longer than stuckMs, not at stuckMs", () => {
    const world = aWorld();
    busy(world);
    world.advance(stuckMs);
    expect(world.agent("ada").health).toBe("healthy");
    world.advance(1);
    expect(world.agent("ada")).toMatchObject({
      health: "unhealthy",
      healthReason: "busy on task t for more than 300 ms",
    });
    expect(kills(world)).toEqual([]);
  });

  test("S4-B02 that is idle is never stuck, nor is one that works on one task after the other", () => {
    const world = aWorld({}, { concurrency: 2 });
    for (let n = 0; n < 4; n++) {
      busy(world, `t${n}`);
      world.advance(stuckMs);
      world.complete(`t${n}`);
    }
    world.advance(100 * stuckMs);
    expect(world.agent("ada").health).toBe("healthy");
  });

  test("is never stuck where no limit is set", () => {
    const world = aWorld({ stuckMs: undefined });
    busy(world);
    for (let n = 0; n < 10; n++) {
      world.advance(1_000);
      world.alive("ada");
    }
    expect(world.agent("ada").health).toBe("healthy");
  });

  test("is given no work while it is stuck, and is well again once a report ends it", () => {
    const world = aWorld({}, { concurrency: 2 });
    busy(world);
    world.advance(stuckMs + 1);
    world.submit({ id: "next" });
    expect(world.status("next")).toBe("agent");
    world.complete("t");
    expect(world.agent("ada")).toMatchObject({ health: "healthy", healthReason: "" });
    expect(world.runner("next")).toBe("ada");
  });

  test("stays marked while another of its tasks keeps it stuck", () => {
    const world = aWorld({}, { concurrency: 2 });
    busy(world, "t1");
    busy(world, "t2");
    world.advance(stuckMs + 1);
    world.complete("t1");
    expect(world.agent("ada").health).toBe("unhealthy");
    world.complete("t2");
    expect(world.agent("ada").health).toBe("healthy");
  });

  test("is healed of being stuck alone, not of what else is found", () => {
    const world = aWorld({ probe: { fall: 1 } }, { concurrency: 2 });
    busy(world);
    world.advance(stuckMs + 1);
    world.probe("ada", false);
    world.complete("t");
    expect(world.agent("ada").health).toBe("unhealthy");
    expect([...world.agent("ada").findings.keys()]).toEqual(["probe"]);
  });

  test("S2-B17 is stuck on a run that outlives its task's timeout, until that run has ended", () => {
    const world = aWorld({ timeoutMs: 100, stopMs: 10_000 });
    world.submit({ id: "t", maxAttempts: 1 });
    world.start("t");
    const fence = world.lease("t")?.fence ?? 0;
    world.advance(stuckMs + 1);
    expect([world.status("t"), world.agent("ada").health]).toEqual(["failed", "unhealthy"]);
    const outcome = { name: "succeeded", resultBytes: 2 } as const;
    const late = {
      type: "report",
      agentId: asAgentId("ada"),
      taskId: world.task("t").spec.id,
      fence,
      outcome,
    } as const;
    expect(() => world.ask({ ...late, known: world.known() })).toThrow("is not current");
    expect(world.agent("ada").health).toBe("healthy");
  });

  test("follows a limit that changes while it is busy", () => {
    const world = aWorld();
    busy(world);
    world.ask({ type: "change_pool", options: resolvePool({ id: "main", stuckMs: 500 }, () => "main") });
    world.advance(500);
    expect(world.agent("ada").health).toBe("healthy");
    world.advance(1);
    expect(world.agent("ada").health).toBe("unhealthy");
  });

  test("of another host is found stuck over a restart of the engine", () => {
    const world = createWorld({ pool: { stuckMs } });
    world.join({ name: "ada" });
    world.claim("ada");
    busy(world);
    world.advance(100);
    world.restart();
    world.ask({ type: "recover" });
    world.advance(stuckMs - 100);
    expect(world.agent("ada").health).toBe("healthy");
    world.advance(1);
    expect(world.agent("ada").health).toBe("unhealthy");
  });
});

describe("with onStuck restart", () => {
  test("S2-16 a daemon is ended; its task is lost to it and the agent starts anew", () => {
    const world = aWorld({ onStuck: "restart", restart: { delayMs: 10, jitter: "none" } }, { kind: "daemon" });
    busy(world);
    world.advance(stuckMs + 1);
    expect(kills(world)).toEqual(["ada"]);
    world.crash("ada");
    expect(world.task("t").attempts[0]).toMatchObject({ outcome: "lost", blame: "agent" });
    world.advance(10);
    world.ready("ada");
    expect(world.agent("ada")).toMatchObject({ lifecycle: "ready", health: "healthy", restarts: 1 });
  });

  test("a function, which has no process of its own, is marked", () => {
    const world = aWorld({ onStuck: "restart" });
    busy(world);
    world.advance(stuckMs + 1);
    expect([world.agent("ada").health, kills(world)]).toEqual(["unhealthy", []]);
  });

  test("S2-16 a daemon of a pool that only marks is not ended", () => {
    const world = aWorld({ onStuck: "mark" }, { kind: "daemon" });
    busy(world);
    world.advance(stuckMs + 1);
    expect([world.agent("ada").health, kills(world)]).toEqual(["unhealthy", []]);
  });
});
