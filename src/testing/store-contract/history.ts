/** Settled tasks: listed, counted, let go. */
import { expect } from "vitest";
import { asAgentId, asPoolId, asTaskId } from "../../base/ids.ts";
import type { HistoryFilter, Store } from "../../stores/store.ts";
import { anAdmission, anAttempt, aSpec, ended, idOf, openTask, settledTask } from "../store-facts.ts";
import { type Again, EVERYTHING, type Holds, type Opened } from "./opened.ts";

export function history(holds: Holds, again: Again): void {
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
