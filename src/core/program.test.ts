import fc from "fast-check";
import { expect, test } from "vitest";
import { isPoolError } from "../base/errors.ts";
import { createWorld, type World, type WorldAgent } from "../testing/world.ts";
import type { Outcome } from "./outcome.ts";
import type { Priority } from "./task.ts";

const error = { code: "x", message: "" };
const AGENTS: WorldAgent[] = [
  { name: "any", concurrency: 2 },
  { name: "x", capabilities: ["x"] },
  { name: "gpu", capabilities: ["gpu", "y"], kind: "daemon" },
  { name: "rem", kind: "remote", concurrency: 2 },
];
const OUTCOMES: Outcome[] = [
  { name: "succeeded", resultBytes: 1 },
  { name: "succeeded", resultBytes: 1 },
  { name: "failed", blame: "agent", error },
  { name: "failed", blame: "agent", error },
  { name: "failed", blame: "task", error },
  { name: "failed", blame: "task", error: { ...error, retryable: true } },
  { name: "failed", blame: "dependency", error },
  { name: "throttled", error, retryAfterMs: 300 },
  { name: "throttled", error },
  { name: "released" },
];

/** Numbers that the step makes of them what it needs. */
interface Draw {
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

const pick = <T>(list: readonly T[], at: number): T => list[at % list.length] as T;

/** Any task that the world knows or has known. */
function someTask(world: World, at: number): string {
  const ids = [...world.stored.keys(), ...world.history.keys()];
  return ids.length === 0 ? "nobody" : pick(ids, at);
}

function someLeased(world: World, at: number): string {
  const ids = [...world.state.tasks.values()].filter(({ state }) => state.name === "leased").map(({ spec }) => spec.id);
  return ids.length === 0 ? someTask(world, at) : pick(ids, at);
}

const runsOf = (world: World, name: string): readonly { taskId: string; fence: number }[] => [
  ...(world.state.agents.get(world.identity(name).id)?.runs.values() ?? []),
];

const STEPS: Readonly<Record<string, (world: World, draw: Draw) => void>> = {
  submit: (world, { a, b, c }) => {
    world.submit({
      type: pick(["general", "x", "y", "other"], a),
      requires: pick([[], [], [], ["gpu"]], b),
      priority: pick<Priority>([1, 2, 3, 4], c),
      maxAttempts: 1 + (a % 3),
      retryable: b % 7 !== 0,
      ...(a % 5 === 0 ? { runAtMs: world.nowMs + b } : {}),
      ...(b % 6 === 0 ? { deadlineAtMs: world.nowMs + c * 3 } : {}),
      ...(c % 4 === 0 ? { preferredAgent: pick(AGENTS, a).name } : {}),
      ...(c % 5 === 0 ? { idempotencyKey: `k${a % 5}`, bodyHash: `${b % 2}` } : {}),
    });
  },
  depend: (world, { a, b, c }) => {
    const dependencies = [...new Set([someTask(world, a), someTask(world, b)])];
    world.submit({ dependencies, onDependencyFailure: pick(["cancel", "fail", "run"] as const, c) });
  },
  batch: (world, { a, b, c }) => {
    const id = (n: number): string => `b${world.state.lastNum}-${n}`;
    const specs = [
      { id: id(0), dependencies: [id(1 + (a % 2))] },
      { id: id(1), type: pick(["x", "y", "general"], b), dependencies: c % 9 === 0 ? [id(0)] : [] },
      { id: id(2), ...(b % 3 === 0 ? { idempotencyKey: `k${c % 5}`, bodyHash: "0" } : {}) },
      { id: b % 8 === 0 ? id(2) : id(3), dependencies: a % 8 === 0 ? ["nobody"] : [id(2)] },
    ];
    world.submitBatch(specs, { partial: a % 2 === 0 });
  },
  report: (world, { a, b }) => {
    world.report(someLeased(world, a), pick(OUTCOMES, b));
  },
  lateReport: (world, { a, b, c }) => {
    const id = someTask(world, a);
    world.report(id, pick(OUTCOMES, b), (world.history.get(world.spec({ id }).id)?.lastFence ?? 2 ** 32) - (c % 3));
  },
  endRun: (world, { a, b }) => {
    const { name } = pick(AGENTS, a);
    const runs = runsOf(world, name);
    if (runs.length > 0) world.endRun(name, pick(runs, b).taskId, pick(runs, b).fence);
  },
  start: (world, { a }) => world.start(someLeased(world, a)),
  progress: (world, { a, b }) => world.progress(someLeased(world, a), b),
  cancel: (world, { a }) => world.cancel(someTask(world, a)),
  replay: (world, { a }) => world.replay(someTask(world, a)),
  advance: (world, { a }) => world.advance(a),
  advanceFar: (world, { a }) => world.advance(a * 50),
  forget: (world) => world.forget(),
  crash: (world, { a }) => world.crash(pick(AGENTS, a).name),
  ready: (world, { a }) => world.ready(pick(AGENTS, a).name),
  remove: (world, { a }) => world.remove(pick(AGENTS, a).name),
  add: (world, { a }) => {
    world.addAgent(pick(AGENTS, a));
  },
  replace: (world) => {
    world.join({ name: "rem", concurrency: 2 }, { replace: true });
  },
  probe: (world, { a, b }) => world.probe(pick(AGENTS, a).name, b % 2 === 0),
  alive: (world, { a }) => world.alive(pick(AGENTS, a).name),
  claim: (world, { a, b }) => {
    world.claim("rem", { max: a % 4, waitMs: b, types: pick([undefined, undefined, [], ["x", "general"]], a) });
  },
  heartbeat: (world, { a }) => {
    const named = runsOf(world, "rem").filter((_, index) => (a >> index) % 2 === 0);
    world.heartbeatOf(
      "rem",
      named.map(({ taskId, fence }) => ({ taskId: world.spec({ id: taskId }).id, fence })),
    );
  },
  restart: (world) => {
    world.restart();
    world.ask({ type: "recover" });
  },
  extend: (world) => {
    world.ask({ type: "extend_leases" });
  },
};

/** Refusals are part of the game. */
function play(world: World, name: string, draw: Draw): void {
  try {
    STEPS[name]?.(world, draw);
  } catch (refused) {
    if (!isPoolError(refused)) throw refused;
  }
}

/** Fences only grow, and in each life a task settles at most once and runs only before that. */
function checkHistory(world: World): void {
  let fence = 0;
  const settled = new Map<string, boolean>();
  for (const event of world.events) {
    if (event.type === "task.submitted") {
      expect(settled.has(event.spec.id), `${event.spec.id} is submitted once`).toBe(false);
      settled.set(event.spec.id, false);
    } else if (event.type === "task.replayed") {
      expect(settled.get(event.facts.spec.id)).toBe(true);
      settled.set(event.facts.spec.id, false);
    } else if (event.type === "task.settled") {
      expect(settled.get(event.taskId)).toBe(false);
      settled.set(event.taskId, true);
    } else if (event.type === "task.leased") {
      expect(event.fence).toBeGreaterThan(fence);
      fence = event.fence;
      expect(settled.get(event.taskId)).toBe(false);
    }
  }
}

/** With agents that can do everything, and all the time they need, nothing stays open. */
function finish(world: World): void {
  for (const id of [...world.state.agents.keys()]) world.remove(id);
  world.addAgent({ name: "last", capabilities: ["*"], concurrency: 50 });
  for (let round = 0; round < 200 && world.stored.size > 0; round++) {
    for (const [id, { state }] of [...world.state.tasks]) if (state.name === "leased") world.complete(id);
    const { nextAtMs } = world.state.due;
    if (nextAtMs !== undefined) world.advance(Math.max(0, nextAtMs - world.nowMs));
  }
  expect([...world.stored.keys()]).toEqual([]);
}

const names = Object.keys(STEPS);
const weights: Readonly<Record<string, number>> = {
  submit: 6,
  report: 8,
  advance: 4,
  claim: 3,
  start: 2,
  batch: 2,
  restart: 1,
};
const anyDraw = fc.record({ a: fc.nat({ max: 999 }), b: fc.nat({ max: 999 }), c: fc.nat({ max: 999 }) });
const anyStep = fc.tuple(
  fc.constantFrom(...names.flatMap((name) => Array.from({ length: weights[name] ?? 1 }, () => name))),
  anyDraw,
);

for (const [what, pool] of [
  ["with the usual options", {}],
  [
    "with short times and small limits",
    {
      timeoutMs: 200,
      stopMs: 20,
      abandonMs: 500,
      lease: { ttlMs: 1_000, renewMs: 200 },
      queue: { limit: 5, blockedLimit: 3, delayedLimit: 2 },
      probe: { fall: 1, rise: 1 },
      restart: { max: 1, quarantineMs: 2_000, delayMs: 50 },
    },
  ],
  [
    "without ageing, by round robin, always after backoff",
    {
      ageing: false,
      strategy: "round_robin",
      retry: { failover: "backoff", refundLimit: 2, backoff: { baseMs: 100, jitter: "full" } },
    },
  ],
] as const) {
  test(`S3-65 whatever is asked in whatever order, ${what}, the invariants hold and every task ends once per life`, () => {
    fc.assert(
      fc.property(fc.array(anyStep, { minLength: 20, maxLength: 120 }), fc.nat(), (steps, seed) => {
        const world = createWorld({ seed, agents: AGENTS, pool });
        for (const [name, draw] of steps) play(world, name, draw);
        finish(world);
        checkHistory(world);
      }),
      { numRuns: 25 },
    );
  }, 60_000);
}

test("S2-B06 the same commands with the same seed give the same events and effects", () => {
  fc.assert(
    fc.property(fc.array(anyStep, { minLength: 20, maxLength: 60 }), fc.nat(), (steps, seed) => {
      const run = () => {
        const world = createWorld({
          seed,
          agents: AGENTS,
          pool: { retry: { backoff: { jitter: "full" } } },
          checks: "end",
        });
        for (const [name, draw] of steps) play(world, name, draw);
        return { events: world.events, effects: world.effects };
      };
      expect(run()).toEqual(run());
    }),
    { numRuns: 8 },
  );
});
