import { expect, test } from "vitest";
import { createWorld, MAIN, type World, type WorldOptions } from "../testing/world.ts";
import { queueOf } from "./state.ts";

const BACKOFF_MS = 100;
const retry = { maxAttempts: 10, backoff: { baseMs: BACKOFF_MS, factor: 1 } };

/** A task that `ada` has failed; `bob` is what the test makes of it. */
function failedByAda(
  { pool, agents = ["ada", "bob"] }: Pick<WorldOptions, "pool" | "agents"> = {},
  prepare = (_: World) => {},
) {
  const world = createWorld({ agents, pool: { retry, ...pool } });
  world.submit({ id: "t", preferredAgent: "ada" });
  prepare(world);
  world.fail("t");
  return world;
}

const occupyBob = (world: World): void => {
  world.submit({ id: "busy", preferredAgent: "bob" });
  expect(world.runner("busy")).toBe("bob");
};

test("S0-20 a failed task goes to an agent that has not failed it, at once", () => {
  const world = failedByAda();
  expect(world.runner("t")).toBe("bob");
  expect(world.task("t").failedAgentIds).toEqual(["ada"]);
});

test("S0-23 while the other is busy the task waits for it, although the one that failed it is free", () => {
  const world = failedByAda({}, occupyBob);
  expect(world.status("t")).toBe("agent");
  world.advance(10 * BACKOFF_MS);
  expect(world.status("t")).toBe("agent");
  world.complete("busy");
  expect(world.runner("t")).toBe("bob");
});

test("S0-B03 a task that waits for another agent does not keep the free one from the tasks behind it", () => {
  const world = failedByAda({}, occupyBob);
  world.submit({ id: "next" });
  expect([world.status("t"), world.runner("next")]).toEqual(["agent", "ada"]);
});

test("an agent that is starting is waited for", () => {
  const world = failedByAda({ agents: ["ada"] }, (w) => {
    w.ask({ type: "add_agent", agent: w.identity("bob") });
  });
  expect(world.status("t")).toBe("agent");
  world.ready("bob");
  expect(world.runner("t")).toBe("bob");
});

test("an agent that is restarting is waited for", () => {
  const world = failedByAda({ pool: { retry, restart: { delayMs: 0, jitter: "none" } } }, (w) => {
    w.crash("bob");
    w.advance(0);
    expect(w.agent("bob").lifecycle).toBe("restarting");
  });
  expect(world.status("t")).toBe("agent");
  world.ready("bob");
  expect(world.runner("t")).toBe("bob");
});

test("S0-B08 with a single agent the task comes back to it after the backoff, not at once and not never", () => {
  const world = failedByAda({ agents: ["ada"] });
  expect([world.status("t"), world.waitsMs("t")]).toEqual(["retry", BACKOFF_MS]);
  world.advance(BACKOFF_MS - 1);
  expect(world.status("t")).toBe("retry");
  world.advance(1);
  expect(world.runner("t")).toBe("ada");
});

test("an agent that can't do the task is no alternative", () => {
  const world = createWorld({ agents: ["ada", { name: "bob", capabilities: ["y"] }], pool: { retry } });
  world.submit({ id: "t", type: "x" });
  world.fail("t");
  expect(world.status("t")).toBe("retry");
});

for (const [what, prepare] of [
  ["crashed", (w: World) => w.crash("bob")],
  ["removed", (w: World) => w.remove("bob")],
] as const) {
  test(`an agent that has ${what} is no alternative`, () => {
    expect(failedByAda({}, prepare).status("t")).toBe("retry");
  });
}

test("a quarantined agent is no alternative", () => {
  const world = failedByAda({ pool: { retry, restart: { max: 0 } } }, (w) => {
    w.crash("bob");
    expect(w.agent("bob").lifecycle).toBe("quarantined");
  });
  expect(world.status("t")).toBe("retry");
});

test("an unhealthy agent is no alternative", () => {
  const world = failedByAda({ pool: { retry, probe: { fall: 1 } } }, (w) => w.probe("bob", false));
  expect(world.agent("bob").health).toBe("unhealthy");
  expect(world.status("t")).toBe("retry");
});

/** Bob is throttled for so long at the moment when ada fails the task. */
function bobRests(ms: number): World {
  return failedByAda({}, (w) => {
    w.submit({ id: "u", preferredAgent: "bob" });
    w.report("u", { name: "throttled", error: { code: "throttled", message: "" }, retryAfterMs: ms });
    expect(w.status("u")).toBe("agent");
  });
}

test("an agent that rests no longer than the backoff is waited for", () => {
  const world = bobRests(BACKOFF_MS);
  expect(world.status("t")).toBe("agent");
  world.advance(BACKOFF_MS);
  expect(world.runner("t")).toBe("bob");
});

test("an agent that rests a millisecond longer than the backoff is not waited for", () => {
  expect(bobRests(BACKOFF_MS + 1).status("t")).toBe("retry");
});

test("when the last alternative is removed the task backs off, and then those that failed it may serve", () => {
  const world = failedByAda({}, occupyBob);
  world.remove("bob");
  // The removed agent gave its own task back, which ada may run.
  expect([world.status("t"), world.waitsMs("t"), world.runner("busy")]).toEqual(["retry", BACKOFF_MS, "ada"]);
  world.complete("busy");
  world.advance(BACKOFF_MS - 1);
  expect(world.status("t")).toBe("retry");
  world.advance(1);
  expect(world.runner("t")).toBe("ada");
});

