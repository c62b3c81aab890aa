/** Breakers and passive health of the agents of a pool. */
import { describe, expect, test } from "vitest";
import { asAgentId } from "../base/ids.ts";
import { BREAKER_DEFAULTS, type BreakerOptions } from "../policies/breaker/options.ts";
import { TRIAL_MS } from "../policies/health.ts";
import { createWorld, type World } from "../testing/world.ts";

const flat: Partial<BreakerOptions> = { ratio: null, openMs: 1_000, factor: 2, jitter: "none", successes: 1 };
const once = { maxAttempts: 1 };

/** A pool whose agents are all named; every task gets one attempt. */
function pool(options: { breaker?: object | false; health?: object | false; agents?: string[] } = {}): World {
  const { breaker = flat, health = false, agents = ["ada"] } = options;
  return createWorld({ pool: { retry: once, breaker, health, strategy: "round_robin" }, agents });
}

/** Runs tasks one after another, each failing with the blame that is given, or succeeding. */
function runs(world: World, ends: readonly ("ok" | "agent" | "task" | "unknown")[]): void {
  for (const end of ends) {
    const id = world.submit();
    if (end === "ok") world.complete(id);
    else world.fail(id, { blame: end });
  }
}

const times = <T>(count: number, end: T): T[] => Array.from({ length: count }, () => end);
const state = (world: World, name = "ada"): string => world.agent(name).breaker.name;

