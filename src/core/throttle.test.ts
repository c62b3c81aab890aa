import { expect, test } from "vitest";
import { createWorld, type World } from "../testing/world.ts";
import { COOLDOWN_CAP_MS, COOLDOWN_FIRST_MS } from "./settle.ts";

function throttle(world: World, id: string, retryAfterMs?: number): void {
  world.report(id, { name: "throttled", error: { code: "throttled", message: "too fast" }, retryAfterMs });
}

const restsMs = (world: World, name = "ada"): number => world.agent(name).cooldownUntilMs - world.nowMs;

test("a throttled agent rests as long as it was told, and gets no work until exactly then", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t" });
  throttle(world, "t", 700);
  expect([restsMs(world), world.status("t")]).toEqual([700, "agent"]);
  world.advance(699);
  expect(world.status("t")).toBe("agent");
  world.advance(1);
  expect(world.runner("t")).toBe("ada");
});

test("the task of a throttled agent goes to another at once", () => {
  const world = createWorld({ agents: ["ada", "bob"] });
  world.submit({ id: "t" });
  throttle(world, "t", 700);
  expect(world.runner("t")).toBe("bob");
});

test("without a word a throttled agent rests a second, and twice as long every further time, up to a minute", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t" });
  const rests: number[] = [];
  for (let n = 0; n < 8; n++) {
    throttle(world, "t");
    rests.push(restsMs(world));
    world.advance(restsMs(world));
  }
  expect(rests).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  expect([COOLDOWN_FIRST_MS, COOLDOWN_CAP_MS]).toEqual([1_000, 60_000]);
});

test("a success makes the next rest a second again, a failure does not", () => {
  const world = createWorld({ agents: ["ada"], pool: { retry: { maxAttempts: 1 } } });
  world.submit({ id: "t" });
  for (let n = 0; n < 2; n++) {
    throttle(world, "t");
    world.advance(restsMs(world));
  }
  world.fail("t");
  world.submit({ id: "u" });
  throttle(world, "u");
  expect(restsMs(world)).toBe(4_000);
  world.advance(4_000);
  world.complete("u");
  world.submit({ id: "v" });
  throttle(world, "v");
  expect(restsMs(world)).toBe(1_000);
});

test("a rest that was told leaves the doubling where it is", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t" });
  throttle(world, "t");
  world.advance(1_000);
  throttle(world, "t", 10);
  world.advance(10);
  throttle(world, "t");
  expect(restsMs(world)).toBe(2_000);
});

test("of two rests the later end counts", () => {
  const world = createWorld({ agents: [{ name: "ada", concurrency: 3 }] });
  for (const id of ["1", "2", "3"]) world.submit({ id });
  throttle(world, "1", 5_000);
  throttle(world, "2", 100);
  expect(restsMs(world)).toBe(5_000);
  throttle(world, "3", 9_000);
  expect(restsMs(world)).toBe(9_000);
  world.advance(5_000);
  expect([world.status("1"), restsMs(world)]).toEqual(["agent", 4_000]);
  world.advance(4_000);
  expect([world.status("1"), world.status("2"), world.status("3")]).toEqual(["leased", "leased", "leased"]);
});

test("what runs on an agent that begins to rest goes on", () => {
  const world = createWorld({ agents: [{ name: "ada", concurrency: 2 }] });
  for (const id of ["1", "2"]) world.submit({ id });
  throttle(world, "1", 5_000);
  expect(world.runner("2")).toBe("ada");
  world.complete("2");
  expect([world.status("2"), world.status("1")]).toEqual(["completed", "agent"]);
});

test("Retry-After of 0 is no rest", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t" });
  throttle(world, "t", 0);
  world.advance(0);
  expect(world.runner("t")).toBe("ada");
});

test("a deadline bounds how often a task is throttled", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t", deadlineAtMs: world.nowMs + 2_500 });
  throttle(world, "t");
  world.advance(1_000);
  throttle(world, "t");
  world.advance(1_500);
  expect(world.settlement("t").error?.code).toBe("deadline_exceeded");
});

test("an agent that is removed while it rests is not missed", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t" });
  throttle(world, "t", 100);
  world.remove("ada");
  world.advance(100);
  expect(world.status("t")).toBe("agent");
});
