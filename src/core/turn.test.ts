import { expect, test } from "vitest";
import { createRandom } from "../base/random.ts";
import { createWorld } from "../testing/world.ts";
import { Turn } from "./turn.ts";

test("a task that several events of a turn are about is touched once, and by the next turn again", () => {
  const world = createWorld({ agents: [] });
  const ids = [world.submit({ id: "a" }), world.submit({ id: "b" })];
  const touch = (): string[] => {
    const turn = new Turn(world.state, world.nowMs, createRandom(1));
    for (const taskId of [...ids, ...ids]) {
      turn.record({ type: "task.deadline_near", taskId, priority: 1, atMs: world.nowMs });
    }
    expect(turn.durable).toHaveLength(4);
    return turn.touched.map(({ spec }) => spec.id);
  };
  expect(touch()).toEqual(ids);
  expect(touch()).toEqual(ids);
});

test("a volatile event touches no task", () => {
  const world = createWorld({ agents: [] });
  const taskId = world.submit({ id: "a" });
  const turn = new Turn(world.state, world.nowMs, createRandom(1));
  turn.record({ type: "task.progressed", taskId, fence: 1, progress: "half" });
  expect([turn.touched, turn.durable, turn.told.length]).toEqual([[], [], 1]);
});
