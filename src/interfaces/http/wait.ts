/** Requests that wait, and replies whose fate matters. */
import type { ServerResponse } from "node:http";
import type { AppContext } from "./context.ts";

/** Runs what waits with a signal that is aborted when the client goes away or the server closes. */
export async function waiting<T>(
  c: AppContext,
  closing: AbortSignal,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const stop = (): void => controller.abort();
  const sources = [c.req.raw.signal, closing];
  for (const source of sources) {
    if (source.aborted) stop();
    source.addEventListener("abort", stop, { once: true });
  }
  try {
    return await run(controller.signal);
  } finally {
    for (const source of sources) source.removeEventListener("abort", stop);
  }
}

/** Learns once what became of a reply. */
export interface ReplyFate {
  /** Handed to the socket whole. */
  written(): void;
  /** The connection has gone before. */
  broken(): void;
}

/** Follows the reply that is about to be sent. Without a socket, in memory, whoever asked has it at once. */
export function followReply(outgoing: ServerResponse | undefined, fate: ReplyFate): void {
  if (outgoing === undefined) {
    fate.written();
    return;
  }
  if (outgoing.destroyed || outgoing.closed) {
    fate.broken();
    return;
  }
  const settle = (told: () => void): void => {
    outgoing.off("finish", onFinish).off("close", onClose);
    told();
  };
  const onFinish = (): void => settle(() => fate.written());
  const onClose = (): void => settle(() => fate.broken());
  outgoing.on("finish", onFinish).on("close", onClose);
}
