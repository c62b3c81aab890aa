import { expect, test } from "vitest";
import { asAgentId } from "../base/ids.ts";
import { createWorld, type World } from "../testing/world.ts";

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
