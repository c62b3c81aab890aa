/** The last durable events in memory: chunks of columns, of which the oldest go. */
import type { DurableEvent } from "../core/event.ts";
import type { TaskSpec } from "../core/task.ts";
import { ROWS } from "./column.ts";
import { EventChunk } from "./event-chunk.ts";
import type { EventLimits } from "./event-limits.ts";
import { LikeSpecs } from "./like-specs.ts";
import type { StoredEvents } from "./store.ts";

export class RecentEvents {
  readonly #limit: number;
  readonly #ageMs: number;
  #chunks: EventChunk[] = [];
  /** The one that went last. */
  #worn: EventChunk | undefined;
  /** Sequence number of the first row of the first chunk, and of the first event that is still told. */
  #startSeq = 1;
  #firstSeq = 1;
  #lastSeq = 0;
  readonly #kinds = new LikeSpecs();
  readonly #likeOf = (spec: TaskSpec): TaskSpec => this.#kinds.likeOf(spec);

  constructor({ count, ageMs }: EventLimits) {
    this.#limit = count;
    this.#ageMs = ageMs;
  }

  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** Those of one commit; the first follows the last one without a gap. */
  add(firstSeq: number, atMs: number, events: readonly DurableEvent[]): void {
    for (const event of events) this.#push(atMs, event);
    this.#dropOld(atMs, firstSeq);
  }

  /** Events with a larger sequence number, in order, at most `limit`. */
  after(afterSeq: number, limit: number): StoredEvents[] {
    const found: StoredEvents[] = [];
    for (let seq = Math.max(afterSeq + 1, this.#firstSeq); seq <= this.#lastSeq && found.length < limit; seq++) {
      const chunk = this.#chunkOf(seq);
      const row = this.#rowOf(seq);
      found.push({ seq, atMs: chunk.atMs(row), event: chunk.event(row) });
    }
    return found;
  }

  clear(): void {
    this.#chunks = [];
    this.#startSeq = this.#lastSeq + 1;
    this.#firstSeq = this.#startSeq;
  }

  #push(atMs: number, event: DurableEvent): void {
    const seq = this.#lastSeq + 1;
    if (seq - this.#startSeq === this.#chunks.length * ROWS) this.#grow();
    this.#chunkOf(seq).add(this.#rowOf(seq), atMs, event, this.#likeOf);
    this.#lastSeq = seq;
  }

  /** The newest commit stays within the count, however old it becomes. */
  #dropOld(nowMs: number, newestSeq: number): void {
    this.#firstSeq = Math.max(this.#firstSeq, this.#lastSeq - this.#limit + 1);
    while (this.#firstSeq < newestSeq && nowMs - this.#atMs(this.#firstSeq) > this.#ageMs) this.#firstSeq += 1;
    while (this.#startSeq + ROWS <= this.#firstSeq) {
      this.#worn = this.#chunks.shift();
      this.#startSeq += ROWS;
    }
  }

  #atMs(seq: number): number {
    return this.#chunkOf(seq).atMs(this.#rowOf(seq));
  }

  #grow(): void {
    this.#chunks.push(new EventChunk(this.#worn));
    this.#worn = undefined;
  }

  #chunkOf(seq: number): EventChunk {
    return this.#chunks[Math.trunc((seq - this.#startSeq) / ROWS)] as EventChunk;
  }

  #rowOf(seq: number): number {
    return (seq - this.#startSeq) % ROWS;
  }
}
