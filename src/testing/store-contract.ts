/** What every store must do, as one suite of tests: run it in the test file of each. */
import { afterEach, describe, expect, test } from "vitest";
import { isPoolError } from "../base/errors.ts";
import { asAgentId, asPoolId, asTaskId, type TaskId } from "../base/ids.ts";
import type { DurableEvent } from "../core/event.ts";
import type { OpenFacts } from "../core/record.ts";
import type { HistoryFilter, Loaded, Store } from "../stores/store.ts";
import {
  anAdmission,
  anAgent,
  anAttempt,
  anEvent,
  aSpec,
  CommitWriter,
  ended,
  idOf,
  openTask,
  poolOptions,
  quarantined,
  settledTask,
} from "./store-facts.ts";

export interface StoreContractOptions {
  /** Closes the store and opens what it kept. Without it, loading again is all that is tested. */
  readonly reopen?: ((store: Store) => Promise<Store>) | undefined;
  /** Title of a test → why this store can't pass it. */
  readonly skip?: Readonly<Record<string, string>> | undefined;
}

/** A store that was loaded, and what writes to it. */
interface Opened {
  readonly store: Store;
  readonly loaded: Loaded;
  readonly writer: CommitWriter;
}

const EVERYTHING: HistoryFilter = { afterNum: 0, limit: 1_000 };

/**
 * Registers the suite.
 *
 * @param open - gives an empty store that nobody has loaded
 */
export function storeContract(name: string, open: () => Promise<Store>, options: StoreContractOptions = {}): void {
  const { reopen, skip = {} } = options;
  const opened = new Set<Store>();
  const titles = new Set<string>();

  afterEach(async () => {
    for (const store of opened) await store.close();
    opened.clear();
  });

  const use = async (store: Store): Promise<Opened> => {
    opened.add(store);
    const loaded = await store.load();
    return { store, loaded, writer: new CommitWriter(loaded.lastSeq) };
  };
  const fresh = async (): Promise<Opened> => use(await open());
  const again = async ({ store }: Opened): Promise<Opened> => use(reopen === undefined ? store : await reopen(store));

  const holds = (title: string, proof: (opened: Opened) => Promise<void>): void => {
    titles.add(title);
    const reason = skip[title];
    if (reason === undefined) test(title, async () => proof(await fresh()));
    else test.skip(`${title} (${reason})`, () => {});
  };

  describe(`${name} keeps the contract of stores`, () => {
    describe("loading", () => loading(holds, again));
    describe("commits", () => commits(holds, again));
    describe("the history", () => history(holds, again));
    describe("bodies and results", () => texts(holds, again));
    describe("events", () => events(holds, again));
    describe("closing", () => closing(holds));

    test("every skipped title is one of the contract", () => {
      expect(Object.keys(skip).filter((title) => !titles.has(title))).toEqual([]);
    });
  });
}

type Holds = (title: string, proof: (opened: Opened) => Promise<void>) => void;
type Again = (opened: Opened) => Promise<Opened>;

const nums = (rows: readonly { readonly num: number }[]): number[] => rows.map(({ num }) => num);

