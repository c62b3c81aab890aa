/** What an agent's record keeps, and what it forgets: over crashes, trials, restarts and a second joining. */
import { describe, expect, test } from "vitest";
import { TRIAL_MS } from "../policies/health.ts";
import { createWorld, refusal, type World } from "../testing/world.ts";

const once = { maxAttempts: 1 };

describe("a daemon", () => {
  const RESTART = { delayMs: 1_000, factor: 2, jitter: "none", max: 2, windowMs: 60_000, stableMs: 600_000 } as const;
  const daemon = (): World =>
    createWorld({
      agents: [{ name: "ada", kind: "daemon" }],
      pool: { restart: { ...RESTART, quarantineMs: 300_000 } },
    });
  const crash = (world: World): string => {
    world.crash("ada");
    return world.agent("ada").lifecycle;
  };
  const waitForStart = (world: World): void => world.advance((world.agent("ada").retryAtMs ?? 0) - world.nowMs);

  test("that had been stable is forgiven once: deaths before it is ready again count", () => {
    const world = daemon();
    world.advance(600_000);
    expect(crash(world)).toBe("crashed");
    waitForStart(world);
    expect(crash(world)).toBe("crashed");
    waitForStart(world);
    expect(crash(world)).toBe("quarantined");
  });

  test("that was stable after its quarantine has its whole budget again", () => {
    const world = daemon();
    for (const _ of [1, 2, 3]) {
      crash(world);
      waitForStart(world);
    }
    world.ready("ada");
    world.advance(600_000);
    expect(crash(world)).toBe("crashed");
    waitForStart(world);
    world.ready("ada");
    expect(crash(world)).toBe("crashed");
  });

  test("S2-18 begins anew: what its probes said of its last life is forgotten, what an operator said is not", () => {
    const world = daemon();
    for (let n = 0; n < 3; n++) world.probe("ada", false);
    expect(world.agent("ada").health).toBe("unhealthy");
    const back = (): unknown => {
      crash(world);
      waitForStart(world);
      world.ready("ada");
      return { health: world.agent("ada").health, reason: world.agent("ada").healthReason };
    };
    expect(back()).toEqual({ health: "healthy", reason: "" });
    world.ask({ type: "fail_agent", agentId: world.agent("ada").identity.id, reason: "no good" });
    expect(back()).toEqual({ health: "unhealthy", reason: "no good" });
  });

  test("S2-18 begins anew: the failures of its last life do not count", () => {
    const pool = { health: { consecutive: 3 }, breaker: { consecutive: 3 }, restart: RESTART, retry: once } as const;
    const world = createWorld({ agents: [{ name: "ada", kind: "daemon" }], pool });
    const fail = (): void => world.fail(world.submit());
    fail();
    fail();
    crash(world);
    waitForStart(world);
    world.ready("ada");
    fail();
    fail();
    expect(world.agent("ada").health).toBe("healthy");
    expect(world.status(world.submit())).toBe("leased");
  });
});

test("S2-14 the breakers of one pool are let try without those of others", () => {
  const world = createWorld({ agents: ["ada"], pool: { breaker: { consecutive: 1 }, retry: once } });
  const other = world.addPool({ id: "other", agents: [], breaker: { consecutive: 1 }, retry: once });
  world.addAgent("bob", other);
  for (const pool of ["main", "other"]) world.fail(world.submit({ pool }));
  const waiting = ["main", "other"].map((pool) => world.submit({ pool }));
  expect(world.ask({ type: "reset_breakers", pool: other })).toEqual({ type: "count", count: 1 });
  expect(waiting.map((id) => world.status(id))).toEqual(["agent", "leased"]);
  expect(world.ask({ type: "reset_breakers", pool: undefined })).toEqual({ type: "count", count: 1 });
  expect(waiting.map((id) => world.status(id))).toEqual(["leased", "leased"]);
});

