import { describe, expect, test } from "vitest";
import type { Clock } from "../base/clock.ts";
import { isPoolError } from "../base/errors.ts";
import { createRandom } from "../base/random.ts";
import { createMemoryStore } from "../stores/memory.ts";
import { createFlakyStore, type FlakyPlan, type FlakyStore } from "./flaky-store.ts";
import { storeContract } from "./store-contract.ts";
import { anAdmission, CommitWriter, ended, idOf, openTask, settledTask } from "./store-facts.ts";

const flaky = (plan: Partial<FlakyPlan> = {}, seed = 1): FlakyStore =>
  createFlakyStore(createMemoryStore(), { random: createRandom(seed), ...plan });

storeContract("a flaky store without faults", async () => flaky());
storeContract("a flaky store after a crash", async () => flaky(), {
  reopen: async (store) => (store as FlakyStore).crash(),
});

const unknown = (error: unknown): boolean => isPoolError(error, "store_failed") && error.details.unknown === true;

/** Commits these numbers one by one; those that were acknowledged. */
async function commitAll(store: FlakyStore, count: number): Promise<number[]> {
  const acknowledged: number[] = [];
  for (let num = 1; num <= count; num++) {
    const { lastSeq } = await store.load();
    const commit = new CommitWriter(lastSeq).next(ended(settledTask(num)));
    await store.commit(commit).then(
      () => acknowledged.push(num),
      () => {},
    );
  }
  return acknowledged;
}

const kept = async (store: FlakyStore): Promise<number[]> =>
  (await store.history({ afterNum: 0, limit: 10_000 })).map(({ facts }) => facts.num);

describe("a flaky store", () => {
  test("refuses the planned share of commits and keeps nothing of them", async () => {
    const store = flaky({ refuse: 0.3 });
    const acknowledged = await commitAll(store, 300);
    expect(await kept(store)).toEqual(acknowledged);
    expect(store.faults.refused).toBe(300 - acknowledged.length);
    expect(store.faults.refused).toBeGreaterThan(50);
    expect(store.faults.refused).toBeLessThan(150);
  });

  test("says store_full when it refuses", async () => {
    const store = flaky({ refuse: 1 });
    await store.load();
    const full = (error: unknown): boolean => isPoolError(error, "store_full") && error.retryable;
    await expect(store.commit(new CommitWriter().next())).rejects.toSatisfy(full);
  });

  test("does not know of the planned share, of which some are kept and some are not", async () => {
    const store = flaky({ forget: 0.3 });
    const acknowledged = await commitAll(store, 300);
    const { unknownKept, unknownLost } = store.faults;
    expect(unknownKept).toBeGreaterThan(10);
    expect(unknownLost).toBeGreaterThan(10);
    expect(acknowledged).toHaveLength(300 - unknownKept - unknownLost);
    const there = await kept(store);
    expect(there).toHaveLength(acknowledged.length + unknownKept);
    expect(there).toEqual(expect.arrayContaining(acknowledged));
  });

  test("marks what it does not know", async () => {
    const store = flaky({ forget: 1 });
    await store.load();
    await expect(store.commit(new CommitWriter().next())).rejects.toSatisfy(unknown);
  });

  test("fails in the same way for the same seed", async () => {
    const plan = { refuse: 0.2, forget: 0.2, unsynced: 5 };
    const run = async (seed: number) => {
      const store = flaky(plan, seed);
      const acknowledged = await commitAll(store, 100);
      const next = await store.crash();
      return { acknowledged, there: await kept(next), faults: next.faults };
    };
    expect(await run(7)).toEqual(await run(7));
    expect(await run(7)).not.toEqual(await run(8));
  });
});

