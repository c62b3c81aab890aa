/** Those who wait for tasks to be settled, and for the state to come to something. */
import { type Clock, sleep } from "../base/clock.ts";
import type { PoolError } from "../base/errors.ts";
import type { TaskId } from "../base/ids.ts";
import type { SettledRow } from "../stores/store.ts";

type Listener = (row: SettledRow | PoolError) => void;

export class Waiters {
  readonly #clock: Clock;
  readonly #listeners = new Map<TaskId, Set<Listener>>();
  readonly #checks = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves with the task's settlement, or with the reason why nobody will hear of it. */
  once(id: TaskId): { readonly row: Promise<SettledRow | PoolError>; forget(): void } {
    const { promise: row, resolve: listener } = Promise.withResolvers<SettledRow | PoolError>();
    const listeners = this.#listeners.get(id) ?? new Set();
    listeners.add(listener);
    this.#listeners.set(id, listeners);
    const forget = (): void => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(id) === listeners) this.#listeners.delete(id);
    };
    return { row, forget };
  }

  /** Resolves when the condition holds after a turn, or the time is over. */
  async until(condition: () => boolean, limitMs: number, signal?: AbortSignal): Promise<void> {
    if (condition()) return;
    const over = new AbortController();
    const check = (): void => {
      if (condition()) over.abort();
    };
    this.#checks.add(check);
    await sleep(this.#clock, limitMs, signal === undefined ? over.signal : AbortSignal.any([over.signal, signal]));
    this.#checks.delete(check);
  }

  /** A turn is over, and these tasks are settled. */
  tell(settled: readonly SettledRow[]): void {
    for (const row of settled) {
      const listeners = this.#listeners.get(row.facts.spec.id);
      if (listeners === undefined) continue;
      this.#listeners.delete(row.facts.spec.id);
      for (const listener of listeners) listener(row);
    }
    for (const check of [...this.#checks]) check();
  }

  /** Tasks that somebody waits for. */
  get ids(): TaskId[] {
    return [...this.#listeners.keys()];
  }

  /** Nobody will be told of this task any more. */
  refuseOne(id: TaskId, reason: PoolError): void {
    const listeners = this.#listeners.get(id);
    this.#listeners.delete(id);
    for (const listener of listeners ?? []) listener(reason);
  }

  /** Nobody will be told any more. */
  refuse(reason: PoolError): void {
    for (const listeners of this.#listeners.values()) for (const listener of listeners) listener(reason);
    this.#listeners.clear();
  }
}
