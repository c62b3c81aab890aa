/** Lanes by their heads. Entries of heads that have gone are stepped over, and let go once they may be half of all. */
import { Heap } from "../base/heap.ts";
import { isSenior, precedes } from "./order.ts";
import type { Task } from "./task.ts";

/** A lane, as far as it matters here: the version grows whenever another task comes to its head. */
interface Versioned {
  readonly version: number;
}

interface HeadEntry {
  readonly lane: Versioned;
  readonly version: number;
  readonly head: Task;
  /** Of the head's fairness key when the entry was made: the smallest is next. 0 where the order is by age. */
  readonly turn: number;
}

type Before = (a: HeadEntry, b: HeadEntry) => boolean;

/** Oldest first. */
const byAge: Before = (a, b) => precedes(a.head, b.head);
/** Who has waited longest, replays or not. */
const bySeniority: Before = (a, b) => isSenior(a.head, b.head);
/** The key that was served longest ago first, and of it the oldest. */
const byTurn: Before = (a, b) => (a.turn === b.turn ? precedes(a.head, b.head) : a.turn < b.turn);

const BEFORE = { age: byAge, turn: byTurn, seniority: bySeniority } as const;

const isCurrent = ({ lane, version }: HeadEntry): boolean => version === lane.version;

const COMPACT_FROM = 64;

export class LaneHeads {
  readonly #heap: Heap<HeadEntry>;
  #compactAt = COMPACT_FROM;

  constructor(order: keyof typeof BEFORE) {
    this.#heap = new Heap(BEFORE[order]);
  }

  push(lane: Versioned, head: Task, turn = 0): void {
    this.#heap.push({ lane, version: lane.version, head, turn });
    if (this.#heap.size < this.#compactAt) return;
    this.#heap.keep(isCurrent);
    this.#compactAt = Math.max(COMPACT_FROM, 2 * this.#heap.size);
  }

  /** The head of the best lane. */
  top(): Task | undefined {
    return this.#best()?.head;
  }

  /** The better of this one's best and another's, by turn. */
  static better(a: LaneHeads, b: LaneHeads | undefined): LaneHeads {
    if (b === undefined) return a;
    const [mine, other] = [a.#best(), b.#best()];
    if (mine === undefined || other === undefined) return mine === undefined ? b : a;
    return byTurn(mine, other) ? a : b;
  }

  #best(): HeadEntry | undefined {
    for (let top = this.#heap.peek(); top !== undefined; top = this.#heap.peek()) {
      if (top.version === top.lane.version) return top;
      this.#heap.pop();
    }
    return undefined;
  }
}
