import { expect, test } from "vitest";
import { asAgentId } from "../base/ids.ts";
import { createWorld, type World } from "../testing/world.ts";

const RESTART = {
  delayMs: 1_000,
  factor: 2,
  capMs: 60_000,
  jitter: "none",
  max: 2,
  windowMs: 60_000,
  stableMs: 600_000,
  quarantineMs: 300_000,
} as const;

function daemons(restart: Partial<typeof RESTART> | Record<string, unknown> = {}, names = ["ada"]): World {
  const agents = names.map((name) => ({ name, kind: "daemon" as const }));
  return createWorld({ agents, pool: { restart: { ...RESTART, ...restart } } });
}

/** How long until it is started again. */
const retryInMs = (world: World, name = "ada"): number | undefined => {
  const { retryAtMs } = world.agent(name);
  return retryAtMs === undefined ? undefined : retryAtMs - world.nowMs;
};

/** It dies, and comes up again as soon as it may. */
function crashAndReturn(world: World): void {
  world.crash("ada");
  world.advance(retryInMs(world) ?? 0);
  world.ready("ada");
}

test("S2-17 a daemon that died is started again after exactly the delay", () => {
  const world = daemons();
  world.crash("ada");
  expect([world.agent("ada").lifecycle, retryInMs(world)]).toEqual(["crashed", 1_000]);
  world.advance(999);
  expect(world.agent("ada").lifecycle).toBe("crashed");
  world.advance(1);
  expect(world.agent("ada").lifecycle).toBe("restarting");
  expect(world.effectsOf("start_agent")).toHaveLength(2);
  world.ready("ada");
  expect(world.agent("ada").lifecycle).toBe("ready");
});

test("with a delay of 0 it is started again in the next turn of that instant", () => {
  const world = daemons({ delayMs: 0 });
  world.crash("ada");
  world.advance(0);
  expect(world.agent("ada").lifecycle).toBe("restarting");
});

test("S0-B08 S3-43 S2-30 what ran on it is lost, blamed on it, and given to another at once", () => {
  const world = daemons({}, ["ada", "bob"]);
  world.submit({ id: "t" });
  world.crash("ada");
  expect(world.runner("t")).toBe("bob");
  expect(world.task("t").attempts[0]).toMatchObject({
    outcome: "lost",
    blame: "agent",
    error: { code: "agent_died", message: "its agent died by SIGKILL" },
  });
});

test("a death tells its signal or its code, and the reason where there is one", () => {
  const world = daemons({}, ["ada", "bob"]);
  world.submit({ id: "t" });
  const exit = { code: 3, signal: null, reason: "out of memory", logTail: ["last words"] };
  world.ask({ type: "agent_exited", agentId: asAgentId("ada"), exit });
  expect(world.task("t").attempts[0]?.error?.message).toBe("its agent died with code 3: out of memory");
  expect(world.agent("ada").lastExit).toEqual({ ...exit, atMs: world.nowMs });
});

test("S2-17 the restarts inside the window are bounded: one death more is a quarantine", () => {
  const world = daemons();
  crashAndReturn(world);
  crashAndReturn(world);
  expect(world.agent("ada")).toMatchObject({ lifecycle: "ready", restarts: 2 });
  world.crash("ada");
  expect([world.agent("ada").lifecycle, retryInMs(world)]).toEqual(["quarantined", 300_000]);
});

test("S2-B05 a restart that left the window doesn't count any more, at exactly its end", () => {
  for (const [laterMs, lifecycle, delayMs] of [
    [59_999, "quarantined", 300_000],
    [60_000, "crashed", 1_000],
  ] as const) {
    const world = daemons({ max: 1 });
    crashAndReturn(world);
    world.advance(laterMs);
    world.crash("ada");
    expect([world.agent("ada").lifecycle, retryInMs(world)]).toEqual([lifecycle, delayMs]);
  }
});

test("S2-B05 after the stable time all is forgiven, a millisecond before nothing is", () => {
  for (const [readyForMs, lifecycle] of [
    [599_999, "quarantined"],
    [600_000, "crashed"],
  ] as const) {
    const world = daemons({ windowMs: 10_000_000 });
    crashAndReturn(world);
    crashAndReturn(world);
    world.advance(readyForMs);
    world.crash("ada");
    expect(world.agent("ada").lifecycle).toBe(lifecycle);
  }
});

