import fc, { type Arbitrary } from "fast-check";
import { describe, expect, test } from "vitest";
import { asAgentId, asPoolId, asTaskId } from "../base/ids.ts";
import type { DurableEvent } from "../core/event.ts";
import type { SettledFacts } from "../core/record.ts";
import { retainedBytes } from "../core/retired.ts";
import type { Attempt, Settlement, TaskBody, TaskSpec } from "../core/task.ts";
import { anAttempt, anEvent, aSpec, idOf, settledTask, usualTask } from "../testing/store-facts.ts";
import { KINDS_KNOWN, LikeSpecs } from "./like-specs.ts";
import { RecentEvents } from "./recent-events.ts";
import { SettledColumns } from "./settled-columns.ts";

/** Something to say of each field that there is: a new one does not compile before it stands here too. */
type Odd<T> = { readonly [K in keyof Required<T>]: Arbitrary<T[K]> };

const text = fc.string();
const number = fc.double({ noNaN: true });
const aboutNow = fc.double({ min: 1.7e12, max: 1.8e12, noNaN: true });
const count = fc.nat(3);
const taskIds = fc.array(text.map(asTaskId), { maxLength: 2 });
const maybe = <T>(arbitrary: Arbitrary<T>): Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined });
const usage = fc.record({ tokens: fc.nat(), costUsd: number }, { requiredKeys: [] });
const error = fc.record({ code: text, message: text });

const ODD_SPEC: Odd<TaskSpec> = {
  id: text.map(asTaskId),
  pool: text.map(asPoolId),
  type: text,
  requires: fc.array(text, { maxLength: 2 }),
  priority: fc.constantFrom(1, 2, 3, 4),
  dependencies: taskIds,
  onDependencyFailure: fc.constantFrom("cancel", "fail", "run"),
  preferredAgent: text,
  fairnessKey: text,
  affinityKey: text,
  tenant: text,
  budget: fc.record({ tokens: number }),
  idempotencyKey: text,
  bodyHash: text,
  maxAttempts: count,
  retryable: fc.boolean(),
  timeoutMs: number,
  deadlineAtMs: aboutNow,
  escalate: fc.record({ atShare: number, priority: fc.constantFrom(1, 2) }),
  runAtMs: aboutNow,
  parentId: text.map(asTaskId),
  createdAtMs: aboutNow,
  bodySize: fc.nat(),
};

const ODD_SETTLEMENT: Odd<Settlement> = {
  status: fc.constantFrom("completed", "failed", "cancelled"),
  error,
  resultBytes: maybe(fc.nat()),
  usage,
  progress: fc.constantFrom(null, 0.5, "half"),
  settledAtMs: aboutNow,
  deadLettered: fc.boolean(),
};

const ODD_ATTEMPT: Odd<Attempt> = {
  number: count,
  agentId: text.map(asAgentId),
  agentName: text,
  fence: fc.maxSafeNat(),
  assignedAtMs: aboutNow,
  startedAtMs: maybe(aboutNow),
  endedAtMs: aboutNow,
  outcome: fc.constantFrom("succeeded", "failed", "lost"),
  blame: fc.constantFrom("agent", "unknown"),
  error,
  usage,
};

const ODD_FACTS: Odd<Omit<SettledFacts, "spec" | "settlement">> = {
  num: fc.maxSafeNat(),
  priority: fc.constantFrom(1, 2, 3, 4),
  queuedAtMs: aboutNow,
  attemptCount: count,
  lastNumber: count,
  lastFence: fc.maxSafeNat(),
  failedAgentIds: fc.array(text.map(asAgentId), { minLength: 1, maxLength: 2 }),
  failedDependencies: taskIds,
  refunds: count,
  spent: fc.option(fc.record({ wallMs: number, tokens: fc.nat(), costUsd: number }, { requiredKeys: ["wallMs"] }), {
    nil: undefined,
  }),
  replays: count,
  attempts: fc.constant([]),
};

/** One field that is another than usual, or none. */
function oneOf<T>(odd: Odd<T>): Arbitrary<Partial<T>> {
  const fields = Object.entries<Arbitrary<unknown>>(odd).map(([name, arbitrary]) => fc.record({ [name]: arbitrary }));
  return fc.oneof({ weight: fields.length, arbitrary: fc.constant({}) }, ...fields) as Arbitrary<Partial<T>>;
}

