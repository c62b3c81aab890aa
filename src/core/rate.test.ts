/** Requests and tokens per minute, of an agent and of a key that several share. */
import { expect, test } from "vitest";
import { asAgentId } from "../base/ids.ts";
import { createWorld, MAIN, type World } from "../testing/world.ts";
import type { RateOptions } from "./rate.ts";

/** Agents with rates; the clock stands at the beginning of a minute. */
function world(rates: Readonly<Record<string, RateOptions>>): World {
  const made = createWorld({ pool: { breaker: false, retry: { maxAttempts: 3 } }, startMs: 600_000_000 });
  for (const [name, rate] of Object.entries(rates)) {
    const isolation = { contextWindowId: `c-${name}`, toolSessionId: `t-${name}`, memoryHandleId: `m-${name}` };
    const agent = { id: asAgentId(name), pool: MAIN, name, kind: "function" as const, capabilities: [], isolation };
    made.turn([
      { type: "add_agent", agent: { ...agent, concurrency: 10, weight: 1, priority: 0, rate } },
      { type: "agent_ready", agentId: agent.id },
    ]);
  }
  return made;
}

const succeed = (made: World, id: string, tokens?: number): void => {
  const usage = tokens === undefined ? undefined : { tokens };
  made.report(id, { name: "succeeded", resultBytes: 0, usage });
};

test("an agent begins no more attempts in a minute than it may; the next waits until the minute is over", () => {
  const made = world({ ada: { requestsPerMinute: 2 } });
  const [a, b, c] = [made.submit(), made.submit(), made.submit()];
  expect([made.runner(a), made.runner(b), made.runner(c)]).toEqual(["ada", "ada", undefined]);
  succeed(made, a);
  made.advance(59_999);
  expect(made.runner(c)).toBeUndefined();
  made.advance(1);
  expect(made.runner(c)).toBe("ada");
});

test("tokens that were reported delay the next attempt, also by more than one minute's share", () => {
  const made = world({ ada: { tokensPerMinute: 100 } });
  const first = made.submit();
  succeed(made, first, 99);
  const second = made.submit();
  expect(made.runner(second)).toBe("ada");
  succeed(made, second, 500);
  const third = made.submit();
  expect(made.runner(third)).toBeUndefined();
  made.advance(60_000);
  expect(made.runner(third)).toBe("ada");
});

test("agents that share a key share the limit; others don't", () => {
  const made = world({
    ada: { requestsPerMinute: 1, key: "provider" },
    bob: { requestsPerMinute: 1, key: "provider" },
    cid: { requestsPerMinute: 1 },
  });
  const tasks = [made.submit(), made.submit(), made.submit()];
  const runners = tasks.map((id) => made.runner(id));
  expect(runners.filter((name) => name === "cid")).toHaveLength(1);
  expect(runners.filter((name) => name === "ada" || name === "bob")).toHaveLength(1);
  expect(runners).toContain(undefined);
});

test("whoever is limited for longer than the backoff is nobody who could serve: the task backs off", () => {
  const made = world({ ada: {}, bob: { requestsPerMinute: 1 } });
  made.submit({ preferredAgent: "bob" });
  const task = made.submit();
  expect(made.runner(task)).toBe("ada");
  made.fail(task);
  expect(made.task(task).state).toMatchObject({ name: "waiting", reason: "retry" });
});

test("an agent that is gone takes its share of the key with it, not the use of it", () => {
  const made = world({ ada: { requestsPerMinute: 1, key: "k" }, bob: { requestsPerMinute: 1, key: "k" } });
  const task = made.submit({ preferredAgent: "ada" });
  succeed(made, task);
  made.ask({ type: "remove_agent", agentId: asAgentId("ada") });
  expect(made.runner(made.submit())).toBeUndefined();
  made.ask({ type: "remove_agent", agentId: asAgentId("bob") });
  expect(made.state.rates.size).toBe(0);
});

test("a key goes on counting while one of those who share it is left", () => {
  const made = world({ ada: { requestsPerMinute: 1, key: "k" }, bob: { requestsPerMinute: 1, key: "k" } });
  made.submit({ preferredAgent: "ada" });
  made.remove("bob");
  const isolation = { contextWindowId: "c", toolSessionId: "t", memoryHandleId: "m" };
  const agent = {
    id: asAgentId("cyd"),
    pool: MAIN,
    name: "cyd",
    kind: "function" as const,
    capabilities: [],
    isolation,
  };
  const rate = { requestsPerMinute: 1, key: "k" };
  made.turn([
    { type: "add_agent", agent: { ...agent, concurrency: 10, weight: 1, priority: 0, rate } },
    { type: "agent_ready", agentId: agent.id },
  ]);
  const next = made.submit();
  expect(made.status(next)).toBe("agent");
  made.advance(60_000);
  expect(made.status(next)).toBe("leased");
});
