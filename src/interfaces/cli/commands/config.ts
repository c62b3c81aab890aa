/** `troupe config`: what a server started here would run with. */
import { Command } from "commander";
import { stringify } from "yaml";
import { resolvePool } from "../../../engine/options/pool.ts";
import { EVENT_LIMITS, eventLimits } from "../../../stores/event-limits.ts";
import { loadConfig, type ServerConfig } from "../../config.ts";
import { configFileSchema } from "../../config-file.ts";
import { JSON_OPTION } from "../connect.ts";
import { outputOf } from "../output.ts";

export function configCommand(): Command {
  return new Command("config")
    .description("check the configuration and print what is in effect, with all defaults")
    .option("--file <file>", "the file (TROUPE_CONFIG; ./troupe.yaml if it exists)")
    .option("--schema", "print the JSON Schema of the file instead")
    .option(...JSON_OPTION)
    .action((options: { file?: string; schema?: true }, command: Command) => {
      const output = outputOf(command);
      if (options.schema === true) {
        const schema = configFileSchema();
        output.data(schema, () => JSON.stringify(schema, undefined, 2));
        return;
      }
      const config = loadConfig({ file: options.file, env: process.env });
      for (const warning of config.warnings) output.warning(warning);
      const shown = shownConfig(config);
      output.data(shown, () => stringify(shown).trimEnd());
    });
}

/** In the shape of the file, complete, without secrets. */
function shownConfig({ file, host, port, auth, data, store, shutdown, limits, events, pools }: ServerConfig): unknown {
  const complete = pools.map((pool) => resolvePool(pool, () => "", limits));
  const shown = {
    ...(file === undefined ? {} : { file }),
    server: {
      host,
      port,
      auth,
      data,
      store: withoutPassword(store),
      shutdown,
      limits,
      events: eventLimits(EVENT_LIMITS, events),
    },
    pools: complete,
  };
  // Through JSON, so that what is undefined is not there.
  return JSON.parse(JSON.stringify(shown, hideSecret));
}

const SECRET_NAME = /token|secret|passw|api_?key|credential|auth(?!or)/i;
const HIDDEN = "(hidden)";

function hideSecret(name: string, value: unknown): unknown {
  if (name === "auth" && (value === "key" || value === "off")) return value;
  return typeof value === "string" && SECRET_NAME.test(name) ? HIDDEN : value;
}

function withoutPassword(store: string): string {
  const url = URL.parse(store);
  if (url === null || url.password === "") return store;
  url.password = HIDDEN;
  return url.href;
}
