import { describe, expect, test } from "vitest";
import { asPoolId } from "../base/ids.ts";
import { storeContract } from "../testing/store-contract.ts";
import {
  anAdmission,
  anEvent,
  CommitWriter,
  ended,
  idOf,
  openTask,
  poolOptions,
  settledTask,
  usualTask,
} from "../testing/store-facts.ts";
import { createMemoryStore, EVENTS_IN_MEMORY } from "./memory.ts";

storeContract("the memory store", async () => createMemoryStore());

const kept = async (store: ReturnType<typeof createMemoryStore>): Promise<number[]> =>
  (await store.history({ afterNum: 0, limit: 1_000 })).map(({ facts }) => facts.num);

describe("the memory store's history", () => {
  test("is kept up to its limit, those settled first go first, with all that belongs to them", async () => {
    const store = createMemoryStore({ historyLimit: 2 });
    const writer = new CommitWriter();
    await store.commit(writer.next(ended(settledTask(3, {}, { idempotencyKey: "three" }))));
    await store.commit(writer.next(ended(settledTask(1))));
    expect(await kept(store)).toEqual([1, 3]);
    await store.commit(writer.next(ended(settledTask(2, { status: "failed" }))));
    expect(await kept(store)).toEqual([1, 2]);
    expect(await store.entry(idOf(3))).toBeUndefined();
    expect(await store.bodies([1, 2, 3])).toEqual(
      new Map([
        [1, { prompt: "prompt 1" }],
        [2, { prompt: "prompt 2" }],
      ]),
    );
    expect((await store.facts([idOf(3)], ["three"])).keys.size).toBe(0);
    expect(await store.tally(asPoolId("main"))).toEqual({ completed: 1, failed: 1, cancelled: 0, deadLetters: 0 });
    expect((await store.load()).lastNum).toBe(3);
  });

  test("holds nothing with a limit of 0", async () => {
    const store = createMemoryStore({ historyLimit: 0 });
    const writer = new CommitWriter();
    for (let num = 1; num <= 3; num++) await store.commit(writer.next(ended(settledTask(num))));
    expect(await kept(store)).toEqual([]);
    expect((await store.bodies([1, 2, 3])).size).toBe(0);
  });

  test("never lets go of what is open", async () => {
    const store = createMemoryStore({ historyLimit: 1 });
    const writer = new CommitWriter();
    await store.commit(writer.next({ admitted: [anAdmission(1)], open: [openTask(1)] }));
    for (let num = 2; num <= 10; num++) await store.commit(writer.next(ended(settledTask(num))));
    expect((await store.load()).open).toEqual([openTask(1)]);
    expect((await store.bodies([1])).size).toBe(1);
    expect(await kept(store)).toEqual([10]);
  });

  test("counts a replayed task as settled when it settles again, not before", async () => {
    const store = createMemoryStore({ historyLimit: 2 });
    const writer = new CommitWriter();
    await store.commit(writer.next(ended(settledTask(1), settledTask(2))));
    await store.commit(writer.next({ reopened: [{ num: 1, id: idOf(1) }], open: [openTask(1)] }));
    await store.commit(writer.next(ended(settledTask(3))));
    expect(await kept(store)).toEqual([2, 3]);
    await store.commit(writer.next({ settled: [{ facts: settledTask(1) }] }));
    expect(await kept(store)).toEqual([1, 3]);
    await store.commit(writer.next(ended(settledTask(4))));
    expect(await kept(store)).toEqual([1, 4]);
  });

  test("leaves the key to a newer task that uses it", async () => {
    const store = createMemoryStore({ historyLimit: 1 });
    const writer = new CommitWriter();
    const key = { idempotencyKey: "k" };
    await store.commit(writer.next(ended(settledTask(1, {}, key))));
    await store.commit(writer.next(ended(settledTask(2, {}, key))));
    expect((await store.facts([], ["k"])).keys.get("k")?.num).toBe(2);
  });

  test("is found through many replays, in which every place moves", async () => {
    const store = createMemoryStore({ historyLimit: 10 });
    const writer = new CommitWriter();
    await store.commit(writer.next(ended(settledTask(1), settledTask(2), settledTask(3))));
    for (let n = 1; n <= 3_000; n++) {
      const num = (n % 2) + 1;
      await store.commit(writer.next({ reopened: [{ num, id: idOf(num) }], open: [openTask(num)] }));
      await store.commit(writer.next({ settled: [{ facts: { ...settledTask(num), replays: n } }] }));
      if (n % 500 === 0) expect((await store.entry(idOf(3)))?.body).toEqual({ prompt: "prompt 3" });
    }
    expect(await kept(store)).toEqual([1, 2, 3]);
    expect((await store.entry(idOf(1)))?.facts.replays).toBe(3_000);
    expect((await store.entry(idOf(2)))?.facts.replays).toBe(2_999);
    expect((await store.bodies([1, 2, 3])).get(2)).toEqual({ prompt: "prompt 2" });
    for (let num = 4; num <= 11; num++) await store.commit(writer.next(ended(settledTask(num))));
    expect(await kept(store)).toEqual([1, 2, 4, 5, 6, 7, 8, 9, 10, 11]);
  });

  test("is found while it moves on, whoever asked before", async () => {
    const store = createMemoryStore({ historyLimit: 50 });
    const writer = new CommitWriter();
    for (let num = 1; num <= 5_000; num++) {
      await store.commit(writer.next(ended(settledTask(num))));
      if (num % 37 !== 0) continue;
      const asked = [num, num - 49, num - 50];
      const facts = await store.facts(asked.map(idOf), []);
      expect([...facts.tasks.values()].map((row) => row.num)).toEqual(asked.filter((n) => n > num - 50 && n > 0));
      expect((await store.bodies(asked)).get(num)).toEqual({ prompt: `prompt ${num}` });
      expect((await store.bodies([num - 50])).size).toBe(0);
    }
  });

  test("names the oldest that are left, whatever of them goes and in whatever order", async () => {
    const store = createMemoryStore();
    const writer = new CommitWriter();
    const pool = asPoolId("main");
    const living: number[] = [];
    for (let num = 1; num <= 6_000; num++) {
      await store.commit(writer.next(ended(settledTask(num))));
      living.push(num);
      if (num % 7 !== 0) continue;
      const { oldest } = await store.oldest(pool, { skip: 2, limit: 6 });
      expect(oldest.map((task) => task.num)).toEqual(living.slice(2, 8));
      const going = [...oldest.filter((task) => task.num % 3 !== 0 && task.num !== num), { num, id: idOf(num) }];
      await store.commit(writer.next({ retired: going }));
      for (const gone of going) living.splice(living.indexOf(gone.num), 1);
    }
    expect(await kept(store)).toEqual(living.slice(0, 1_000));
  });

  test("names the oldest of each pool, however the pools take turns and whoever goes or comes back", async () => {
    const store = createMemoryStore();
    const writer = new CommitWriter();
    const pools = ["a", "b", "c"].map(asPoolId);
    const living = new Map(pools.map((pool) => [pool, [] as number[]]));
    for (let num = 1; num <= 4_000; num++) {
      const pool = pools[(num * num) % 3] as (typeof pools)[number];
      const nums = living.get(pool) as number[];
      await store.commit(writer.next(ended(settledTask(num, {}, { pool }))));
      nums.push(num);
      const left = nums[(num * 7) % nums.length] as number;
      if (num % 2 === 0) {
        await store.commit(writer.next({ retired: [{ num: left, id: idOf(left) }] }));
        nums.splice(nums.indexOf(left), 1);
      } else if (num % 5 === 0) {
        await store.commit(writer.next({ reopened: [{ num: left, id: idOf(left) }], open: [openTask(left)] }));
        await store.commit(writer.next({ settled: [{ facts: settledTask(left, {}, { pool }) }] }));
        nums.push(...nums.splice(nums.indexOf(left), 1));
      }
    }
    for (const [pool, nums] of living) {
      const { count, oldest } = await store.oldest(pool, { skip: 3, limit: 5_000 });
      expect(oldest.map((task) => task.num)).toEqual(nums.slice(3));
      expect(count).toBe(nums.length);
    }
    const all = [...living.values()].flat().sort((a, b) => a - b);
    expect((await store.history({ afterNum: 0, limit: 5_000 })).map(({ facts }) => facts.num)).toEqual(all);
  });

  test("tells of a task that went as most do all that it was given", async () => {
    const store = createMemoryStore();
    const writer = new CommitWriter();
    const facts = usualTask(1, { bodySize: 7, idempotencyKey: "once", bodyHash: "h" });
    const old = usualTask(2, { type: "other" });
    await store.commit(writer.next(ended(facts, old)));
    expect(await store.entry(idOf(1))).toEqual({ facts, body: { prompt: "prompt 1" }, result: '"result 1"' });
    expect((await store.facts([idOf(2)], ["once"])).keys.get("once")).toEqual(facts);
    expect(await kept(store)).toEqual([1, 2]);
    const filter = { type: "other", status: "completed", deadLettered: false, afterNum: 0, limit: 9 } as const;
    expect(await store.history(filter)).toMatchObject([{ facts: old }]);
    const { id, settledAtMs } = { id: idOf(1), settledAtMs: facts.settlement.settledAtMs };
    const first = { num: 1, id, status: "completed", settledAtMs, bytes: 17, idempotencyKey: "once", bodyHash: "h" };
    expect((await store.oldest(asPoolId("main"), { skip: 0, limit: 1 })).oldest).toEqual([first]);
    await store.commit(writer.next({ reopened: [{ num: 1, id }], open: [openTask(1)] }));
    expect((await store.bodies([1])).get(1)).toEqual({ prompt: "prompt 1" });
  });

  test("stays within its limit over many more tasks", async () => {
    const store = createMemoryStore({ historyLimit: 100 });
    const writer = new CommitWriter();
    for (let num = 1; num <= 5_000; num++) await store.commit(writer.next(ended(settledTask(num))));
    expect(await kept(store)).toEqual(Array.from({ length: 100 }, (_, i) => 4_901 + i));
  });
});

