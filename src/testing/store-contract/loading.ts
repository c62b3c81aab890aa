/** What a store gives back when it is loaded, again and again. */
import { expect } from "vitest";
import { asAgentId, asPoolId } from "../../base/ids.ts";
import type { OpenFacts } from "../../core/record.ts";
import {
  anAdmission,
  anAgent,
  anAttempt,
  anEvent,
  aSpec,
  idOf,
  openTask,
  poolOptions,
  settledTask,
} from "../store-facts.ts";
import { type Again, EVERYTHING, type Holds, nums } from "./opened.ts";

export function loading(holds: Holds, again: Again): void {
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
