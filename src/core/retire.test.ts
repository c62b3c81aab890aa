/** Settled tasks leave the store; their keys stay for a day. */
import { describe, expect, test } from "vitest";
import { createWorld, MAIN, refusal, type World } from "../testing/world.ts";
import { RETIRE_LIMIT } from "./retire.ts";
import { KEY_KEPT_MS, type KeyRecord, type OldTask, RETIRED_KEPT, Retired } from "./retired.ts";

function oldest(world: World): OldTask[] {
  return [...world.history.values()].map(({ num, spec, settlement }) => {
    const { id, idempotencyKey, bodyHash } = spec;
    return {
      num,
      id,
      status: settlement.status,
      settledAtMs: settlement.settledAtMs,
      bytes: 1,
      idempotencyKey,
      bodyHash,
    };
  });
}

function retire(world: World): string[] {
  const tasks = oldest(world);
  const before = world.eventsOf("tasks.retired").length;
  world.ask({ type: "retire", pool: MAIN, oldest: tasks, kept: { count: tasks.length, bytes: tasks.length } });
  return world
    .eventsOf("tasks.retired")
    .slice(before)
    .flatMap((event) => event.tasks.map(({ id }) => id as string));
}

function done(world: World, ...ids: string[]): void {
  for (const id of ids) {
    world.submit({ id });
    world.cancel(id);
  }
  world.forget();
}

describe("retention", () => {
  test("S3-L10 lets the oldest go beyond its count", () => {
    const world = createWorld({ pool: { retention: { count: 2 } } });
    done(world, "a", "b", "c");
    expect(retire(world)).toEqual(["a"]);
  });

  test("passes over what an open task depends on, until that is settled", () => {
    const world = createWorld({ agents: ["ada"], pool: { retention: { count: 0 } } });
    world.submit({ id: "root" });
    world.submit({ id: "other" });
    world.submit({ id: "child", dependencies: ["root", "other"] });
    world.complete("root");
    world.forget();
    done(world, "late");
    expect(retire(world)).toEqual(["late"]);
    world.complete("other");
    world.complete("child");
    world.forget();
    expect(retire(world)).toEqual(["root", "other", "child"]);
  });

  test("passes over a dead letter that lives again", () => {
    const world = createWorld({ agents: ["ada"], pool: { retention: { count: 0 } } });
    world.submit({ id: "t" });
    world.fail("t", { blame: "task" });
    const before = oldest(world);
    world.replay("t");
    world.ask({ type: "retire", pool: MAIN, oldest: before, kept: { count: 1, bytes: 1 } });
    expect(world.eventsOf("tasks.retired")).toEqual([]);
  });

  test("lets go of a bounded number in one commit", () => {
    const world = createWorld({ pool: { retention: { count: 0 } }, checks: "end" });
    done(world, ...Array.from({ length: RETIRE_LIMIT + 1 }, (_, n) => `t${n}`));
    expect(retire(world)).toHaveLength(RETIRE_LIMIT);
  });

  test("makes a task unknown also to a look-up that began before", () => {
    const world = createWorld({ pool: { retention: { count: 0 } } });
    done(world, "a");
    const known = world.known();
    retire(world);
    const specs = [world.spec({ dependencies: ["a"] })];
    const error = refusal(() => world.ask({ type: "submit", specs, partial: false, known }));
    expect(error.code).toBe("unknown_dependency");
    expect(refusal(() => world.replay("a")).code).toBe("not_found");
  });

  test("remembers the last that went, a bounded number of them", () => {
    const retired = new Retired();
    const count = 7 * RETIRED_KEPT + 5;
    for (let num = 0; num < count; num++) retired.add(num);
    const remembered = Array.from({ length: count }, (_, num) => num).filter((num) => retired.has(num));
    expect(remembered.length).toBeGreaterThanOrEqual(RETIRED_KEPT);
    expect(remembered.length).toBeLessThan(2 * RETIRED_KEPT);
    expect(remembered[0]).toBe(count - remembered.length);
  });
});

describe("an idempotency key", () => {
  const same = { idempotencyKey: "k", bodyHash: "h" };

  function submit(world: World, input: { bodyHash?: string } = {}, old?: KeyRecord) {
    const oldKeys = old === undefined ? undefined : new Map([["k", old]]);
    const specs = [world.spec({ ...same, ...input })];
    const reply = world.ask({ type: "submit", specs, partial: false, known: { ...world.known(), oldKeys } });
    return reply.type === "submitted" ? reply.items[0] : undefined;
  }

  test("names its task for 24 hours after settlement, and not a millisecond longer", () => {
    const world = createWorld();
    world.submit({ id: "t", ...same });
    world.advance(10 * KEY_KEPT_MS);
    world.cancel("t");
    world.forget();
    world.advance(KEY_KEPT_MS - 1);
    expect(submit(world)).toMatchObject({ taskId: "t", created: false });
    expect(refusal(() => submit(world, { bodyHash: "other" })).code).toBe("conflict");
    world.advance(1);
    expect(submit(world)).toMatchObject({ created: true });
  });

  test("outlives its task, and tells what became of it", () => {
    const world = createWorld({ pool: { retention: { count: 0 } } });
    world.submit({ id: "t", ...same });
    world.cancel("t");
    world.forget();
    retire(world);
    const [old] = world.eventsOf("tasks.retired")[0]?.keys ?? [];
    expect(old).toMatchObject({ key: "k", id: "t", bodyHash: "h", status: "cancelled" });
    world.history.clear();
    expect(submit(world, {}, old)).toMatchObject({ taskId: "t", created: false, expired: "cancelled" });
    expect(refusal(() => submit(world, { bodyHash: "other" }, old)).code).toBe("conflict");
    world.advance(KEY_KEPT_MS);
    expect(submit(world, {}, old)).toMatchObject({ created: true });
  });

  test("goes with its task when that was settled a day ago", () => {
    const world = createWorld({ pool: { retention: { count: 0 } } });
    world.submit({ id: "t", ...same });
    world.cancel("t");
    world.forget();
    world.advance(KEY_KEPT_MS);
    retire(world);
    expect(world.eventsOf("tasks.retired")[0]).toMatchObject({ keys: [], keysBeforeMs: world.nowMs - KEY_KEPT_MS });
  });
});
