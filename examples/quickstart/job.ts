/** Hands the plan to the server, and reads what became of it. */
import { setTimeout as sleep } from "node:timers/promises";
import type { PoolView, TaskView } from "../../src/engine/view.ts";
import type { Api } from "./api.ts";
import { jsonBytes } from "./documents.ts";
import type { PlannedTask, PoolName } from "./plan.ts";

/** A batch is at most 16 MB; smaller ones let the work begin earlier. */
const BATCH_LIMIT_BYTES = 2_000_000;
const BATCH_LIMIT = 100;
/** Requests for tasks that are open at the same time. */
const READERS = 8;
/** How long one request waits for a task. */
const WAIT_MS = 20_000;
/** When nothing at all is settled for so long, something is wrong. */
const STALL_MS = 120_000;

export const POOLS: readonly PoolName[] = ["counters", "readers"];

/** Submits in the order of the plan, in batches. Safe to repeat: every task carries its key. */
export async function submitAll(api: Api, tasks: readonly PlannedTask[]): Promise<void> {
  for (const part of parts(tasks)) {
    // What readers join may have been measured by counters, so those must be known first.
    for (const pool of POOLS) {
      const batch = part.filter((planned) => planned.pool === pool).map(({ task }) => task);
      if (batch.length > 0) await api.post(`/v1/pools/${pool}/tasks/batch`, { tasks: batch });
    }
  }
}

/** All tasks once they are settled, by id. */
export async function collect(api: Api, ids: readonly string[]): Promise<Map<string, TaskView>> {
  const views = new Map<string, TaskView>();
  const waiting = ids.values();
  let lastSettledAt = performance.now();
  const read = async (): Promise<void> => {
    for (const id of waiting) {
      for (;;) {
        const view = await api.get<TaskView>(`/v1/tasks/${id}?waitMs=${WAIT_MS}`);
        if (isSettled(view)) {
          views.set(id, view);
          lastSettledAt = performance.now();
          break;
        }
        if (performance.now() - lastSettledAt > STALL_MS) throw new Error(`nothing moves any more: ${describe(view)}`);
        // An answer may come earlier than asked for, such as while the server stops.
        await sleep(50);
      }
    }
  };
  await Promise.all(Array.from({ length: READERS }, read));
  return views;
}

export interface Counts {
  readonly settled: number;
  readonly running: number;
  readonly waiting: number;
}

/** Over both pools, and over all runs that this server has seen. */
export async function readCounts(api: Api): Promise<Counts> {
  const pools = await Promise.all(POOLS.map((pool) => api.get<PoolView>(`/v1/pools/${pool}`)));
  const sum = (count: (pool: PoolView) => number): number => pools.reduce((total, pool) => total + count(pool), 0);
  return {
    settled: sum(({ byStatus }) => byStatus.completed + byStatus.failed + byStatus.cancelled),
    running: sum(({ byStatus }) => byStatus.assigned + byStatus.in_progress),
    waiting: sum(({ byStatus }) => byStatus.pending),
  };
}

function* parts(tasks: readonly PlannedTask[]): Generator<PlannedTask[]> {
  let part: PlannedTask[] = [];
  let bytes = 0;
  for (const planned of tasks) {
    const size = jsonBytes(planned.task);
    if (part.length === BATCH_LIMIT || (part.length > 0 && bytes + size > BATCH_LIMIT_BYTES)) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(planned);
    bytes += size;
  }
  if (part.length > 0) yield part;
}

function isSettled({ status }: TaskView): boolean {
  return status === "completed" || status === "failed" || status === "cancelled";
}

function describe({ id, status, waiting }: TaskView): string {
  return `${id} is ${status}${waiting === undefined ? "" : `, waits for ${waiting.reason}`}`;
}