function loading(holds: Holds, again: Again): void {
  holds("a new store has nothing, under epoch 1", async ({ store, loaded }) => {
    expect(loaded).toEqual({
      epoch: 1,
      lastSeq: 0,
      lastNum: 0,
      pools: [],
      agents: [],
      gates: [],
      schedules: [],
      spending: [],
      open: [],
      quarantine: [],
      deadLetters: [],
      settledEpoch: 0,
    });
    expect(await store.history(EVERYTHING)).toEqual([]);
    expect(await store.events(0, 10)).toEqual([]);
  });

  holds("every load has a larger epoch", async (first) => {
    const second = await again(first);
    const third = await again(second);
    expect(second.loaded.epoch).toBeGreaterThan(first.loaded.epoch);
    expect(third.loaded.epoch).toBeGreaterThan(second.loaded.epoch);
  });

  holds("open tasks come back whole, in the order of admission", async (first) => {
    const { store, writer } = first;
    const rich = aSpec(2, {
      type: "röntgen 🩻",
      requires: ["a", "b"],
      priority: 1,
      dependencies: [idOf(1)],
      onDependencyFailure: "run",
      preferredAgent: "ada",
      idempotencyKey: "key 2",
      bodyHash: "0f".repeat(32),
      timeoutMs: 1_000,
      deadlineAtMs: 1_700_000_009_000.5,
      runAtMs: 1_700_000_003_000,
      parentId: idOf(1),
    });
    const leased: OpenFacts = openTask(2, {
      spec: rich,
      state: {
        name: "leased",
        lease: {
          agentId: asAgentId("agent-ada"),
          number: 4,
          fence: Number.MAX_SAFE_INTEGER,
          assignedAtMs: 1_700_000_000_005.125,
          startedAtMs: 1_700_000_000_006,
          expiresAtMs: 1_700_000_030_005,
        },
      },
      first: true,
      attemptCount: 2,
      lastNumber: 4,
      lastFence: Number.MAX_SAFE_INTEGER,
      failedAgentIds: [asAgentId("agent-bob"), asAgentId("agent-eve")],
      again: true,
      refunds: 1,
      replays: 3,
      failedDependencies: [idOf(1)],
      attempts: [anAttempt(), anAttempt({ number: 2, outcome: "released", blame: undefined, error: undefined })],
    });
    const blocked = openTask(1, { state: { name: "waiting", reason: "dependencies" }, unmet: 2 });
    const delayed = openTask(10, { state: { name: "waiting", reason: "delay", untilMs: 1_700_000_009_999 } });
    const admitted = [delayed, leased, blocked].map(({ num, spec }) => ({ num, spec, body: {} }));
    await store.commit(writer.next({ admitted, open: [delayed, leased, blocked] }));

    const { loaded } = await again(first);
    expect(loaded.open).toEqual([blocked, leased, delayed]);
  });

  holds("pools and agents come back whole, and are gone once they were removed", async (first) => {
    const { store, writer } = first;
    const main = { options: poolOptions("main"), createdAtMs: 1_700_000_000_000.5 };
    const side = { options: poolOptions("side", { ageing: { stepMs: 60_000 }, timeoutMs: 5 }), createdAtMs: 2 };
    const ada = anAgent("ada");
    const bob = anAgent("bob", { ordinal: 1, kind: "remote", metadata: undefined });
    await store.commit(
      writer.next({
        pools: [
          { id: asPoolId("main"), record: { ...main, createdAtMs: 1 } },
          { id: asPoolId("side"), record: side },
          { id: asPoolId("gone"), record: side },
        ],
        agents: [ada, bob, anAgent("eve")].map((record) => ({ id: record.id, record })),
      }),
    );
    await store.commit(
      writer.next({
        pools: [
          { id: asPoolId("main"), record: main },
          { id: asPoolId("gone"), record: null },
          { id: asPoolId("never there"), record: null },
        ],
        agents: [
          { id: "agent-eve", record: null },
          { id: "agent-never-there", record: null },
        ],
      }),
    );

    const { loaded } = await again(first);
    expect(loaded.pools).toEqual([main, side]);
    expect(loaded.agents).toEqual([ada, bob]);
  });

  holds("what was spent comes back as it was last, and goes with its pool", async (first) => {
    const { store, writer } = first;
    const row = (pool: string, tenant: string, tokens: number) => ({
      pool: asPoolId(pool),
      tenant,
      window: { tokens, costUsd: 0.5, wallMs: 7.5, untilMs: 9_000 },
    });
    const rows = [row("main", "", 1), row("main", "größer", 2), row("main", "gone", 3), row("side", "", 4)];
    await store.commit(writer.next({ spending: rows }));
    const later = [row("main", "größer", 5), { ...row("main", "gone", 0), window: null }];
    await store.commit(writer.next({ spending: later, pools: [{ id: asPoolId("side"), record: null }] }));
    expect((await again(first)).loaded.spending).toEqual([row("main", "", 1), row("main", "größer", 5)]);
  });

  holds("schedules come back as they were last, and deleted ones do not", async (first) => {
    const { store, writer } = first;
    const rule = { cron: "0 9 * * *", timezone: "Europe/Berlin", task: { prompt: "größer" }, overlap: "skip" } as const;
    const daily = {
      id: "daily",
      pool: asPoolId("main"),
      ...rule,
      paused: false,
      createdAtMs: 5.5,
      fired: 0,
      missed: 0,
    };
    const other = { ...daily, id: "other", nextAtMs: 7_000 };
    const row = (record: typeof daily | typeof other) => ({ id: record.id, record });
    await store.commit(writer.next({ schedules: [row(daily), row(other)] }));
    const fired = { ...daily, fired: 1, nextAtMs: 9_000, lastError: { code: "queue_full", message: "full" } };
    await store.commit(writer.next({ schedules: [row(fired), { id: "other", record: null }] }));
    expect((await again(first)).loaded.schedules).toEqual([fired]);
  });

  holds("gates and the mode of a pool come back as they were last", async (first) => {
    const { store, writer } = first;
    const docs = { name: "docs", holds: ["ingest", "größer"], available: false, reason: "gone", changedAtMs: 5.5 };
    const probe = { url: "http://127.0.0.1:1/health", intervalMs: 10_000, timeoutMs: 2_000 };
    const web = { name: "web", holds: [], available: true, reason: "", probe, changedAtMs: 7 };
    const main = { options: poolOptions("main"), createdAtMs: 1 };
    const pools = (mode?: "paused") => [
      { id: asPoolId("main"), record: mode === undefined ? main : { ...main, mode } },
    ];
    await store.commit(writer.next({ gates: [{ ...docs, available: true }, web], pools: pools() }));
    await store.commit(writer.next({ gates: [docs], pools: pools("paused") }));
    const second = await again(first);
    expect(second.loaded.gates).toEqual([docs, web]);
    expect(second.loaded.pools).toEqual([{ ...main, mode: "paused" }]);
    await second.store.commit(second.writer.next({ pools: pools() }));
    expect((await again(second)).loaded.pools).toEqual([main]);
  });

  holds("the last sequence number counts every event of a commit", async (first) => {
    await first.store.commit(first.writer.next({ events: ["a", "b", "c"].map(anEvent) }));
    const second = await again(first);
    expect(second.loaded.lastSeq).toBe(3);
    await second.store.commit(second.writer.next());
    expect((await again(second)).loaded.lastSeq).toBe(4);
  });

  holds("the highest admission number is known when its task has settled", async (first) => {
    const { store, writer } = first;
    await store.commit(writer.next({ admitted: [anAdmission(1), anAdmission(2)], open: [openTask(1), openTask(2)] }));
    await store.commit(writer.next({ settled: [{ facts: settledTask(2) }] }));
    const { loaded } = await again(first);
    expect(loaded.lastNum).toBe(2);
    expect(nums(loaded.open)).toEqual([1]);
  });

  holds("the highest admission number is the highest, not the latest", async (first) => {
    await first.store.commit(first.writer.next({ admitted: [anAdmission(7), anAdmission(3)] }));
    expect((await again(first)).loaded.lastNum).toBe(7);
  });
}

