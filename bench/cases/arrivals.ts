/** From being handed in to being started, while tasks come at a fixed rate. */
import { type Case, closedLoop, quantile, type Subject, scaled } from "../case.ts";
import { agentsOf, type Store, withPool } from "../pools.ts";

const MILLIS = 3_000;

/** Tasks that come at a rate whatever happens to them; what passes between the call and the start of each. */
async function open(
  store: Store,
  rate: number | "half",
  scale: number,
): Promise<{ rate: number; p50: number; p99: number }> {
  const calledAt = new Map<string, number>();
  const waitedMs: number[] = [];
  const run = async ({ task }: { task: { id: string } }): Promise<string> => {
    const from = calledAt.get(task.id);
    if (from !== undefined) waitedMs.push(performance.now() - from);
    return "done";
  };
  return withPool({ store, agents: agentsOf(10, 10, run as () => Promise<unknown>) }, async (pool) => {
    const millis = scaled(MILLIS, scale, 100);
    const full = await closedLoop(() => pool.execute("x"), { millis: millis / 4, callers: 100 });
    const perMs = (rate === "half" ? full.perSecond / 2 : rate) / 1_000;
    const calls: Promise<unknown>[] = [];
    const from = performance.now();
    for (let now = from; now - from < millis; now = performance.now()) {
      for (let due = Math.floor((now - from) * perMs); calls.length < due; ) {
        const id = `task-${calls.length}`;
        calledAt.set(id, performance.now());
        calls.push(pool.execute({ id, prompt: "x" }));
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await Promise.all(calls);
    return { rate: 1_000 * perMs, p50: quantile(waitedMs, 0.5), p99: quantile(waitedMs, 0.99) };
  });
}

const subject = (store: Store, rate: number | "half"): Subject => ({
  name: `Troupe ${store === "memory:" ? "in memory" : "on SQLite"}, ${rate === "half" ? "half of what it can" : `${rate}/s`}`,
  kind: "troupe",
  run: (scale) => open(store, rate, scale),
});

export const arrivals: Case = {
  id: "arrivals",
  title: "From call to start",
  says: "Tasks come at a fixed rate, in bursts of what fell due within a millisecond or so, to ten agents of ten slots. What passes between the call and the start of the function; on SQLite the task and its attempt are synced in between.",
  columns: [
    { key: "rate", title: "tasks/s" },
    { key: "p50", title: "p50 ms", digits: 3 },
    { key: "p99", title: "p99 ms", digits: 3 },
  ],
  subjects: [
    subject("memory:", 500),
    subject("memory:", 2_000),
    subject("memory:", "half"),
    subject("sqlite:", 500),
    subject("sqlite:", 2_000),
    subject("sqlite:", "half"),
  ],
};
