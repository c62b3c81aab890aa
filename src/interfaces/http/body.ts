/** Reads request bodies: bounded in size and depth, JSON objects only. */
import type { IncomingMessage } from "node:http";
import { invalid, messageOf, PoolError } from "../../base/errors.ts";
import { type AppContext, nodeOf } from "./context.ts";

/** Bytes of a request: what one task may have. */
export const BODY_LIMIT_BYTES = 1_048_576;
/** Bytes of a batch. */
export const BATCH_LIMIT_BYTES = 16 * BODY_LIMIT_BYTES;
/** Bytes of a report with a result: a result at its limit, and what stands around it. */
export const RESULT_LIMIT_BYTES = 16 * BODY_LIMIT_BYTES + 1_024;
/** Objects and arrays inside each other, the body itself being the first. */
export const DEPTH_LIMIT = 32;

export type JsonObject = Record<string, unknown>;

export interface BodyOptions {
  readonly limitBytes?: number;
  /** No body at all is as good as `{}`. */
  readonly optional?: boolean;
}

/**
 * The body of a request.
 *
 * @throws PoolError `too_large` once more than the limit came (or was announced), `malformed` when it is not JSON,
 * `invalid` with its path for JSON of another shape, nested deeper than 32, or with a `__proto__` key
 */
export async function readBody(
  c: AppContext,
  { limitBytes = BODY_LIMIT_BYTES, optional = false }: BodyOptions = {},
): Promise<JsonObject> {
  const announced = Number(c.req.header("content-length") ?? 0);
  if (announced > limitBytes) throw tooLarge(limitBytes);
  const { incoming } = nodeOf(c);
  const bytes = await (incoming === undefined
    ? readStream(c.req.raw.body, limitBytes)
    : readNode(incoming, limitBytes));
  if (bytes.byteLength === 0 && optional) return {};
  const value = parseJson(bytes);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new PoolError("invalid", "the body: expected a JSON object", { details: { path: "" } });
  }
  const flaw = findFlaw(value, 1);
  if (flaw !== undefined) throw invalid(flaw.path, flaw.message);
  return value as JsonObject;
}

/** Reads by events, not by iteration: leaving an iteration would break the connection that the refusal goes out on. */
function readNode(incoming: IncomingMessage, limitBytes: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    const finish = (settle: () => void): void => {
      incoming.off("data", onData).off("end", onEnd).off("error", onGone).off("close", onGone);
      settle();
    };
    const onData = (chunk: Uint8Array): void => {
      size += chunk.byteLength;
      if (size <= limitBytes) {
        chunks.push(chunk);
        return;
      }
      finish(() => reject(tooLarge(limitBytes)));
    };
    const onEnd = (): void => finish(() => resolve(joined(chunks)));
    const onGone = (): void => finish(() => reject(new PoolError("malformed", "the body ended too early")));
    if (incoming.destroyed) onGone();
    else incoming.on("data", onData).on("end", onEnd).on("error", onGone).on("close", onGone);
  });
}

async function readStream(stream: ReadableStream<Uint8Array> | null, limitBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream ?? []) {
    size += chunk.byteLength;
    if (size > limitBytes) throw tooLarge(limitBytes);
    chunks.push(chunk);
  }
  return joined(chunks);
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const [only] = chunks;
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks);
}

function tooLarge(limitBytes: number): PoolError {
  return new PoolError("too_large", `the body: at most ${limitBytes} bytes are taken`, { details: { limitBytes } });
}

const decoder = new TextDecoder("utf-8", { fatal: true });

function parseJson(bytes: Uint8Array): unknown {
  if (bytes.byteLength === 0) throw new PoolError("malformed", "expected a JSON object, got no body");
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch (cause) {
    throw new PoolError("malformed", `the body is not JSON: ${messageOf(cause)}`, { cause });
  }
}

interface Flaw {
  readonly path: string;
  readonly message: string;
}

/** The first place that is nested too deep or has a key that would reach for a prototype. */
function findFlaw(value: object, depth: number): Flaw | undefined {
  if (depth > DEPTH_LIMIT) return { path: "", message: `nested deeper than ${DEPTH_LIMIT}` };
  const list = Array.isArray(value);
  for (const [key, child] of Object.entries(value)) {
    if (key === "__proto__") return { path: key, message: "this key is not taken" };
    if (typeof child !== "object" || child === null) continue;
    const flaw = findFlaw(child, depth + 1);
    if (flaw !== undefined) return { path: join(list ? `[${key}]` : key, flaw.path), message: flaw.message };
  }
  return undefined;
}

function join(step: string, rest: string): string {
  return rest === "" || rest.startsWith("[") ? `${step}${rest}` : `${step}.${rest}`;
}
