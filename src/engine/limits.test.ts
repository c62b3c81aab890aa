/** Numbers that users count on, one by one: a change of any of them is meant, or it is a mistake. */
import { expect, test } from "vitest";
import { RESULT_LIMIT_BYTES } from "../agents/run-end.ts";
import { asPoolId } from "../base/ids.ts";
import { FORGET_SILENT_MS } from "../core/apply/agents.ts";
import { CLASS_LIMIT } from "../core/classes.ts";
import { ENGINE_DEATHS } from "../core/company.ts";
import { GATE_LIMIT } from "../core/gate.ts";
import { HELD_LIMIT } from "../core/held-line.ts";
import { QUARANTINE_LIMIT } from "../core/quarantine.ts";
import { KEY_KEPT_MS } from "../core/retired.ts";
import { COOLDOWN_CAP_MS, COOLDOWN_FIRST_MS } from "../core/settle.ts";
import { ATTEMPTS_KEPT } from "../core/task.ts";
import { BODY_LIMIT_BYTES, DEPTH_LIMIT } from "../interfaces/http/body.ts";
import { TRIAL_MS as TRIAL_OF_CALLS_MS } from "../patterns/member.ts";
import { WINDOW_MS } from "../policies/analytics.ts";
import { LOAD_BOUND } from "../policies/balancer/affinity.ts";
import { FULL_SCAN_LIMIT } from "../policies/balancer/scan.ts";
import { PROVEN_SAMPLES } from "../policies/balancer/score.ts";
import { RETRY_AFTER_MAX_MS, RETRY_AFTER_MIN_MS } from "../policies/drain-rate.ts";
import { TRIAL_MS } from "../policies/health.ts";
import { EWMA_SHARE, FAILURE_MEDIANS } from "../policies/measure.ts";
import { RETRY_BUDGET_DEFAULTS } from "../policies/retry-budget.ts";
import { EVENT_LIMITS } from "../stores/event-limits.ts";
import { LISTENER_LIMIT } from "./event-hub.ts";
import { BUFFER_LIMIT_BYTES } from "./event-listener.ts";
import { AHEAD_LIMIT } from "./explain.ts";
import { DEPENDENCIES_LIMIT } from "./handover.ts";
import { resolvePool } from "./options/pool.ts";
import { TASK_LIMIT_BYTES } from "./task-body.ts";
import { WAIT_LIMIT_MS } from "./task-desk.ts";

const MB = 1_048_576;
const MINUTE_MS = 60_000;

test.each([
  ["tasks that are held for one pool until there is room", HELD_LIMIT, 1_000],
  ["kinds of work that wait in one pool", CLASS_LIMIT, 10_000],
  ["gates", GATE_LIMIT, 1_000],
  ["payloads in quarantine per pool", QUARANTINE_LIMIT, 10_000],
  ["attempts that a task remembers", ATTEMPTS_KEPT, 50],
  ["deaths of the engine in a row before a task runs alone", ENGINE_DEATHS, 3],
  ["how long a key outlives its task", KEY_KEPT_MS, 24 * 60 * MINUTE_MS],
  ["how long a silent agent is remembered", FORGET_SILENT_MS, 10 * MINUTE_MS],
  ["first rest of a throttled agent", COOLDOWN_FIRST_MS, 1_000],
  ["its longest rest without a word", COOLDOWN_CAP_MS, MINUTE_MS],
  ["how often an agent that its work speaks against is tried", TRIAL_MS, 30_000],
  ["the same of a call-through pool", TRIAL_OF_CALLS_MS, 30_000],
  ["shortest Retry-After", RETRY_AFTER_MIN_MS, 1_000],
  ["longest Retry-After", RETRY_AFTER_MAX_MS, MINUTE_MS],
  ["share of a new sample in success rate and mean time", EWMA_SHARE, 0.1],
  ["medians that a failure is charged as", FAILURE_MEDIANS, 10],
  ["samples under which an agent is believed to be like the others", PROVEN_SAMPLES, 5],
  ["load of an agent by affinity, to the mean", LOAD_BOUND, 1.25],
  ["free agents that are all looked at", FULL_SCAN_LIMIT, 64],
  ["how far analytics look back", WINDOW_MS, 24 * 60 * MINUTE_MS],
  ["what a task may weigh", TASK_LIMIT_BYTES, MB],
  ["what a result may weigh", RESULT_LIMIT_BYTES, 16 * MB],
  ["what the results of all dependencies may weigh", DEPENDENCIES_LIMIT, 16 * MB],
  ["what a request may weigh", BODY_LIMIT_BYTES, MB],
  ["how deep a request may be nested", DEPTH_LIMIT, 32],
  ["how long a request may wait", WAIT_LIMIT_MS, MINUTE_MS],
  ["listeners to events", LISTENER_LIMIT, 256],
  ["what may wait for a listener", BUFFER_LIMIT_BYTES, MB],
  ["events that are kept on disk", EVENT_LIMITS.count, 1_000_000],
  ["for how long events are kept", EVENT_LIMITS.ageMs, 86_400_000],
  ["tasks ahead that are counted", AHEAD_LIMIT, 1_000],
] as const)("%s: %d", (_, actual, expected) => {
  expect(actual).toBe(expected);
});

test("an empty pool has these defaults too", () => {
  expect(resolvePool({}, () => "p")).toMatchObject({
    id: asPoolId("p"),
    strategy: "peak_ewma",
    holdBack: false,
    serving: undefined,
    keyConcurrency: undefined,
    queue: { overflow: "reject", maxWaitMs: 5_000, gatedLimit: 10_000 },
    retry: { budget: false },
    onStuck: "mark",
    stuckMs: undefined,
    poisonLimit: 3,
    deadLetters: { limit: 10_000 },
    retention: { count: 100_000, ageMs: 604_800_000 },
    health: { window: 20, minimum: 10, maxAgeMs: 300_000, degraded: 0.3, unhealthy: 0.7 },
    breaker: { consecutive: 5, ratio: 0.5, openMs: 5_000, permits: 1, successes: 2 },
  });
  expect(RETRY_BUDGET_DEFAULTS).toEqual({ ratio: 0.2, windowMs: 60_000, floor: 10 });
});
