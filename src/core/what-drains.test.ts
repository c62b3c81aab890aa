/** Whatever may make work possible starts what waits, in its own turn and without another call. */
import { expect, test } from "vitest";
import { asAgentId } from "../base/ids.ts";
import { createWorld, MAIN, type SpecInput, type World, type WorldOptions } from "../testing/world.ts";

type PoolInput = NonNullable<WorldOptions["pool"]>;

const once = { maxAttempts: 1 };
const error = { code: "x", message: "x" };

const CASES: readonly {
  event: string;
  options: WorldOptions;
  spec?: SpecInput;
  before?: (world: World) => void;
  happens: (world: World) => void;
}[] = [
  { event: "an agent is added", options: {}, happens: (world) => void world.addAgent("ada") },
  {
    event: "an agent joins and asks",
    options: {},
    happens: (world) => {
      world.join({ name: "ada" });
      world.claim("ada");
    },
  },
  {
    event: "a claim is made",
    options: { agents: [{ name: "ada", kind: "remote" }] },
    happens: (world) => void world.claim("ada"),
  },
  {
    event: "a task completes",
    options: { agents: ["ada"] },
    before: (world) => void world.submit({ id: "first" }),
    happens: (world) => world.complete("first"),
  },
  {
    event: "a task fails",
    options: { agents: ["ada"], pool: { retry: once } },
    before: (world) => void world.submit({ id: "first" }),
    happens: (world) => world.fail("first"),
  },
  {
    event: "a cancelled run has ended",
    options: { agents: ["ada"] },
    before: (world) => {
      world.submit({ id: "first" });
      world.cancel("first");
    },
    happens: (world) => world.endRun("ada", "first"),
  },
  {
    event: "a run that ignores its signal is given up",
    options: { agents: ["ada"], pool: { stopMs: 10, abandonMs: 100 } },
    before: (world) => {
      world.submit({ id: "first" });
      world.cancel("first");
    },
    happens: (world) => world.advance(100),
  },
  {
    event: "a dead agent is back",
    options: { agents: [{ name: "ada", kind: "daemon" }], pool: { restart: { delayMs: 0 } } },
    before: (world) => {
      world.crash("ada");
      world.advance(0);
    },
    happens: (world) => world.ready("ada"),
  },
  {
    event: "a silent agent is back and asks",
    options: { agents: [{ name: "ada", kind: "remote" }] },
    before: (world) => world.advance(30_000),
    happens: (world) => void world.claim("ada"),
  },
  {
    event: "an operator takes its word back",
    options: { agents: ["ada"] },
    before: (world) => void world.ask({ type: "fail_agent", agentId: asAgentId("ada"), reason: "no good" }),
    happens: (world) => void world.ask({ type: "recover_agent", agentId: asAgentId("ada") }),
  },
  {
    event: "an open breaker is half-open",
    options: {
      agents: ["ada"],
      pool: { retry: once, breaker: { consecutive: 1, openMs: 1_000, jitter: "none" } },
    },
    before: (world) => world.fail(world.submit()),
    happens: (world) => world.advance(1_000),
  },
  {
    event: "the breakers are reset",
    options: { agents: ["ada"], pool: { retry: once, breaker: { consecutive: 1 } } },
    before: (world) => world.fail(world.submit()),
    happens: (world) => void world.ask({ type: "reset_breakers", pool: undefined }),
  },
  {
    event: "a permit that hangs is handed out again",
    options: {
      agents: [{ name: "ada", concurrency: 2 }],
      pool: { retry: once, breaker: { consecutive: 1, openMs: 1_000, permitMs: 5_000, jitter: "none" } },
    },
    before: (world) => {
      world.fail(world.submit());
      world.advance(1_000);
      world.submit();
    },
    happens: (world) => world.advance(5_000),
  },
  {
    event: "a rest is over",
    options: { agents: ["ada"], pool: { retry: once } },
    before: (world) => {
      const id = world.submit();
      world.report(id, { name: "throttled", error, retryAfterMs: 700 });
      world.cancel(id);
    },
    happens: (world) => world.advance(700),
  },
  {
    event: "a gate opens",
    options: { agents: ["ada"] },
    spec: { type: "migration" },
    before: (world) => void world.ask({ type: "set_gate", name: "db", available: false, holds: ["migration"] }),
    happens: (world) => void world.ask({ type: "gate_probed", name: "db", available: true, reason: "" }),
  },
  {
    event: "a gate no longer holds it",
    options: { agents: ["ada"] },
    spec: { type: "migration" },
    before: (world) => void world.ask({ type: "set_gate", name: "db", available: false, holds: ["migration"] }),
    happens: (world) => void world.ask({ type: "set_gate", name: "db", available: false, holds: ["other"] }),
  },
  {
    event: "its delay is over",
    options: { agents: ["ada"] },
    spec: { runAtMs: 1_000_500 },
    happens: (world) => world.advance(500),
  },
  {
    event: "its dependency completes",
    options: { agents: ["ada", "bob"] },
    spec: { dependencies: ["root"] },
    before: (world) => void world.submit({ id: "root" }),
    happens: (world) => world.complete("root"),
  },
  {
    event: "a paused pool goes on",
    options: { agents: ["ada"] },
    before: (world) => void world.ask({ type: "set_mode", pool: MAIN, mode: "paused" }),
    happens: (world) => void world.ask({ type: "set_mode", pool: MAIN, mode: "running" }),
  },
  {
    event: "its fairness key has room again",
    options: { agents: [{ name: "ada", concurrency: 2 }], pool: { keyConcurrency: 1 } },
    spec: { fairnessKey: "k" },
    before: (world) => void world.submit({ id: "first", fairnessKey: "k" }),
    happens: (world) => world.complete("first"),
  },
  {
    event: "more tasks of a key may run",
    options: { agents: [{ name: "ada", concurrency: 2 }], pool: { keyConcurrency: 1 } },
    spec: { fairnessKey: "k" },
    before: (world) => void world.submit({ id: "first", fairnessKey: "k" }),
    happens: (world) => {
      const pool = world.state.pools.get(MAIN);
      if (pool !== undefined) world.ask({ type: "change_pool", options: { ...pool.options, keyConcurrency: 2 } });
    },
  },
  {
    event: "more tasks without a key may run",
    options: { agents: [{ name: "ada", concurrency: 2 }], pool: { keyConcurrency: 1 } },
    before: (world) => void world.submit({ id: "first" }),
    happens: (world) => {
      const pool = world.state.pools.get(MAIN);
      if (pool !== undefined) world.ask({ type: "change_pool", options: { ...pool.options, keyConcurrency: 2 } });
    },
  },
  {
    event: "a stuck agent is free",
    options: { agents: [{ name: "ada", concurrency: 2 }], pool: { stuckMs: 1_000, retry: once } },
    before: (world) => {
      world.submit({ id: "first" });
      world.start("first");
      world.advance(1_001);
    },
    happens: (world) => world.complete("first"),
  },
  {
    event: "an unhealthy agent may be tried",
    options: { agents: ["ada"], pool: { retry: once, health: { consecutive: 1 } } },
    before: (world) => {
      for (const _ of [1, 2]) world.fail(world.submit());
    },
    happens: (world) => world.advance(30_000),
  },
  {
    event: "old failures are forgotten",
    options: { agents: ["ada"], pool: { retry: once, health: { consecutive: 1, maxAgeMs: 10_000 } } },
    before: (world) => {
      for (const _ of [1, 2]) world.fail(world.submit());
    },
    happens: (world) => world.advance(10_001),
  },
];

test.each(CASES)("S0-B02 what waits starts when $event", ({ options, spec, before, happens }) => {
  const pool: PoolInput = { ...options.pool };
  const world = createWorld({ ...options, pool });
  before?.(world);
  const id = world.submit(spec);
  expect(world.status(id)).not.toBe("leased");
  happens(world);
  expect(world.status(id)).toBe("leased");
});
