import { describe, expect, test } from "vitest";
import { asAgentId } from "../base/ids.ts";
import type { PoolOptionsInput } from "../engine/options/pool.ts";
import { newMeasure } from "../policies/measure.ts";
import { createWorld, refusal, type World } from "../testing/world.ts";
import type { AgentChange } from "./command.ts";
import { VERIFIED_LIMIT } from "./operator.ts";

const fail = (world: World, name: string) =>
  world.ask({ type: "fail_agent", agentId: asAgentId(name), reason: "on fire" });
const recover = (world: World, name: string) => world.ask({ type: "recover_agent", agentId: asAgentId(name) });

test("S0-19 failing an agent loses its attempt, which is no kill, and gives the task to another at once", () => {
  const world = createWorld({ agents: ["ada", "bob"] });
  world.submit({ id: "t" });
  const first = world.runner("t") as string;
  fail(world, first);
  expect(world.agent(first)).toMatchObject({ health: "unhealthy", healthReason: "on fire" });
  expect(world.runner("t")).toBe(first === "ada" ? "bob" : "ada");
  expect(world.task("t")).toMatchObject({ attemptCount: 1, attempts: [{ outcome: "lost", blame: "agent" }] });
  expect(world.effectsOf("stop")).toHaveLength(1);
});

test("S0-22 failing an idle agent touches no task", () => {
  const world = createWorld({ agents: ["ada"] });
  expect(fail(world, "ada")).toEqual({ type: "agent_failed", ended: [] });
  world.submit({ id: "t" });
  expect(world.status("t")).toBe("agent");
});

test("S0-40 S0-B06 only recovery heals it, not a restart of the engine", () => {
  const world = createWorld({ agents: ["ada"] });
  fail(world, "ada");
  world.submit({ id: "t" });
  world.restart();
  world.ask({ type: "recover" });
  world.ready("ada");
  expect(world.agent("ada").health).toBe("unhealthy");
  expect(world.status("t")).toBe("agent");
  recover(world, "ada");
  recover(world, "ada");
  expect(world.runner("t")).toBe("ada");
  expect(world.eventsOf("agent.changed")).toHaveLength(2);
});

const drain = (world: World, name: string, keep = true) =>
  world.ask({ type: "drain_agent", agentId: asAgentId(name), keep });
const change = (world: World, name: string, what: AgentChange) =>
  world.ask({ type: "change_agent", agentId: asAgentId(name), change: what });
const verify = (world: World, name: string, capability: string) =>
  world.ask({ type: "verify_capability", agentId: asAgentId(name), capability });