const someFacts: Arbitrary<SettledFacts> = fc
  .record({
    num: fc.nat(99),
    spec: oneOf(ODD_SPEC),
    settlement: oneOf(ODD_SETTLEMENT),
    attempt: oneOf(ODD_ATTEMPT),
    others: oneOf(ODD_FACTS),
    more: fc.constantFrom([], [], [], [anAttempt()]),
  })
  .map(({ num, spec, settlement, attempt, others, more }) => {
    const usual = usualTask(num, spec);
    return {
      ...usual,
      settlement: { ...usual.settlement, ...settlement },
      attempts: [{ ...(usual.attempts[0] as Attempt), ...attempt }, ...more],
      ...others,
    };
  });

type EventOf<T extends DurableEvent["type"]> = Omit<Extract<DurableEvent, { readonly type: T }>, "type">;

const ODD_SUBMITTED: Odd<Omit<EventOf<"task.submitted">, "spec">> = {
  num: fc.maxSafeNat(),
  queuedAtMs: aboutNow,
  nearAtMs: aboutNow,
  resting: fc.constantFrom({ reason: "dependencies" } as const, { reason: "delay", untilMs: 5 } as const),
  waitsFor: taskIds,
  awaited: fc.record({ ids: taskIds, untilMs: number }),
  failedDependencies: taskIds,
};

const ODD_LEASED: Odd<EventOf<"task.leased">> = {
  taskId: text.map(asTaskId),
  agentId: text.map(asAgentId),
  number: count,
  fence: fc.maxSafeNat(),
  atMs: aboutNow,
  expiresAtMs: aboutNow,
};

const ODD_SETTLED: Odd<Omit<EventOf<"task.settled">, "settlement">> = {
  taskId: text.map(asTaskId),
  attempt: fc.constant(undefined),
  charged: fc.boolean(),
  exclude: fc.boolean(),
  held: fc.boolean(),
};

const NONE: readonly never[] = [];
const READY = { resting: { reason: "agent" }, waitsFor: NONE, failedDependencies: NONE } as const;

const someEvent: Arbitrary<DurableEvent> = fc.oneof(
  fc.record({ facts: someFacts, odd: oneOf(ODD_SUBMITTED) }).map(({ facts, odd }): DurableEvent => {
    const { num, spec, queuedAtMs } = facts;
    return { type: "task.submitted", num, spec, queuedAtMs, ...READY, ...odd };
  }),
  fc.record({ num: fc.nat(99), odd: oneOf(ODD_LEASED) }).map(({ num, odd }): DurableEvent => {
    const { agentId, number, fence, assignedAtMs: atMs } = anAttempt();
    return { type: "task.leased", taskId: idOf(num), agentId, number, fence, atMs, expiresAtMs: atMs + 30_000, ...odd };
  }),
  fc.record({ facts: someFacts, odd: oneOf(ODD_SETTLED) }).map(({ facts, odd }): DurableEvent => {
    const { spec, settlement, attempts } = facts;
    const ended = { attempt: attempts[0], charged: true, exclude: false, held: false };
    return { type: "task.settled", taskId: spec.id, settlement, ...ended, ...odd };
  }),
  text.map(anEvent),
);

const someBody: Arbitrary<TaskBody | undefined> = maybe(
  fc.record({ prompt: maybe(text), rest: maybe(text) }, { requiredKeys: [] }),
);

const someRow = fc.record({ facts: someFacts, body: someBody, result: maybe(text), stays: fc.boolean() });

describe("settled tasks by columns", () => {
  test("are what they were, whatever they were, also after others went and all have moved up", () => {
    fc.assert(
      fc.property(fc.array(someRow, { minLength: 1, maxLength: 60 }), fc.nat(300), (rows, before) => {
        const columns = new SettledColumns();
        for (let n = 0; n < before; n++) columns.add({ facts: usualTask(n) }, undefined);
        const look = (place: number) => ({
          facts: columns.factsAt(place),
          body: columns.bodyAt(place),
          result: columns.resultAt(place),
        });
        for (const { facts, body, result } of rows) {
          expect(look(columns.add({ facts, result }, body))).toEqual({ facts, body, result });
        }
        for (let place = 0; place < before; place++) columns.remove(place);
        columns.cutBefore(before);
        rows.forEach((row, n) => {
          if (!row.stays) columns.remove(before + n);
        });
        columns.closeRanks();
        const left = rows.filter((row) => row.stays);
        expect(columns.end).toBe(left.length);
        for (const [place, { facts, body, result }] of left.entries()) {
          expect(look(place)).toEqual({ facts, body, result });
          const { num, spec } = facts;
          expect(columns.oldTaskAt(place)).toMatchObject({ num, id: spec.id, bytes: retainedBytes(facts) });
          expect(columns.endingAt(place)).toMatchObject({ status: facts.settlement.status });
          expect(columns.sharedAt(place)).toMatchObject({ pool: facts.spec.pool, type: facts.spec.type });
        }
      }),
      { numRuns: 300 },
    );
  });

  test("keep no object of a task that went as most do, and the facts themselves of any other", () => {
    const columns = new SettledColumns();
    const usual = usualTask(1);
    const other = settledTask(2, { status: "failed", deadLettered: true });
    expect(columns.factsAt(columns.add({ facts: usual }, {}))).not.toBe(usual);
    expect(columns.factsAt(columns.add({ facts: other }, {}))).toBe(other);
  });

  test("have no place from the cut on backwards, and those after it stay where they are", () => {
    const columns = new SettledColumns();
    for (let num = 0; num < 1_000; num++) columns.add({ facts: usualTask(num) }, undefined);
    columns.cutBefore(700);
    expect(columns.start).toBeGreaterThan(400);
    expect(columns.start).toBeLessThanOrEqual(700);
    expect([700, 999].map((place) => columns.numAt(place))).toEqual([700, 999]);
    expect(columns.add({ facts: usualTask(5) }, undefined)).toBe(1_000);
  });
});