function commits(holds: Holds, again: Again): void {
  holds("a later row of an open task replaces the earlier one", async (first) => {
    const { store, writer } = first;
    await store.commit(writer.next({ admitted: [anAdmission(1)], open: [openTask(1)] }));
    const retried = openTask(1, { attemptCount: 1, attempts: [anAttempt()] });
    await store.commit(writer.next({ open: [retried] }));
    expect((await again(first)).loaded.open).toEqual([retried]);
  });

  holds("a settled task is no longer open", async (first) => {
    const { store, writer } = first;
    await store.commit(writer.next({ admitted: [anAdmission(1), anAdmission(2)], open: [openTask(1), openTask(2)] }));
    await store.commit(writer.next({ settled: [{ facts: settledTask(1) }] }));
    const second = await again(first);
    expect(nums(second.loaded.open)).toEqual([2]);
    expect((await second.store.entry(idOf(1)))?.facts).toEqual(settledTask(1));
    expect(await second.store.entry(idOf(2))).toBeUndefined();
  });

  holds("a task may be admitted and settled in one commit", async (first) => {
    const facts = settledTask(1, { status: "cancelled" });
    await first.store.commit(first.writer.next({ ...ended(facts), open: [openTask(1)] }));
    const { store, loaded } = await again(first);
    expect(loaded.open).toEqual([]);
    expect(await store.entry(idOf(1))).toEqual({ facts, body: { prompt: "prompt 1" }, result: '"result 1"' });
  });

  holds("a replayed task leaves the history, opens again, and settles again", async (first) => {
    const { store, writer } = first;
    const dead = settledTask(1, { status: "failed", deadLettered: true }, { idempotencyKey: "k" });
    await store.commit(writer.next(ended(dead)));
    const reborn = openTask(1, { spec: dead.spec, first: true, replays: 1 });
    await store.commit(writer.next({ reopened: [{ num: 1, id: idOf(1) }], open: [reborn] }));

    const second = await again(first);
    expect(second.loaded.open).toEqual([reborn]);
    expect(await second.store.entry(idOf(1))).toBeUndefined();
    expect(await second.store.history(EVERYTHING)).toEqual([]);
    expect((await second.store.results([idOf(1)])).size).toBe(0);
    expect((await second.store.facts([idOf(1)], ["k"])).keys.size).toBe(0);
    expect(await second.store.bodies([1])).toEqual(new Map([[1, { prompt: "prompt 1" }]]));
    expect(await second.store.tally(asPoolId("main"))).toEqual({
      completed: 0,
      failed: 0,
      cancelled: 0,
      deadLetters: 0,
    });

    const done = { ...settledTask(1, {}, { idempotencyKey: "k" }), replays: 1 };
    await second.store.commit(second.writer.next({ settled: [{ facts: done, result: "1" }] }));
    const third = await again(second);
    expect(third.loaded.open).toEqual([]);
    expect((await third.store.facts([], ["k"])).keys.get("k")).toEqual(done);
    expect(await third.store.tally(asPoolId("main"))).toEqual({
      completed: 1,
      failed: 0,
      cancelled: 0,
      deadLetters: 0,
    });
  });

  holds("a replay may bring another spec and body under the same number", async (first) => {
    const { store, writer } = first;
    await store.commit(writer.next(ended(settledTask(1, { status: "failed", deadLettered: true }))));
    const spec = aSpec(1, { type: "edited", idempotencyKey: "new" });
    await store.commit(
      writer.next({
        admitted: [{ num: 1, spec, body: { rest: "{}" } }],
        reopened: [{ num: 1, id: idOf(1) }],
        open: [openTask(1, { spec })],
      }),
    );
    const second = await again(first);
    expect(second.loaded.open[0]?.spec).toEqual(spec);
    expect(await second.store.bodies([1])).toEqual(new Map([[1, { rest: "{}" }]]));
    await second.store.commit(second.writer.next({ settled: [{ facts: { ...settledTask(1), spec } }] }));
    expect((await second.store.facts([], ["new"])).keys.get("new")?.spec).toEqual(spec);
  });

  holds("a task that is reopened and settled in one commit is there once, as it is now", async (first) => {
    const { store, writer } = first;
    await store.commit(writer.next(ended(settledTask(1, { status: "failed", deadLettered: true }), settledTask(2))));
    const unmarked = settledTask(1, { status: "failed" });
    await store.commit(writer.next({ reopened: [{ num: 1, id: idOf(1) }], settled: [{ facts: unmarked }] }));
    const expected = { completed: 1, failed: 1, cancelled: 0, deadLetters: 0 };
    expect(await store.tally(asPoolId("main"))).toEqual(expected);
    const second = await again(first);
    expect(second.loaded.open).toEqual([]);
    expect(await second.store.tally(asPoolId("main"))).toEqual(expected);
    const [one, two] = await second.store.history(EVERYTHING);
    expect(one).toEqual({ facts: unmarked, body: { prompt: "prompt 1" }, result: undefined });
    expect(two?.facts).toEqual(settledTask(2));
    expect(await second.store.bodies([1])).toEqual(new Map([[1, { prompt: "prompt 1" }]]));
  });

  holds("a task that the history does not have may be named as reopened", async (first) => {
    const { store, writer } = first;
    const reopened = [1, 5].map((num) => ({ num, id: idOf(num) }));
    await store.commit(writer.next({ admitted: [anAdmission(1)], reopened, open: [openTask(1)] }));
    const second = await again(first);
    expect(second.loaded.open).toEqual([openTask(1)]);
    expect(await second.store.bodies([1])).toEqual(new Map([[1, { prompt: "hello" }]]));
  });

  holds("nothing is there of a commit whose events leave a gap or come twice", async (first) => {
    const { store, writer } = first;
    await store.commit(writer.next({ admitted: [anAdmission(1)], open: [openTask(1)] }));
    const parts = {
      ...ended(settledTask(2)),
      open: [openTask(3)],
      pools: [{ id: asPoolId("main"), record: { options: poolOptions("main"), createdAtMs: 1 } }],
      agents: [{ id: "agent-ada", record: anAgent("ada") }],
      quarantine: [quarantined("main", "f1")],
    };
    const good = writer.next(parts);
    await expect(store.commit({ ...good, firstSeq: good.firstSeq + 1 })).rejects.toThrow("without a gap");
    await expect(store.commit({ ...good, firstSeq: good.firstSeq - 1 })).rejects.toThrow("without a gap");
    await expect(store.commit({ ...good, events: [] })).rejects.toThrow("without a gap");

    const second = await again(first);
    expect({ ...second.loaded, epoch: 0 }).toEqual({
      epoch: 0,
      lastSeq: 1,
      lastNum: 1,
      pools: [],
      agents: [],
      gates: [],
      schedules: [],
      spending: [],
      open: [openTask(1)],
      quarantine: [],
      deadLetters: [],
      settledEpoch: 0,
    });
    expect(await second.store.history(EVERYTHING)).toEqual([]);
    expect(await second.store.events(0, 10)).toHaveLength(1);
    expect((await second.store.bodies([2])).size).toBe(0);
    expect((await second.store.tally(asPoolId("main"))).completed).toBe(0);
    await second.store.commit(good);
    expect((await second.store.history(EVERYTHING)).map(({ facts }) => facts.num)).toEqual([2]);
  });

  holds("payloads in quarantine come back in order, until they are let go, each pool's by itself", async (first) => {
    const { store, writer } = first;
    const all = [quarantined("main", "f2"), quarantined("main", "f1"), quarantined("other", "f2")];
    await store.commit(writer.next({ quarantine: all }));
    const gone = { ...quarantined("main", "f2"), record: null };
    const second = await again(first);
    expect(second.loaded.quarantine).toEqual(all.map(({ record }) => record));
    await second.store.commit(second.writer.next({ quarantine: [gone, gone, quarantined("main", "f3")] }));
    const third = await again(second);
    expect(third.loaded.quarantine.map(({ pool, fingerprint }) => `${pool} ${fingerprint}`)).toEqual([
      "main f1",
      "other f2",
      "main f3",
    ]);
  });

  holds("a dead letter that is dropped stays as a failed task without the mark", async (first) => {
    const { store, writer } = first;
    const dead = { status: "failed", deadLettered: true } as const;
    const pool = asPoolId("main");
    // Settled in another order than admitted; the last one is dropped by the commit that settles it.
    const late = { ...settledTask(1, dead), settlement: { ...settledTask(1, dead).settlement, settledAtMs: 2e12 } };
    await store.commit(writer.next(ended(settledTask(2, dead))));
    await store.commit(writer.next(ended(settledTask(3, dead), late, settledTask(4))));
    await store.commit(writer.next({ ...ended(settledTask(5)), dropped: [{ num: 5, id: idOf(5) }] }));
    const second = await again(first);
    expect(second.loaded.deadLetters.map(({ pool: of, id, num }) => [of, id, num])).toEqual([
      [pool, idOf(2), 2],
      [pool, idOf(3), 3],
      [pool, idOf(1), 1],
    ]);
    const dropped = [2, 2, 4, 9].map((num) => ({ num, id: idOf(num) }));
    await second.store.commit(second.writer.next({ dropped }));
    expect((await second.store.tally(pool)).deadLetters).toBe(2);
    expect((await second.store.tally(pool)).failed).toBe(3);
    const marked = await second.store.history({ ...EVERYTHING, deadLettered: true });
    expect(marked.map(({ facts }) => facts.num)).toEqual([1, 3]);
    expect(await second.store.entry(idOf(2))).toMatchObject({
      facts: settledTask(2, { status: "failed", deadLettered: false }),
      result: '"result 2"',
    });
    const third = await again(second);
    expect(third.loaded.deadLetters.map(({ num }) => num)).toEqual([3, 1]);
    expect((await third.store.tally(pool)).deadLetters).toBe(2);
  });

  holds("the last epoch in which a task was settled is known", async (first) => {
    await first.store.commit(first.writer.next(ended(settledTask(1))));
    await first.store.commit(first.writer.next(ended(settledTask(2))));
    const second = await again(first);
    expect(second.loaded.settledEpoch).toBe(first.loaded.epoch);
    await second.store.commit(second.writer.next({ admitted: [anAdmission(3)], open: [openTask(3)] }));
    const third = await again(second);
    expect(third.loaded.settledEpoch).toBe(first.loaded.epoch);
    await third.store.commit(third.writer.next(ended(settledTask(4))));
    expect((await again(third)).loaded.settledEpoch).toBe(third.loaded.epoch);
  });

  holds("a store that was loaded again goes on where it was", async (first) => {
    await first.store.commit(first.writer.next({ admitted: [anAdmission(1)], open: [openTask(1)] }));
    const second = await again(first);
    await second.store.commit(second.writer.next(ended(settledTask(2))));
    const third = await again(second);
    expect(third.loaded.lastSeq).toBe(2);
    expect(nums(third.loaded.open)).toEqual([1]);
    expect(third.loaded.lastNum).toBe(2);
  });
}