describe("an agent that is unhealthy by its work", () => {
  const failing = (concurrency = 1): World => {
    const pool = { breaker: false, health: { consecutive: 3 }, retry: once } as const;
    const world = createWorld({ pool, agents: [{ name: "ada", concurrency }] });
    for (let n = 0; n < 3; n++) world.fail(world.submit());
    expect(world.agent("ada").health).toBe("unhealthy");
    return world;
  };

  test("S1-B03 is tried again by itself, every 30 s, with one task however many slots it has", () => {
    const world = failing(2);
    const ids = [world.submit(), world.submit(), world.submit()];
    expect(ids.map((id) => world.status(id))).toEqual(["leased", "agent", "agent"]);
    world.fail(ids[0] as string);
    world.advance(TRIAL_MS - 1);
    expect(ids.map((id) => world.status(id))).toEqual(["failed", "agent", "agent"]);
    world.advance(1);
    expect(ids.map((id) => world.status(id))).toEqual(["failed", "leased", "agent"]);
  });

  test("that passes its trial is given work at once", () => {
    const world = failing();
    const [trial, next] = [world.submit(), world.submit()];
    world.complete(trial);
    expect([world.agent("ada").health, world.status(next)]).toEqual(["healthy", "leased"]);
  });

  test("is given its breaker's half-open permit, also right after a trial", () => {
    const breaker = { consecutive: 4, ratio: null, openMs: 5_000, jitter: "none" } as const;
    const world = createWorld({ pool: { breaker, health: { consecutive: 3 }, retry: once }, agents: ["ada"] });
    for (let n = 0; n < 4; n++) world.fail(world.submit());
    const id = world.submit();
    world.advance(4_999);
    expect(world.status(id)).toBe("agent");
    world.advance(1);
    expect(world.status(id)).toBe("leased");
  });

  test("is not tried while somebody else's word speaks against it too, however mild its own work", () => {
    const world = failing();
    world.ask({ type: "fail_agent", agentId: world.agent("ada").identity.id, reason: "no good" });
    const id = world.submit();
    world.advance(10 * TRIAL_MS);
    expect(world.status(id)).toBe("agent");
  });
});

test("of several words on an agent's health the worst counts, whichever came first", () => {
  const world = createWorld({
    pool: { timeoutMs: 1_000, stopMs: 1_000, abandonMs: 60_000, retry: once },
    agents: ["ada"],
  });
  world.submit({ id: "t" });
  world.start("t");
  world.advance(2_000);
  expect(world.agent("ada").health).toBe("degraded");
  world.ask({ type: "fail_agent", agentId: world.agent("ada").identity.id, reason: "no good" });
  expect(world.agent("ada")).toMatchObject({ health: "unhealthy", healthReason: "no good" });
  world.ask({ type: "recover_agent", agentId: world.agent("ada").identity.id });
  expect(world.agent("ada").health).toBe("degraded");
});

describe("a remote agent that joins again", () => {
  const identity = (name: string, rate?: { requestsPerMinute: number }) => {
    const world = createWorld();
    const { isolation, ...rest } = world.identity({ name: "r", kind: "remote", concurrency: 9 });
    const ids = { contextWindowId: `c-${name}`, toolSessionId: `t-${name}`, memoryHandleId: `m-${name}` };
    return { ...rest, isolation: ids, ...(rate === undefined ? {} : { rate }) };
  };

  test("S0-01 has the ids of isolation and the limits that it brings along", () => {
    const world = createWorld({ startMs: 600_000_000 });
    world.ask({ type: "join", agent: identity("old"), replace: false });
    expect(world.agent("r").isolation.toolSessionId).toBe("t-old");
    world.ask({ type: "join", agent: identity("new", { requestsPerMinute: 1 }), replace: true });
    expect(world.agent("r").isolation).toEqual({
      contextWindowId: "c-new",
      toolSessionId: "t-new",
      memoryHandleId: "m-new",
    });
    for (const id of ["a", "b"]) world.submit({ id });
    world.claim("r", { max: 9 });
    expect([world.status("a"), world.status("b")]).toEqual(["leased", "agent"]);
    world.ask({ type: "join", agent: identity("third"), replace: true });
    world.claim("r", { max: 9 });
    expect(world.status("b")).toBe("leased");
  });
});

test("S4-09 an agent's last activity is the last beginning or end of work, and its mean time counts from the lease when no start was told", () => {
  const world = createWorld({ agents: ["ada"], pool: { retry: once } });
  const last = (): number | undefined => world.agent("ada").stats.lastActivityAtMs;
  expect(last()).toBeUndefined();
  world.submit({ id: "a" });
  expect(last()).toBe(world.nowMs);
  world.advance(700);
  world.complete("a");
  expect(last()).toBe(world.nowMs);
  expect(world.agent("ada").stats).toMatchObject({ succeeded: 1, latencySumMs: 700 });
  world.advance(100);
  world.submit({ id: "b" });
  world.advance(100);
  world.fail("b", { blame: "unknown" });
  expect(last()).toBe(world.nowMs);
  expect(world.agent("ada").stats).toMatchObject({ failed: 1, consecutiveFailures: 1 });
});

