/** What forbids an agent forbids it on every path: a preference, an affinity, a score or a user's function only orders. */
import { describe, expect, test } from "vitest";
import { asAgentId } from "../base/ids.ts";
import { createWorld, MAIN, type SpecInput, type World, type WorldAgent } from "../testing/world.ts";
import { newChooser } from "./chooser.ts";

type PoolInput = NonNullable<Parameters<World["addPool"]>[0]>;

const once = { maxAttempts: 1 };
const ADA = asAgentId("ada");

/** Ways in which a task may come to an agent; on each of them it would be ada's if she might. */
const PATHS: readonly { path: string; pool?: PoolInput; spec?: SpecInput; setUp?: (world: World) => void }[] = [
  { path: "by the strategy" },
  { path: "because it prefers her name", spec: { preferredAgent: "ada" } },
  { path: "by round robin", pool: { strategy: "round_robin" } },
  { path: "by priority", pool: { strategy: "priority" } },
  { path: "by score", pool: { strategy: "score" } },
  { path: "by affinity", pool: { strategy: "affinity" }, spec: { affinityKey: "k" } },
  { path: "by peak_ewma that holds back", pool: { strategy: "peak_ewma", holdBack: true } },
  { path: "by weights between priorities", pool: { serving: { critical: 8, high: 4, medium: 2, low: 1 } } },
  { path: "in the turn of its fairness key", spec: { fairnessKey: "k" } },
  {
    path: "by a user's function",
    setUp: (world) =>
      world.state.choosers.set(
        MAIN,
        newChooser(() => "ada"),
      ),
  },
];

/** What may speak against her. */
const AGAINST: readonly {
  against: string;
  ada?: Partial<WorldAgent>;
  pool?: PoolInput;
  spec?: SpecInput;
  setUp?: (world: World) => void;
}[] = [
  { against: "has no free slot", setUp: (world) => void world.submit({ preferredAgent: "ada" }) },
  { against: "has crashed", ada: { kind: "daemon" }, setUp: (world) => world.crash("ada") },
  {
    against: "is quarantined",
    ada: { kind: "daemon" },
    pool: { restart: { max: 0 } },
    setUp: (world) => world.crash("ada"),
  },
  {
    against: "is starting again",
    ada: { kind: "daemon" },
    pool: { restart: { delayMs: 0 } },
    setUp: (world) => {
      world.crash("ada");
      world.advance(0);
      expect(world.agent("ada").lifecycle).toBe("restarting");
    },
  },
  {
    against: "has an open breaker",
    pool: { breaker: { consecutive: 1 }, retry: once },
    setUp: (world) => world.fail(world.submit({ preferredAgent: "ada" })),
  },
  {
    against: "has given its only permit away",
    ada: { concurrency: 2 },
    pool: { breaker: { consecutive: 1, openMs: 1_000, jitter: "none" }, retry: once },
    setUp: (world) => {
      world.fail(world.submit({ preferredAgent: "ada" }));
      world.advance(1_000);
      expect(world.runner(world.submit({ preferredAgent: "ada" }))).toBe("ada");
    },
  },
  {
    against: "is unhealthy by an operator's word",
    setUp: (world) => void world.ask({ type: "fail_agent", agentId: ADA, reason: "no good" }),
  },
  {
    against: "is unhealthy by its work, and was tried",
    ada: { concurrency: 2 },
    pool: { health: { consecutive: 1 }, retry: once },
    setUp: (world) => {
      for (const _ of [1, 2]) world.fail(world.submit({ preferredAgent: "ada" }));
    },
  },
  { against: "lacks what is required", ada: { capabilities: ["cpu"] }, spec: { requires: ["gpu"] } },
  { against: "does not take the type", ada: { capabilities: ["cpu"] }, spec: { type: "gpu" } },
  {
    against: "rests",
    setUp: (world) => {
      const id = world.submit({ preferredAgent: "ada" });
      const error = { code: "throttled", message: "slow down" };
      world.report(id, { name: "throttled", error, retryAfterMs: 60_000 });
      if (world.status(id) === "leased") world.complete(id);
      else world.cancel(id);
    },
  },
  { against: "has not asked for work", ada: { kind: "remote" } },
  {
    against: "asks for other types",
    ada: { kind: "remote" },
    setUp: (world) => void world.claim("ada", { types: ["other"] }),
  },
  {
    against: "has failed it while another could serve",
    pool: { retry: { maxAttempts: 3 } },
    spec: { id: "t" },
    setUp: (world) => {
      // It comes to ada first, and fails there.
      world.submit({ id: "t", preferredAgent: "ada" });
      world.fail("t");
    },
  },
];

const worldOf = (
  path: (typeof PATHS)[number],
  against: (typeof AGAINST)[number],
  more: readonly WorldAgent[],
): World => {
  const ada = { name: "ada", priority: -1, capabilities: [], ...against.ada };
  const world = createWorld({ agents: [ada, ...more], pool: { ...against.pool, ...path.pool } });
  against.setUp?.(world);
  path.setUp?.(world);
  return world;
};

describe.each(AGAINST)("S0-B11 an agent that $against", (against) => {
  test.each(PATHS)("is not given a task $path, whoever else is there", (path) => {
    const spec: SpecInput = { ...path.spec, ...against.spec };
    if (against.spec?.id === undefined) {
      const alone = worldOf(path, against, []);
      const id = alone.submit(spec);
      expect([alone.status(id), alone.runner(id)]).toEqual(["agent", undefined]);
    }
    const both = worldOf(path, against, [{ name: "bob", capabilities: ["*"], concurrency: 3 }]);
    const id = against.spec?.id ?? both.submit(spec);
    expect(both.runner(id)).toBe("bob");
  });
});

test.each(PATHS)("a task would be hers $path, if nothing spoke against her", ({ pool, spec, setUp }) => {
  const world = createWorld({ agents: [{ name: "ada", priority: -1 }, "bob"], pool: pool ?? {} });
  setUp?.(world);
  const ids = ["k", "l", "m", "n"].map((affinityKey) =>
    world.submit({ ...spec, ...(spec?.affinityKey && { affinityKey }) }),
  );
  expect(ids.map((id) => world.runner(id))).toContain("ada");
});

test.each(PATHS)("S0-B11 S0-27 a task whose type a gate holds comes to nobody $path", (path) => {
  const world = createWorld({ agents: ["ada"], pool: path.pool ?? {} });
  path.setUp?.(world);
  world.ask({ type: "set_gate", name: "db", available: false, holds: ["migration"] });
  const held = world.submit({ ...path.spec, type: "migration" });
  const free = world.submit(path.spec);
  expect([world.status(held), world.runner(free)]).toEqual(["agent", "ada"]);
});
