import { expect, test } from "vitest";
import { createWorld, MAIN, type World } from "../testing/world.ts";
import { checkInvariants } from "./invariants.ts";

/** One task in each place: leased, waiting, blocked, settled. */
function healthy(): World {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "done" });
  world.complete("done");
  world.submit({ id: "leased" });
  world.submit({ id: "agent" });
  world.submit({ id: "blocked", dependencies: ["leased"] });
  return world;
}

test("a state that rules have made is whole", () => {
  expect(() => checkInvariants(healthy().state)).not.toThrow();
});

const DAMAGE: Readonly<Record<string, (world: World) => void>> = {
  "is filed under its own id": ({ state }) => {
    const [first] = state.tasks.values();
    if (first !== undefined) state.tasks.set(healthy().spec({ id: "other" }).id, first);
  },
  "stands in no queue": (world) => {
    world.task("done").lane = {};
  },
  "the pool of open task": ({ state }) => state.pools.clear(),
  "stands in a queue exactly while it waits": (world) => {
    world.task("agent").lane = undefined;
  },
  "has attempts left": (world) => {
    world.task("agent").attemptCount = 3;
  },
  "waits for something": (world) => {
    world.task("blocked").unmet = 0;
  },
  "does not run before its dependencies": (world) => {
    world.task("agent").unmet = 1;
  },
  "carries its newest fence": (world) => {
    world.task("leased").lastFence += 1;
  },
  "knows the run": (world) => world.agent("ada").runs.clear(),
  "is a run of its agent": (world) => {
    for (const [fence, run] of world.agent("ada").runs) world.agent("ada").runs.set(fence, { ...run, orphaned: true });
  },
  "counts agent": ({ state }) => {
    const counts = state.pools.get(MAIN)?.counts;
    if (counts !== undefined) counts.agent += 1;
  },
  "runs no more than it may": (world) => {
    const [run] = world.agent("ada").runs.values();
    if (run !== undefined) world.agent("ada").runs.set(1, { ...run, fence: 1, orphaned: true });
  },
  "is the lease of its task": (world) => {
    const agent = world.agent("ada");
    agent.identity = { ...agent.identity, concurrency: 2 };
    const [run] = agent.runs.values();
    if (run !== undefined) agent.runs.set(1, { ...run, fence: 1 });
  },
};

for (const [what, damage] of Object.entries(DAMAGE)) {
  test(`a state is broken when it is not so that something “${what}”`, () => {
    const world = healthy();
    damage(world);
    expect(() => checkInvariants(world.state)).toThrow(what);
  });
}
