import { describe, expect, test } from "vitest";
import { isPoolError } from "../../base/errors.ts";
import { LIMIT_DEFAULTS } from "./agent.ts";
import { type PoolOptionsInput, poolSchema, resolvePool } from "./pool.ts";
import { PRESET_WORDS, PRESETS } from "./presets.ts";

const pool = (input: PoolOptionsInput) => resolvePool({ id: "p", ...input }, () => "made");

function pathOf(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    if (isPoolError(error, "invalid")) return error.details.path;
    throw error;
  }
  return undefined;
}

const command = { kind: "command" as const, program: "cat" };

describe("coordination", () => {
  const options = pool({ preset: "coordination" });

  test("S0-08: takes the known types and no others", () => {
    expect(options.types).toEqual([
      "discovery",
      "migration",
      "heartbeat",
      "ingest",
      "research",
      "general",
      "maintenance",
    ]);
  });

  test("S0-09, S0-10, X-04: has 1 to 16 agents, 4 when nothing is said", () => {
    expect(options.size).toEqual({ min: 1, default: 4, max: 16 });
  });

  test("S0-12, X-05: holds 100 waiting tasks and refuses the next", () => {
    expect(options.queue).toMatchObject({ limit: 100, overflow: "reject" });
  });

  test("S0-20, S0-24, X-01, X-12: executes three times in all, elsewhere at once, else after 2 s, then 4 s", () => {
    expect(options.retry).toMatchObject({ maxAttempts: 3, failover: "immediate" });
    expect(options.retry.backoff).toMatchObject({ baseMs: 2_000, factor: 2, jitter: "none" });
  });

  test("S0-19, X-15: only an operator says that an agent is sick", () => {
    expect([options.breaker, options.health, options.probe]).toEqual([false, false, false]);
    expect([options.timeoutMs, options.stuckMs]).toEqual([undefined, undefined]);
  });

  test("S0-B08: replaces the dead up to size.min", () => {
    expect(options.restart.upTo).toBe("min");
  });

  test("chooses by latency of the type, strictly by priority, knows no poison and stops within 5 s", () => {
    expect([options.strategy, options.ageing, options.poisonLimit, options.stopMs]).toEqual([
      "type_latency",
      false,
      0,
      5_000,
    ]);
  });
});

describe("balanced", () => {
  const options = pool({ preset: "balanced" });

  test("X-04: takes any types and any number of agents", () => {
    expect([options.types, options.size.max]).toEqual([undefined, 10_000]);
  });

  test("X-05: lets nobody wait", () => {
    expect(options.queue).toMatchObject({ limit: 0, overflow: "reject" });
  });

  test("S1-17, S1-18, X-01: calls four times in all, after 100 ms, 200 ms, 400 ms", () => {
    expect(options.retry).toMatchObject({ maxAttempts: 4, failover: "backoff" });
    expect(options.retry.backoff).toMatchObject({ baseMs: 100, factor: 2, jitter: "none" });
  });

  test("S1-11, S1-12, S1-13, X-02: breaks at 5 failures for 30 s, always as long, until 2 successes", () => {
    expect(options.breaker).toMatchObject({
      consecutive: 5,
      ratio: null,
      openMs: 30_000,
      factor: 1,
      jitter: "none",
      successes: 2,
      probeHalfOpens: false,
    });
  });

  test("S1-09: is judged by ten calls, degraded from 0.3 and unhealthy from 0.7", () => {
    expect(options.health).toMatchObject({ window: 10, minimum: 10, degraded: 0.3, unhealthy: 0.7 });
    expect(options.health).not.toHaveProperty("consecutive");
  });

  test("S1-25, S1-L01: probes every 30 s with 2 s of patience, 3 to fall, 2 to rise", () => {
    expect(options.probe).toEqual({ intervalMs: 30_000, timeoutMs: 2_000, fall: 3, rise: 2 });
  });

  test("restarts nobody", () => {
    expect(options.restart).toMatchObject({ max: 0, quarantineMs: 0 });
  });

  test("S1-25, S1-L04: a request may take 30 s, and no agent counts as stuck", () => {
    expect([options.timeoutMs, options.stuckMs]).toEqual([30_000, undefined]);
  });

  test("S1-01: goes round, strictly by priority, knows no poison", () => {
    expect([options.strategy, options.ageing, options.poisonLimit]).toEqual(["round_robin", false, 0]);
  });
});

