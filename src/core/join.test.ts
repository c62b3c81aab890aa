import { expect, test } from "vitest";
import { createWorld, refusal, type World } from "../testing/world.ts";
import { FORGET_SILENT_MS } from "./apply/agents.ts";

const TTL_MS = 30_000;

/** A remote agent `rem` that runs `t`. */
function working(pool = {}): World {
  const world = createWorld({ pool });
  world.join({ name: "rem", id: "id-1", concurrency: 2 });
  world.submit({ id: "t" });
  world.claim("id-1");
  expect(world.runner("t")).toBe("id-1");
  return world;
}

test("a remote agent that joins is ready at once, and is numbered in the order of joining", () => {
  const world = createWorld();
  for (const name of ["a", "b"]) world.join({ name });
  expect(["a", "b"].map((name) => [world.agent(name).lifecycle, world.agent(name).identity.ordinal])).toEqual([
    ["ready", 0],
    ["ready", 1],
  ]);
});

test("joining an unknown pool is refused", () => {
  const world = createWorld();
  const agent = { ...world.identity({ name: "a", kind: "remote" }), pool: world.spec({ pool: "main" }).pool };
  const elsewhere = { ...agent, pool: "nowhere" as typeof agent.pool };
  expect(refusal(() => world.ask({ type: "join", agent: elsewhere, replace: false })).code).toBe("not_found");
  expect(refusal(() => world.ask({ type: "add_agent", agent: elsewhere })).code).toBe("not_found");
});

test("nobody joins an engine that drains", () => {
  const world = createWorld();
  world.ask({ type: "drain", matching: true });
  expect(refusal(() => world.join({ name: "a" })).code).toBe("shutting_down");
});

test("joining the name of a live agent is a conflict that names the agent", () => {
  const world = working();
  expect(refusal(() => world.join({ name: "rem", id: "id-2" }))).toMatchObject({
    code: "conflict",
    details: { path: "name", agentId: "id-1" },
  });
  expect(world.runner("t")).toBe("id-1");
});

test("S3-B08 with `replace` a live name is taken over with its id: its attempts are lost, not its death", () => {
  const world = working();
  const claimId = world.claim("id-1");
  expect(world.join({ name: "rem", id: "id-2", capabilities: ["x"] }, { replace: true })).toBe("id-1");
  expect(world.task("t")).toMatchObject({
    attemptCount: 1,
    attempts: [{ outcome: "lost", blame: "agent", error: { code: "replaced" } }],
  });
  expect(world.answered(claimId)).toEqual([]);
  expect(world.agent("id-1")).toMatchObject({ lifecycle: "ready", identity: { ordinal: 0, capabilities: ["x"] } });
  expect([...world.state.agents.keys()]).toEqual(["id-1"]);
});

test("an agent that was replaced has the new one's capabilities and slots", () => {
  const world = working();
  world.complete("t");
  world.join({ name: "rem", capabilities: ["x"], concurrency: 1 }, { replace: true });
  for (const type of ["y", "x", "x"]) world.submit({ id: `${type}${world.state.lastNum}`, type });
  const claimId = world.claim("id-1", { max: 5 });
  expect(world.answered(claimId)).toHaveLength(1);
  expect(world.status("y1")).toBe("agent");
});

test("what an agent that was replaced asked for last no longer narrows what it gets", () => {
  const world = createWorld();
  world.join({ name: "rem", id: "id-1" });
  world.claim("id-1", { types: ["other"] });
  world.join({ name: "rem" }, { replace: true });
  world.addAgent("ada");
  world.submit({ id: "t", type: "x" });
  world.fail("t");
  // It waits for the remote agent, who may serve it now.
  expect(world.status("t")).toBe("agent");
  expect(world.answered(world.claim("id-1"))).toHaveLength(1);
});

test("not even `replace` takes over the name of an agent that is not remote", () => {
  const world = createWorld({ agents: ["ada"] });
  for (const replace of [false, true]) {
    expect(refusal(() => world.join({ name: "ada", id: "x" }, { replace })).code).toBe("conflict");
  }
});

