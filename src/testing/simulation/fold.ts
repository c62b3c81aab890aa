/** The event log, replayed by the core's own writer, gives the rows that the store keeps: two ways to one truth. */
import { isDeepStrictEqual } from "node:util";
import { apply } from "../../core/apply/apply.ts";
import { type OpenFacts, openFacts, settledFacts } from "../../core/record.ts";
import { emptyState } from "../../core/state.ts";
import type { Commit, Store } from "../../stores/store.ts";

export class Fold {
  readonly #state = emptyState(0);

  add(commit: Commit): void {
    for (const event of commit.events) apply(this.#state, event, commit.atMs);
  }

  /** What is open, as a start finds it. A sentence about the first difference, or undefined. */
  differsFromOpen(rows: readonly OpenFacts[]): string | undefined {
    const open = [...this.#state.tasks.values()].filter((task) => task.state.name !== "settled");
    if (open.length !== rows.length) return `the log has ${open.length} open tasks, the store ${rows.length}`;
    for (const row of rows) {
      const task = this.#state.tasks.get(row.spec.id);
      if (task === undefined || task.state.name === "settled") return `task ${row.spec.id} is not open in the log`;
      const difference = differenceOf(withoutVolatile(openFacts(task)), withoutVolatile(row));
      if (difference !== undefined) return `task ${row.spec.id}: ${difference}`;
    }
    return undefined;
  }

  /** What has ended, as the history has it. */
  async differsFromHistory(store: Store): Promise<string | undefined> {
    const settled = [...this.#state.tasks.values()].filter((task) => task.state.name === "settled");
    const { tasks } = await store.facts(
      settled.map((task) => task.spec.id),
      [],
    );
    for (const task of settled) {
      const row = tasks.get(task.spec.id);
      if (row === undefined) return `settled task ${task.spec.id} is not in the history`;
      const difference = differenceOf(settledFacts(task), row);
      if (difference !== undefined) return `task ${task.spec.id}: ${difference}`;
    }
    return undefined;
  }
}

/** Renewals and local starts change memory only. */
function withoutVolatile(facts: OpenFacts): OpenFacts {
  if (facts.state.name !== "leased") return facts;
  return {
    ...facts,
    state: { name: "leased", lease: { ...facts.state.lease, expiresAtMs: 0, startedAtMs: undefined } },
  };
}

function differenceOf(log: object, row: object): string | undefined {
  for (const key of new Set([...Object.keys(log), ...Object.keys(row)])) {
    const [ours, theirs] = [(log as Record<string, unknown>)[key], (row as Record<string, unknown>)[key]];
    if (isDeepStrictEqual(ours, theirs) || isDeepStrictEqual(normal(ours), normal(theirs))) continue;
    return `${key} is ${JSON.stringify(ours)} by the log, ${JSON.stringify(theirs)} in the store`;
  }
  return undefined;
}

/** Absent and undefined are the same to a store. */
const normal = (value: unknown): unknown => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)));
