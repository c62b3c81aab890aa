/**
 * One HTTP request to a daemon on this machine.
 *
 * Built on `node:http` and not on `fetch`: each incarnation of a daemon has its own pool of connections, an answer may
 * take hours (`fetch` gives up after five minutes), and the end of a torn-down request can be awaited.
 */
import { type Agent, type IncomingHttpHeaders, type IncomingMessage, request as open } from "node:http";
import { LOOPBACK } from "./port.ts";

export interface HttpCall {
  readonly port: number;
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  /** `false` opens a connection for this request alone. */
  readonly agent: Agent | false;
  /** A longer body is not read to its end. Bytes. */
  readonly limitBytes: number;
}

export interface HttpAnswer {
  readonly name: "answered";
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** How a request ends. `idle`: it broke on a kept connection before a byte of an answer came. */
export type HttpEnd =
  | HttpAnswer
  | { readonly name: "too_large"; readonly status: number; readonly headers: IncomingHttpHeaders }
  | { readonly name: "broken"; readonly message: string; readonly idle: boolean }
  | { readonly name: "aborted" };

/** Sends it; resolves when nothing of it is left, never rejects. */
export function httpCall(call: HttpCall, signal: AbortSignal): Promise<HttpEnd> {
  if (signal.aborted) return Promise.resolve({ name: "aborted" });
  return new Promise((resolve) => {
    try {
      send(call, signal, resolve);
    } catch (thrown) {
      // A path or a header that HTTP does not allow.
      resolve({ name: "broken", message: String(thrown), idle: false });
    }
  });
}

function send(call: HttpCall, signal: AbortSignal, resolve: (end: HttpEnd) => void): void {
  const { port, method, path, agent, body, limitBytes } = call;
  const headers = body === undefined ? call.headers : { ...call.headers, ...describe(body) };
  const request = open({ host: LOOPBACK, port, method, path, headers, agent });
  let end: HttpEnd | undefined;
  const finish = (first: HttpEnd): void => {
    end ??= first;
    if (first.name !== "answered") request.destroy();
  };
  const abort = (): void => finish({ name: "aborted" });
  const onBreak = (message: string, answered: boolean): void =>
    finish({ name: "broken", message, idle: request.reusedSocket && !answered });

  signal.addEventListener("abort", abort, { once: true });
  request.on("response", (response) => {
    read(response, limitBytes, finish, (message) => onBreak(message, true));
  });
  request.on("error", (error) => onBreak(error.message, false));
  request.on("close", () => {
    signal.removeEventListener("abort", abort);
    resolve(end ?? { name: "broken", message: "the connection was closed without an answer", idle: false });
  });
  request.end(body);
}

function describe(body: string): Record<string, string> {
  return { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) };
}

function read(
  response: IncomingMessage,
  limitBytes: number,
  finish: (end: HttpEnd) => void,
  onBreak: (message: string) => void,
): void {
  const status = response.statusCode ?? 0;
  const chunks: Buffer[] = [];
  let bytes = 0;
  response.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > limitBytes) finish({ name: "too_large", status, headers: response.headers });
    else chunks.push(chunk);
  });
  response.on("error", (error) => onBreak(error.message));
  response.on("end", () => {
    if (response.complete) finish({ name: "answered", status, headers: response.headers, body: Buffer.concat(chunks) });
    else onBreak("the connection was closed within the answer");
  });
}