describe("the memory store's events", () => {
  const filled = async (count: number, size: number): Promise<ReturnType<typeof createMemoryStore>> => {
    const store = createMemoryStore();
    const writer = new CommitWriter();
    for (let seq = 1; seq <= count; seq += size) {
      await store.commit(writer.next({ events: Array.from({ length: size }, (_, i) => anEvent(`e${seq + i}`)) }));
    }
    return store;
  };

  test.each([1, 3, 7])("are the last ones, however they were packed (%i to a commit)", async (size) => {
    const count = Math.ceil((2.5 * EVENTS_IN_MEMORY) / size) * size;
    const store = await filled(count, size);
    const events = await store.events(0, count);
    expect(events).toHaveLength(EVENTS_IN_MEMORY);
    expect(events[0]?.seq).toBe(count - EVENTS_IN_MEMORY + 1);
    expect(events.at(-1)?.seq).toBe(count);
    expect(events.every(({ seq, event }) => event.type === "pool.deleted" && event.pool === `e${seq}`)).toBe(true);
    expect((await store.events(count - 2, 10)).map(({ seq }) => seq)).toEqual([count - 1, count]);
  });

  test("are all there up to the limit, and one goes at the limit + 1", async () => {
    expect(await (await filled(EVENTS_IN_MEMORY, 1)).events(0, 1)).toMatchObject([{ seq: 1 }]);
    expect(await (await filled(EVENTS_IN_MEMORY + 1, 1)).events(0, 1)).toMatchObject([{ seq: 2 }]);
  });

  test("go when they are older than the age and not before, the newest excepted; the count may be another", async () => {
    const store = createMemoryStore({ events: { count: 3, ageMs: 1_000 } });
    const writer = new CommitWriter();
    const keptAfter = async (atMs: number) => {
      await store.commit({ ...writer.next(), atMs });
      return (await store.events(0, 100)).map((stored) => stored.atMs);
    };
    for (const atMs of [0, 400]) await keptAfter(atMs);
    expect(await keptAfter(1_000)).toEqual([0, 400, 1_000]);
    expect(await keptAfter(1_001)).toEqual([400, 1_000, 1_001]);
    expect(await keptAfter(1_401)).toEqual([1_000, 1_001, 1_401]);
    expect(await keptAfter(1_402)).toEqual([1_001, 1_401, 1_402]);
    expect(await keptAfter(9_000)).toEqual([9_000]);
  });

  test("are cut even within one commit that is larger than the limit", async () => {
    const store = await filled(EVENTS_IN_MEMORY + 5, EVENTS_IN_MEMORY + 5);
    const events = await store.events(0, EVENTS_IN_MEMORY * 2);
    expect(events).toHaveLength(EVENTS_IN_MEMORY);
    expect(events[0]).toMatchObject({ seq: 6, event: { pool: "e6" } });
  });
});

test("the memory store does not outlive its process, and says so", () => {
  expect(createMemoryStore().durable).toBe(false);
});

test("the memory store keeps what is open by reference", async () => {
  const store = createMemoryStore();
  const open = openTask(2);
  const record = { options: poolOptions("main"), createdAtMs: 1 };
  await store.commit(new CommitWriter().next({ open: [open], pools: [{ id: asPoolId("main"), record }] }));
  const loaded = await store.load();
  expect(loaded.open[0]).toBe(open);
  expect(loaded.pools[0]).toBe(record);
});