test("S2-L01 the delay grows with every restart that counts", () => {
  const world = daemons({ max: 3 });
  const delays: unknown[] = [];
  for (let n = 0; n < 3; n++) {
    world.crash("ada");
    delays.push(retryInMs(world));
    world.advance(retryInMs(world) ?? 0);
    world.ready("ada");
  }
  expect(delays).toEqual([1_000, 2_000, 4_000]);
});

test("a run that had timed out ends with its process: the slot is free when that is back", () => {
  const world = createWorld({
    agents: [{ name: "ada", kind: "daemon" }],
    pool: { restart: RESTART, timeoutMs: 100, retry: { maxAttempts: 1 } },
  });
  world.submit({ id: "t" });
  world.start("t");
  world.advance(100);
  expect(world.agent("ada").runs.size).toBe(1);
  crashAndReturn(world);
  expect(world.agent("ada").runs.size).toBe(0);
  expect(world.runner(world.submit())).toBe("ada");
});

test("max 0 is never restarted, only tried once every quarantine time", () => {
  const world = daemons({ max: 0 });
  world.crash("ada");
  expect(world.agent("ada").lifecycle).toBe("quarantined");
  world.advance(299_999);
  expect(world.agent("ada").lifecycle).toBe("quarantined");
  world.advance(1);
  expect(world.agent("ada").lifecycle).toBe("restarting");
});

test("with a quarantine time of 0 it is left alone for good", () => {
  const world = daemons({ max: 0, quarantineMs: 0 });
  world.crash("ada");
  expect(retryInMs(world)).toBeUndefined();
  world.advance(10_000_000);
  expect(world.agent("ada").lifecycle).toBe("quarantined");
});

test("a quarantined agent is tried once every quarantine time, not a whole budget of times", () => {
  const world = daemons({ max: 0 });
  world.crash("ada");
  for (let n = 0; n < 3; n++) {
    world.advance(300_000);
    expect(world.agent("ada").lifecycle).toBe("restarting");
    world.crash("ada");
    expect([world.agent("ada").lifecycle, retryInMs(world)]).toEqual(["quarantined", 300_000]);
  }
  const budget = daemons();
  for (let n = 0; n < 3; n++) {
    budget.crash("ada");
    budget.advance(retryInMs(budget) ?? 0);
  }
  // The third death was one too many, and the quarantine is over: it is on trial.
  expect(budget.agent("ada").lifecycle).toBe("restarting");
  budget.ready("ada");
  budget.crash("ada");
  expect(budget.agent("ada").lifecycle).toBe("quarantined");
});

test("an agent that was stable after its quarantine is treated as any other", () => {
  const world = daemons({ max: 1 });
  crashAndReturn(world);
  world.crash("ada");
  world.advance(300_000);
  world.ready("ada");
  world.advance(600_000);
  world.crash("ada");
  expect([world.agent("ada").lifecycle, retryInMs(world)]).toEqual(["crashed", 1_000]);
  world.advance(1_000);
  world.ready("ada");
  expect(world.agent("ada").lifecycle).toBe("ready");
});

test("a death while it starts or restarts counts as well", () => {
  const world = daemons();
  world.ask({ type: "add_agent", agent: world.identity({ name: "bob", kind: "daemon" }) });
  world.crash("bob");
  expect(world.agent("bob").lifecycle).toBe("crashed");
  world.advance(1_000);
  world.crash("bob");
  expect([world.agent("bob").lifecycle, retryInMs(world, "bob")]).toEqual(["crashed", 2_000]);
});

test("a second word of the same death changes nothing", () => {
  const world = daemons();
  world.crash("ada");
  const before = world.agent("ada").retryAtMs;
  world.advance(10);
  world.crash("ada");
  expect(world.agent("ada")).toMatchObject({ lifecycle: "crashed", retryAtMs: before });
  world.crash("nobody");
});

test("S2-18 a successful restart has a clean record of health and probes, but keeps the number of restarts", () => {
  const world = daemons();
  world.probe("ada", false);
  crashAndReturn(world);
  expect(world.agent("ada")).toMatchObject({ health: "healthy", probes: { good: 0, bad: 0 }, restarts: 1 });
});