test("the backoff of a task whose last alternative went away is as long as its failures make it", () => {
  const backoff = { baseMs: BACKOFF_MS, factor: 2 };
  const world = createWorld({ agents: ["ada", "bob", "cid"], pool: { retry: { ...retry, backoff } } });
  world.submit({ id: "t", preferredAgent: "ada" });
  world.fail("t");
  world.submit({ id: "busy", preferredAgent: "cid" });
  world.fail("t");
  expect([world.runner("busy"), world.status("t")]).toEqual(["cid", "agent"]);
  world.remove("cid");
  expect([world.status("t"), world.waitsMs("t")]).toEqual(["retry", 2 * BACKOFF_MS]);
});

test("when the last alternative crashes the task backs off", () => {
  const world = failedByAda({ pool: { retry, restart: { delayMs: 60_000, jitter: "none" } } }, occupyBob);
  world.crash("bob");
  expect(world.status("t")).toBe("retry");
});

test("when the last alternative becomes unhealthy the task backs off", () => {
  const world = failedByAda({ agents: ["ada", { name: "bob", kind: "remote" }], pool: { retry, probe: { fall: 1 } } });
  expect(world.status("t")).toBe("agent");
  world.probe("bob", false);
  expect(world.status("t")).toBe("retry");
});

test("when the last alternative begins to rest for long the task backs off", () => {
  const world = failedByAda({}, occupyBob);
  world.report("busy", { name: "throttled", error: { code: "throttled", message: "" }, retryAfterMs: 60_000 });
  expect(world.status("t")).toBe("retry");
});

test("after the backoff the task still prefers somebody who has not failed it", () => {
  const world = failedByAda({ agents: ["ada"] });
  world.addAgent("bob");
  world.submit({ id: "busy", preferredAgent: "bob" });
  world.advance(BACKOFF_MS);
  expect(world.status("t")).toBe("agent");
  world.complete("busy");
  expect(world.runner("t")).toBe("bob");
});

test("a task behind its backoff that waits for another goes to those that failed it as soon as the other is gone", () => {
  const world = failedByAda({ agents: ["ada"] });
  world.addAgent("bob");
  world.submit({ id: "busy", preferredAgent: "bob" });
  world.advance(BACKOFF_MS);
  expect(world.status("t")).toBe("agent");
  world.submit({ id: "blocker", preferredAgent: "ada" });
  world.remove("bob");
  world.complete("blocker");
  world.complete("t");
  expect(world.status("t")).toBe("completed");
});

test("a new agent gets what the others have failed, without a backoff", () => {
  const world = failedByAda({}, occupyBob);
  world.addAgent("cid");
  expect(world.runner("t")).toBe("cid");
});

test("an agent that failed a task and then gives it back runs it again only after another backoff", () => {
  const world = failedByAda({ agents: ["ada"] });
  world.advance(BACKOFF_MS);
  world.report("t", { name: "released" });
  expect([world.status("t"), world.waitsMs("t")]).toEqual(["retry", BACKOFF_MS]);
});

test("an agent that failed a task twice is on the failed list once", () => {
  const world = failedByAda({ agents: ["ada"] });
  world.advance(BACKOFF_MS);
  world.fail("t");
  expect(world.task("t").failedAgentIds).toEqual(["ada"]);
});

test("each further round is behind a backoff of its own", () => {
  const world = failedByAda({ agents: ["ada"] });
  world.advance(BACKOFF_MS);
  world.fail("t");
  expect([world.status("t"), world.waitsMs("t")]).toEqual(["retry", BACKOFF_MS]);
});

test("the failed list of one task does not keep an agent from another", () => {
  const world = failedByAda({}, occupyBob);
  const id = world.submit();
  expect(world.runner(id)).toBe("ada");
});

test("what keeps tasks apart that somebody has failed goes with them", () => {
  const world = failedByAda({}, occupyBob);
  const queue = queueOf(world.state, MAIN);
  expect([...queue.lanesWithExclusions()]).toHaveLength(1);
  world.cancel("t");
  expect([...queue.lanesWithExclusions()]).toHaveLength(0);
});

test("many tasks that ada failed all back off when the last alternative goes", () => {
  const world = createWorld({ agents: [{ name: "ada", concurrency: 5 }], pool: { retry } });
  const ids = ["1", "2", "3", "4", "5"];
  for (const id of ids) world.submit({ id });
  world.addAgent("bob");
  world.submit({ id: "busy", preferredAgent: "bob" });
  for (const id of ids) world.fail(id);
  expect(ids.map((id) => world.status(id))).toEqual(ids.map(() => "agent"));
  world.remove("bob");
  expect(ids.map((id) => world.status(id))).toEqual(ids.map(() => "retry"));
  world.complete("busy");
  world.advance(BACKOFF_MS);
  expect(ids.map((id) => world.runner(id))).toEqual(ids.map(() => "ada"));
});

test("a remote agent that asks for other types only is no longer an alternative", () => {
  const world = failedByAda({ agents: ["ada", { name: "bob", kind: "remote" }] });
  expect(world.status("t")).toBe("agent");
  world.claim("bob", { types: ["other"] });
  expect(world.status("t")).toBe("retry");
});

test("S0-B03 a task whose older run still holds a slot of the agent does not block others that the agent failed", () => {
  const world = createWorld({ agents: [{ name: "ada", concurrency: 3 }], pool: { retry, timeoutMs: 50 } });
  for (const id of ["held", "free"]) world.submit({ id });
  world.start("held");
  world.advance(50);
  world.fail("free");
  expect([world.status("held"), world.status("free"), world.agent("ada").runs.size]).toEqual(["retry", "retry", 1]);
  world.advance(BACKOFF_MS);
  expect([world.status("held"), world.runner("free")]).toEqual(["agent", "ada"]);
});