describe("an agent's breaker", () => {
  test("S1-11 opens at the fifth failure in a row, not at the fourth; then its tasks wait", () => {
    const world = pool();
    runs(world, times(4, "agent"));
    expect(state(world)).toBe("closed");
    runs(world, ["agent"]);
    expect(state(world)).toBe("open");
    const waiting = world.submit();
    expect(world.task(waiting).state).toMatchObject({ name: "waiting", reason: "agent" });
  });

  test("S1-11 S2-12 a success in between begins the count anew", () => {
    const world = pool();
    runs(world, [...times(4, "agent" as const), "ok", ...times(4, "agent" as const)]);
    expect(state(world)).toBe("closed");
  });

  test("S2-B07 bad input, throttling and cancellation say nothing about the agent", () => {
    const world = pool();
    runs(world, times(10, "task"));
    const throttled = world.submit();
    const error = { code: "busy", message: "busy" };
    world.report(throttled, { name: "throttled", error, retryAfterMs: 10 });
    world.cancel(throttled);
    world.advance(10);
    world.cancel(world.submit());
    expect(world.agent("ada").breaker).toMatchObject({ name: "closed", consecutive: 0, outcomes: { length: 0 } });
  });

  test("S1-12 S1-B02 lets its permits through exactly when its open time is over", () => {
    const world = pool();
    runs(world, times(5, "agent"));
    const waiting = world.submit();
    world.advance(999);
    expect(world.runner(waiting)).toBeUndefined();
    world.advance(1);
    expect(world.runner(waiting)).toBe("ada");
    expect(state(world)).toBe("half_open");
  });

  test("S1-B10 S1-13 S2-L02 half-open gives out one permit however many slots and tasks there are; a success closes it", () => {
    const world = createWorld({
      pool: { retry: once, breaker: flat, health: false },
      agents: [{ name: "ada", concurrency: 10 }],
    });
    runs(world, times(5, "agent"));
    const tasks = Array.from({ length: 8 }, () => world.submit());
    world.advance(1_000);
    const running = tasks.filter((id) => world.runner(id) !== undefined);
    expect(running).toHaveLength(1);
    world.complete(running[0] as string);
    expect(state(world)).toBe("closed");
    expect(tasks.filter((id) => world.task(id).state.name === "leased")).toHaveLength(7);
  });

  test("S1-13 one failure while half-open opens it again, for longer", () => {
    const world = pool();
    runs(world, times(5, "agent"));
    const probe = world.submit();
    world.advance(1_000);
    world.fail(probe);
    const again = world.submit();
    world.advance(1_999);
    expect(world.runner(again)).toBeUndefined();
    world.advance(1);
    expect(world.runner(again)).toBe("ada");
  });

  test("a permit whose task is cancelled is given to the next", () => {
    const world = pool();
    runs(world, times(5, "agent"));
    const [first, second] = [world.submit(), world.submit()];
    world.advance(1_000);
    world.cancel(first);
    expect(world.runner(second)).toBeUndefined();
    // The run has heard its signal.
    const { lastFence: fence } = world.task(first);
    const outcome = { name: "cancelled", error: { code: "cancelled", message: "" } } as const;
    world.turn([{ type: "report", agentId: asAgentId("ada"), taskId: first, fence, outcome, known: world.known() }]);
    expect(world.runner(second)).toBe("ada");
  });

  test("a permit that is not given back for permitMs is handed out again", () => {
    const world = createWorld({
      pool: {
        retry: once,
        breaker: { ...flat, permitMs: 5_000 },
        health: false,
        lease: { ttlMs: 60_000, renewMs: 10_000 },
      },
      agents: [{ name: "ada", concurrency: 2 }],
    });
    runs(world, times(5, "agent"));
    const [first, second] = [world.submit(), world.submit()];
    world.advance(1_000);
    expect([world.runner(first), world.runner(second)]).toEqual(["ada", undefined]);
    world.advance(4_999);
    expect(world.runner(second)).toBeUndefined();
    world.advance(1);
    expect(world.runner(second)).toBe("ada");
    // The first one's own outcome still counts in its generation.
    world.complete(first);
    expect(state(world)).toBe("closed");
  });

  test("S1-B11 an outcome of a call that began before the breaker opened neither closes nor prolongs it", () => {
    const world = createWorld({
      pool: { retry: once, breaker: flat, health: false },
      agents: [{ name: "ada", concurrency: 7 }],
    });
    const tasks = Array.from({ length: 7 }, () => world.submit());
    for (const id of tasks.slice(0, 5)) world.fail(id);
    const { breaker } = world.agent("ada");
    world.advance(500);
    world.complete(tasks[5] as string);
    world.fail(tasks[6] as string);
    expect(world.agent("ada").breaker).toEqual(breaker);
  });

  test("with `breaker: false` nothing is counted", () => {
    const world = pool({ breaker: false });
    runs(world, times(20, "agent"));
    expect(world.runner(world.submit())).toBe("ada");
  });

  test("opens at half of the last twenty, but not on fewer than five", () => {
    const world = pool({ breaker: { jitter: "none" } });
    runs(world, ["agent", "ok", "agent", "ok"]);
    expect(state(world)).toBe("closed");
    runs(world, ["agent"]);
    expect(state(world)).toBe("open");
    expect(world.agent("ada").breaker).toMatchObject({ reason: "ratio" });
  });

  test("S1-B04 a task that an open breaker's agent failed waits for nobody: another serves at once", () => {
    const world = createWorld({
      pool: { breaker: { ...flat, consecutive: 1 }, health: false, strategy: "round_robin" },
      agents: ["ada", "bob"],
    });
    const task = world.submit();
    world.fail(task);
    expect([state(world), world.runner(task)]).toEqual(["open", "bob"]);
  });

  test("an agent whose breaker is open is nobody who could serve: the task backs off", () => {
    const world = createWorld({
      pool: { breaker: { ...flat, consecutive: 1, openMs: 60_000 }, health: false, strategy: "round_robin" },
      agents: ["ada", "bob"],
    });
    const first = world.submit();
    world.fail(first, { blame: "task" });
    world.fail(world.submit({ preferredAgent: "bob", maxAttempts: 1 }));
    expect(state(world, "bob")).toBe("open");
    const second = world.submit({ preferredAgent: "ada" });
    world.fail(second);
    expect(world.task(second).state).toMatchObject({ name: "waiting", reason: "retry" });
  });

  test("S2-14 S2-B08 an operator's reset lets open breakers try with one permit each, and tells how many were open", () => {
    const world = pool({ agents: ["ada", "bob", "cid"], breaker: { ...flat, consecutive: 1, openMs: 600_000 } });
    runs(world, ["agent", "agent"]);
    expect(world.ask({ type: "reset_breakers", pool: undefined })).toEqual({ type: "count", count: 2 });
    expect([state(world), state(world, "bob"), state(world, "cid")]).toEqual(["half_open", "half_open", "closed"]);
    expect(world.ask({ type: "reset_breakers", pool: undefined })).toEqual({ type: "count", count: 0 });
  });

  test("S2-18 a new incarnation of a daemon begins with a closed breaker", () => {
    const world = createWorld({
      pool: {
        retry: once,
        breaker: { ...flat, consecutive: 1, openMs: 600_000 },
        restart: { delayMs: 0, jitter: "none" },
      },
      agents: [{ name: "dan", kind: "daemon" }],
    });
    world.fail(world.submit());
    expect(state(world, "dan")).toBe("open");
    world.crash("dan");
    world.advance(0);
    world.ask({ type: "agent_ready", agentId: asAgentId("dan") });
    expect(state(world, "dan")).toBe("closed");
  });

  test("when a second agent fails a task with nobody to blame, neither failure counts", () => {
    const world = createWorld({
      pool: { retry: { maxAttempts: 3 }, breaker: flat, health: { minimum: 1 }, strategy: "round_robin" },
      agents: ["ada", "bob"],
    });
    const task = world.submit();
    world.fail(task, { blame: "unknown" });
    expect(world.agent("ada").breaker).toMatchObject({ consecutive: 1 });
    world.fail(task, { blame: "unknown" });
    expect(world.agent("ada").breaker).toMatchObject({ consecutive: 0, outcomes: { length: 0 } });
    expect(world.agent("bob").breaker).toMatchObject({ consecutive: 0, outcomes: { length: 0 } });
    expect([world.agent("ada").outcomes.length, world.agent("bob").outcomes.length]).toEqual([0, 0]);
    expect(world.agent("ada").health).toBe("healthy");
  });

  test("S2-13 S2-B18 a good probe opens the way early only where the pool says so", () => {
    for (const probeHalfOpens of [false, true]) {
      const world = createWorld({
        pool: { retry: once, breaker: { ...flat, consecutive: 1, openMs: 600_000, probeHalfOpens } },
        agents: [{ name: "dan", kind: "daemon" }],
      });
      world.fail(world.submit());
      world.ask({ type: "agent_probed", agentId: asAgentId("dan"), good: true });
      expect(state(world, "dan")).toBe(probeHalfOpens ? "half_open" : "open");
    }
  });

  test("the defaults are the contract's", () => {
    expect(BREAKER_DEFAULTS).toEqual({
      consecutive: 5,
      ratio: 0.5,
      window: 20,
      minimum: 5,
      maxAgeMs: 300_000,
      openMs: 5_000,
      factor: 2,
      capMs: 300_000,
      jitter: "equal",
      permits: 1,
      permitMs: 60_000,
      successes: 2,
      probeHalfOpens: false,
    });
  });
});