describe("a crash", () => {
  test("takes back nothing by default", async () => {
    const store = flaky();
    await commitAll(store, 20);
    const next = await store.crash();
    expect(await kept(next)).toHaveLength(20);
    expect(next.faults).toMatchObject({ crashes: 1, unsynced: 0 });
  });

  test("takes back the newest commits only, up to the planned number", async () => {
    const lost = new Set<number>();
    for (let seed = 0; seed < 50; seed++) {
      const store = flaky({ unsynced: 3 }, seed);
      await commitAll(store, 10);
      const next = await store.crash();
      const { unsynced } = next.faults;
      expect(await kept(next)).toEqual(Array.from({ length: 10 - unsynced }, (_, i) => i + 1));
      expect((await next.load()).lastSeq).toBe(10 - unsynced);
      lost.add(unsynced);
    }
    expect([...lost].sort()).toEqual([0, 1, 2, 3]);
  });

  test("takes back no more than there is", async () => {
    for (let seed = 0; seed < 20; seed++) {
      const store = flaky({ unsynced: 100 }, seed);
      await commitAll(store, 1);
      const next = await store.crash();
      expect((await kept(next)).length + next.faults.unsynced).toBe(1);
    }
  });

  test("ends the handle, and epochs grow beyond it", async () => {
    const store = flaky();
    await store.load();
    const { epoch } = await store.load();
    const next = await store.crash();
    await expect(store.load()).rejects.toSatisfy(unknown);
    await expect(store.crash()).rejects.toSatisfy(unknown);
    await expect(store.history({ afterNum: 0, limit: 1 })).rejects.toSatisfy(unknown);
    expect((await next.load()).epoch).toBeGreaterThan(epoch);
    const third = await next.crash();
    expect((await third.load()).epoch).toBeGreaterThan(epoch + 1);
  });

  test("leaves open what was open, and the numbers of what is taken back are given again", async () => {
    const store = flaky({ unsynced: 1, random: { next: () => 0.99 } });
    await store.load();
    const writer = new CommitWriter();
    await store.commit(writer.next({ admitted: [anAdmission(1)], open: [openTask(1)] }));
    await store.commit(writer.next({ settled: [{ facts: settledTask(1) }] }));
    const next = await store.crash();
    expect(await next.load()).toMatchObject({ lastSeq: 1, lastNum: 1, open: [openTask(1)] });
    await next.commit(new CommitWriter(1).next({ settled: [{ facts: settledTask(1) }] }));
    expect(await next.entry(idOf(1))).toBeDefined();
  });

  test("in the very moment of a commit gives a good answer only to what survives", async () => {
    const good = { answer: 0, crash: 0 };
    for (let seed = 0; seed < 20; seed++) {
      for (let ticks = 0; ticks < 6; ticks++) {
        const store = flaky({}, seed);
        await store.load();
        const answer = store.commit(new CommitWriter().next(ended(settledTask(1)))).catch((error: unknown) => error);
        for (let n = 0; n < ticks; n++) await Promise.resolve();
        const next = await store.crash();
        const error = await answer;
        if (error === undefined) expect(await kept(next)).toEqual([1]);
        else expect(error).toSatisfy(unknown);
        good[error === undefined ? "answer" : "crash"] += 1;
        const there = await kept(next);
        expect(await kept(await next.crash())).toEqual(there);
      }
    }
    expect(good.answer).toBeGreaterThan(0);
    expect(good.crash).toBeGreaterThan(0);
  });

  test("may find a commit under way, which is kept or not and gets no good answer either way", async () => {
    const seen = new Set<number>();
    for (let seed = 0; seed < 20; seed++) {
      const fires: (() => void)[] = [];
      const clock: Clock = {
        now: () => 0,
        monotonic: () => 0,
        defer: (fire) => fire(),
        timer: (_, fire) => {
          fires.push(fire);
          return { cancel: () => {} };
        },
      };
      const store = flaky({ slow: { clock, ms: 10 } }, seed);
      await store.load();
      const answer = store.commit(new CommitWriter().next(ended(settledTask(1)))).catch((error: unknown) => error);
      while (fires.length === 0) await Promise.resolve();
      const next = await store.crash();
      for (const fire of fires) fire();
      expect(await answer).toSatisfy(unknown);
      seen.add((await kept(next)).length);
    }
    expect([...seen].sort()).toEqual([0, 1]);
  });
});
