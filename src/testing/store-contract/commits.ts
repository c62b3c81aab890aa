/** What a commit changes, all of it or nothing. */
import { expect } from "vitest";
import { asPoolId } from "../../base/ids.ts";
import {
  anAdmission,
  anAgent,
  anAttempt,
  aSpec,
  ended,
  idOf,
  openTask,
  poolOptions,
  quarantined,
  settledTask,
} from "../store-facts.ts";
import { type Again, EVERYTHING, type Holds, nums } from "./opened.ts";

export function commits(holds: Holds, again: Again): void {
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