describe("drained", () => {
  test("it takes no more work and finishes what it has, until it is recovered", () => {
    const world = createWorld({ agents: [{ name: "ada", concurrency: 2 }] });
    world.submit({ id: "t" });
    drain(world, "ada");
    drain(world, "ada");
    world.submit({ id: "u" });
    expect([world.agent("ada").lifecycle, world.status("t"), world.status("u")]).toEqual([
      "draining",
      "leased",
      "agent",
    ]);
    world.complete("t");
    expect(world.status("u")).toBe("agent");
    recover(world, "ada");
    expect([world.agent("ada").lifecycle, world.runner("u")]).toEqual(["ready", "ada"]);
    expect(world.eventsOf("agent.changed")).toHaveLength(2);
  });

  test("it stays drained over deaths and over a restart of the engine", () => {
    const world = createWorld({ agents: [{ name: "ada", kind: "daemon" }] });
    drain(world, "ada");
    world.crash("ada");
    world.advance(60_000);
    world.ready("ada");
    expect(world.agent("ada").lifecycle).toBe("draining");
    world.restart();
    world.ask({ type: "recover" });
    world.ready("ada");
    expect(world.agent("ada").lifecycle).toBe("draining");
  });

  test("what was only for a removal is forgotten with the engine", () => {
    const world = createWorld({ agents: ["ada"] });
    drain(world, "ada", false);
    expect(world.agent("ada").lifecycle).toBe("draining");
    world.restart();
    world.ask({ type: "recover" });
    world.ready("ada");
    expect(world.agent("ada").lifecycle).toBe("ready");
  });

  test("to be recovered is no new incarnation: what its work has said of it stays", () => {
    const world = createWorld({ agents: [{ name: "rem", kind: "remote" }] });
    world.ask({ type: "heartbeat", agentId: asAgentId("rem"), attempts: [], health: "degraded" });
    drain(world, "rem");
    expect(world.heartbeat("rem").quiet).toBe(true);
    recover(world, "rem");
    expect(world.heartbeat("rem").quiet).toBe(false);
    expect(world.agent("rem")).toMatchObject({ lifecycle: "ready", health: "degraded" });
  });

  test("a drained remote agent that falls silent is crashed as any other", () => {
    const world = createWorld({ agents: [{ name: "rem", kind: "remote" }] });
    drain(world, "rem");
    world.advance(29_999);
    expect(world.agent("rem").lifecycle).toBe("draining");
    world.advance(1);
    expect(world.agent("rem").lifecycle).toBe("crashed");
    world.heartbeat("rem");
    expect(world.agent("rem").lifecycle).toBe("draining");
  });

  test("a drained daemon that does not answer its probes is ended, as any other", () => {
    const world = createWorld({ agents: [{ name: "ada", kind: "daemon" }] });
    drain(world, "ada");
    for (let n = 0; n < 3; n++) world.probe("ada", false);
    expect(world.effectsOf("kill_agent")).toHaveLength(1);
  });

  test("a start of the engine counts for a drained remote agent as a sign of life", () => {
    const world = createWorld({ agents: [{ name: "rem", kind: "remote" }] });
    drain(world, "rem");
    world.advance(20_000);
    world.ask({ type: "extend_leases" });
    world.advance(29_999);
    expect(world.agent("rem").lifecycle).toBe("draining");
    world.advance(1);
    expect(world.agent("rem").lifecycle).toBe("crashed");
  });
});

describe("changed", () => {
  test("what is named is replaced, all else stays; a rate of null is none", () => {
    const world = createWorld({ agents: [{ name: "ada", capabilities: ["a"], weight: 2 }] });
    change(world, "ada", { capabilities: ["b"], rate: { requestsPerMinute: 1 }, metadata: { x: 1 } });
    expect(world.agent("ada").identity).toMatchObject({
      capabilities: ["b"],
      weight: 2,
      priority: 0,
      metadata: { x: 1 },
    });
    world.submit({ id: "t", type: "b" });
    world.complete("t");
    world.submit({ id: "u", type: "b" });
    expect(world.status("u")).toBe("agent");
    change(world, "ada", { rate: null });
    expect([world.runner("u"), world.agent("ada").identity.rate]).toEqual(["ada", undefined]);
  });

  test("a limit that is not changed keeps what was used of it", () => {
    const world = createWorld({ agents: ["ada"] });
    change(world, "ada", { rate: { requestsPerMinute: 1 } });
    world.submit({ id: "t" });
    world.complete("t");
    change(world, "ada", { weight: 3 });
    world.submit({ id: "u" });
    expect(world.status("u")).toBe("agent");
  });

  test("capabilities, slots and ids that are given to it let waiting work begin at once", () => {
    const world = createWorld({ agents: [{ name: "ada", capabilities: ["a"] }] });
    world.submit({ id: "t", type: "b" });
    expect(world.status("t")).toBe("agent");
    change(world, "ada", { capabilities: ["b"] });
    world.submit({ id: "u", type: "b" });
    expect([world.runner("t"), world.status("u")]).toEqual(["ada", "agent"]);
    change(world, "ada", { concurrency: 2 });
    expect(world.runner("u")).toBe("ada");
  });

  test("slots that are taken away while they are in use run out", () => {
    const world = createWorld({ agents: [{ name: "ada", concurrency: 3 }] });
    for (const id of ["t", "u", "v", "w"]) world.submit({ id });
    change(world, "ada", { concurrency: 1 });
    expect([world.status("t"), world.status("u"), world.status("v")]).toEqual(["leased", "leased", "leased"]);
    world.complete("t");
    world.complete("u");
    expect(world.status("w")).toBe("agent");
    world.complete("v");
    expect(world.status("w")).toBe("leased");
  });

  test("it stays changed over a restart of the engine", () => {
    const world = createWorld({ agents: ["ada"] });
    change(world, "ada", { priority: 7 });
    world.restart();
    expect(world.agent("ada").identity.priority).toBe(7);
  });
});

