/** Where a task stands in its queue, and how long others have stood there. Looks at fronts of lanes, not at all tasks. */
import { type Ageing, goesFirst } from "./order.ts";
import type { PoolQueue } from "./pool-queue.ts";
import type { Task } from "./task.ts";

/**
 * How many tasks would go before this one, which stands in the queue, if agents for all of them were free.
 *
 * @returns at most `limit`; then there may be more
 */
export function tasksAhead(queue: PoolQueue, task: Task, { ageing, limit }: { ageing: Ageing; limit: number }): number {
  let count = 0;
  for (const lane of queue.lanes()) {
    const head = lane.head();
    if (head === undefined || !goesFirst(head, task, ageing)) continue;
    for (const _ of lane.where((other) => goesFirst(other, task, ageing))) {
      count += 1;
      if (count >= limit) return count;
    }
  }
  return count;
}

/** Instant since which the task that has waited longest for an agent waits. */
export function oldestAtMs(queue: PoolQueue): number | undefined {
  let oldestMs: number | undefined;
  for (const lane of queue.lanes()) {
    if (queue.holds(lane.serviceClass.type)) continue;
    const atMs = lane.oldest()?.queuedAtMs;
    if (atMs !== undefined && (oldestMs === undefined || atMs < oldestMs)) oldestMs = atMs;
  }
  return oldestMs;
}
