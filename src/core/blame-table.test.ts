/** The table of blames, line by line: what is charged, whom it counts against, and where the task goes. */
import { describe, expect, test } from "vitest";
import { createWorld, type World } from "../testing/world.ts";
import type { Blame, Outcome } from "./outcome.ts";

const error = { code: "x", message: "x" };
const failed = (blame: Blame, more: object = {}): Outcome => ({ name: "failed", blame, error: { ...error, ...more } });

interface Line {
  readonly said: string;
  readonly outcome: Outcome;
  /** What becomes of the task: on the other agent, backing off, or how it ended. */
  readonly next: "elsewhere" | "backoff" | "failed" | "cancelled" | "completed" | "again";
  readonly charged: boolean;
  readonly excluded: boolean;
  /** Counts against the agent, in its breaker, its health and its figures. */
  readonly counts: boolean;
  readonly rests?: boolean;
}

const LINES: readonly Line[] = [
  {
    said: "a success",
    outcome: { name: "succeeded", resultBytes: 0 },
    next: "completed",
    charged: true,
    excluded: false,
    counts: false,
  },
  {
    said: "a failure of the agent",
    outcome: failed("agent"),
    next: "elsewhere",
    charged: true,
    excluded: true,
    counts: true,
  },
  {
    said: "an unknown failure",
    outcome: failed("unknown"),
    next: "elsewhere",
    charged: true,
    excluded: true,
    counts: true,
  },
  {
    said: "a timeout",
    outcome: { name: "timed_out", blame: "agent", error },
    next: "elsewhere",
    charged: true,
    excluded: true,
    counts: true,
  },
  {
    said: "a loss by silence",
    outcome: { name: "lost", blame: "agent", kill: false, error },
    next: "elsewhere",
    charged: true,
    excluded: true,
    counts: true,
  },
  {
    said: "a loss by death",
    outcome: { name: "lost", blame: "agent", kill: true, error },
    next: "elsewhere",
    charged: true,
    excluded: true,
    counts: true,
  },
  {
    said: "a loss with the engine",
    outcome: { name: "lost", blame: "engine", kill: false, error },
    next: "again",
    charged: false,
    excluded: false,
    counts: false,
  },
  {
    said: "a failure of the task",
    outcome: failed("task"),
    next: "failed",
    charged: true,
    excluded: false,
    counts: false,
  },
  {
    said: "a failure of the task that may be repeated",
    outcome: failed("task", { retryable: true }),
    next: "backoff",
    charged: true,
    excluded: false,
    counts: false,
  },
  {
    said: "a failure of the agent that may not be repeated",
    outcome: failed("agent", { retryable: false }),
    next: "failed",
    charged: true,
    excluded: true,
    counts: true,
  },
  {
    said: "an unknown failure that may not be repeated",
    outcome: failed("unknown", { retryable: false }),
    next: "failed",
    charged: true,
    excluded: true,
    counts: true,
  },
  {
    said: "a failure of a dependency",
    outcome: failed("dependency"),
    next: "backoff",
    charged: false,
    excluded: false,
    counts: false,
  },
  {
    said: "a failure of a dependency that may not be repeated",
    outcome: failed("dependency", { retryable: false }),
    next: "failed",
    charged: false,
    excluded: false,
    counts: false,
  },
  {
    said: "a throttling",
    outcome: { name: "throttled", error },
    next: "elsewhere",
    charged: false,
    excluded: false,
    counts: false,
    rests: true,
  },
  {
    said: "a throttling that may not be repeated",
    outcome: { name: "throttled", error: { ...error, retryable: false } },
    next: "failed",
    charged: false,
    excluded: false,
    counts: false,
    rests: true,
  },
  { said: "a release", outcome: { name: "released" }, next: "again", charged: false, excluded: false, counts: false },
  {
    said: "a cancellation",
    outcome: { name: "cancelled", error },
    next: "cancelled",
    charged: true,
    excluded: false,
    counts: false,
  },
];

function ended(outcome: Outcome): World {
  const world = createWorld({
    agents: ["ada", "bob"],
    pool: { breaker: { consecutive: 1, openMs: 60_000, jitter: "none" }, health: { consecutive: 1 } },
  });
  world.submit({ id: "t", preferredAgent: "ada" });
  world.start("t");
  world.advance(10);
  world.report("t", outcome);
  return world;
}

describe.each(LINES)("$said", ({ outcome, next, charged, excluded, counts, rests = false }) => {
  test(`S0-B20 goes on as it must: ${next}`, () => {
    const world = ended(outcome);
    if (next === "elsewhere") expect(world.runner("t")).toBe("bob");
    else if (next === "again") expect(world.runner("t")).toBe("ada");
    else if (next === "backoff") expect([world.status("t"), world.waitsMs("t")]).toEqual(["retry", 200]);
    else expect(world.settlement("t")).toMatchObject({ status: next, deadLettered: next === "failed" });
  });

  test("is charged to the task, and to its failed list, or not", () => {
    const { attemptCount, failedAgentIds, attempts } = ended(outcome).task("t");
    expect([attemptCount, failedAgentIds]).toEqual([charged ? 1 : 0, excluded ? ["ada"] : []]);
    expect(attempts).toHaveLength(1);
  });

  test("S2-B07 S4-B01 counts against its agent, or not", () => {
    const ada = ended(outcome).agent("ada");
    expect([ada.breaker.name, ada.findings.has("passive")]).toEqual(counts ? ["open", true] : ["closed", false]);
    expect([ada.stats.failed, ada.stats.consecutiveFailures]).toEqual(counts ? [1, 1] : [0, 0]);
    expect(ada.stats.succeeded).toBe(outcome.name === "succeeded" ? 1 : 0);
    expect(ada.measure.samples).toBe(counts || outcome.name === "succeeded" ? 1 : 0);
  });

  test("lets its agent rest, or not", () => {
    const world = ended(outcome);
    expect(world.agent("ada").cooldownUntilMs > world.nowMs).toBe(rests);
  });
});

test("signs of life never clear what an agent's work says against it: probes, vouching, heartbeats", () => {
  const pool = { breaker: false, health: { consecutive: 1 }, retry: { maxAttempts: 1 }, probe: { rise: 1 } } as const;
  const world = createWorld({
    agents: [
      { name: "d", kind: "daemon" },
      { name: "r", kind: "remote" },
    ],
    pool,
  });
  world.claim("r");
  const ids = [world.submit({ preferredAgent: "d" }), world.submit({ preferredAgent: "r" })];
  for (const id of ids) world.fail(id);
  for (let n = 0; n < 5; n++) world.probe("d", true);
  world.alive("d");
  world.heartbeat("r");
  expect([world.agent("d").health, world.agent("r").health]).toEqual(["unhealthy", "unhealthy"]);
});
