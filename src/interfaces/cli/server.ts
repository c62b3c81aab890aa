/** A server process: data directory, key, store, engine and HTTP, opened in this order and closed in reverse. */
import { accessSync, constants, mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { isPoolError, messageOf, PoolError } from "../../base/errors.ts";
import { type Entropy, systemEntropy } from "../../base/random.ts";
import { openEngine } from "../../engine/open.ts";
import type { Engine } from "../../engine/troupe.ts";
import { openStore } from "../../stores/open.ts";
import type { ServerConfig } from "../config.ts";
import { type HttpServer, serveHttp } from "../http/server.ts";
import { CliError } from "./cli-error.ts";
import { ensureKey, keyFileOf } from "./key-file.ts";
import type { Log } from "./log.ts";

export interface ServerOptions {
  readonly config: ServerConfig;
  readonly log: Log;
  /** The engine can't go on: the process should end. */
  readonly onFatal: (error: unknown) => void;
  readonly entropy?: Entropy;
}

export interface Server {
  readonly url: string;
  readonly keyFile: string;
  /** Takes no new work, lets what runs finish for at most `shutdown.drainMs`, then stops everything. */
  close(): Promise<void>;
}

/**
 * Opens everything; when it rejects, nothing is left open.
 *
 * @throws CliError `data_unwritable`, `address_taken`; PoolError of the store or the engine, such as `store_locked`
 */
export async function openServer({ config, log, onFatal, entropy = systemEntropy }: ServerOptions): Promise<Server> {
  const { host, port, data, auth } = config;
  makeDataDirectory(data);
  const store = await openStore(config.store, { dataDir: data, events: config.events });
  let engine: Engine;
  const keyFile = keyFileOf(data);
  let key: string;
  try {
    key = ensureKey(keyFile, entropy);
    // Before the engine starts a task, because a start that is refused must not disturb any.
    await checkAddress(host, port);
    const { pools, limits, routing } = config;
    engine = await openEngine({ store, dataDir: data, pools, limits, routing, log, onFatal });
  } catch (error) {
    await store.close();
    throw config.file !== undefined && isPoolError(error, "invalid") ? wrongInFile(config.file, error) : error;
  }
  let http: HttpServer;
  try {
    http = await serveHttp({ engine, host, port, auth: auth === "off" ? "off" : { key }, log });
  } catch (error) {
    await engine.close({ drainMs: 0 });
    throw isPoolError(error, "start_failed") ? addressTaken(host, port, error) : error;
  }
  return {
    url: http.url,
    keyFile,
    close: async () => {
      // Agents on other machines report their results over HTTP while the engine drains.
      await engine.close({ drainMs: config.shutdown.drainMs });
      await http.close();
    },
  };
}

/** What shows only when a pool is made, such as a program that is not installed. */
function wrongInFile(file: string, error: PoolError): PoolError {
  return new PoolError("config_invalid", `${file}: ${error.message}`, {
    cause: error,
    details: { ...error.details, file },
  });
}

function makeDataDirectory(data: string): void {
  try {
    mkdirSync(data, { recursive: true, mode: 0o700 });
    accessSync(data, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const reason =
      code === "EEXIST" || code === "ENOTDIR" ? "there is a file of this name in its path" : messageOf(cause);
    throw new CliError("data_unwritable", `the data directory ${data} can't be used: ${reason}`, {
      cause,
      details: { data, reason: code },
    });
  }
}

/** Listens once, for a moment. */
function checkAddress(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const trial = createServer();
    trial.once("error", (cause) => reject(addressTaken(host, port, cause)));
    trial.listen({ host, port, exclusive: true }, () => trial.close(() => resolve()));
  });
}

function addressTaken(host: string, port: number, cause: Error): CliError {
  const code = (cause as NodeJS.ErrnoException).code;
  const reason = code === "EADDRINUSE" ? "it is in use" : messageOf(cause);
  return new CliError("address_taken", `can't listen on port ${port} of ${host}: ${reason}`, {
    cause,
    details: { host, port, reason: code },
  });
}
