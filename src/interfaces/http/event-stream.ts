/** Server-sent events: an answer that goes on until the client leaves, the server closes, or the reader is too slow. */
import { type Clock, systemClock } from "../../base/clock.ts";
import { invalid } from "../../base/errors.ts";
import type { EventFrame } from "../../engine/event-listener.ts";
import type { AppContext } from "./context.ts";

/** 15 s: below the half minute after which many a proxy gives up a silent connection. */
export const HEARTBEAT_MS = 15_000;
/** How long a client is asked to wait before it comes back. Milliseconds. */
const RETRY_MS = 1_000;

/** @throws PoolError `invalid` */
export function lastEventId(c: AppContext): number | undefined {
  const given = c.req.header("last-event-id");
  if (given === undefined || given === "") return undefined;
  const seq = Number(given);
  if (/^\d{1,16}$/.test(given) && Number.isSafeInteger(seq)) return seq;
  throw invalid("Last-Event-ID", "expected the number of an event");
}

export interface StreamOptions {
  /** Ends the frames; aborted here once nobody reads any more. */
  readonly control: AbortController;
  /** The server's own end. */
  readonly closing: AbortSignal;
  readonly clock?: Clock | undefined;
}

export function eventStream(
  c: AppContext,
  frames: AsyncGenerator<EventFrame>,
  { control, closing, clock = systemClock }: StreamOptions,
): Response {
  const encoder = new TextEncoder();
  const sources = [c.req.raw.signal, closing];
  const stop = (): void => {
    for (const source of sources) source.removeEventListener("abort", stop);
    control.abort();
  };
  for (const source of sources) {
    source.addEventListener("abort", stop, { once: true });
    if (source.aborted) stop();
  }
  const beat = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    const timer = clock.timer(HEARTBEAT_MS, () => {
      control.signal.removeEventListener("abort", cancel);
      if (control.signal.aborted) return;
      // Whoever does not take what is there needs no sign of life.
      if ((controller.desiredSize ?? 0) > 0) controller.enqueue(encoder.encode(": heartbeat\n\n"));
      beat(controller);
    });
    const cancel = (): void => timer.cancel();
    control.signal.addEventListener("abort", cancel, { once: true });
  };
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      controller.enqueue(encoder.encode(`retry: ${RETRY_MS}\n\n`));
      beat(controller);
    },
    pull: async (controller) => {
      const { value, done } = await frames.next();
      if (!done) {
        controller.enqueue(encoder.encode(frameText(value)));
        return;
      }
      stop();
      controller.close();
    },
    cancel: async () => {
      stop();
      await frames.return(undefined);
    },
  });
  return c.body(body, 200, {
    "content-type": "text/event-stream; charset=utf-8",
    "x-accel-buffering": "no",
    // Its end is the end of the connection, so that a closing server has nothing left to wait for.
    connection: "close",
  });
}

function frameText({ seq, type, data }: EventFrame): string {
  return `${seq === undefined ? "" : `id: ${seq}\n`}event: ${type}\ndata: ${data}\n\n`;
}
