/** The engine in worlds where things go wrong: a thousand seeds hold, and what is broken on purpose is found. */
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Store } from "../src/stores/store.ts";
import { type RunReport, simulateSeed } from "../src/testing/simulation/run.ts";
import { SITUATIONS } from "../src/testing/simulation/situations.ts";
import { failureText, Tally } from "../src/testing/simulation/summary.ts";

const SEEDS = Number(process.env.TROUPE_TEST_SEEDS ?? 1_000);
const CHUNK = 50;
const TASKS = 40;
/** A chunk takes two seconds; a machine that does much else is no failure. */
const PATIENCE_MS = 120_000;

describe("the engine in a world that goes wrong", () => {
  const tally = new Tally();
  const chunks = Array.from({ length: Math.ceil(SEEDS / CHUNK) }, (_, n) => n * CHUNK + 1);

  test.each(chunks)(
    "S3-10 from seed %i on no invariant breaks, and everything ends once things go well",
    async (from) => {
      const broken: string[] = [];
      for (let seed = from; seed < from + CHUNK; seed++) {
        const report = await simulateSeed({ seed, tasks: TASKS });
        tally.add(report);
        if (report.violation !== undefined) broken.push(failureText(report, { tasks: TASKS }));
      }
      expect(broken).toEqual([]);
    },
    PATIENCE_MS,
  );

  test("nothing that was acknowledged is lost, nothing is settled twice in a life", () => {
    const { lost, settledTwice, tasks } = tally.summary();
    expect({ lost, settledTwice }).toEqual({ lost: 0, settledTwice: 0 });
    expect(tasks).toBeGreaterThan(SEEDS * 10);
  });

  test.runIf(SEEDS >= 1_000)("every situation that matters was met", () => {
    const { situations } = tally.summary();
    expect(SITUATIONS.filter((name) => situations[name] === 0)).toEqual([]);
  });

  test.runIf(SEEDS >= 1_000)("every fault has happened", () => {
    const { faults } = tally.summary();
    expect(Object.keys(faults).filter((name) => faults[name] === 0)).toEqual([]);
  });
});

test(
  "the same seed gives the same run, another seed another one",
  async () => {
    const traceOf = async (seed: number): Promise<string> => (await simulateSeed({ seed, tasks: TASKS })).trace;
    const seeds = Array.from({ length: 20 }, (_, n) => n + 1);
    const once: string[] = [];
    const again: string[] = [];
    for (const seed of seeds) once.push(await traceOf(seed));
    for (const seed of seeds) again.push(await traceOf(seed));
    expect(again).toEqual(once);
    expect(new Set(once).size).toBe(seeds.length);
  },
  PATIENCE_MS,
);

test("a failure names its seed, its step and the command that plays it again", async () => {
  const report = await simulateSeed({ seed: 7, tasks: 1 });
  const broken: RunReport = { ...report, violation: { message: "all is well", step: 12, atMs: 345.6 } };
  const text = failureText(broken, { tasks: 1 });
  expect(text).toContain("seed 7 breaks at step 12, 346 ms: not so: all is well");
  expect(text).toContain("npm run simulate -- --seed 7 --tasks 1");
});

// --- planted bugs: the best evidence that the simulation can fail ---

interface Plant {
  readonly title: string;
  readonly path: string;
  readonly override: (original: never) => object;
}

/** Replaces some exports of one module of the product. */
function plant<M>(title: string, path: string, override: (original: M) => Partial<M>): Plant {
  return { title, path, override: override as Plant["override"] };
}

type Tasks = typeof import("../src/core/apply/tasks.ts");
type Due = typeof import("../src/core/due.ts");
type Flaky = typeof import("../src/testing/flaky-store.ts");
type Lane = typeof import("../src/core/lane.ts");
type Loops = typeof import("../src/engine/loop.ts");
type Memory = typeof import("../src/stores/memory.ts");
type Payload = typeof import("../src/engine/payloads.ts");
type Restore = typeof import("../src/core/restore.ts");
type Retry = typeof import("../src/core/retry.ts");
type Room = typeof import("../src/core/room.ts");
type Settle = typeof import("../src/core/settle.ts");
type State = typeof import("../src/core/state.ts");
type StubsModule = typeof import("../src/engine/stubs.ts");

