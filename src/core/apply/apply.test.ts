import { expect, test } from "vitest";
import { InvariantError } from "../../base/assert.ts";
import { asAgentId, asPoolId, asTaskId } from "../../base/ids.ts";
import { createWorld, type World } from "../../testing/world.ts";
import { AGENT_LIFECYCLE, type Lifecycle } from "../agent.ts";
import type { Event } from "../event.ts";
import { LIFECYCLE, PRIORITY_NAMES } from "../task.ts";
import { apply } from "./apply.ts";

/** One task in each state, and `ada`, who runs `leased`. */
function aWorld(): World {
  const world = createWorld({ agents: ["ada"], checks: "end" });
  world.submit({ id: "settled" });
  world.complete("settled");
  world.submit({ id: "leased" });
  world.submit({ id: "waiting" });
  return world;
}

const leased = (id: string): Event => ({
  type: "task.leased",
  taskId: asTaskId(id),
  agentId: asAgentId("ada"),
  number: 9,
  fence: 9,
  atMs: 0,
  expiresAtMs: 1,
});
const settled = (id: string): Event => ({
  type: "task.settled",
  taskId: asTaskId(id),
  settlement: { status: "completed", settledAtMs: 0, deadLettered: false },
  charged: false,
  exclude: false,
  held: false,
});
const waiting = (id: string): Event => ({
  type: "task.waiting",
  taskId: asTaskId(id),
  resting: { reason: "agent" },
  again: false,
});

function isLegal(event: Event): boolean {
  const world = aWorld();
  try {
    apply(world.state, event, world.nowMs);
    return true;
  } catch (error) {
    if (error instanceof InvariantError) return false;
    throw error;
  }
}

test("S0-07 S3-01 S3-B09 S3-B11 a task moves only as the table allows: nothing leaves a final state but by a replay", () => {
  expect(LIFECYCLE).toEqual({
    waiting: ["waiting", "leased", "settled"],
    leased: ["waiting", "settled"],
    settled: ["waiting"],
  });
  expect([isLegal(leased("waiting")), isLegal(settled("waiting")), isLegal(waiting("waiting"))]).toEqual([
    true,
    true,
    true,
  ]);
  expect([isLegal(leased("leased")), isLegal(settled("leased")), isLegal(waiting("leased"))]).toEqual([
    false,
    true,
    true,
  ]);
  expect([isLegal(leased("settled")), isLegal(settled("settled"))]).toEqual([false, false]);
});

test("only a leased task starts, and only a leased one is renewed", () => {
  for (const [id, legal] of [
    ["leased", true],
    ["waiting", false],
    ["settled", false],
    ["nobody", false],
  ] as const) {
    const taskId = asTaskId(id);
    expect(isLegal({ type: "task.started", taskId, fence: 1, atMs: 0 }), id).toBe(legal);
    expect(isLegal({ type: "lease.renewed", taskId, fence: 1, expiresAtMs: 0 }), id).toBe(legal);
  }
});

test("S3-B27 only a settled task is forgotten; one that is gone already may be", () => {
  for (const [id, legal] of [
    ["leased", false],
    ["waiting", false],
    ["settled", true],
    ["nobody", true],
  ] as const) {
    expect(isLegal({ type: "tasks.forgotten", taskIds: [asTaskId(id)] }), id).toBe(legal);
  }
});

test("what happens to unknown tasks, agents and pools is a broken invariant", () => {
  expect(isLegal(waiting("nobody"))).toBe(false);
  expect(isLegal({ type: "agent.seen", agentId: asAgentId("nobody"), atMs: 0 })).toBe(false);
  expect(isLegal({ type: "pool.draining", pool: asPoolId("nowhere") })).toBe(false);
});

test("an agent's lifecycle moves only as the table allows", () => {
  const all = Object.keys(AGENT_LIFECYCLE) as Lifecycle[];
  for (const from of all) {
    const legal = all.filter((lifecycle) => {
      const world = aWorld();
      world.agent("ada").lifecycle = from;
      try {
        apply(world.state, { type: "agent.lifecycle", agentId: asAgentId("ada"), lifecycle, atMs: 0 }, 0);
        return true;
      } catch {
        return false;
      }
    });
    expect(legal.sort(), from).toEqual([...AGENT_LIFECYCLE[from]].sort());
  }
  expect(AGENT_LIFECYCLE.ready).not.toContain("starting");
  expect(AGENT_LIFECYCLE.quarantined).toEqual(["restarting", "stopped"]);
});

test("S3-03 a new task has its number, its place, no attempts, nobody who failed it, and nothing charged", () => {
  const world = createWorld();
  world.submit({ id: "t" });
  const { lane, ...task } = world.task("t");
  expect(lane).toBeDefined();
  expect(task).toMatchObject({
    num: 1,
    spec: expect.objectContaining({ id: "t", type: "general", priority: 3, maxAttempts: 3, createdAtMs: world.nowMs }),
    state: { name: "waiting", reason: "agent" },
    queuedAtMs: world.nowMs,
    first: false,
    attemptCount: 0,
    lastNumber: 0,
    lastFence: 0,
    failedAgentIds: [],
    again: false,
    refunds: 0,
    replays: 0,
    unmet: 0,
    failedDependencies: [],
    attempts: [],
    progress: undefined,
  });
});

test("S3-02 priorities have names, and lower is more urgent", () => {
  expect(PRIORITY_NAMES).toEqual({ 1: "critical", 2: "high", 3: "medium", 4: "low" });
});

test("an idempotency key is forgotten with its task", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t", idempotencyKey: "k", bodyHash: "1" });
  world.complete("t");
  expect(world.state.keys.size).toBe(1);
  world.forget();
  expect([world.state.keys.size, world.state.tasks.size]).toEqual([0, 0]);
});

test("an idempotency key that a newer task has taken is not forgotten with the older", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "old", idempotencyKey: "k", bodyHash: "1" });
  world.complete("old");
  const [key] = world.state.keys.keys();
  world.state.keys.set(key ?? "", asTaskId("newer"));
  world.forget();
  expect(world.state.keys.get("k")).toBe("newer");
});