describe("daemons", () => {
  const options = pool({ preset: "daemons", daemon: { program: "x" } });

  test("S2-01, S2-02, X-04: has 1 to 100 daemons, 5 when nothing is said, from port 8080 on", () => {
    expect(options.size).toEqual({ min: 1, default: 5, max: 100 });
    expect(options.agents).toMatchObject([{ kind: "daemon", count: 5, sized: true, daemon: { basePort: 8080 } }]);
    expect(options.types).toBeUndefined();
  });

  test("S2-09, X-05: lets callers wait up to 5 s for a free one", () => {
    expect(options.queue).toMatchObject({ limit: 0, overflow: "wait", maxWaitMs: 5_000 });
  });

  test("S2-10, S2-11, X-12: tries three times, after 100 ms and 200 ms at most", () => {
    expect(options.retry).toMatchObject({ maxAttempts: 3, failover: "backoff" });
    expect(options.retry.backoff).toMatchObject({ baseMs: 100, factor: 2, jitter: "full" });
  });

  test("S2-12, S2-13, X-02: breaks at 3 failures for 10 s, a good probe ends that early, one success closes", () => {
    expect(options.breaker).toMatchObject({
      consecutive: 3,
      ratio: null,
      openMs: 10_000,
      factor: 1,
      successes: 1,
      probeHalfOpens: true,
    });
  });

  test("S2-12: three failures in a row make a daemon unhealthy, shares don't", () => {
    expect(options.health).toMatchObject({ consecutive: 3, degraded: 1, unhealthy: 1 });
  });

  test("S2-15: is probed every 10 s with 1 s of patience, 3 to fall, 1 to rise", () => {
    expect(options.probe).toEqual({ intervalMs: 10_000, timeoutMs: 1_000, fall: 3, rise: 1 });
    expect(options.agents[0]?.probe).toEqual(options.probe);
  });

  test("S2-17, S2-B05: restarts after 2 s, five times in 600 s, forgiven after 60 good seconds", () => {
    expect(options.restart).toMatchObject({
      delayMs: 2_000,
      factor: 1,
      jitter: "none",
      max: 5,
      windowMs: 600_000,
      stableMs: 60_000,
    });
    expect(options.agents[0]?.restart).toEqual(options.restart);
  });

  test("S2-16, S2-26: a request may take 10 s; one busy for 30 s is restarted", () => {
    expect([options.timeoutMs, options.stuckMs, options.onStuck]).toEqual([10_000, 30_000, "restart"]);
  });

  test("S2-08, S2-19, S2-L03: goes round, strictly by priority, two deaths are poison, stops within 3 s", () => {
    expect([options.strategy, options.ageing, options.poisonLimit, options.stopMs]).toEqual([
      "round_robin",
      false,
      2,
      3_000,
    ]);
  });
});

describe("tasks", () => {
  const options = pool({ preset: "tasks" });

  test("X-04, X-05: takes any types and any number of agents, and 10,000 waiting tasks", () => {
    expect([options.types, options.size.max]).toEqual([undefined, 10_000]);
    expect(options.queue).toMatchObject({ limit: 10_000, overflow: "reject" });
  });

  test("S3-62, X-01: executes four times in all, elsewhere at once, else after 200 ms, doubling, by lot", () => {
    expect(options.retry).toMatchObject({ maxAttempts: 4, failover: "immediate" });
    expect(options.retry.backoff).toMatchObject({ baseMs: 200, factor: 2, jitter: "full" });
  });

  test("goes by scores: no breaker, no windows, no probes, no restarts", () => {
    expect([options.breaker, options.health, options.probe]).toEqual([false, false, false]);
    expect(options.restart).toMatchObject({ max: 0, quarantineMs: 0 });
    expect([options.timeoutMs, options.stuckMs]).toEqual([undefined, undefined]);
  });

  test("scores pairs, ages by a minute, two deaths are poison, stops within 5 s", () => {
    expect([options.strategy, options.ageing, options.poisonLimit, options.stopMs]).toEqual([
      "score",
      { stepMs: 60_000 },
      2,
      5_000,
    ]);
  });
});