test("joining with the id of an agent of another name is a conflict", () => {
  const world = working();
  expect(refusal(() => world.join({ name: "other", id: "id-1" }))).toMatchObject({
    code: "conflict",
    details: { path: "id" },
  });
});

test("the same name in another pool is another agent", () => {
  const world = working();
  const other = world.addPool({ id: "other" });
  expect(world.join({ name: "rem", id: "id-2" }, { pool: other })).toBe("id-2");
});

test("`size.max` bounds joins: the last that fits is taken, the next is refused and may come again", () => {
  const world = createWorld({ pool: { size: { max: 2 } } });
  for (const name of ["a", "b"]) world.join({ name });
  expect(refusal(() => world.join({ name: "c" }))).toMatchObject({
    code: "no_capacity",
    retryable: true,
    details: { agents: 2, max: 2 },
  });
  world.remove("a");
  expect(world.join({ name: "c" })).toBe("c");
});

test("a live agent that is replaced needs no room", () => {
  const world = createWorld({ pool: { size: { max: 1 } } });
  world.join({ name: "a" });
  expect(world.join({ name: "a" }, { replace: true })).toBe("a");
});

test("S0-L09 silent for exactly `ttlMs` a remote agent is crashed, a millisecond less it is not", () => {
  const world = createWorld();
  world.join({ name: "rem" });
  world.advance(TTL_MS - 1);
  expect(world.agent("rem").lifecycle).toBe("ready");
  world.advance(1);
  expect(world.agent("rem").lifecycle).toBe("crashed");
});

test("any sign of life counts: a heartbeat, a claim, a report, the end of a claim", () => {
  const signs: ((world: World) => void)[] = [
    (world) => world.heartbeat("id-1", ["t"]),
    (world) => world.claim("id-1", { waitMs: 0 }),
    (world) => world.complete("t"),
  ];
  for (const sign of signs) {
    const world = working();
    world.advance(TTL_MS - 1);
    sign(world);
    world.advance(TTL_MS - 1);
    expect(world.agent("id-1").lifecycle).toBe("ready");
    world.advance(1);
    expect(world.agent("id-1").lifecycle).toBe("crashed");
  }
});

test("an agent whose claim is open is there, however long that takes; its silence begins with the claim's end", () => {
  const world = createWorld();
  world.join({ name: "rem" });
  world.claim("rem", { waitMs: 100_000 });
  world.advance(100_000 + TTL_MS - 1);
  expect(world.agent("rem").lifecycle).toBe("ready");
  world.advance(1);
  expect(world.agent("rem").lifecycle).toBe("crashed");
});

test("an engine that was late itself notes nobody's silence, and ends nobody's lease", () => {
  const world = working();
  world.nowMs += 10 * TTL_MS;
  world.ask({ type: "extend_leases" });
  expect([world.agent("id-1").lifecycle, world.runner("t")]).toEqual(["ready", "id-1"]);
  world.advance(TTL_MS - 1);
  expect([world.agent("id-1").lifecycle, world.runner("t")]).toEqual(["ready", "id-1"]);
  world.advance(1);
  expect([world.agent("id-1").lifecycle, world.status("t")]).toEqual(["crashed", "retry"]);
});

test("a late engine does not put off that a silent agent is forgotten", () => {
  const world = createWorld();
  world.join({ name: "rem" });
  world.advance(TTL_MS + 10);
  world.ask({ type: "extend_leases" });
  world.advance(FORGET_SILENT_MS);
  expect(world.state.agents.size).toBe(0);
});

test("the silent get no work and don't count to `size.max`", () => {
  const world = createWorld({ pool: { size: { max: 1 } } });
  world.join({ name: "a" });
  world.advance(TTL_MS);
  expect(world.join({ name: "b" })).toBe("b");
  expect(refusal(() => world.join({ name: "a" })).code).toBe("no_capacity");
});

test("an agent that fell silent is back with its next sign of life", () => {
  for (const sign of [(w: World) => w.heartbeat("rem"), (w: World) => w.claim("rem")]) {
    const world = createWorld();
    world.join({ name: "rem" });
    world.advance(TTL_MS + 5);
    sign(world);
    expect(world.agent("rem").lifecycle).toBe("ready");
    world.submit({ id: "t" });
    world.claim("rem");
    expect(world.runner("t")).toBe("rem");
  }
});

