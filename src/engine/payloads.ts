/** Bodies of open tasks and results not yet stored, in memory: the hot ones at hand, the rest in the store. */

import { IntMap } from "../base/int-map.ts";
import type { TaskBody } from "../core/task.ts";
import type { SettledRow } from "../stores/store.ts";

/** UTF-16 units kept; beyond, the oldest bodies are read from the store when they are needed. */
const CACHE_LIMIT = 64 * 1_048_576;

const sizeOf = (body: TaskBody): number => (body.prompt?.length ?? 0) + (body.rest?.length ?? 0);

export class Payloads {
  /** By the number of the task. */
  readonly #bodies = new IntMap<TaskBody>();
  /** By the fence of the attempt. */
  readonly #results = new IntMap<string>();
  #held = 0;

  /** The task was admitted: its body is being given to the store. */
  keep(num: number, body: TaskBody): void {
    this.drop(num);
    this.#bodies.set(num, body);
    this.#held += sizeOf(body);
  }

  body(num: number): TaskBody | undefined {
    return this.#bodies.get(num);
  }

  drop(num: number): void {
    const body = this.#bodies.take(num);
    if (body !== undefined) this.#held -= sizeOf(body);
  }

  /** Lets go of the oldest. Called after a commit, when the store has all of them. */
  trim(): void {
    if (this.#held <= CACHE_LIMIT) return;
    for (const num of this.#bodies.keys()) {
      this.drop(num);
      if (this.#held <= CACHE_LIMIT) return;
    }
  }

  /** The result that a report brings, until its commit. The first report of an attempt counts. */
  keepResult(fence: number, result: string): void {
    if (!this.#results.has(fence)) this.#results.set(fence, result);
  }

  takeResult(fence: number): string | undefined {
    return this.#results.take(fence);
  }

  /**
   * The engine's term is over: the store has all bodies. Of the results, those of reports that will be told again stay,
   * also when the commit that was not confirmed had taken them already.
   */
  endTerm(taken: readonly SettledRow[], retoldFences: ReadonlySet<number>): void {
    this.#bodies.clear();
    this.#held = 0;
    for (const { facts, result } of taken) if (result !== undefined) this.keepResult(facts.lastFence, result);
    for (const fence of this.#results.keys()) if (!retoldFences.has(fence)) this.#results.delete(fence);
  }
}
