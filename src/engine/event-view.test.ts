import { expect, test } from "vitest";
import { asAgentId, asPoolId } from "../base/ids.ts";
import { eventText } from "./event-view.ts";

test("what an operator has said of an agent is told, and nothing of its metadata", () => {
  const agent = {
    id: asAgentId("a1"),
    pool: asPoolId("p"),
    name: "ada",
    kind: "daemon",
    ordinal: 0,
    capabilities: [],
    concurrency: 1,
    weight: 1,
    priority: 0,
    metadata: { secret: "s" },
    isolation: { contextWindowId: "c", toolSessionId: "t", memoryHandleId: "m" },
    failed: "on fire",
    drained: true,
  } as const;
  expect(JSON.parse(eventText({ type: "agent.changed", agent }, { seq: 7, atMs: 0 }))).toEqual({
    seq: 7,
    type: "agent.changed",
    at: "1970-01-01T00:00:00.000Z",
    agentId: "a1",
    pool: "p",
    name: "ada",
    failed: "on fire",
    drained: true,
  });
});
