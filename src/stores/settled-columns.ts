/** Settled tasks in the order of settlement: chunks of columns, of which those in front go once they are empty. */
import type { TaskId } from "../base/ids.ts";
import type { SettledFacts } from "../core/record.ts";
import type { OldTask } from "../core/retired.ts";
import type { Settlement, TaskBody, TaskSpec } from "../core/task.ts";
import { ROWS } from "./column.ts";
import { LikeSpecs, type SharedSpec } from "./like-specs.ts";
import { PLAIN } from "./plain-ending.ts";
import { BYTES, EARLIER, LATER, NUM, SETTLED_AT, SettledChunk } from "./settled-chunk.ts";
import type { SettledRow } from "./store.ts";

export class SettledColumns {
  #chunks: SettledChunk[] = [];
  /** The one that went last. */
  #worn: SettledChunk | undefined;
  #start = 0;
  #end = 0;
  readonly #kinds = new LikeSpecs();
  readonly #likeOf = (spec: TaskSpec): TaskSpec => this.#kinds.likeOf(spec);

  /** All places before this one are gone. */
  get start(): number {
    return this.#start;
  }

  /** The place that is taken next. */
  get end(): number {
    return this.#end;
  }

  /** Gives back the place that it has taken. */
  add({ facts, result }: SettledRow, body: TaskBody | undefined): number {
    const place = this.#take();
    const chunk = this.#chunkOf(place);
    const row = this.#rowOf(place);
    chunk.add(row, facts, this.#likeOf);
    chunk.keepBody(row, body);
    chunk.results[row] = result;
    return place;
  }

  /** The place is empty from now on. */
  remove(place: number): void {
    this.#chunkOf(place).clear(this.#rowOf(place));
  }

  /** Other facts of the same task. */
  replace(place: number, facts: SettledFacts): void {
    this.#chunkOf(place).keepWhole(this.#rowOf(place), facts);
  }

  /** Undefined when the place is empty. */
  idAt(place: number): TaskId | undefined {
    return this.#chunkOf(place).ids[this.#rowOf(place)];
  }

  numAt(place: number): number {
    return this.#numberAt(place, NUM);
  }

  /** Of its spec, what others may say as well. */
  sharedAt(place: number): SharedSpec {
    return this.#chunkOf(place).specs[this.#rowOf(place)] as TaskSpec;
  }

  endingAt(place: number): Pick<Settlement, "status" | "deadLettered"> {
    return this.#chunkOf(place).whole(this.#rowOf(place))?.settlement ?? PLAIN;
  }

  bytesAt(place: number): number {
    return this.#numberAt(place, BYTES);
  }

  oldTaskAt(place: number): OldTask {
    const { idempotencyKey, bodyHash } = this.sharedAt(place);
    return {
      num: this.numAt(place),
      id: this.idAt(place) as TaskId,
      status: this.endingAt(place).status,
      settledAtMs: this.#numberAt(place, SETTLED_AT),
      bytes: this.bytesAt(place),
      idempotencyKey,
      bodyHash,
    };
  }

  factsAt(place: number): SettledFacts {
    return this.#chunkOf(place).facts(this.#rowOf(place));
  }

  bodyAt(place: number): TaskBody | undefined {
    return this.#chunkOf(place).body(this.#rowOf(place));
  }

  resultAt(place: number): string | undefined {
    return this.#chunkOf(place).results[this.#rowOf(place)];
  }

  /** One place comes right after the other in the list that both stand in. */
  link(earlier: number, later: number): void {
    this.#chunkOf(earlier).setNumber(this.#rowOf(earlier), LATER, later);
    this.#chunkOf(later).setNumber(this.#rowOf(later), EARLIER, earlier);
  }

  earlierThan(place: number): number {
    return this.#numberAt(place, EARLIER);
  }

  laterThan(place: number): number {
    return this.#numberAt(place, LATER);
  }

  /** Lets go of the chunks in which every place is before this one. */
  cutBefore(place: number): void {
    while (this.#start + ROWS <= place) {
      this.#worn = this.#chunks.shift();
      this.#start += ROWS;
    }
  }

  /** Nothing is empty any more: those that are left move up, in their order. */
  closeRanks(): void {
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#start = 0;
    this.#end = 0;
    for (const chunk of chunks) {
      for (let row = 0; row < ROWS; row++) {
        if (chunk.ids[row] === undefined) continue;
        const place = this.#take();
        this.#chunkOf(place).copy(this.#rowOf(place), chunk, row);
      }
    }
  }

  #take(): number {
    if (this.#end - this.#start === this.#chunks.length * ROWS) this.#grow();
    this.#end += 1;
    return this.#end - 1;
  }

  #grow(): void {
    this.#chunks.push(new SettledChunk(this.#worn));
    this.#worn = undefined;
  }

  #chunkOf(place: number): SettledChunk {
    return this.#chunks[Math.trunc((place - this.#start) / ROWS)] as SettledChunk;
  }

  #rowOf(place: number): number {
    return (place - this.#start) % ROWS;
  }

  #numberAt(place: number, which: number): number {
    return this.#chunkOf(place).number(this.#rowOf(place), which);
  }
}