describe("passive health", () => {
  const ten = { window: 10, minimum: 10 };

  test("S1-09 S1-B01 says nothing below the minimum, then degraded at 0.3 and unhealthy at 0.7, bounds included", () => {
    const health = (failures: number, agents = ["ada", "bob"]): string => {
      const world = createWorld({ pool: { retry: once, breaker: false, health: ten }, agents });
      for (let n = 0; n < 9; n++) {
        const id = world.submit({ preferredAgent: "ada" });
        if (n < failures - 1) world.fail(id);
        else world.complete(id);
      }
      expect(world.agent("ada").health).toBe("healthy");
      world.fail(world.submit({ preferredAgent: "ada" }));
      return world.agent("ada").health;
    };
    expect([2, 3, 6, 7, 10].map((failures) => health(failures))).toEqual([
      "healthy",
      "degraded",
      "degraded",
      "unhealthy",
      "unhealthy",
    ]);
  });

  test("S4-11 S4-B01 three failures in a row make it unhealthy where the pool says so, one success heals that", () => {
    const world = pool({ breaker: false, health: { consecutive: 3 }, agents: ["ada", "bob"] });
    const fail = (): void => world.fail(world.submit({ preferredAgent: "ada" }));
    fail();
    fail();
    expect(world.agent("ada").health).toBe("healthy");
    fail();
    expect(world.agent("ada")).toMatchObject({ health: "unhealthy", healthReason: "3 failures in a row" });
    world.advance(TRIAL_MS);
    world.complete(world.submit({ preferredAgent: "ada" }));
    expect(world.agent("ada").health).toBe("healthy");
  });

  test("degraded agents are given work only when no healthy one fits", () => {
    const world = pool({ breaker: false, health: ten, agents: ["ada", "bob"] });
    for (let n = 0; n < 10; n++) {
      const id = world.submit({ preferredAgent: "ada" });
      if (n < 3) world.fail(id);
      else world.complete(id);
    }
    expect(world.agent("ada").health).toBe("degraded");
    expect([world.runner(world.submit()), world.runner(world.submit())]).toEqual(["bob", "ada"]);
  });

  test("S1-B03 an unhealthy agent is tried every 30 s without a breaker's permits, and comes back by its work", () => {
    const world = createWorld({ pool: { retry: once, breaker: false, health: ten }, agents: ["ada"] });
    runs(world, times(10, "agent"));
    const [first, second] = [world.submit(), world.submit()];
    expect(world.runner(first)).toBe("ada");
    world.fail(first);
    world.advance(TRIAL_MS - 1);
    expect(world.runner(second)).toBeUndefined();
    world.advance(1);
    expect(world.runner(second)).toBe("ada");
  });

  test("old outcomes are forgotten by time alone", () => {
    const world = createWorld({
      pool: { retry: once, breaker: false, health: { ...ten, maxAgeMs: 1_000 } },
      agents: ["ada", "bob"],
    });
    for (let n = 0; n < 10; n++) world.fail(world.submit({ preferredAgent: "ada" }));
    expect(world.agent("ada").health).toBe("unhealthy");
    world.advance(1_000);
    expect(world.agent("ada").health).toBe("unhealthy");
    world.advance(1);
    expect(world.agent("ada").health).toBe("healthy");
  });

  test("a breaker that closes empties the window", () => {
    const world = pool({ health: { window: 5, minimum: 5 }, agents: ["ada", "bob"] });
    for (let n = 0; n < 5; n++) world.fail(world.submit({ preferredAgent: "ada" }));
    expect([state(world), world.agent("ada").health]).toEqual(["open", "unhealthy"]);
    world.advance(1_000);
    const probe = world.submit({ preferredAgent: "ada" });
    expect(world.runner(probe)).toBe("ada");
    world.complete(probe);
    expect([state(world), world.agent("ada").health, world.agent("ada").outcomes.length]).toEqual([
      "closed",
      "healthy",
      0,
    ]);
  });

  test("at most half of a pool is unhealthy by its share of failures", () => {
    const names = ["a", "b", "c", "d"];
    const world = createWorld({ pool: { retry: once, breaker: false, health: ten }, agents: names });
    for (const name of names) for (let n = 0; n < 10; n++) world.fail(world.submit({ preferredAgent: name }));
    expect(names.map((name) => world.agent(name).health)).toEqual(["unhealthy", "unhealthy", "degraded", "degraded"]);
  });

  test("liveness never clears work failures", () => {
    const world = createWorld({
      pool: { retry: once, breaker: false, health: { consecutive: 3 } },
      agents: [{ name: "dan", kind: "daemon" }, "bob"],
    });
    for (let n = 0; n < 3; n++) world.fail(world.submit({ preferredAgent: "dan" }));
    for (let n = 0; n < 5; n++) world.ask({ type: "agent_probed", agentId: asAgentId("dan"), good: true });
    expect(world.agent("dan").health).toBe("unhealthy");
  });
});