describe("trio", () => {
  const options = pool({ preset: "trio", agents: [command] });

  test("S4-01, X-04: has three agents and never another number", () => {
    expect(options.size).toEqual({ min: 3, default: 3, max: 3 });
    expect(options.agents).toMatchObject([{ count: 3, sized: true }]);
    expect(options.types).toBeUndefined();
  });

  test("S4-B08, X-05: holds 100 waiting tasks", () => {
    expect(options.queue).toMatchObject({ limit: 100, overflow: "reject" });
  });

  test("S4-11, X-02: one execution each; three failures in a row break for 5 s and make unhealthy", () => {
    expect(options.retry.maxAttempts).toBe(1);
    expect(options.breaker).toMatchObject({ consecutive: 3, ratio: null, openMs: 5_000, factor: 1, successes: 1 });
    expect(options.health).toMatchObject({ consecutive: 3, degraded: 1, unhealthy: 1 });
    expect(options.probe).toBe(false);
  });

  test("S4-11, S4-L06: busy for 300 s is stuck, and the unhealthy are replaced", () => {
    expect([options.stuckMs, options.onStuck, options.onUnhealthy]).toEqual([300_000, "mark", "replace"]);
    expect(options.restart).toMatchObject({ max: 5, upTo: "size" });
    expect(options.timeoutMs).toBeUndefined();
  });

  test("S4-15: goes round, strictly by priority, knows no poison, stops within 5 s", () => {
    expect([options.strategy, options.ageing, options.poisonLimit, options.stopMs]).toEqual([
      "round_robin",
      false,
      0,
      5_000,
    ]);
  });
});

describe("what a user says goes before the preset", () => {
  test("deep down, and only where it is said", () => {
    const { retry, queue, breaker } = pool({
      preset: "balanced",
      retry: { backoff: { baseMs: 7 } },
      queue: { limit: 3 },
      breaker: { successes: 9 },
    });
    expect(retry).toMatchObject({ maxAttempts: 4, backoff: { baseMs: 7, factor: 2, jitter: "none" } });
    expect(queue).toMatchObject({ limit: 3, overflow: "reject" });
    expect(breaker).toMatchObject({ consecutive: 5, successes: 9 });
  });

  test("lists and single words are replaced, false and objects too", () => {
    expect(pool({ preset: "coordination", types: ["x"] }).types).toEqual(["x"]);
    expect(pool({ preset: "trio", breaker: false }).breaker).toBe(false);
    expect(pool({ preset: "tasks", breaker: { successes: 4 } }).breaker).toMatchObject({
      consecutive: 5,
      successes: 4,
    });
    expect(pool({ preset: "tasks", probe: {} }).probe).toEqual({
      intervalMs: 10_000,
      timeoutMs: 2_000,
      fall: 3,
      rise: 2,
    });
    expect(pool({ preset: "tasks", ageing: false }).ageing).toBe(false);
  });

  test("of the sizes, those not said give way", () => {
    expect(pool({ preset: "coordination", size: { max: 2 } }).size).toEqual({ min: 1, default: 2, max: 2 });
    expect(pool({ preset: "trio", size: { default: 5 } }).size).toEqual({ min: 3, default: 5, max: 5 });
    expect(pool({ preset: "trio", size: { default: 2 } }).size).toEqual({ min: 2, default: 2, max: 3 });
    expect(pathOf(() => pool({ preset: "trio", size: { min: 4, max: 3 } }))).toBe("size.min");
  });

  test("a word that is undefined is not said", () => {
    expect(pool({ preset: "trio", stuckMs: undefined }).stuckMs).toBe(300_000);
  });
});

