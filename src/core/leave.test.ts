import { expect, test } from "vitest";
import { asAgentId } from "../base/ids.ts";
import { createWorld, MAIN, refusal, type World } from "../testing/world.ts";

const restart = (world: World, name: string, forMs = 1_000) =>
  world.ask({ type: "restart_agent", agentId: asAgentId(name), untilMs: world.nowMs + forMs });
const stopped = (world: World, name: string) => world.ask({ type: "agent_stopped", agentId: asAgentId(name) });
const recover = (world: World, name: string) => world.ask({ type: "recover_agent", agentId: asAgentId(name) });
/** Its process has ended because we asked for it. */
const ended = (world: World, name: string) =>
  world.ask({
    type: "agent_exited",
    agentId: asAgentId(name),
    exit: { asked: true, code: 0, signal: null, reason: "stopped", logTail: ["bye"] },
  });

const daemon = (name: string) => ({ name, kind: "daemon" as const });
const RESTARTS = { max: 1, windowMs: 60_000, delayMs: 1_000, jitter: "none" as const };

test("S2-L05 a planned restart takes no more work, waits until the agent is empty, and starts it anew", () => {
  const world = createWorld({ agents: [daemon("ada")], pool: { restart: RESTARTS } });
  const { isolation } = world.agent("ada");
  world.submit({ id: "running" });
  restart(world, "ada");
  world.submit({ id: "waits" });
  expect([world.agent("ada").lifecycle, world.status("waits")]).toEqual(["draining", "agent"]);
  expect(world.effectsOf("stop_agent")).toEqual([]);
  world.complete("running");
  expect([world.status("waits"), world.effectsOf("stop_agent").length]).toEqual(["agent", 1]);
  ended(world, "ada");
  stopped(world, "ada");
  expect(world.agent("ada")).toMatchObject({ lifecycle: "restarting", restarts: 1, lastExit: { reason: "stopped" } });
  expect(world.agent("ada").isolation).not.toEqual(isolation);
  expect(world.effectsOf("start_agent")).toHaveLength(2);
  world.ready("ada");
  expect([world.agent("ada").lifecycle, world.runner("waits")]).toEqual(["ready", "ada"]);
});

test("it counts against no budget: the first death after any number of them is followed by a restart", () => {
  const world = createWorld({ agents: [daemon("ada")], pool: { restart: RESTARTS } });
  for (let n = 0; n < 3; n++) {
    restart(world, "ada");
    ended(world, "ada");
    world.ready("ada");
  }
  expect(world.agent("ada")).toMatchObject({ restarts: 3, restartsAtMs: [] });
  world.crash("ada");
  expect(world.agent("ada").lifecycle).toBe("crashed");
});

test("what still runs when its time is over is given back, which is no kill and not charged", () => {
  const world = createWorld({ agents: [daemon("ada")] });
  world.submit({ id: "t" });
  restart(world, "ada", 1_000);
  world.advance(999);
  expect(world.status("t")).toBe("leased");
  world.advance(1);
  expect(world.task("t")).toMatchObject({ attemptCount: 0, attempts: [{ outcome: "released" }], killers: undefined });
  expect(world.effectsOf("stop")).toEqual([
    { type: "stop", agentId: "ada", taskId: "t", fence: world.task("t").lastFence },
  ]);
  // Its slot is taken until the run is known to have ended.
  expect(world.effectsOf("stop_agent")).toEqual([]);
  world.endRun("ada", "t");
  expect(world.effectsOf("stop_agent")).toHaveLength(1);
  ended(world, "ada");
  world.ready("ada");
  expect(world.runner("t")).toBe("ada");
});

test("a function or command tells no death: that its driver has stopped it is enough", () => {
  const world = createWorld({ agents: ["ada"] });
  restart(world, "ada");
  expect(world.effectsOf("stop_agent")).toHaveLength(1);
  stopped(world, "ada");
  world.ready("ada");
  expect(world.agent("ada")).toMatchObject({ lifecycle: "ready", restarts: 1 });
});

test("the stop of an agent that nobody restarts changes nothing", () => {
  const world = createWorld({ agents: ["ada"] });
  stopped(world, "ada");
  expect(world.agent("ada")).toMatchObject({ lifecycle: "ready", restarts: 0 });
});

