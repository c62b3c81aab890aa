/** Many tasks at once: as many as there is room for, the others as it comes. */
import { type Clock, sleep } from "../../base/clock.ts";
import { isPoolError } from "../../base/errors.ts";
import type { TaskId } from "../../base/ids.ts";

/** The tasks of one `executeBatch`: who runs, what came of whom, and when there may be room for one more. */
export class Batch {
  readonly ids: TaskId[] = [];
  readonly #clock: Clock;
  readonly #ended = new Map<number, unknown>();
  readonly #running = new Set<Promise<void>>();
  #wake: () => void = () => {};
  #retryAfterMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** False when there was no room; any other end of the admission is the task's end. */
  async run(index: number, admit: () => Promise<TaskId>, result: (id: TaskId) => Promise<unknown>): Promise<boolean> {
    let id: TaskId;
    try {
      id = await admit();
    } catch (error) {
      if (!isPoolError(error, "queue_full")) this.#ended.set(index, error);
      else this.#retryAfterMs = Number(error.details.retryAfterMs ?? ROOM_MS);
      return this.#ended.has(index);
    }
    this.ids.push(id);
    const ended = result(id)
      .catch((error: unknown) => error)
      .then((value) => {
        this.#ended.set(index, value);
        this.#running.delete(ended);
        this.#wake();
      });
    this.#running.add(ended);
    return true;
  }

  /** Waits until one of ours has ended, or others may have. */
  async room(signal: AbortSignal | undefined): Promise<void> {
    const over = new AbortController();
    this.#wake = () => over.abort();
    const stop = signal === undefined ? over.signal : AbortSignal.any([over.signal, signal]);
    await sleep(this.#clock, this.#retryAfterMs, stop);
  }

  async results(count: number): Promise<unknown[]> {
    await Promise.all(this.#running);
    return Array.from({ length: count }, (_, index) => this.#ended.get(index));
  }
}

/** When a full queue does not say when to come back. */
export const ROOM_MS = 100;