test("a run that timed out on a remote agent keeps its slot after the timeout until its lease ends", () => {
  const pool = { timeoutMs: 1_000, retry: { maxAttempts: 1 } };
  const world = createWorld({ pool, agents: [{ name: "r", kind: "remote" }] });
  world.claim("r");
  world.submit({ id: "t" });
  world.start("t");
  for (const ms of [1_000, 1_000, 27_999]) {
    world.advance(ms);
    world.ask({ type: "tick" });
    expect(world.agent("r").runs.size).toBe(1);
  }
  world.advance(1);
  expect(world.agent("r").runs.size).toBe(0);
});

test("S2-L03 a remote agent that shows itself was not dead: what it still runs is in nobody's company", () => {
  const world = createWorld({ pool: { poisonLimit: 1 }, agents: [{ name: "r", kind: "remote", concurrency: 9 }] });
  world.claim("r", { max: 9 });
  world.turn(
    ["a", "b"].map((id) => ({ type: "submit", specs: [world.spec({ id })], partial: false, known: world.known() })),
  );
  world.advance(10_000);
  // Silence ends the lease of `b` while `a`, which was named, goes on.
  world.heartbeat("r", ["a"]);
  world.advance(20_000);
  expect(world.status("a")).toBe("leased");
  world.heartbeat("r", ["a"]);
  world.advance(30_000);
  expect(world.settlement("a").error?.code).toBe("poisoned");
});

test("at most half of a pool of three is unhealthy by its share: one", () => {
  const pool = { breaker: false, health: { window: 10, minimum: 10 }, retry: once } as const;
  const world = createWorld({ pool, agents: ["ada", "bob", "cyd"] });
  for (const preferredAgent of ["ada", "bob"]) {
    for (let n = 0; n < 10; n++) world.fail(world.submit({ preferredAgent }));
  }
  expect(["ada", "bob", "cyd"].map((name) => world.agent(name).health)).toEqual(["unhealthy", "degraded", "healthy"]);
});

test("the reason of an agent's health is that of its last outcomes", () => {
  const pool = { breaker: false, health: { window: 10, minimum: 10 }, retry: once } as const;
  const world = createWorld({ pool, agents: ["ada"] });
  for (let n = 0; n < 10; n++) {
    const id = world.submit();
    if (n < 4) world.complete(id);
    else world.fail(id);
  }
  expect(world.agent("ada")).toMatchObject({ health: "degraded", healthReason: "6 of its last 10 attempts failed" });
  world.complete(world.submit());
  world.complete(world.submit());
  expect(world.agent("ada")).toMatchObject({ health: "degraded", healthReason: "6 of its last 10 attempts failed" });
  for (let n = 0; n < 3; n++) world.complete(world.submit());
  expect(world.agent("ada")).toMatchObject({ health: "degraded", healthReason: "5 of its last 10 attempts failed" });
});

describe("an operator's reset of an agent", () => {
  const reset = (world: World): void =>
    void world.ask({ type: "reset_agent", agentId: world.agent("ada").identity.id });

  test("empties the window of one that is degraded: it is healthy, and its earlier failures do not count", () => {
    const health = { window: 10, minimum: 5 };
    const world = createWorld({ pool: { breaker: false, health, retry: once }, agents: ["ada"] });
    for (let n = 0; n < 5; n++) {
      const id = world.submit();
      if (n < 3) world.complete(id);
      else world.fail(id);
    }
    expect(world.agent("ada").health).toBe("degraded");
    reset(world);
    expect(world.agent("ada")).toMatchObject({ health: "healthy", healthReason: "" });
    for (let n = 0; n < 4; n++) world.fail(world.submit());
    expect(world.agent("ada").health).toBe("healthy");
  });

  test("begins the count of a closed breaker anew, and lets an open one try", () => {
    const breaker = { consecutive: 3, ratio: null, openMs: 60_000, jitter: "none" } as const;
    const world = createWorld({ pool: { breaker, retry: once }, agents: ["ada"] });
    const fail = (count: number): void => {
      for (let n = 0; n < count; n++) world.fail(world.submit());
    };
    fail(2);
    reset(world);
    fail(2);
    expect(world.agent("ada").breaker.name).toBe("closed");
    fail(1);
    expect(world.agent("ada").breaker.name).toBe("open");
    const ids = [world.submit(), world.submit()];
    reset(world);
    expect(ids.map((id) => world.status(id))).toEqual(["leased", "agent"]);
  });
});

