/** One who listens to events as they happen: a bounded buffer between the engine and a reader of any pace. */

/** One event, ready to be sent. */
export interface EventFrame {
  /** Its own number; notices have none. */
  readonly seq: number | undefined;
  readonly type: string;
  /** JSON text on one line. */
  readonly data: string;
  readonly bytes: number;
}

/** 1 MB may wait for a reader; one that is slower is dropped, and comes back with its last number. */
export const BUFFER_LIMIT_BYTES = 1_048_576;

export function frameOf(type: string, data: string, seq?: number): EventFrame {
  return { seq, type, data, bytes: Buffer.byteLength(data) };
}

export class EventListener {
  /** Events up to this number are not for it. */
  afterSeq = 0;
  #waiting: EventFrame[] = [];
  #bytes = 0;
  #isOver = false;
  #isGivenUp = false;
  #wake: () => void = () => {};

  get isOver(): boolean {
    return this.#isOver;
  }

  /** False once it has been dropped, because its reader is too slow. */
  push(frame: EventFrame): boolean {
    if (this.#isOver) return false;
    if (frame.seq !== undefined && frame.seq <= this.afterSeq) return true;
    this.#bytes += frame.bytes;
    if (this.#bytes > BUFFER_LIMIT_BYTES) {
      this.#waiting = [];
      this.end();
      return false;
    }
    this.#waiting.push(frame);
    this.#wake();
    return true;
  }

  /** What has been pushed, until the end. */
  async *frames(): AsyncGenerator<EventFrame> {
    for (;;) {
      const frames = this.#waiting;
      this.#waiting = [];
      for (const frame of frames) {
        if (this.#isGivenUp) return;
        this.#bytes -= frame.bytes;
        yield frame;
      }
      if (this.#waiting.length > 0) continue;
      if (this.#isOver) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Its reader wants no more, not even what is there. */
  giveUp(): void {
    this.#waiting = [];
    this.#isGivenUp = true;
    this.end();
  }

  /** No more comes; what is there may still be read. */
  end(): void {
    this.#isOver = true;
    this.#wake();
  }
}
