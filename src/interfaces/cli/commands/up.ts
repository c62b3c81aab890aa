/** `troupe up`: runs a server in the foreground until it is told to stop. */
import { Command } from "commander";
import { PoolError } from "../../../base/errors.ts";
import { isLoopback, loadConfig, SERVER_DEFAULTS, type ServerConfig } from "../../config.ts";
import { JSON_OPTION } from "../connect.ts";
import { outputOf } from "../output.ts";

interface UpOptions {
  readonly host?: string;
  readonly port?: string;
  readonly data?: string;
  readonly store?: string;
  readonly auth?: string;
  readonly config?: string;
  readonly insecureHttp?: true;
}

export function upCommand(): Command {
  return new Command("up")
    .description("run a server in the foreground")
    .option("--port <port>", `port to listen on; 0 picks one (TROUPE_PORT; ${SERVER_DEFAULTS.port})`)
    .option("--host <host>", `address to listen on (TROUPE_HOST; ${SERVER_DEFAULTS.host})`)
    .option("--data <dir>", `data directory (TROUPE_DATA; ${SERVER_DEFAULTS.data})`)
    .option("--store <url>", `memory: or sqlite:FILE (TROUPE_STORE; ${SERVER_DEFAULTS.store}, in the data directory)`)
    .option("--config <file>", "configuration (TROUPE_CONFIG; ./troupe.yaml if it exists)")
    .option("--auth <mode>", "off: ask for no key, on a loopback address only (TROUPE_AUTH; key)")
    .option("--insecure-http", "listen on other than loopback addresses without TLS")
    .option(...JSON_OPTION)
    .action(async (options: UpOptions, command: Command) => {
      const { config: file, insecureHttp, ...flags } = options;
      const config = loadConfig({ file, env: process.env, flags });
      checkExposure(config, { insecureHttp: insecureHttp === true });
      // Loaded only here, so that clients do not wait for engine, store and HTTP.
      const { runServer } = await import("../server-process.ts");
      process.exit(await runServer(config, outputOf(command)));
    });
}

function checkExposure({ host }: ServerConfig, { insecureHttp }: { insecureHttp: boolean }): void {
  if (isLoopback(host) || insecureHttp) return;
  throw new PoolError(
    "config_invalid",
    `${host} is not a loopback address, and without TLS the key and all tasks could be read on the way: --insecure-http allows it`,
    { details: { path: "server.host", host } },
  );
}
