/** Bodies and results come back as they were given. */
import { expect } from "vitest";
import type { TaskId } from "../../base/ids.ts";
import { anAdmission, aSpec, idOf, openTask, settledTask } from "../store-facts.ts";
import type { Again, Holds } from "./opened.ts";

export function texts(holds: Holds, again: Again): void {
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