test("a death before it is empty is a death: it counts, and ends the plan", () => {
  const world = createWorld({ agents: [daemon("ada")], pool: { restart: RESTARTS } });
  world.submit({ id: "t" });
  restart(world, "ada");
  world.crash("ada");
  expect(world.agent("ada")).toMatchObject({ lifecycle: "crashed", leaving: undefined });
  expect(world.task("t").attempts).toMatchObject([{ outcome: "lost", blame: "agent" }]);
  world.advance(1_000);
  world.ready("ada");
  expect([world.agent("ada").lifecycle, world.effectsOf("stop_agent").length]).toEqual(["ready", 0]);
});

test("recovered in time it goes on as it was; once it is being stopped it is started anew all the same", () => {
  const world = createWorld({ agents: [daemon("ada")] });
  world.submit({ id: "t" });
  restart(world, "ada");
  recover(world, "ada");
  expect(world.agent("ada").lifecycle).toBe("ready");
  world.complete("t");
  expect(world.effectsOf("stop_agent")).toEqual([]);
  restart(world, "ada");
  recover(world, "ada");
  expect(world.agent("ada").lifecycle).toBe("draining");
  ended(world, "ada");
  expect(world.agent("ada").lifecycle).toBe("restarting");
});

test("one that is down or in quarantine is started at once", () => {
  const world = createWorld({ agents: [daemon("ada")], pool: { restart: { ...RESTARTS, max: 0 } } });
  world.crash("ada");
  expect(world.agent("ada").lifecycle).toBe("quarantined");
  restart(world, "ada");
  expect(world.agent("ada")).toMatchObject({ lifecycle: "restarting", restartsAtMs: [] });
});

test("a remote agent can't be restarted from here, and an unknown one not at all", () => {
  const world = createWorld({ agents: [{ name: "rem", kind: "remote" }] });
  expect(refusal(() => restart(world, "rem")).code).toBe("conflict");
  expect(refusal(() => restart(world, "nobody")).code).toBe("not_found");
});

test("an agent that an operator has drained comes back from a restart drained", () => {
  const world = createWorld({ agents: [daemon("ada")] });
  world.ask({ type: "drain_agent", agentId: asAgentId("ada"), keep: true });
  restart(world, "ada");
  ended(world, "ada");
  world.ready("ada");
  expect(world.agent("ada").lifecycle).toBe("draining");
});

test("one that is being stopped is not stopped twice, and one that is to go is not started again", () => {
  const world = createWorld({ agents: [daemon("ada")] });
  restart(world, "ada");
  restart(world, "ada");
  expect(world.effectsOf("stop_agent")).toHaveLength(1);
  const sized = createWorld({ pool: { agents: [{ kind: "command", program: "cat" }], size: { default: 2, max: 8 } } });
  sized.ask({ type: "scale", pool: MAIN, target: 2, by: "options" });
  const ids = [...sized.state.agents.keys()];
  for (const agentId of ids) sized.ask({ type: "agent_ready", agentId });
  for (const _ of ids) sized.submit();
  sized.ask({ type: "scale", pool: MAIN, target: 1 });
  const going = ids.find((id) => sized.agent(id).identity.dismissed) ?? "";
  restart(sized, going);
  expect([sized.agent(going).leaving, sized.effectsOf("stop_agent")]).toEqual([undefined, []]);
});

test("an engine that stops starts nobody anew", () => {
  const world = createWorld({ agents: [daemon("ada")] });
  world.ask({ type: "drain", matching: true });
  expect(refusal(() => restart(world, "ada")).code).toBe("shutting_down");
});

test("what has ended meanwhile is not given back when the time is over", () => {
  const world = createWorld({ agents: [{ ...daemon("ada"), concurrency: 2 }] });
  world.submit({ id: "late", timeoutMs: 500, maxAttempts: 1 });
  world.submit({ id: "runs" });
  for (const id of ["late", "runs"]) world.start(id);
  restart(world, "ada", 1_000);
  world.advance(1_000);
  expect([world.status("late"), world.task("late").attempts.length]).toEqual(["failed", 1]);
  expect(world.task("runs").attempts).toMatchObject([{ outcome: "released", error: { code: "agent_restarted" } }]);
});