function history(holds: Holds, again: Again): void {
  const specOf = (pool: string, type: string) => ({ pool: asPoolId(pool), type });
  const ROWS = [
    settledTask(1, {}, specOf("main", "general")),
    settledTask(2, { status: "failed", deadLettered: true }, specOf("main", "research")),
    settledTask(3, {}, specOf("side", "research")),
    settledTask(4, { status: "cancelled" }, specOf("main", "general")),
    settledTask(5, { status: "failed" }, specOf("main", "general")),
    settledTask(6, { status: "failed", deadLettered: true }, specOf("side", "general")),
    settledTask(7, {}, specOf("main", "research")),
  ] as const;
  /** Settled in another order than admitted, over several commits. */
  const filled = async (first: Opened): Promise<Opened> => {
    const [one, two, three, four, five, six, seven] = ROWS;
    await first.store.commit(first.writer.next(ended(five, three)));
    await first.store.commit(first.writer.next(ended(seven, one, two)));
    await first.store.commit(first.writer.next(ended(six, four)));
    return again(first);
  };
  const found = async (store: Store, filter: Partial<HistoryFilter>): Promise<number[]> =>
    (await store.history({ ...EVERYTHING, ...filter })).map(({ facts }) => facts.num);

  holds("settled tasks are listed in the order of admission, with body and result", async (first) => {
    const { store } = await filled(first);
    expect(await store.history(EVERYTHING)).toEqual(
      ROWS.map((facts) => ({ facts, body: { prompt: `prompt ${facts.num}` }, result: `"result ${facts.num}"` })),
    );
  });

  const main = asPoolId("main");
  const CASES: readonly (readonly [string, Partial<HistoryFilter>, readonly number[]])[] = [
    ["pool", { pool: main }, [1, 2, 4, 5, 7]],
    ["a pool that is not there", { pool: asPoolId("none") }, []],
    ["status", { status: "failed" }, [2, 5, 6]],
    ["type", { type: "research" }, [2, 3, 7]],
    ["dead letters", { deadLettered: true }, [2, 6]],
    ["no dead letters", { deadLettered: false }, [1, 3, 4, 5, 7]],
    ["pool and status", { pool: main, status: "completed" }, [1, 7]],
    ["pool and type", { pool: main, type: "research" }, [2, 7]],
    ["pool and dead letters", { pool: main, deadLettered: true }, [2]],
    ["status and type", { status: "failed", type: "general" }, [5, 6]],
    ["everything", { pool: main, status: "failed", type: "research", deadLettered: true }, [2]],
    ["what excludes itself", { status: "completed", deadLettered: true }, []],
    ["a number", { afterNum: 4 }, [5, 6, 7]],
    ["the last number", { afterNum: 7 }, []],
    ["the number before the last", { afterNum: 6 }, [7]],
    ["a limit of 1", { limit: 1 }, [1]],
    ["a limit of one less", { limit: 6 }, [1, 2, 3, 4, 5, 6]],
    ["a limit of just as many", { limit: 7 }, [1, 2, 3, 4, 5, 6, 7]],
    ["a limit of one more", { limit: 8 }, [1, 2, 3, 4, 5, 6, 7]],
    ["pool, number and limit", { pool: main, afterNum: 1, limit: 2 }, [2, 4]],
    ["pool, status, number and limit", { pool: main, status: "failed", afterNum: 2, limit: 1 }, [5]],
    ["dead letters, number and limit", { deadLettered: true, afterNum: 2, limit: 1 }, [6]],
  ];
  for (const [what, filter, expected] of CASES) {
    holds(`the history can be narrowed by ${what}`, async (first) => {
      const { store } = await filled(first);
      expect(await found(store, filter)).toEqual(expected);
    });
  }

  holds("pages follow each other without a gap while tasks settle", async (first) => {
    const { store, writer } = await filled(first);
    expect(await found(store, { limit: 3 })).toEqual([1, 2, 3]);
    await store.commit(writer.next(ended(settledTask(9), settledTask(8))));
    expect(await found(store, { afterNum: 3, limit: 3 })).toEqual([4, 5, 6]);
    expect(await found(store, { afterNum: 6, limit: 3 })).toEqual([7, 8, 9]);
  });

  holds("facts are found by id and by idempotency key, and absent ones are absent", async (first) => {
    const { store, writer } = first;
    const keyed = settledTask(1, {}, { idempotencyKey: "one", bodyHash: "ab" });
    const plain = settledTask(2);
    const open = openTask(3, { spec: aSpec(3, { idempotencyKey: "three" }) });
    await store.commit(writer.next(ended(keyed, plain)));
    await store.commit(writer.next({ admitted: [{ num: 3, spec: open.spec, body: {} }], open: [open] }));
    const second = await again(first);
    const facts = await second.store.facts([idOf(1), idOf(2), idOf(3), idOf(4), idOf(1)], ["one", "three", "", "four"]);
    expect(facts.tasks).toEqual(
      new Map([
        [idOf(1), keyed],
        [idOf(2), plain],
      ]),
    );
    expect(facts.keys).toEqual(new Map([["one", keyed]]));
    expect(await second.store.facts([], [])).toEqual({ tasks: new Map(), keys: new Map() });
  });

  holds("a key that was used again names the newest task, once that has settled", async (first) => {
    const { store, writer } = first;
    const key = { idempotencyKey: "k" };
    await store.commit(writer.next(ended(settledTask(1, {}, key))));
    await store.commit(writer.next({ admitted: [anAdmission(2, key)], open: [openTask(2, { spec: aSpec(2, key) })] }));
    const second = await again(first);
    expect((await second.store.facts([], ["k"])).keys.size).toBe(0);
    await second.store.commit(second.writer.next({ settled: [{ facts: settledTask(2, {}, key) }] }));
    expect((await second.store.facts([], ["k"])).keys.get("k")?.num).toBe(2);
  });

  holds("ids and keys are told apart by case, blanks and halves of characters", async (first) => {
    const { store, writer } = first;
    const keys = ["k", "K", "k ", "", "\ud83d", "\ud83e", "ﾡ", "a\u0000b", "a", "1", "1.0"];
    const rows = keys.map((idempotencyKey, i) => settledTask(i + 1, {}, { idempotencyKey }));
    const upper = settledTask(100, {}, { id: asTaskId("TASK-1") });
    await store.commit(writer.next(ended(...rows, upper)));
    const second = await again(first);
    const facts = await second.store.facts([idOf(1), asTaskId("TASK-1"), asTaskId("Task-1")], keys);
    expect([...facts.tasks.values()].map(({ num }) => num)).toEqual([1, 100]);
    expect([...facts.keys].map(([key, { num }]) => [key, num])).toEqual(keys.map((key, i) => [key, i + 1]));
  });

  holds("everything about an ended task comes back", async (first) => {
    const rich = {
      ...settledTask(1, { status: "failed", deadLettered: true }),
      settlement: {
        status: "failed",
        error: {
          code: "exhausted",
          message: "3 attempts “failed” 💥",
          retryable: false,
          details: { a: [1] },
          blame: "agent",
        },
        resultBytes: 0,
        usage: { tokens: 1, costUsd: 0.1 + 0.2 },
        settledAtMs: 1_700_000_001_000.75,
        deadLettered: true,
      },
      failedAgentIds: [asAgentId("agent-ada")],
      failedDependencies: [idOf(9)],
      refunds: 2,
      replays: 1,
      lastFence: Number.MAX_SAFE_INTEGER,
      attempts: [anAttempt(), anAttempt({ number: 2, outcome: "timed_out" })],
    } as const;
    await first.store.commit(first.writer.next(ended(rich)));
    const { store } = await again(first);
    expect((await store.entry(idOf(1)))?.facts).toEqual(rich);
  });

  holds(
    "the oldest settled tasks of a pool are told in the order of settlement, with how much there is",
    async (first) => {
      const { store, writer } = first;
      const main = asPoolId("main");
      await store.commit(writer.next(ended(settledTask(2), settledTask(1), settledTask(3))));
      await store.commit(writer.next(ended(settledTask(4, {}, { pool: asPoolId("side") }))));
      for (const opened of [async () => first, () => again(first)]) {
        const { store: kept } = await opened();
        const { count, bytes, oldest } = await kept.oldest(main, { skip: 0, limit: 2 });
        expect([count, bytes, oldest.length]).toEqual([3, 15, 2]);
        const rest = await kept.oldest(main, { skip: 2, limit: 5 });
        expect([...oldest, ...rest.oldest].map(({ num }) => num).sort()).toEqual([1, 2, 3]);
        expect([...(await kept.settledPools())].sort()).toEqual(["main", "side"]);
        expect(await kept.oldest(asPoolId("none"), { skip: 0, limit: 5 })).toEqual({ count: 0, bytes: 0, oldest: [] });
      }
    },
  );

  holds("what is retired is gone with body and result, and its number is not given again", async (first) => {
    const { store, writer } = first;
    await store.commit(writer.next(ended(settledTask(1), settledTask(2, {}, { idempotencyKey: "k" }))));
    const record = { key: "k", id: idOf(2), bodyHash: "h", status: "completed", settledAtMs: 5 } as const;
    await store.commit(writer.next({ retired: [{ num: 2, id: idOf(2) }], keys: [record] }));
    expect(await store.entry(idOf(2))).toBeUndefined();
    const second = await again(first);
    expect(second.loaded.lastNum).toBe(2);
    expect(await second.store.entry(idOf(2))).toBeUndefined();
    expect((await second.store.bodies([1, 2])).has(2)).toBe(false);
    expect((await second.store.results([idOf(2)])).size).toBe(0);
    expect((await second.store.tally(asPoolId("main"))).completed).toBe(1);
    const { keys, oldKeys } = await second.store.facts([idOf(2)], ["k", "other"]);
    expect([keys.size, [...(oldKeys ?? [])]]).toEqual([0, [["k", record]]]);
    await second.store.commit(second.writer.next({ keysBeforeMs: 5 }));
    expect((await second.store.facts([], ["k"])).oldKeys?.size).toBe(1);
    await second.store.commit(second.writer.next({ keysBeforeMs: 6 }));
    expect((await second.store.facts([], ["k"])).oldKeys).toBeUndefined();
  });

  holds("the tally counts by pool and status", async (first) => {
    const expected = { completed: 2, failed: 2, cancelled: 1, deadLetters: 1 };
    const second = await filled(first);
    expect(await second.store.tally(main)).toEqual(expected);
    expect(await second.store.tally(asPoolId("side"))).toEqual({
      completed: 1,
      failed: 1,
      cancelled: 0,
      deadLetters: 1,
    });
    expect(await second.store.tally(asPoolId("none"))).toEqual({
      completed: 0,
      failed: 0,
      cancelled: 0,
      deadLetters: 0,
    });
    await second.store.commit(second.writer.next(ended(settledTask(8))));
    expect(await second.store.tally(main)).toEqual({ ...expected, completed: 3 });
  });
}

