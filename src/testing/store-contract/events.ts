/** Events: numbered without a gap, in order, let go when they are old. */
import { expect } from "vitest";
import { asPoolId } from "../../base/ids.ts";
import type { DurableEvent } from "../../core/event.ts";
import type { Store } from "../../stores/store.ts";
import { anAgent, anEvent, aSpec, idOf, poolOptions, settledTask } from "../store-facts.ts";
import type { Again, Holds, Opened } from "./opened.ts";

export function events(holds: Holds, again: Again): void {
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
