/** What a pending task is shown to wait for, through the library's door. */
import { expect, onTestFinished, test } from "vitest";
import { AgentError } from "../agents/agent-error.ts";
import { createVirtualClock } from "../testing/virtual-clock.ts";
import { functionAgent } from "./library/agents.ts";
import { createPool } from "./library/troupe.ts";

const startMs = Date.UTC(2026, 0, 1);

async function aPool(options: NonNullable<Parameters<typeof createPool>[0]>) {
  const clock = createVirtualClock(startMs);
  const pool = await createPool({ id: "p", clock, ...options });
  onTestFinished(async () => {
    const closed = pool.close({ drainMs: 0 });
    await clock.advance(100_000);
    await closed;
  });
  const submit = async (prompt: string) => {
    const { id } = await pool.submit({ prompt });
    await clock.settle();
    return id;
  };
  return { pool, clock, submit };
}

const until = (ms: number): string => new Date(startMs + ms).toISOString();

test("a task whose agents have begun as much as a minute allows waits for the rate, and is told until when", async () => {
  const limited = functionAgent("ada", ({ task }) => task.prompt, { rate: { requestsPerMinute: 1 } });
  const { pool, clock, submit } = await aPool({ agents: [limited] });
  await submit("first");
  const id = await submit("second");
  const { status, waiting } = await pool.task(id);
  expect([status, waiting?.reason]).toEqual(["pending", "rate"]);
  const view = await pool.explain(id);
  expect(view.waiting).toEqual(waiting);
  expect(view.agents).toMatchObject([{ name: "ada", reason: "rate", detail: `it rests until ${waiting?.until}` }]);
  expect(view.change).toEqual(["ada has to end its rest"]);
  await clock.advance(Date.parse(waiting?.until ?? "") - startMs);
  expect((await pool.task(id)).status).toBe("completed");
});

test("a task whose only agent was throttled waits for the rate until the agent's rest is over", async () => {
  const run = () => {
    throw new AgentError({ message: "slow down", blame: "throttle", retryAfterMs: 5_000 });
  };
  const { pool, submit } = await aPool({ agents: [functionAgent("ada", run)] });
  const { waiting } = await pool.task(await submit("x"));
  expect(waiting).toEqual({ reason: "rate", detail: "agents that rest: 1 of 1", until: until(5_000) });
});

test("while another agent is merely busy, a task waits for an agent, and what is against each is counted", async () => {
  const busy = functionAgent("bob", ({ signal }) => {
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
  });
  const limited = functionAgent("ada", ({ task }) => task.prompt, { rate: { requestsPerMinute: 1 } });
  const { pool, submit } = await aPool({ agents: [limited, busy], strategy: "round_robin" });
  await submit("for ada");
  await submit("for bob");
  const { waiting } = await pool.task(await submit("third"));
  expect(waiting).toEqual({ reason: "agent", detail: "none of 2 agents may be given it now: rate 1, slot 1" });
});
