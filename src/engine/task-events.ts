/** The events of one task: how it is now, or what a listener has missed, then what happens. */
import { asTaskId } from "../base/ids.ts";
import type { EventHub, ListenOptions } from "./event-hub.ts";
import { type EventFrame, frameOf } from "./event-listener.ts";
import type { Frame } from "./frame.ts";

/** @throws PoolError `not_found` */
export async function taskEvents(
  { reader }: Pick<Frame, "reader">,
  hub: EventHub,
  id: string,
  options: ListenOptions,
): Promise<AsyncGenerator<EventFrame>> {
  const taskId = asTaskId(id);
  // Listening begins before the task is read, so that nothing is missed; what is read may be told once more.
  const frames = hub.listen(options, taskId);
  try {
    const { pool, status, waiting, attemptCount, replays } = await reader.task(taskId);
    const data = { type: "task", taskId, pool, status, waiting, attemptCount, replays };
    return options.afterSeq === undefined ? withFirst(frameOf("task", JSON.stringify(data)), frames) : frames;
  } catch (error) {
    await frames.return(undefined);
    throw error;
  }
}

async function* withFirst(first: EventFrame, frames: AsyncGenerator<EventFrame>): AsyncGenerator<EventFrame> {
  try {
    yield first;
    yield* frames;
  } finally {
    await frames.return(undefined);
  }
}