test("a preset that is not known is refused by name", () => {
  for (const preset of ["quartet", "", null, 1]) {
    expect(pathOf(() => pool({ preset } as unknown as PoolOptionsInput))).toBe("preset");
  }
});

test("the words of every preset are words that a user could say", () => {
  for (const preset of PRESETS) expect(poolSchema.parse(PRESET_WORDS[preset])).toEqual(PRESET_WORDS[preset]);
});

test("every preset makes a pool of nothing but its name, whose slots are for remote agents", () => {
  for (const preset of PRESETS) expect(pool({ preset })).toMatchObject({ preset, agents: [] });
});

test("S0-B13: sizes begin at 1", () => {
  for (const word of ["min", "default", "max"]) {
    for (const bad of [0, -1, 1.5]) expect(pathOf(() => pool({ size: { [word]: bad } }))).toBe(`size.${word}`);
    expect(pathOf(() => pool({ size: { [word]: 1 } }))).toBeUndefined();
  }
});

describe("S2-02: processes are at most as many as the server allows", () => {
  const limited = (input: PoolOptionsInput, maxProcesses: number) =>
    resolvePool(input, () => "p", { ...LIMIT_DEFAULTS, maxProcesses });

  test("size.max counts, not what a pool begins with", () => {
    for (const agents of [[command], undefined]) {
      const input = (max: number) => ({
        daemon: { program: "x" },
        size: { default: 1, max },
        ...(agents && { agents }),
      });
      expect(pathOf(() => limited(input(100), 100))).toBeUndefined();
      expect(pathOf(() => limited(input(101), 100))).toBe("size.max");
    }
  });

  test("a maximum that nobody has said gives way", () => {
    expect(limited({ agents: [command], size: { default: 2 } }, 3).size).toEqual({ min: 1, default: 2, max: 3 });
    expect(limited({ preset: "daemons", daemon: { program: "x" } }, 3).size).toEqual({ min: 1, default: 3, max: 3 });
    expect(limited({ preset: "balanced", agents: [command] }, 100).size.max).toBe(100);
  });

  test("named ones and counts are added to it", () => {
    const agents = [command, { ...command, name: "a" }, { ...command, count: 2 }];
    expect(pathOf(() => limited({ agents, size: { max: 5 } }, 8))).toBeUndefined();
    expect(pathOf(() => limited({ agents, size: { max: 6 } }, 8))).toBe("size");
  });

  test("functions and remote agents are no processes", () => {
    expect(pathOf(() => limited({ size: { max: 500 } }, 1))).toBeUndefined();
    expect(pathOf(() => limited({ agents: [{ kind: "function", name: "a" }], size: { max: 500 } }, 1))).toBeUndefined();
  });
});

test("autoscale is off until it is asked for, and its bounds are checked", () => {
  expect(pool({}).autoscale).toBe(false);
  expect(pool({ autoscale: {} }).autoscale).toEqual({ targetWaitMs: 5_000, cooldownMs: 60_000 });
  expect(pool({ autoscale: { targetPerAgent: 2 } }).autoscale).toEqual({
    targetWaitMs: 5_000,
    targetPerAgent: 2,
    cooldownMs: 60_000,
  });
  expect(pathOf(() => pool({ autoscale: { targetWaitMs: 0 } }))).toBe("autoscale.targetWaitMs");
  expect(pathOf(() => pool({ autoscale: { targetPerAgent: 0 } }))).toBe("autoscale.targetPerAgent");
  expect(pathOf(() => pool({ autoscale: { cooldownMs: 0 } }))).toBe("autoscale.cooldownMs");
});