/** The same store, but for its commits. */
function committing(store: Store, commit: Store["commit"]): Store {
  return new Proxy(store, {
    get(target, name) {
      if (name === "commit") return commit;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

const PLANTS: readonly Plant[] = [
  plant<Loops>("an attempt begins before its lease is stored", "../src/engine/loop.ts", ({ Loop }) => ({
    Loop: class extends Loop {
      constructor(options: ConstructorParameters<typeof Loop>[0]) {
        const { store, perform } = options;
        const early = committing(store, async (commit) => {
          const nothing = { record: () => {} } as never;
          for (const event of commit.events)
            if (event.type === "task.leased") perform({ type: "run", attempt: event }, nothing);
          await store.commit(commit);
        });
        super({ ...options, store: early });
      }
    },
  })),
  plant<Loops>("callers are answered before their commit", "../src/engine/loop.ts", ({ Loop }) => ({
    Loop: class extends Loop {
      constructor(options: ConstructorParameters<typeof Loop>[0]) {
        const { store } = options;
        let last: Promise<void> = Promise.resolve();
        const hasty = committing(store, async (commit) => {
          last = last.then(() => store.commit(commit)).catch(() => {});
        });
        super({ ...options, store: hasty });
      }
    },
  })),
  plant<Flaky>("a store acknowledges and forgets", "../src/testing/flaky-store.ts", ({ createFlakyStore }) => ({
    createFlakyStore: (inner, plan) => createFlakyStore(inner, Object.create(plan, { unsynced: { value: 2 } })),
  })),
  plant<Memory>("a store forgets a row of a commit", "../src/stores/memory.ts", ({ createMemoryStore }) => ({
    createMemoryStore: (options) => {
      const store = createMemoryStore(options);
      return committing(store, (commit) => store.commit({ ...commit, open: commit.open.slice(0, 2) }));
    },
  })),
  plant<Settle>("a report with an old fence is taken", "../src/core/settle.ts", ({ report }) => ({
    report: (state, command, turn) => {
      const now = state.tasks.get(command.taskId)?.state;
      return report(state, now?.name === "leased" ? { ...command, fence: now.lease.fence } : command, turn);
    },
  })),
  plant<Retry>("the agent that failed is not excluded", "../src/core/retry.ts", ({ afterAttempt }) => ({
    afterAttempt: (task, outcome, facts) => ({ ...afterAttempt(task, outcome, facts), exclude: false }),
  })),
  plant<Retry>("every attempt that is given back is free", "../src/core/retry.ts", ({ afterAttempt }) => ({
    afterAttempt: (task, outcome, facts) => {
      const verdict = afterAttempt(task, outcome, facts);
      return outcome.name === "released" ? { ...verdict, charged: false } : verdict;
    },
  })),
  plant<Tasks>("a dependent is released twice after a restart", "../src/core/apply/tasks.ts", ({ waitFor }) => ({
    waitFor: (state, dependency, id) => {
      waitFor(state, dependency, id);
      waitFor(state, dependency, id);
    },
  })),
  plant<Settle>("a dependent does not wait for its time", "../src/core/settle.ts", () => ({
    afterDependencies: () => ({ reason: "agent" }),
  })),
  plant<State>("fences begin anew with a restart", "../src/core/state.ts", () => ({
    nextFence: (state) => state.fences + 1,
  })),
  plant<Restore>("a restart forgets who failed a task", "../src/core/restore.ts", ({ restore }) => ({
    restore: (stored, nowMs) => {
      const open = stored.open.map((facts) => ({ ...facts, failedAgentIds: [] }));
      return restore({ ...stored, open }, nowMs);
    },
  })),
  plant<Room>("a full queue takes everything", "../src/core/room.ts", () => ({ leftWaiting: () => 0 })),
  plant<Lane>("the youngest task goes first", "../src/core/lane.ts", ({ precedes }) => ({
    precedes: (a, b) => precedes(b, a),
  })),
  plant<Due>("a wake-up is lost now and then", "../src/core/due.ts", ({ Due }) => {
    let wakes = 0;
    class Forgetful extends Due {
      override add(entry: Parameters<InstanceType<typeof Due>["add"]>[0]): void {
        if (entry.kind === "wake" && ++wakes % 10 === 0) return;
        super.add(entry);
      }
    }
    return { Due: Forgetful as typeof Due };
  }),
  plant<StubsModule>("a key is forgotten with the end of its task", "../src/engine/stubs.ts", ({ Stubs }) => ({
    Stubs: class extends Stubs {
      override lookUp: InstanceType<typeof Stubs>["lookUp"] = (ids, _keys, use) => super.lookUp(ids, [], use);
    },
  })),
  plant<Payload>("a result gets lost on the way to the store", "../src/engine/payloads.ts", ({ Payloads }) => ({
    Payloads: class extends Payloads {
      override keepResult(fence: number, result: string): void {
        if (fence % 16 !== 0) super.keepResult(fence, result);
      }
    },
  })),
];

describe("a bug that is planted is found within 500 seeds", () => {
  const planted: string[] = [];
  afterEach(() => {
    for (const path of planted.splice(0)) vi.doUnmock(path);
    vi.resetModules();
  });

  test.each(PLANTS)(
    "$title",
    async ({ path, override }) => {
      vi.resetModules();
      vi.doMock(path, async (original) => {
        const module = await original<object>();
        return { ...module, ...override(module as never) };
      });
      planted.push(path);
      const broken = await import("../src/testing/simulation/run.ts");
      for (let seed = 1; seed <= 500; seed++) {
        const { violation } = await broken.simulateSeed({ seed, tasks: TASKS });
        if (violation === undefined) continue;
        if (process.env.TROUPE_TEST_VERBOSE) console.log(path, seed, violation.message.slice(0, 200));
        return;
      }
      expect.fail("no seed of 500 has found it");
    },
    PATIENCE_MS,
  );
});
