/**
 * Events for whoever listens: what is stored first, then what happens, without a gap and without a double.
 *
 * Those who listen cost nothing while nobody does. A reader catches up from the store at its own pace; at the head it
 * joins those who are told at once, each with a bounded buffer.
 */
import { PoolError } from "../base/errors.ts";
import type { TaskId } from "../base/ids.ts";
import { type DurableEvent, isDurable, type Notice } from "../core/event.ts";
import type { Store } from "../stores/store.ts";
import { type EventFrame, EventListener, frameOf } from "./event-listener.ts";
import { eventText, shownAs, taskOfEvent } from "./event-view.ts";
import type { Happened } from "./loop.ts";

/** Listeners at a time. */
export const LISTENER_LIMIT = 256;
/** Events that are read from the store at a time. */
const PAGE = 200;

export interface ListenOptions {
  /** Of the last event that the listener has; absent: only what happens from now on. */
  readonly afterSeq?: number | undefined;
  /** Ends the listening. */
  readonly signal?: AbortSignal | undefined;
}

interface Listening {
  readonly listener: EventListener;
  readonly taskId: TaskId | undefined;
}

export class EventHub {
  readonly #store: Pick<Store, "events">;
  /** All who listen, those that still catch up included. */
  readonly #all = new Set<Listening>();
  /** Those who are told at once. */
  readonly #live = new Set<Listening>();
  /** Number of the last event that has been told. */
  #toldSeq: number;
  #isClosed = false;

  /** @param lastSeq - of the last event that the store has */
  constructor(store: Pick<Store, "events">, lastSeq: number) {
    this.#store = store;
    this.#toldSeq = lastSeq;
  }

  get size(): number {
    return this.#all.size;
  }

  /** What has happened in a turn, once it is stored. */
  publish({ events, firstSeq, lastSeq, atMs }: Happened): void {
    this.#toldSeq = lastSeq;
    if (this.#live.size === 0) return;
    let seq = firstSeq;
    for (const event of events) {
      if (isDurable(event)) {
        this.#tell(event, { seq, atMs });
        seq += 1;
      } else this.#tell(event, { atMs });
    }
  }

  #tell(event: DurableEvent | Notice, place: { seq?: number; atMs: number }): void {
    const taskId = taskOfEvent(event);
    let frame: EventFrame | undefined;
    for (const listening of this.#live) {
      if (listening.taskId !== undefined && listening.taskId !== taskId) continue;
      frame ??= frameOf(shownAs(event.type), eventText(event, place), place.seq);
      if (!listening.listener.push(frame)) this.#live.delete(listening);
    }
  }

  /**
   * Listens from now on; to one task, or to everything. Ends when the signal is aborted, at once; when the engine
   * closes, or the reader is too slow, after what is there for it. `gap` stands where events are missing: they are not
   * kept any more, or never were.
   *
   * @throws PoolError `no_capacity` when too many listen
   */
  listen({ afterSeq, signal }: ListenOptions, taskId?: TaskId): AsyncGenerator<EventFrame> {
    if (this.#isClosed) throw new PoolError("shutting_down", "the engine is closing", { retryable: true });
    if (this.#all.size >= LISTENER_LIMIT) {
      throw new PoolError("no_capacity", `${LISTENER_LIMIT} listen already`, { retryable: true });
    }
    const listening: Listening = { listener: new EventListener(), taskId };
    const end = (): void => {
      signal?.removeEventListener("abort", abort);
      this.#all.delete(listening);
      this.#live.delete(listening);
      listening.listener.end();
    };
    const abort = (): void => {
      listening.listener.giveUp();
      end();
    };
    this.#all.add(listening);
    if (afterSeq === undefined) this.#live.add(listening);
    signal?.addEventListener("abort", abort, { once: true });
    if (signal?.aborted) abort();
    const frames = this.#frames(listening, afterSeq, end);
    const giveUp = frames.return.bind(frames);
    // A generator that nobody has asked yet would not notice that it is given up.
    frames.return = (value) => {
      end();
      return giveUp(value);
    };
    return frames;
  }

  async *#frames(listening: Listening, afterSeq: number | undefined, end: () => void): AsyncGenerator<EventFrame> {
    try {
      if (afterSeq !== undefined) yield* this.#past(listening, afterSeq);
      yield* listening.listener.frames();
    } finally {
      end();
    }
  }

  /** Catches up from the store; at its end the listener is among those who are told at once. */
  async *#past(listening: Listening, afterSeq: number): AsyncGenerator<EventFrame> {
    const { listener, taskId } = listening;
    let position = afterSeq;
    if (position > this.#toldSeq) {
      yield gap(position, this.#toldSeq + 1);
      position = this.#toldSeq;
    }
    while (!listener.isOver) {
      const toldSeq = this.#toldSeq;
      const page = await this.#store.events(position, PAGE);
      const nextSeq = page[0]?.seq ?? Math.max(position, toldSeq) + 1;
      if (nextSeq > position + 1) yield gap(position, nextSeq);
      position = Math.max(position, nextSeq - 1);
      for (const { seq, atMs, event } of page) {
        position = seq;
        if (listener.isOver) return;
        if (taskId !== undefined && taskOfEvent(event) !== taskId) continue;
        yield frameOf(shownAs(event.type), eventText(event, { seq, atMs }), seq);
      }
      // Nothing is awaited between this and the joining, so nothing is told in between.
      if (page.length > 0 || position < this.#toldSeq || listener.isOver) continue;
      listener.afterSeq = position;
      this.#live.add(listening);
      return;
    }
  }

  /** The store has more than was told here: who listens comes back with its last number, and catches up. */
  skipTo(lastSeq: number): void {
    this.#toldSeq = lastSeq;
    for (const { listener } of this.#all) listener.end();
  }

  /** Ends all listening. Safe to call twice. */
  close(): void {
    this.#isClosed = true;
    for (const { listener } of this.#all) listener.end();
    this.#all.clear();
    this.#live.clear();
  }
}

/** Events between these two are missing; the next to come is not before `nextSeq`. */
function gap(afterSeq: number, nextSeq: number): EventFrame {
  return frameOf("gap", JSON.stringify({ type: "gap", after: afterSeq, next: nextSeq }));
}
