/** `troupe key`: the key of a server on this machine. */
import { Command } from "commander";
import { PoolError } from "../../../base/errors.ts";
import { dataDirectory } from "../../config.ts";
import { JSON_OPTION } from "../connect.ts";
import { keyFileOf, readKey } from "../key-file.ts";
import { outputOf } from "../output.ts";

export function keyCommand(): Command {
  return new Command("key")
    .description("print the key of a server on this machine")
    .option("--data <dir>", "its data directory (TROUPE_DATA; ./.troupe)")
    .option(...JSON_OPTION)
    .action((options: { data?: string }, command: Command) => {
      const keyFile = keyFileOf(dataDirectory(options.data, process.env));
      const key = readKey(keyFile);
      if (key === undefined) {
        throw new PoolError(
          "not_found",
          `there is no key file ${keyFile}: \`troupe up\` makes it, --data or TROUPE_DATA names another directory`,
          {
            details: { keyFile },
          },
        );
      }
      outputOf(command).data({ key, keyFile }, () => key);
    });
}
