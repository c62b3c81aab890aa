/** Stuck agents, through the library. */
import { expect, test } from "vitest";
import { createVirtualClock } from "../testing/virtual-clock.ts";
import { functionAgent } from "./library/agents.ts";
import { createPool } from "./library/troupe.ts";

test("S4-B02 S2-16 a function that works for too long is unhealthy until it ends, an idle one never is", async () => {
  const clock = createVirtualClock();
  let end: () => void = () => {};
  const slow = functionAgent("slow", () => new Promise((resolve) => (end = () => resolve("done"))));
  const pool = await createPool({ agents: [slow, functionAgent("idle", () => null)], stuckMs: 5_000, clock });
  const health = () => pool.agents().map((agent) => [agent.name, agent.health]);
  const result = pool.execute("work", { preferredAgent: "slow" });
  await clock.settle();
  await clock.advance(5_000);
  expect(health()).toEqual([
    ["slow", "healthy"],
    ["idle", "healthy"],
  ]);
  await clock.advance(1);
  expect(health()).toEqual([
    ["slow", "unhealthy"],
    ["idle", "healthy"],
  ]);
  end();
  await clock.settle();
  expect(await result).toBe("done");
  expect(health()).toEqual([
    ["slow", "healthy"],
    ["idle", "healthy"],
  ]);
  await clock.advance(3_600_000);
  expect(health()).toEqual([
    ["slow", "healthy"],
    ["idle", "healthy"],
  ]);
  await pool.close({ drainMs: 0 });
});
