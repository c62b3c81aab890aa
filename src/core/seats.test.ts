/** What the seats of a pool keep so that nobody has to look at all of them. */
import { expect, test } from "vitest";
import { asAgentId } from "../base/ids.ts";
import { below, createRandom } from "../base/random.ts";
import { PROVEN_SAMPLES, provenSuccessRate } from "../policies/balancer/score.ts";
import { createWorld, MAIN, type World, type WorldOptions } from "../testing/world.ts";
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

/** A pool whose only agent is degraded, because a run of it ignores its signal; it has slots left. */
function degraded(pool: WorldOptions["pool"] = {}): World {
  const world = createWorld({
    agents: [{ name: "ill", concurrency: 9 }],
    pool: { ...pool, stopMs: 5, abandonMs: 3_600_000 },
  });
  world.submit({ id: "deaf", timeoutMs: 10, maxAttempts: 1 });
  world.start("deaf");
  world.advance(10);
  world.advance(5);
  expect(world.agent("ill").health).toBe("degraded");
  return world;
}

test("an agent's load is a share of the slots that it has now, also after their number has changed", () => {
  const world = createWorld({
    agents: [
      { name: "ada", concurrency: 2 },
      { name: "bob", concurrency: 2 },
    ],
  });
  expect([world.runner(world.submit()), world.runner(world.submit())]).toEqual(["ada", "bob"]);
  world.ask({ type: "change_agent", agentId: asAgentId("bob"), change: { concurrency: 6 } });
  expect([world.runner(world.submit()), world.runner(world.submit())]).toEqual(["bob", "bob"]);
});

test("a full queue counts on a degraded agent that is free", () => {
  const world = degraded({ queue: { limit: 0 } });
  expect(world.runner(world.submit())).toBe("ill");
});

test.each([
  { how: "by age", pool: {} },
  { how: "by shares of the priorities", pool: { serving: {} } },
  { how: "by points", pool: { strategy: "score" as const } },
])("work goes to a degraded agent where nobody else is, also $how and by turns of keys", ({ pool }) => {
  const world = degraded(pool);
  expect(world.runner(world.submit())).toBe("ill");
  expect(world.runner(world.submit({ fairnessKey: "k" }))).toBe("ill");
});

/** The crew that `affinity` goes by, by looking at everybody. */
function crewByLooking(world: World, kind: { type: string; requires: string[] }): { inFlight: number; agents: number } {
  const serving = [...seatsOf(world).whoFit(kind)].filter(
    ({ agent }) => agent.lifecycle === "ready" && agent.health !== "unhealthy",
  );
  return { agents: serving.length, inFlight: serving.reduce((sum, { agent }) => sum + agent.runs.size, 0) };
}

test("whoever is free stands in one list, the one of its health, at the place it knows; whoever is not, in none", () => {
  const names = ["a", "b", "c", "d"];
  const agents = names.map((name, n) => ({
    name,
    kind: "remote" as const,
    concurrency: 2,
    capabilities: n < 2 ? ["general", "x"] : [],
  }));
  const world = createWorld({ agents });
  const random = createRandom(3);
  const running: string[] = [];
  let ailing = 0;
  const pick = <T>(list: readonly T[]): T => list[below(random, list.length)] as T;
  for (let n = 0; n < 400; n++) {
    const name = pick(names);
    const doing = below(random, 4);
    const id = running[0];
    if (doing === 0) running.push(world.submit());
    else if (doing === 1 && id !== undefined && world.runner(id) !== undefined)
      world.complete(running.shift() as string);
    else if (doing === 2) world.claim(name, { max: 2 });
    else {
      const health = pick(["healthy", "degraded", "unhealthy"] as const);
      world.ask({ type: "heartbeat", agentId: asAgentId(name), attempts: [], health });
    }
    world.advance(1);
    for (const kind of [
      { type: "x", requires: [] },
      { type: "general", requires: [] },
    ]) {
      expect(seatsOf(world).crewOf(kind)).toEqual(crewByLooking(world, kind));
    }
    const groups = [...seatsOf(world).groups()];
    const listed = groups.flatMap(({ free, freeAiling }) => [...free, ...freeAiling]);
    expect(new Set(listed).size).toBe(listed.length);
    for (const seat of seatsOf(world).all()) {
      expect(listed.includes(seat)).toBe(seat.free !== undefined);
      if (seat.free === undefined) continue;
      const { free, freeAiling } = seat.group;
      expect(seat.free).toBe(seat.agent.health === "healthy" ? free : freeAiling);
      expect(seat.free[seat.freeAt]).toBe(seat);
      if (seat.free === freeAiling) ailing += 1;
    }
  }
  expect(ailing).toBeGreaterThan(50);
});