describe("verified", () => {
  test("S0-30 a verified capability counts for what tasks require, at once and said once", () => {
    const world = createWorld({ agents: [{ name: "ada", capabilities: ["research"] }] });
    world.submit({ id: "t", requires: ["research", "gpu"] });
    expect(world.status("t")).toBe("agent");
    verify(world, "ada", "gpu");
    verify(world, "ada", "gpu");
    verify(world, "ada", "research");
    expect([world.runner("t"), world.agent("ada").identity.verified]).toEqual(["ada", ["gpu"]]);
    expect(world.eventsOf("agent.changed")).toHaveLength(1);
    expect(refusal(() => verify(world, "nobody", "gpu")).code).toBe("not_found");
  });

  test("it never counts for a task's type, nor does it take one away", () => {
    const world = createWorld({ agents: [{ name: "ada", capabilities: ["research"] }, "bob"] });
    verify(world, "ada", "ingest");
    verify(world, "bob", "ingest");
    world.submit({ id: "t", type: "ingest" });
    world.submit({ id: "u", type: "other" });
    expect([world.runner("t"), world.status("u")]).toEqual(["bob", "agent"]);
    world.complete("t");
    expect(world.runner("u")).toBe("bob");
  });

  test("a thousand may be verified of one agent, and it keeps them when it joins again", () => {
    const world = createWorld({ agents: [{ name: "rem", kind: "remote" }], checks: "end" });
    for (let n = 0; n < VERIFIED_LIMIT; n++) verify(world, "rem", `c${n}`);
    expect(refusal(() => verify(world, "rem", "more"))).toMatchObject({
      code: "invalid",
      details: { path: "capability" },
    });
    drain(world, "rem");
    world.join({ name: "rem" }, { replace: true });
    expect(world.agent("rem").identity).toMatchObject({ drained: true, verified: { length: VERIFIED_LIMIT } });
  });
});

describe("self-report", () => {
  const says = (world: World, health?: "healthy" | "degraded" | "unhealthy") =>
    world.ask({ type: "heartbeat", agentId: asAgentId("rem"), attempts: [], health });

  test("X-15 what an agent says of itself is one voice in its health; saying nothing leaves it", () => {
    const world = createWorld({ agents: [{ name: "rem", kind: "remote" }] });
    says(world, "unhealthy");
    expect(world.agent("rem")).toMatchObject({ health: "unhealthy", healthReason: "it says so itself" });
    world.submit({ id: "t" });
    world.claim("rem");
    says(world);
    expect([world.agent("rem").health, world.status("t")]).toEqual(["unhealthy", "agent"]);
    says(world, "healthy");
    expect([world.agent("rem").health, world.runner("t")]).toEqual(["healthy", "rem"]);
  });

  test("X-15 that it feels well clears no failure of its work and no word of the operator", () => {
    const world = createWorld({ agents: [{ name: "rem", kind: "remote" }], pool: { health: { consecutive: 1 } } });
    world.submit({ id: "t", maxAttempts: 1 });
    world.claim("rem");
    world.fail("t");
    expect(world.agent("rem").health).toBe("unhealthy");
    says(world, "healthy");
    expect(world.agent("rem").health).toBe("unhealthy");
    fail(world, "rem");
    says(world, "healthy");
    expect([...world.agent("rem").findings.keys()].sort()).toEqual(["operator", "passive"]);
  });
});

