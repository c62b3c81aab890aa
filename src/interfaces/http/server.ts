/** The HTTP door on a socket: limits, start and end of the server. */
import { createServer, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { systemClock } from "../../base/clock.ts";
import { messageOf, PoolError } from "../../base/errors.ts";
import type { LogEvent } from "../../engine/open.ts";
import type { Engine } from "../../engine/troupe.ts";
import { createApp } from "./app.ts";
import type { Auth } from "./auth.ts";
import { isLoopback } from "./origin.ts";
import { headersOf, problemOf } from "./problem.ts";

export interface ServeOptions {
  readonly engine: Engine;
  /** Address or name to listen on. */
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** `off` only on a loopback address. */
  readonly auth: Auth;
  /** How long `close` waits for answers. Milliseconds; 10 s when absent. */
  readonly closeMs?: number | undefined;
  readonly log?: ((event: LogEvent) => void) | undefined;
}

export interface HttpServer {
  /** Where it answers, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  /**
   * Takes no more connections, ends the waiting of requests that wait, and resolves once the running ones have been
   * answered; what isn't after `closeMs` is broken off. The engine stays open. Safe to call twice.
   */
  close(): Promise<void>;
}

const LIMITS = {
  maxHeaderSize: 16_384,
  /** For the head of a request. */
  headersTimeout: 10_000,
  /** For a whole request to arrive, 16 MB included; how long its answer takes is not meant. */
  requestTimeout: 120_000,
  /** Above the minute that proxies keep their connections, so that it's they who end them. */
  keepAliveTimeout: 75_000,
  connectionsCheckingInterval: 1_000,
};

/** 10 s: answers are due at once by then, and a client that is slow to send or to read gets as long as for a head. */
const CLOSE_MS = 10_000;

/** @throws PoolError `config_invalid` for `auth: "off"` on a public address, `start_failed` when it can't listen */
export async function serveHttp({
  engine,
  host,
  port,
  auth,
  closeMs = CLOSE_MS,
  log,
}: ServeOptions): Promise<HttpServer> {
  const loopback = isLoopback(authority(host));
  if (auth === "off" && !loopback) {
    throw new PoolError("config_invalid", `auth can be off on a loopback address only, not on ${host}`, {
      details: { path: "auth" },
    });
  }
  const closing = new AbortController();
  const app = createApp(engine, { auth, hosts: loopback ? "loopback" : "any", closing: closing.signal, log });
  const listener = getRequestListener(app.fetch, { errorHandler: badRequest });
  const silent = new Set<Socket>();
  const server = createServer(LIMITS, (incoming, outgoing) => {
    silent.delete(incoming.socket);
    void listener(incoming, outgoing);
  });
  server.on("connection", (socket) => {
    silent.add(socket);
    socket.once("close", () => silent.delete(socket));
  });
  const actualPort = await listen(server, host, port);
  server.on("error", (error) => log?.({ level: "error", event: "http.accept_failed", message: error.message }));

  let closed: Promise<void> | undefined;
  return {
    url: `http://${authority(host)}:${actualPort}`,
    port: actualPort,
    close: () => {
      closed ??= end(server, { closing, silent, closeMs });
      return closed;
    },
  };
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const onError = (cause: NodeJS.ErrnoException): void => {
      const reason = cause.code === "EADDRINUSE" ? "it is in use" : messageOf(cause);
      const message = `can't listen on port ${port} of ${host}: ${reason}`;
      reject(new PoolError("start_failed", message, { cause, details: { host, port, reason: cause.code } }));
    };
    server.once("error", onError);
    server.listen(port, host, () => {
      server.off("error", onError);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

interface Ending {
  readonly closing: AbortController;
  /** Connections that have not asked anything yet: Node doesn't count them among the idle ones. */
  readonly silent: ReadonlySet<Socket>;
  readonly closeMs: number;
}

function end(server: Server, { closing, silent, closeMs }: Ending): Promise<void> {
  return new Promise((resolve) => {
    const limit = systemClock.timer(closeMs, () => server.closeAllConnections());
    server.close(() => {
      limit.cancel();
      resolve();
    });
    for (const socket of silent) socket.destroy();
    closing.abort();
  });
}

/** For what is no request that routes could see: a target or a Host that is none. */
function badRequest(thrown: unknown): Response {
  const problem = problemOf(new PoolError("malformed", `this is no request for this server: ${messageOf(thrown)}`));
  return new Response(JSON.stringify(problem), { status: problem.status, headers: headersOf(problem) });
}

/** An address as it stands in a URL. */
function authority(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