describe("events by columns", () => {
  test("are what they were, whatever they were, however many have gone before", () => {
    const someCommits = fc.array(fc.array(someEvent, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(someCommits, fc.nat(900), fc.integer({ min: 1, max: 300 }), (commits, before, limit) => {
        const recent = new RecentEvents({ count: limit, ageMs: 1 });
        const earlier = Array.from({ length: before }, (_, n) => anEvent(`e${n}`));
        for (const [n, event] of earlier.entries()) recent.add(n + 1, 7, [event]);
        for (const events of commits) recent.add(recent.lastSeq + 1, 8, events);
        const all = [
          ...earlier.map((event) => ({ atMs: 7, event })),
          ...commits.flat().map((event) => ({ atMs: 8, event })),
        ];
        const numbered = all.map((stored, n) => ({ seq: n + 1, ...stored }));
        expect(recent.after(0, all.length)).toEqual(numbered.slice(-limit));
        expect(recent.after(before, 3)).toEqual(
          numbered
            .slice(-limit)
            .filter(({ seq }) => seq > before)
            .slice(0, 3),
        );
      }),
      { numRuns: 300 },
    );
  });

  test("keep no object of what most events tell, and any other event itself", () => {
    const recent = new RecentEvents({ count: 10, ageMs: 1_000 });
    const { num, spec, queuedAtMs, settlement, attempts } = usualTask(1);
    const ended = { attempt: attempts[0], charged: true, exclude: false, held: false };
    const events: DurableEvent[] = [
      { type: "task.submitted", num, spec, queuedAtMs, ...READY },
      { type: "task.settled", taskId: spec.id, settlement, ...ended },
      anEvent("a"),
    ];
    recent.add(1, 0, events);
    expect(recent.after(0, 10).map(({ event }, n) => event === events[n])).toEqual([false, false, true]);
  });

  test("begin anew where they were cleared", () => {
    const recent = new RecentEvents({ count: 10, ageMs: 1_000 });
    recent.add(1, 0, [anEvent("a"), anEvent("b")]);
    recent.clear();
    expect(recent.after(0, 10)).toEqual([]);
    recent.add(3, 0, [anEvent("c")]);
    expect(recent.after(0, 10)).toEqual([{ seq: 3, atMs: 0, event: anEvent("c") }]);
  });
});

describe("specs that are alike", () => {
  test("are one, apart from what each task has of its own", () => {
    const specs = new LikeSpecs();
    const first = aSpec(1);
    expect(specs.likeOf(first)).toBe(first);
    expect(specs.likeOf(aSpec(2, { priority: 1, bodySize: 99, requires: [] }))).toBe(first);
    const other = aSpec(3, { type: "other" });
    expect(specs.likeOf(other)).toBe(other);
    expect(specs.likeOf(aSpec(4))).toBe(first);
    expect(specs.likeOf(aSpec(5, { type: "other" }))).toBe(other);
  });

  test("are remembered up to a number of kinds", () => {
    const specs = new LikeSpecs();
    const kinds = Array.from({ length: KINDS_KNOWN + 1 }, (_, n) => aSpec(n, { type: `t${n}` }));
    for (const kind of kinds) specs.likeOf(kind);
    expect(specs.likeOf(aSpec(50, { type: "t1" }))).toBe(kinds[1]);
    expect(specs.likeOf(aSpec(51, { type: "t0" })).id).toBe(idOf(51));
  });
});