describe("removed", () => {
  test("what runs on it is told to stop and given back, and the answer says how much", () => {
    const world = createWorld({ agents: [{ name: "ada", concurrency: 2 }, "bob"], pool: { strategy: "round_robin" } });
    world.submit({ id: "t", preferredAgent: "ada" });
    world.submit({ id: "u", preferredAgent: "ada" });
    expect(world.ask({ type: "remove_agent", agentId: asAgentId("ada") })).toEqual({ type: "removed", released: 2 });
    expect(world.effectsOf("stop").map(({ taskId }) => taskId)).toEqual(["t", "u"]);
    expect(world.task("t")).toMatchObject({ attemptCount: 0, attempts: [{ outcome: "released" }] });
  });
});

describe("reset", () => {
  const reset = (world: World, name: string) => world.ask({ type: "reset_agent", agentId: asAgentId(name) });
  const breaker = { consecutive: 2, ratio: null, openMs: 60_000, jitter: "none" as const, permits: 1, successes: 1 };
  const failing = (pool: PoolOptionsInput): World => {
    const world = createWorld({ agents: ["ada"], pool });
    for (const id of ["a", "b"]) {
      world.submit({ id, maxAttempts: 1 });
      world.fail(id);
    }
    return world;
  };

  test("S2-B08 S1-24 an open breaker becomes half-open, not closed, and the counts begin anew", () => {
    const world = failing({ breaker });
    expect([world.agent("ada").breaker.name, world.agent("ada").stats.failed]).toEqual(["open", 2]);
    world.submit({ id: "t" });
    world.submit({ id: "u" });
    expect(world.status("t")).toBe("agent");
    reset(world, "ada");
    expect(world.agent("ada")).toMatchObject({ breaker: { name: "half_open" }, stats: { succeeded: 0, failed: 0 } });
    expect(world.agent("ada").measure).toEqual(newMeasure());
    expect([world.status("t"), world.status("u")]).toEqual(["leased", "agent"]);
    expect(refusal(() => reset(world, "nobody")).code).toBe("not_found");
  });

  test("S1-24 a closed breaker forgets the failures that it has counted", () => {
    const world = createWorld({ agents: ["ada"], pool: { breaker } });
    for (const id of ["a", "b", "c"]) {
      world.submit({ id, maxAttempts: 1 });
      world.fail(id);
      reset(world, "ada");
    }
    expect(world.agent("ada").breaker.name).toBe("closed");
  });

  test("S2-B08 one that is unhealthy by its outcomes is not healthy by being told so: it is tried at once", () => {
    const world = failing({ breaker: false, health: { consecutive: 2 } });
    world.submit({ id: "trial", maxAttempts: 1 });
    world.fail("trial");
    world.submit({ id: "t" });
    expect([world.agent("ada").health, world.status("t")]).toEqual(["unhealthy", "agent"]);
    reset(world, "ada");
    expect([world.agent("ada").health, world.status("t")]).toEqual(["unhealthy", "leased"]);
  });
});

test("what runs on an agent that was failed keeps its slot until it is known to have ended", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t", maxAttempts: 1 });
  world.ask({ type: "fail_agent", agentId: asAgentId("ada"), reason: "sick" });
  expect(world.task("t").attempts).toMatchObject([
    { outcome: "lost", error: { code: "agent_failed", message: "sick" } },
  ]);
  world.ask({ type: "recover_agent", agentId: asAgentId("ada") });
  world.submit({ id: "next" });
  expect(world.status("next")).toBe("agent");
  world.endRun("ada", "t");
  expect(world.status("next")).toBe("leased");
});
