/** Those who wait for tasks to be settled, and for the state to come to something. */

import { type Clock, sleep } from "../base/clock.ts";
import type { PoolError } from "../base/errors.ts";
import type { TaskId } from "../base/ids.ts";
import { SlotMap } from "../base/slot-map.ts";
import type { SettledRow } from "../stores/store.ts";

/** Somebody who waits for a task's end. */
export interface SettlementListener {
  /** Its settlement, or the reason why nobody will hear of it. Called once. */
  told(row: SettledRow | PoolError): void;
}

/** Most tasks have one who waits for them. */
type Listeners = SettlementListener | readonly SettlementListener[];

export class Waiters {
  readonly #clock: Clock;
  readonly #listeners = new SlotMap<TaskId, Listeners>();
  readonly #checks = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Tells the listener, unless it is forgotten before. */
  listen(id: TaskId, listener: SettlementListener): void {
    const known = this.#listeners.get(id);
    this.#listeners.set(id, known === undefined ? listener : [...listOf(known), listener]);
  }

  forget(id: TaskId, listener: SettlementListener): void {
    const left = listOf(this.#listeners.get(id) ?? []).filter((other) => other !== listener);
    if (left.length === 0) this.#listeners.delete(id);
    else this.#listeners.set(id, left);
  }

  /** Resolves with the task's settlement, or with the reason why nobody will hear of it. */
  once(id: TaskId): { readonly row: Promise<SettledRow | PoolError>; forget(): void } {
    const { promise: row, resolve: told } = Promise.withResolvers<SettledRow | PoolError>();
    const listener = { told };
    this.listen(id, listener);
    return { row, forget: () => this.forget(id, listener) };
  }

  /** Resolves when the condition holds after a turn, or the time is over; at once where none is given. */
  async until(condition: () => boolean, limitMs: number, signal?: AbortSignal): Promise<void> {
    if (limitMs <= 0 || condition()) return;
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
      const listeners = this.#listeners.take(row.facts.spec.id);
      if (listeners !== undefined) tellAll(listeners, row);
    }
    if (this.#checks.size > 0) for (const check of [...this.#checks]) check();
  }

  /** Tasks that somebody waits for. */
  get ids(): TaskId[] {
    return [...this.#listeners.keys()];
  }

  /** Nobody will be told of this task any more. */
  refuseOne(id: TaskId, reason: PoolError): void {
    const listeners = this.#listeners.take(id);
    if (listeners !== undefined) tellAll(listeners, reason);
  }

  /** Nobody will be told any more. */
  refuse(reason: PoolError): void {
    for (const listeners of this.#listeners.values()) tellAll(listeners, reason);
    this.#listeners.clear();
  }
}

const listOf = (known: Listeners): readonly SettlementListener[] => ("told" in known ? [known] : known);

function tellAll(listeners: Listeners, row: SettledRow | PoolError): void {
  if ("told" in listeners) listeners.told(row);
  else for (const listener of listeners) listener.told(row);
}
