/** What a driver sees of a run. */
import { expect, test } from "vitest";
import { asAgentId, asTaskId } from "../base/ids.ts";
import { anAttempt } from "../testing/agent-contract.ts";
import { CrewRun } from "./crew-run.ts";

function aRun(): CrewRun {
  const leased = { taskId: asTaskId("t"), agentId: asAgentId("ada"), number: 1, fence: 1, expiresAtMs: 0 };
  return new CrewRun(leased, anAttempt().task, 0, { progressed: () => {}, ended: () => {} });
}

test("the signal is one and the same, whoever reads it", () => {
  const run = aRun();
  expect(run.signal).toBe(run.signal);
  expect(run.signal.aborted).toBe(false);
});

test("who listens to the signal is told of the stop", () => {
  const run = aRun();
  let told = 0;
  run.signal.addEventListener("abort", () => {
    told += 1;
  });
  run.stop();
  run.stop();
  expect(told).toBe(1);
  expect(run.signal.aborted).toBe(true);
});

test("a signal that is read after the stop is aborted", () => {
  const run = aRun();
  run.stop();
  expect(run.signal.aborted).toBe(true);
});
