/** A server in the foreground: says when it is ready, ends when it is told to or can't go on. */
import { systemClock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import { isLoopback, type ServerConfig } from "../config.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { createLog } from "./log.ts";
import type { Output } from "./output.ts";
import { openServer, type Server } from "./server.ts";
import { fields, shellQuoted } from "./text.ts";

/** From opening to the end; the process should exit with what it resolves with. */
export async function runServer(config: ServerConfig, output: Output): Promise<ExitCode> {
  const log = createLog({ json: output.json, clock: systemClock });
  for (const message of config.warnings) log({ level: "warn", event: "config.odd", message });
  if (!isLoopback(config.host)) {
    log({
      level: "warn",
      event: "http.insecure",
      host: config.host,
      message: "the key and all tasks go over the network unencrypted",
    });
  }
  const stopped = stopSignal();
  const { promise: failed, resolve: onFatal } = Promise.withResolvers<unknown>();
  const failure = failed.then((error) => {
    log({ level: "error", event: "server.failed", message: messageOf(error) });
    return EXIT.storeFailed;
  });
  const server = await Promise.race([openServer({ config, log, onFatal }), failure]);
  if (typeof server === "number") return server;
  announce(server, config, output);
  const end = await Promise.race([stopped, failure]);
  if (typeof end === "number") return end;
  log({ level: "info", event: "server.stopping", signal: end, drainMs: config.shutdown.drainMs });
  const closed = await Promise.race([server.close(), failure]);
  if (typeof closed === "number") return closed;
  log({ level: "info", event: "server.stopped" });
  return EXIT.ok;
}

/** npm gives on the SIGINT of Ctrl-C that the terminal has sent to us, too: one press, two signals. */
const ONE_PRESS_MS = 100;

/** Resolves at the first SIGTERM or SIGINT; the second ends the process at once. */
function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let first: { readonly signal: NodeJS.Signals; readonly atMs: number } | undefined;
    const stop = (signal: NodeJS.Signals): void => {
      const atMs = systemClock.monotonic();
      if (first === undefined) {
        first = { signal, atMs };
        resolve(signal);
        return;
      }
      const echo = signal === "SIGINT" && first.signal === "SIGINT" && atMs - first.atMs < ONE_PRESS_MS;
      if (!echo) process.exit(signal === "SIGINT" ? EXIT.interrupted : EXIT.terminated);
    };
    process.on("SIGTERM", stop);
    process.on("SIGINT", stop);
  });
}

function announce({ url, keyFile }: Server, config: ServerConfig, output: Output): void {
  output.data({ url, keyFile, pid: process.pid }, () => welcome(url, keyFile, config));
}

function welcome(url: string, keyFile: string, { auth, pools }: ServerConfig): string {
  const facts = fields([
    ["url", url],
    ["key file", keyFile],
    ["pools", pools.length === 0 ? "none yet" : pools.map(({ id }) => id).join(", ")],
  ]);
  const [first] = pools;
  const post = (path: string, body: unknown): string =>
    curl(`${url}${path}`, auth === "off" ? undefined : keyFile, body);
  const make =
    first === undefined
      ? `Make a pool for agents that fetch their work:\n  ${post("/v1/pools", { id: "demo" })}\n`
      : "";
  const submit = post(`/v1/pools/${first?.id ?? "demo"}/tasks`, { prompt: "Say hello." });
  return `troupe is ready.\n${facts}\n\n${make}Submit a task:\n  ${submit}`;
}

/** The key stays in its file, so that neither the screen nor the shell's history has it. */
function curl(url: string, keyFile: string | undefined, body: unknown): string {
  const authorization = keyFile === undefined ? "" : ` -H "Authorization: Bearer $(cat ${shellQuoted(keyFile)})"`;
  return `curl -sS ${shellQuoted(url)}${authorization} -H 'Content-Type: application/json' -d ${shellQuoted(JSON.stringify(body))}`;
}