test("S0-01 S0-B21 every restart gives new identifiers, all different", () => {
  const world = daemons({ max: 5 });
  const seen: string[] = Object.values(world.agent("ada").isolation);
  for (let n = 0; n < 2; n++) {
    crashAndReturn(world);
    seen.push(...Object.values(world.agent("ada").isolation));
  }
  expect(new Set(seen).size).toBe(9);
  for (const id of seen.slice(3)) expect(id).toMatch(/^[0-9a-f-]{36}$/);
});

test("nothing is started again while the engine drains", () => {
  const world = daemons();
  world.crash("ada");
  world.ask({ type: "drain", matching: true });
  world.advance(1_000_000);
  expect(world.agent("ada").lifecycle).toBe("crashed");
});

test("an agent that comes up twice is ready once, and one that has crashed is not ready by its late word", () => {
  const world = daemons();
  const { readyAtMs } = world.agent("ada");
  world.advance(5);
  world.ready("ada");
  expect(world.agent("ada").readyAtMs).toBe(readyAtMs);
  world.crash("ada");
  world.ready("ada");
  expect(world.agent("ada").lifecycle).toBe("crashed");
  world.ready("nobody");
});

/** Good and bad probes, as + and −. */
function probes(world: World, signs: string, name = "ada"): void {
  for (const sign of signs) world.probe(name, sign === "+");
}

function probed(signs: string, probe = { fall: 3, rise: 2 }): string {
  const world = createWorld({ agents: [{ name: "ada", kind: "daemon" }], pool: { probe } });
  probes(world, signs);
  return world.agent("ada").health;
}

test("S1-L01 as many bad probes in a row as `fall` says make an agent unhealthy, one less does not, and a good one between begins anew", () => {
  expect([probed("--"), probed("---"), probed("--+--"), probed("-", { fall: 1, rise: 1 })]).toEqual([
    "healthy",
    "unhealthy",
    "healthy",
    "unhealthy",
  ]);
});

test("S1-L01 S2-B18 as many good probes in a row as `rise` says make it healthy again, one less does not, and a bad one between begins anew", () => {
  expect([
    probed("---+"),
    probed("---++"),
    probed("---+-+"),
    probed("---+-++"),
    probed("-+", { fall: 1, rise: 1 }),
  ]).toEqual(["unhealthy", "healthy", "unhealthy", "healthy", "healthy"]);
});

test("an agent that its probes find unhealthy gets no work, and its process is ended once", () => {
  const world = createWorld({ agents: [{ name: "ada", kind: "daemon" }], pool: { probe: { fall: 2 } } });
  probes(world, "----");
  expect(world.effectsOf("kill_agent")).toEqual([
    { type: "kill_agent", agentId: "ada", reason: "2 probes in a row failed" },
  ]);
  world.submit({ id: "t" });
  expect(world.status("t")).toBe("agent");
  probes(world, "++");
  expect(world.runner("t")).toBe("ada");
});

test("bad probes of a full daemon don't count, good ones do", () => {
  const world = createWorld({
    agents: [{ name: "ada", kind: "daemon", concurrency: 2 }],
    pool: { probe: { fall: 2, rise: 1 } },
  });
  world.submit({ id: "1" });
  probes(world, "-");
  world.submit({ id: "2" });
  probes(world, "------");
  expect(world.agent("ada")).toMatchObject({ health: "healthy", probes: { good: 0, bad: 1 } });
  probes(world, "+");
  expect(world.agent("ada").probes).toEqual({ good: 1, bad: 0 });
  world.complete("1");
  probes(world, "--");
  expect(world.agent("ada").health).toBe("unhealthy");
});

test("probes of an agent that is not ready, or not there, say nothing", () => {
  const world = daemons();
  world.crash("ada");
  probes(world, "---");
  expect(world.agent("ada").probes).toEqual({ good: 0, bad: 0 });
  probes(world, "-", "nobody");
});

test("an agent that was added later goes by the pool's own restart and probe options", () => {
  const world = createWorld({ pool: { restart: { ...RESTART, delayMs: 77 }, probe: { fall: 1 } } });
  world.addAgent({ name: "late", kind: "daemon" });
  probes(world, "-", "late");
  expect(world.agent("late").health).toBe("unhealthy");
  world.crash("late");
  expect(retryInMs(world, "late")).toBe(77);
});