function texts(holds: Holds, again: Again): void {
  const BODIES = [
    {},
    { prompt: "" },
    { prompt: "plain" },
    { prompt: "größer 🩻 \u0000 \u2028 \ufeff \r\n" },
    { prompt: "half a pair \ud83d, and the other \udc00" },
    { rest: "{}" },
    { prompt: "", rest: '{"input":null}' },
    { prompt: "both", rest: JSON.stringify({ context: { a: ["ü", 1, null, { deep: "\ud800" }] } }) },
    { prompt: "x".repeat(1_000_000) },
  ];

  holds("bodies come back as they were given, of open and of settled tasks", async (first) => {
    const admitted = BODIES.map((body, i) => ({ num: i + 1, spec: aSpec(i + 1), body }));
    await first.store.commit(
      first.writer.next({ admitted, open: [openTask(1), openTask(2)], settled: [{ facts: settledTask(3) }] }),
    );
    const { store } = await again(first);
    const wanted = [...BODIES.keys()].map((i) => i + 1);
    const bodies = await store.bodies([...wanted, 99, 0]);
    expect([...bodies.keys()]).toEqual(wanted);
    for (const num of wanted) expect(bodies.get(num)).toEqual(BODIES[num - 1]);
    expect((await store.bodies([])).size).toBe(0);
  });

  const RESULTS = [
    "null",
    '""',
    "0",
    "false",
    "{}",
    "[]",
    '"ü 🩻"',
    JSON.stringify("\ud800"),
    `"${"y".repeat(3_000_000)}"`,
  ];

  holds("S3-B12: empty and large results come back as they were given", async (first) => {
    const rows = RESULTS.map((result, i) => ({ facts: settledTask(i + 1), result }));
    const none = { facts: settledTask(50, { status: "cancelled" }) };
    const admitted = [...rows, none].map(({ facts }) => anAdmission(facts.num));
    await first.store.commit(first.writer.next({ admitted, settled: [...rows, none] }));
    const { store } = await again(first);
    const ids: TaskId[] = rows.map(({ facts }) => facts.spec.id);
    const results = await store.results([...ids, idOf(50), idOf(99)]);
    expect([...results.keys()]).toEqual(ids);
    for (const { facts, result } of rows) {
      expect(results.get(facts.spec.id)).toBe(result);
      expect((await store.entry(facts.spec.id))?.result).toBe(result);
    }
    expect((await store.entry(idOf(50)))?.result).toBeUndefined();
  });

  holds("an open task has no result", async ({ store, writer }) => {
    await store.commit(writer.next({ admitted: [anAdmission(1)], open: [openTask(1)] }));
    expect((await store.results([idOf(1)])).size).toBe(0);
  });
}

