/** The submissions of one pool that wait for room: the most urgent first, then the oldest. */
import type { Command } from "./command.ts";
import { PRIORITIES, type Priority } from "./task.ts";

/** A submission that waits for room. */
export interface Held {
  readonly holdId: number;
  readonly command: Extract<Command, { type: "submit" }>;
  /** Of its most urgent task. */
  readonly priority: Priority;
}

/** Tasks that may be held for one pool at a time. */
export const HELD_LIMIT = 1_000;

/** The held submissions of one pool. */
export class HeldLine {
  readonly #byPriority: Readonly<Record<Priority, Map<number, Held>>> = {
    1: new Map(),
    2: new Map(),
    3: new Map(),
    4: new Map(),
  };
  /** In tasks. */
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(held: Held): void {
    this.#byPriority[held.priority].set(held.holdId, held);
    this.#size += held.command.specs.length;
  }

  find(holdId: number): Held | undefined {
    for (const priority of PRIORITIES) {
      const held = this.#byPriority[priority].get(holdId);
      if (held !== undefined) return held;
    }
    return undefined;
  }

  remove(holdId: number): void {
    const held = this.find(holdId);
    if (held === undefined) return;
    this.#byPriority[held.priority].delete(holdId);
    this.#size -= held.command.specs.length;
  }

  /** Somebody of this urgency, or more, waits. */
  hasAhead(priority: Priority): boolean {
    return PRIORITIES.some((other) => other <= priority && this.#byPriority[other].size > 0);
  }

  /** In the order in which they are to be admitted. */
  *[Symbol.iterator](): Iterator<Held> {
    for (const priority of PRIORITIES) yield* this.#byPriority[priority].values();
  }
}
