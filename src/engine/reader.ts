/** Reads tasks for outsiders: what is open from the core, what is settled from the store, merged in order. */
import { invalid, PoolError } from "../base/errors.ts";
import { asPoolId, type TaskId } from "../base/ids.ts";
import { notFound } from "../core/settle.ts";
import type { NamespaceState } from "../core/state.ts";
import type { FinalStatus, Task, TaskBody } from "../core/task.ts";
import type { HistoryFilter, Store } from "../stores/store.ts";
import type { Payloads } from "./payloads.ts";
import { settledAsTask, statusOf, taskView } from "./present-task.ts";
import type { TaskFilter } from "./troupe.ts";
import type { TurnClock } from "./turn-clock.ts";
import type { Page, TaskStatus, TaskView } from "./view.ts";

/** Items of a page when nothing is said, and at most. */
const PAGE_DEFAULT = 100;
const PAGE_LIMIT = 1_000;

const FINAL: readonly TaskStatus[] = ["completed", "failed", "cancelled"];
const isFinal = (status: TaskStatus): status is FinalStatus => FINAL.includes(status);

export interface ReaderOptions {
  readonly state: NamespaceState;
  readonly store: Store;
  readonly payloads: Payloads;
  readonly turnClock: TurnClock;
  /** Resolves when all that is in the state has been committed. */
  readonly stored: () => Promise<void>;
}

export class Reader {
  readonly #options: ReaderOptions;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  get #nowMs(): number {
    return this.#options.turnClock.now();
  }

  /** An open task as it is at this moment; undefined when it is not open, or its body would have to be fetched. */
  openNow(id: TaskId, known?: TaskBody): TaskView | undefined {
    const { state, payloads } = this.#options;
    const task = state.tasks.get(id);
    if (task === undefined || task.state.name === "settled") return undefined;
    const body = known ?? payloads.body(task.num);
    if (body === undefined) return undefined;
    return taskView(state, task, { body, nowMs: this.#nowMs });
  }

  async task(id: TaskId): Promise<TaskView> {
    const { state, store, stored } = this.#options;
    await stored();
    const open = state.tasks.get(id);
    if (open !== undefined && open.state.name !== "settled") return this.#openView(open);
    const entry = await store.entry(id);
    if (entry !== undefined) return taskView(state, settledAsTask(entry.facts), { ...entry, nowMs: this.#nowMs });
    // Replayed while the store was asked.
    const again = state.tasks.get(id);
    if (again !== undefined && again.state.name !== "settled") return this.#openView(again);
    throw notFound(id);
  }

  async #openView(task: Task): Promise<TaskView> {
    const { state, store, payloads, stored } = this.#options;
    const cached = payloads.body(task.num);
    if (cached !== undefined) return taskView(state, task, { body: cached, nowMs: this.#nowMs });
    const bodies = await store.bodies([task.num]);
    if (store.durable) await stored();
    // It may have been settled meanwhile, or a new term of the engine knows it anew.
    const now = state.tasks.get(task.spec.id);
    if (now === undefined || now.state.name === "settled") return this.task(task.spec.id);
    return taskView(state, now, { body: bodies.get(now.num) ?? {}, nowMs: this.#nowMs });
  }

  /** Oldest first. A task that is settled while the page is made appears once. */
  async page(filter: TaskFilter): Promise<Page<TaskView>> {
    const { state, store, payloads, stored } = this.#options;
    const limit = Math.min(filter.limit ?? PAGE_DEFAULT, PAGE_LIMIT);
    if (!Number.isInteger(limit) || limit < 1) throw invalid("limit", `expected 1 to ${PAGE_LIMIT}`);
    const afterNum = parseCursor(filter.cursor);
    if (filter.pool !== undefined && !state.pools.has(asPoolId(filter.pool))) await this.#mustHaveHistory(filter.pool);
    await stored();
    const open = this.#open(filter, afterNum, limit + 1);
    const settled = await this.#settled(filter, afterNum, limit + 1);
    const bodies = await store.bodies(open.filter((task) => !payloads.body(task.num)).map((task) => task.num));
    if (store.durable) await stored();
    const views = new Map<number, TaskView>();
    for (const { spec } of open) {
      // Settled meanwhile, or known anew by a new term of the engine.
      const task = state.tasks.get(spec.id);
      if (task === undefined || task.state.name === "settled") continue;
      const body = payloads.body(task.num) ?? bodies.get(task.num) ?? {};
      views.set(task.num, taskView(state, task, { body, nowMs: this.#nowMs }));
    }
    for (const entry of settled)
      views.set(entry.facts.num, taskView(state, settledAsTask(entry.facts), { ...entry, nowMs: this.#nowMs }));
    const nums = [...views.keys()].sort((a, b) => a - b);
    const shown = nums.slice(0, limit);
    const items = shown.map((num) => views.get(num) as TaskView);
    return nums.length > limit ? { items, nextCursor: String(shown[shown.length - 1]) } : { items };
  }

  #open(filter: TaskFilter, afterNum: number, limit: number): Task[] {
    if (filter.deadLettered === true || (filter.status !== undefined && isFinal(filter.status))) return [];
    const found: Task[] = [];
    for (const task of this.#options.state.tasks.values()) {
      if (task.num <= afterNum || task.state.name === "settled") continue;
      if (filter.pool !== undefined && task.spec.pool !== filter.pool) continue;
      if (filter.type !== undefined && task.spec.type !== filter.type) continue;
      if (filter.status !== undefined && statusOf(task) !== filter.status) continue;
      found.push(task);
    }
    return found.sort((a, b) => a.num - b.num).slice(0, limit);
  }

  async #settled(filter: TaskFilter, afterNum: number, limit: number): ReturnType<Store["history"]> {
    const { status, type, pool, deadLettered } = filter;
    if (status !== undefined && !isFinal(status)) return [];
    const wanted: HistoryFilter = {
      pool: pool === undefined ? undefined : asPoolId(pool),
      status,
      type,
      deadLettered,
      afterNum,
      limit,
    };
    return this.#options.store.history(wanted);
  }

  /** A pool that is gone can still be read; one that never was is an error. */
  async #mustHaveHistory(pool: string): Promise<void> {
    const found = await this.#options.store.history({ pool: asPoolId(pool), afterNum: 0, limit: 1 });
    if (found.length === 0) throw new PoolError("not_found", `no pool ${pool}`, { details: { pool } });
  }
}

function parseCursor(cursor: string | undefined): number {
  if (cursor === undefined) return 0;
  const num = Number(cursor);
  if (!/^\d{1,16}$/.test(cursor) || !Number.isSafeInteger(num))
    throw invalid("cursor", "expected one that a list gave");
  return num;
}