function events(holds: Holds, again: Again): void {
  /** Nine events in commits of 1, 3, 1 and 4. */
  const filled = async (first: Opened): Promise<Opened> => {
    const names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    for (const [from, to] of [
      [0, 1],
      [1, 4],
      [4, 5],
      [5, 9],
    ] as const) {
      await first.store.commit(first.writer.next({ events: names.slice(from, to).map(anEvent) }));
    }
    return again(first);
  };
  const seqs = async (store: Store, afterSeq: number, limit: number): Promise<number[]> =>
    (await store.events(afterSeq, limit)).map(({ seq }) => seq);

  holds("events have their own numbers without a gap, over packed commits", async (first) => {
    const { store } = await filled(first);
    const stored = await store.events(0, 100);
    expect(stored.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(stored.map(({ event }) => (event as { pool: string }).pool).join("")).toBe("abcdefghi");
  });

  holds("events carry the instant of their commit", async (first) => {
    const events = [anEvent("a"), anEvent("b")];
    await first.store.commit(first.writer.next({ atMs: 1_700_000_000_000.25, events }));
    await first.store.commit(first.writer.next({ atMs: 5 }));
    const { store } = await again(first);
    expect((await store.events(0, 10)).map(({ atMs }) => atMs)).toEqual([
      1_700_000_000_000.25, 1_700_000_000_000.25, 5,
    ]);
  });

  const CASES: readonly (readonly [afterSeq: number, limit: number, expected: readonly number[]])[] = [
    [0, 1, [1]],
    [0, 2, [1, 2]],
    [1, 1, [2]],
    [2, 1, [3]],
    [2, 2, [3, 4]],
    [2, 3, [3, 4, 5]],
    [3, 5, [4, 5, 6, 7, 8]],
    [4, 100, [5, 6, 7, 8, 9]],
    [7, 2, [8, 9]],
    [8, 100, [9]],
    [9, 100, []],
    [10, 100, []],
    [0, 0, []],
  ];
  holds("reading may begin and end in the middle of a commit", async (first) => {
    const { store } = await filled(first);
    for (const [afterSeq, limit, expected] of CASES) {
      expect(await seqs(store, afterSeq, limit), `after ${afterSeq}, at most ${limit}`).toEqual(expected);
    }
  });

  holds("every kind of value in an event comes back", async (first) => {
    const given: DurableEvent[] = [
      { type: "pool.created", pool: asPoolId("main"), options: poolOptions("main"), atMs: 1.5 },
      { type: "agent.added", agent: anAgent("ada") },
      {
        type: "task.submitted",
        num: 1,
        spec: aSpec(1, { type: "half \ud800" }),
        queuedAtMs: 1,
        resting: { reason: "delay", untilMs: 2.5 },
        waitsFor: [idOf(2)],
        failedDependencies: [idOf(3)],
      },
      {
        type: "task.replayed",
        respecified: false,
        facts: settledTask(1),
        atMs: 3,
        resting: { reason: "agent" },
        waitsFor: [],
      },
    ];
    await first.store.commit(first.writer.next({ events: given }));
    const { store } = await again(first);
    expect((await store.events(0, 10)).map(({ event }) => event)).toEqual(given);
  });
}

function closing(holds: Holds): void {
  holds("closing twice is the same as closing once", async ({ store, writer }) => {
    await store.commit(writer.next());
    await store.close();
    await store.close();
  });

  holds("a closed store takes and gives nothing", async ({ store, writer }) => {
    await store.close();
    const closed = (error: unknown): boolean => isPoolError(error, "store_failed");
    for (const asked of [
      store.commit(writer.next()),
      store.load(),
      store.history(EVERYTHING),
      store.facts([], []),
      store.entry(idOf(1)),
      store.tally(asPoolId("main")),
      store.bodies([1]),
      store.results([idOf(1)]),
      store.events(0, 1),
    ]) {
      await expect(asked).rejects.toSatisfy(closed);
    }
  });
}
