/** Numbers that the contract names: tests elsewhere use them by their names, so that only here a wrong one is wrong. */
import { expect, test } from "vitest";
import { RESULT_LIMIT_BYTES } from "../src/agents/run-end.ts";
import { FORGET_SILENT_MS } from "../src/core/apply/agents.ts";
import { CLASS_LIMIT } from "../src/core/classes.ts";
import { ENGINE_DEATHS } from "../src/core/company.ts";
import { HELD_LIMIT } from "../src/core/held-line.ts";
import { KEY_KEPT_MS } from "../src/core/retired.ts";
import { SCHEDULE_LIMIT } from "../src/core/schedule.ts";
import { COOLDOWN_CAP_MS, COOLDOWN_FIRST_MS } from "../src/core/settle.ts";
import { ATTEMPTS_KEPT } from "../src/core/task.ts";
import { DEPENDENCIES_LIMIT } from "../src/engine/handover.ts";
import { TASK_LIMIT_BYTES } from "../src/engine/task-body.ts";
import { WAIT_LIMIT_MS } from "../src/engine/task-desk.ts";
import { TRIAL_MS as CALL_TRIAL_MS } from "../src/patterns/member.ts";
import { LOAD_BOUND } from "../src/policies/balancer/affinity.ts";
import { PROVEN_SAMPLES } from "../src/policies/balancer/score.ts";
import { TRIAL_MS } from "../src/policies/health.ts";
import { EWMA_SHARE, FAILURE_MEDIANS } from "../src/policies/measure.ts";

const MINUTE_MS = 60_000;
const MB = 1_048_576;

test.each([
  ["submissions that wait for room", HELD_LIMIT, 1_000],
  ["attempts that a task shows", ATTEMPTS_KEPT, 50],
  ["engine deaths in a row before a task runs alone", ENGINE_DEATHS, 3],
  ["kinds of work in a pool", CLASS_LIMIT, 10_000],
  ["schedules", SCHEDULE_LIMIT, 1_000],
  ["samples that make a success rate believed", PROVEN_SAMPLES, 5],
  ["medians that a failure is charged as", FAILURE_MEDIANS, 10],
  ["means that an agent's load may be for affinity to hold", LOAD_BOUND, 1.25],
  ["share of the newest outcome in a success rate", EWMA_SHARE, 0.1],
  ["milliseconds that a key outlives its task", KEY_KEPT_MS, 24 * 60 * MINUTE_MS],
  ["milliseconds until a silent agent is removed", FORGET_SILENT_MS, 10 * MINUTE_MS],
  ["milliseconds of a first rest after throttling", COOLDOWN_FIRST_MS, 1_000],
  ["milliseconds of the longest rest after throttling", COOLDOWN_CAP_MS, MINUTE_MS],
  ["milliseconds between trials of a pool's agent", TRIAL_MS, 30_000],
  ["milliseconds between trials of a client", CALL_TRIAL_MS, 30_000],
  ["milliseconds that a caller may wait", WAIT_LIMIT_MS, MINUTE_MS],
  ["bytes of a task", TASK_LIMIT_BYTES, MB],
  ["bytes of a result", RESULT_LIMIT_BYTES, 16 * MB],
  ["bytes of what dependencies hand on", DEPENDENCIES_LIMIT, 16 * MB],
])("%s: as many as the contract says", (_, number, contract) => {
  expect(number).toBe(contract);
});
