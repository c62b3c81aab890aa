/** What the seats of a pool keep so that nobody has to look at all of them. */
import { expect, test } from "vitest";
import { PROVEN_SAMPLES, provenSuccessRate } from "../policies/balancer/score.ts";
import { createWorld, MAIN, type World } from "../testing/world.ts";
import type { Seats } from "./seats.ts";

function seatsOf(world: World): Seats {
  const queue = world.state.queues.get(MAIN);
  if (queue === undefined) throw new Error("the pool is there");
  return queue.seats;
}

/** One task on the agent, ending well or by its fault. */
function one(world: World, agent: string, end: "complete" | "fail"): void {
  const id = world.submit({ preferredAgent: agent, maxAttempts: 1 });
  world[end](id);
}

test("S3-B06 the pool's success rate is the mean of the proven, as they succeed, fail, leave and come", () => {
  const world = createWorld({ agents: ["a", "b", "c"] });
  const seats = seatsOf(world);
  const agrees = (): void => expect(seats.provenSuccessRate).toBeCloseTo(provenSuccessRate(seats.all()), 12);
  expect(seats.provenSuccessRate).toBe(1);
  for (let n = 1; n < PROVEN_SAMPLES; n++) one(world, "a", "fail");
  expect(seats.provenSuccessRate).toBe(1);
  one(world, "a", "fail");
  expect(seats.provenSuccessRate).toBeCloseTo(0.9 ** PROVEN_SAMPLES, 12);
  for (let n = 0; n < 9; n++) one(world, "b", n % 3 === 0 ? "fail" : "complete");
  agrees();
  world.remove("a");
  agrees();
  world.remove("b");
  expect(seats.provenSuccessRate).toBe(1);
  world.addAgent("a");
  for (let n = 0; n < PROVEN_SAMPLES; n++) one(world, "a", "complete");
  expect(seats.provenSuccessRate).toBe(1);
});

test("an agent is found by its id and by its name, until it is gone", () => {
  const world = createWorld({ agents: [] });
  const id = world.join({ name: "ann", id: "id-of-ann" });
  const seats = seatsOf(world);
  expect([seats.find("ann")?.agentId, seats.find("id-of-ann")?.agentId]).toEqual([id, id]);
  world.remove(id);
  expect([seats.find("ann"), seats.find("id-of-ann")]).toEqual([undefined, undefined]);
});

test("healthy agents go before others of another profile, and a preferred one goes before the healthy", () => {
  const agents = [{ name: "ill", capabilities: ["general", "x"] }, { name: "well" }, { name: "fit" }];
  const world = createWorld({
    agents,
    pool: { strategy: "priority", health: { minimum: 1, degraded: 0.1, unhealthy: 1 } },
  });
  one(world, "ill", "complete");
  one(world, "ill", "fail");
  expect(world.agent("ill").health).toBe("degraded");
  const [first, second, third] = [world.submit(), world.submit(), world.submit()];
  expect([first, second, third].map((id) => world.runner(id))).toEqual(["well", "fit", "ill"]);
  for (const id of [first, second, third]) world.complete(id);
  expect(world.runner(world.submit({ preferredAgent: "ill" }))).toBe("ill");
});