describe("joining", () => {
  test("the name of a daemon that has crashed is a conflict: it comes back by itself", () => {
    const world = createWorld({ agents: [{ name: "ada", kind: "daemon" }] });
    world.crash("ada");
    expect(refusal(() => world.join({ name: "ada" })).code).toBe("conflict");
    expect(world.agent("ada").identity.kind).toBe("daemon");
  });

  test("again in place of a live agent is a sign of life", () => {
    const world = createWorld({ agents: [{ name: "r", kind: "remote" }] });
    world.advance(20_000);
    world.join({ name: "r" }, { replace: true });
    world.advance(29_999);
    expect(world.agent("r").lifecycle).toBe("ready");
    world.advance(1);
    expect(world.agent("r").lifecycle).toBe("crashed");
  });
});

test("an entry's own restart and probe options go before the pool's", () => {
  const entry = { kind: "daemon", name: "ada", daemon: { program: "a-program" } } as const;
  const restart = { delayMs: 7, jitter: "none" } as const;
  const pool = { agents: [{ ...entry, restart, probe: { fall: 1 } }], restart: { delayMs: 900 }, probe: { fall: 3 } };
  const world = createWorld({ pool, agents: [{ name: "ada", kind: "daemon" }] });
  world.probe("ada", false);
  expect(world.agent("ada").health).toBe("unhealthy");
  world.crash("ada");
  expect((world.agent("ada").retryAtMs ?? 0) - world.nowMs).toBe(7);
});

test("S3-07 the report that settled a task is repeated under its own fence only", () => {
  const world = createWorld({ agents: ["ada", "bob"] });
  world.submit({ id: "t" });
  const older = world.lease("t")?.fence ?? 0;
  world.fail("t");
  const fence = world.lease("t")?.fence ?? 0;
  const done = { name: "succeeded", resultBytes: 2 } as const;
  world.report("t", done);
  expect(world.report("t", done, fence)).toEqual({ type: "done" });
  for (const other of [older, fence + 1])
    expect(refusal(() => world.report("t", done, other)).code).toBe("stale_fence");
});

test("an agent whose run ended before `stopMs` is not degraded by it", () => {
  const world = createWorld({ agents: ["ada"], pool: { stopMs: 1_000 } });
  world.submit({ id: "t" });
  world.cancel("t");
  world.endRun("ada", "t");
  world.advance(1_000);
  expect(world.agent("ada").health).toBe("healthy");
});

test("S1-B03 who is degraded besides is tried all the same", () => {
  const pool = { breaker: false, health: { consecutive: 3 }, retry: once, stopMs: 1_000, abandonMs: 600_000 } as const;
  const world = createWorld({ pool, agents: [{ name: "ada", concurrency: 2 }] });
  world.submit({ id: "deaf" });
  world.cancel("deaf");
  world.advance(1_000);
  for (let n = 0; n < 3; n++) world.fail(world.submit());
  expect([...world.agent("ada").findings.keys()].sort()).toEqual(["deaf", "passive"]);
  expect(world.status(world.submit())).toBe("leased");
});

test("S2-L03 a death that one run tells is none for those whose driver vouches for the agent afterwards", () => {
  const world = createWorld({
    agents: [{ name: "d", kind: "daemon", concurrency: 2 }],
    pool: { poisonLimit: 1, retry: { maxAttempts: 9 } },
  });
  for (const id of ["a", "b"]) world.submit({ id });
  const error = { code: "agent_died", message: "gone" };
  world.report("a", { name: "lost", blame: "agent", kill: true, error });
  expect(world.status("b")).toBe("leased");
  world.alive("d");
  world.cancel("a");
  world.crash("d");
  expect(world.settlement("b").error?.code).toBe("poisoned");
});

test("the bound of affinity is taken over agents that may work: one that is unhealthy is none", () => {
  const agents = ["ada", "bob", "cyd"].map((name) => ({ name, concurrency: 9 }));
  const world = createWorld({ pool: { strategy: "affinity" }, agents });
  world.ask({ type: "fail_agent", agentId: world.agent("cyd").identity.id, reason: "no good" });
  const runners = [1, 2].map(() => world.runner(world.submit({ affinityKey: "k" })));
  expect(new Set(runners).size).toBe(1);
});

test("S0-41 failing an agent answers which attempts that ended, and tells each run to stop", () => {
  const world = createWorld({ agents: [{ name: "ada", concurrency: 2 }] });
  const ids = [world.submit(), world.submit()];
  const reply = world.ask({ type: "fail_agent", agentId: world.agent("ada").identity.id, reason: "no good" });
  expect(reply).toEqual({ type: "agent_failed", ended: ids.map((taskId) => ({ taskId, number: 1 })) });
  expect(world.effectsOf("stop").map(({ taskId }) => taskId)).toEqual(ids);
});