test("a name that fell silent is taken over with its id, without `replace`", () => {
  const world = createWorld();
  world.join({ name: "rem", id: "id-1" });
  world.advance(TTL_MS);
  expect(world.join({ name: "rem", id: "id-2" })).toBe("id-1");
  expect(world.agent("id-1")).toMatchObject({ lifecycle: "ready", lastSeenAtMs: world.nowMs });
  world.advance(TTL_MS);
  expect(world.agent("id-1").lifecycle).toBe("crashed");
});

test("an agent that stays silent is removed ten minutes after its last sign of life, not before", () => {
  const world = createWorld();
  world.join({ name: "rem" });
  world.advance(TTL_MS + FORGET_SILENT_MS - 1);
  expect(world.state.agents.size).toBe(1);
  world.advance(1);
  expect(world.state.agents.size).toBe(0);
  expect(world.eventsOf("agent.removed")).toHaveLength(1);
  expect(refusal(() => world.heartbeat("rem")).code).toBe("not_found");
  expect(FORGET_SILENT_MS).toBe(600_000);
});

test("an agent that came back in between is not removed, and its next silence has its own ten minutes", () => {
  const world = createWorld();
  world.join({ name: "rem" });
  world.advance(TTL_MS + FORGET_SILENT_MS - 1);
  world.heartbeat("rem");
  world.advance(10);
  expect(world.agent("rem").lifecycle).toBe("ready");
  world.advance(TTL_MS + FORGET_SILENT_MS - 11);
  expect(world.agent("rem").lifecycle).toBe("crashed");
  world.advance(1);
  expect(world.state.agents.size).toBe(0);
});

test("an agent that fell silent twice is not removed for its first silence", () => {
  const world = createWorld();
  world.join({ name: "rem" });
  world.advance(TTL_MS + 1_000);
  world.heartbeat("rem");
  world.advance(FORGET_SILENT_MS - 1);
  expect(world.agent("rem").lifecycle).toBe("crashed");
  world.advance(TTL_MS);
  expect(world.state.agents.size).toBe(1);
  world.advance(1);
  expect(world.state.agents.size).toBe(0);
});

test("S3-63 what a silent agent ran goes elsewhere at the end of its lease", () => {
  const world = working();
  world.addAgent("ada");
  world.submit({ id: "busy" });
  world.advance(TTL_MS - 1);
  world.alive("ada");
  expect(world.runner("t")).toBe("id-1");
  world.complete("busy");
  world.advance(1);
  expect(world.runner("t")).toBe("ada");
  expect(world.agent("id-1").runs.size).toBe(0);
});

test("a local agent's name or id that is taken is refused", () => {
  const world = createWorld({ agents: ["ada"] });
  const agent = world.identity("ada");
  const other = world.identity("bob");
  expect(refusal(() => world.ask({ type: "add_agent", agent: { ...agent, id: other.id } })).code).toBe("conflict");
  expect(refusal(() => world.ask({ type: "add_agent", agent: { ...other, id: agent.id } })).code).toBe("conflict");
});

test("removing an agent gives its tasks back without a charge, closes its claim and tells it to close", () => {
  const world = createWorld({ agents: ["ada"] });
  world.submit({ id: "t" });
  world.remove("ada");
  expect(world.task("t")).toMatchObject({ attemptCount: 0, refunds: 1, attempts: [{ outcome: "released" }] });
  expect(world.effectsOf("close_agent")).toEqual([{ type: "close_agent", agentId: "ada" }]);
  expect(refusal(() => world.remove("ada")).code).toBe("not_found");
  world.join({ name: "rem" });
  const claimId = world.claim("rem", { types: ["none"] });
  world.remove("rem");
  expect(world.answered(claimId)).toEqual([]);
  expect(world.effectsOf("close_agent")).toHaveLength(1);
});

test("the numbers of agents that have gone are not given again", () => {
  const world = createWorld({ agents: ["a", "b"] });
  world.remove("b");
  world.addAgent("c");
  expect(world.agent("c").identity.ordinal).toBe(2);
});
