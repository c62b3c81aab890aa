import { expect, test } from "vitest";
import { createWorld, refusal, type SpecInput, type World } from "../testing/world.ts";

const KEY = { idempotencyKey: "k", bodyHash: "h" };

function submitted(world: World, spec: SpecInput) {
  return world.submitBatch([spec])[0];
}

test("S3-B14 the same key with the same body is the same task: open, settled, and when the core has let go of it", () => {
  const world = createWorld({ agents: ["ada"] });
  const taskId = world.submit({ id: "t", ...KEY });
  const again = () => submitted(world, { ...KEY });
  expect(again()).toEqual({ taskId, created: false });
  world.complete("t");
  expect(again()).toEqual({ taskId, created: false });
  world.forget();
  expect(again()).toEqual({ taskId, created: false });
  expect(world.eventsOf("task.submitted")).toHaveLength(1);
});

test("the same key with another body is a conflict that names the earlier task, in each of those states", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t", ...KEY });
  const other = () => refusal(() => world.submit({ idempotencyKey: "k", bodyHash: "another" }));
  const expected = { code: "conflict", details: { path: "idempotencyKey", taskId: "t" } };
  expect(other()).toMatchObject(expected);
  world.complete("t");
  expect(other()).toMatchObject(expected);
  world.forget();
  expect(other()).toMatchObject(expected);
});

test("the same body under another key, or without one, is another task", () => {
  const world = createWorld();
  world.submit({ ...KEY });
  expect(submitted(world, { idempotencyKey: "k2", bodyHash: "h" })).toMatchObject({ created: true });
  expect(submitted(world, {})).toMatchObject({ created: true });
  expect(world.state.tasks.size).toBe(3);
});

test("inside one batch a key makes one task, and another body under it is a conflict", () => {
  const world = createWorld();
  const items = world.submitBatch([
    { id: "a", ...KEY },
    { id: "b", ...KEY },
  ]);
  expect(items).toEqual([
    { taskId: "a", created: true },
    { taskId: "a", created: false },
  ]);
  const partial = world.submitBatch(
    [
      { idempotencyKey: "n", bodyHash: "1" },
      { idempotencyKey: "n", bodyHash: "2" },
    ],
    { partial: true },
  );
  expect(partial).toMatchObject([{ created: true }, { error: { code: "conflict" } }]);
});

test("a repeated request needs no room", () => {
  const world = createWorld({ pool: { queue: { limit: 1 } } });
  world.submit({ id: "t", ...KEY });
  expect(refusal(() => world.submit()).code).toBe("queue_full");
  expect(submitted(world, { ...KEY })).toEqual({ taskId: "t", created: false });
});

test("a request that was refused leaves its key free", () => {
  const world = createWorld({ pool: { queue: { limit: 0 } } });
  expect(refusal(() => world.submit({ ...KEY })).code).toBe("queue_full");
  world.addAgent("ada");
  expect(submitted(world, { id: "t", ...KEY })).toEqual({ taskId: "t", created: true });
});

test("a known id with the same key and body is the same task, not a conflict", () => {
  const world = createWorld();
  world.submit({ id: "t", ...KEY });
  expect(submitted(world, { id: "t", ...KEY })).toEqual({ taskId: "t", created: false });
});

test("keys come back with a restart", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "running", ...KEY });
  world.submit({ id: "waiting", idempotencyKey: "k2", bodyHash: "h" });
  world.restart();
  expect(submitted(world, { ...KEY })).toEqual({ taskId: "running", created: false });
  expect(submitted(world, { idempotencyKey: "k2", bodyHash: "h" })).toEqual({ taskId: "waiting", created: false });
});
