/** The last durable events in memory: a ring of packed commits, without an allocation per commit. */
import type { DurableEvent } from "../core/event.ts";
import type { EventLimits } from "./event-limits.ts";
import type { StoredEvents } from "./store.ts";

export class RecentEvents {
  readonly #limit: number;
  readonly #ageMs: number;
  // A commit has at least one event, so `limit` commits hold `limit` events; one more is there while the oldest goes.
  readonly #firstSeqs: number[] = [];
  readonly #instants: number[] = [];
  readonly #packs: (readonly DurableEvent[] | undefined)[] = [];
  /** Commits ever dropped and ever added; their remainders are places in the ring. */
  #dropped = 0;
  #added = 0;
  #held = 0;
  #lastSeq = 0;

  constructor({ count, ageMs }: EventLimits) {
    this.#limit = count;
    this.#ageMs = ageMs;
  }

  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** Keeps the array itself. */
  add(firstSeq: number, atMs: number, events: readonly DurableEvent[]): void {
    const place = this.#added % (this.#limit + 1);
    this.#firstSeqs[place] = firstSeq;
    this.#instants[place] = atMs;
    this.#packs[place] = events;
    this.#added += 1;
    this.#held += events.length;
    this.#lastSeq = firstSeq + events.length - 1;
    this.#dropOld(atMs);
  }

  /** Events with a larger sequence number, in order, at most `limit`. */
  after(seq: number, limit: number): StoredEvents[] {
    const found: StoredEvents[] = [];
    const afterSeq = Math.max(seq, this.#lastSeq - this.#limit);
    for (let n = this.#packOf(afterSeq + 1); n < this.#added && found.length < limit; n++) {
      const place = n % (this.#limit + 1);
      const firstSeq = this.#firstSeqs[place] as number;
      const atMs = this.#instants[place] as number;
      const events = this.#packs[place] as readonly DurableEvent[];
      for (let i = Math.max(0, afterSeq + 1 - firstSeq); i < events.length && found.length < limit; i++) {
        found.push({ seq: firstSeq + i, atMs, event: events[i] as DurableEvent });
      }
    }
    return found;
  }

  clear(): void {
    this.#packs.length = 0;
    this.#dropped = this.#added;
    this.#held = 0;
  }

  /** The newest commit stays, however old it becomes. */
  #dropOld(nowMs: number): void {
    while (this.#added - this.#dropped > 1) {
      const place = this.#dropped % (this.#limit + 1);
      const oldest = (this.#packs[place] as readonly DurableEvent[]).length;
      const isOld = nowMs - (this.#instants[place] as number) > this.#ageMs;
      if (!isOld && this.#held - oldest < this.#limit) return;
      this.#packs[place] = undefined;
      this.#held -= oldest;
      this.#dropped += 1;
    }
  }

  /** Number of the commit that holds this event, or of the first one after it. By halving. */
  #packOf(seq: number): number {
    let low = this.#dropped;
    let high = this.#added;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const place = middle % (this.#limit + 1);
      const lastSeq = (this.#firstSeqs[place] as number) + (this.#packs[place] as readonly DurableEvent[]).length - 1;
      if (lastSeq < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
