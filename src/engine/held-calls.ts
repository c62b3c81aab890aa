/** Callers whose submission waits for room in a full queue, by the number under which the core holds it. */

import type { PoolError } from "../base/errors.ts";
import { IntMap } from "../base/int-map.ts";
import type { Reply } from "../core/command.ts";

export type HeldAnswer = { readonly reply: Reply } | { readonly error: PoolError };

export class HeldCalls {
  readonly #calls = new IntMap<(answer: HeldAnswer) => void>();
  #lastId = 0;

  /** Opened before the core is asked, so that no answer is missed; `close` it in any case. */
  open(): { readonly holdId: number; readonly answer: Promise<HeldAnswer>; close(): void } {
    this.#lastId += 1;
    const holdId = this.#lastId;
    const { promise: answer, resolve } = Promise.withResolvers<HeldAnswer>();
    this.#calls.set(holdId, resolve);
    return { holdId, answer, close: () => this.#calls.delete(holdId) };
  }

  answer(holdId: number, answer: HeldAnswer): void {
    this.#calls.get(holdId)?.(answer);
  }

  /** Nobody will be answered any more. */
  refuse(error: PoolError): void {
    for (const told of this.#calls.values()) told({ error });
    this.#calls.clear();
  }
}
