/** Pools that end, agents that go on, and batches over all of them. */
import { expect, test } from "vitest";
import type { AgentFunction } from "../../agents/function.ts";
import { createVirtualClock } from "../../testing/virtual-clock.ts";
import { functionAgent } from "./agents.ts";
import { createPool, createTroupe } from "./troupe.ts";

test("S4-13 S4-B18 S3-B16 an idle pool closes at once: no time has to pass, and no timer is left", async () => {
  const clock = createVirtualClock(1_000_000);
  /** Waits for it at this very instant. */
  const now = async <T>(promise: Promise<T>): Promise<T> => {
    let over = false;
    const end = promise.finally(() => {
      over = true;
    });
    while (!over) await clock.settle();
    return end;
  };
  const troupe = await now(createTroupe({ clock }));
  const pool = await now(troupe.create({ id: "p", agents: [functionAgent("ada", () => 1)] }));
  expect(await now(pool.execute("x"))).toBe(1);
  await now(troupe.close());
  expect(clock.now()).toBe(1_000_000);
  expect(clock.nextAtMs).toBeUndefined();
});

test("S4-14 an agent whose task threw takes the next one", async () => {
  const run: AgentFunction = ({ task }) => {
    if (task.prompt === "bad") throw new TypeError("no");
    return task.prompt;
  };
  await using pool = await createPool({ agents: [functionAgent("ada", run)] });
  await expect(pool.execute({ prompt: "bad", maxAttempts: 1 })).rejects.toMatchObject({ code: "exhausted" });
  expect(await pool.execute("good")).toBe("good");
});

test("S4-B14 deleting a pool that is slow to end holds nobody up", async () => {
  let end: () => void = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  await using troupe = await createTroupe();
  const slow = await troupe.create({ id: "slow", agents: [functionAgent("ada", () => ended)] });
  const quick = await troupe.create({ id: "quick", agents: [functionAgent("bob", () => "done")] });
  const task = await slow.submit("x");
  const deleted = troupe.delete("slow");
  expect(await quick.execute("y")).toBe("done");
  await troupe.create({ id: "later", agents: [functionAgent("cyd", () => "here")] });
  expect(await troupe.get("later")?.execute("z")).toBe("here");
  end();
  expect((await task.settled()).status).toBe("completed");
  expect(await deleted).toBe(true);
});

test("R-08 a batch is spread over all agents", async () => {
  const by = (name: string) => functionAgent(name, () => name);
  await using pool = await createPool({ strategy: "round_robin", agents: ["ada", "bob", "cyd"].map(by) });
  expect([...new Set(await pool.executeBatch(["1", "2", "3"]))].sort()).toEqual(["ada", "bob", "cyd"]);
});
