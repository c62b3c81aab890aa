/** `troupe logs`: what an agent has written, and with `--follow` what it goes on to write. */
import type { Command } from "commander";
import { sleep, systemClock } from "../../../base/clock.ts";
import type { LogPage } from "../../../engine/troupe.ts";
import { agentCalled, agentPath } from "../agents-of.ts";
import { clientCommand, connect } from "../connect.ts";
import { printable } from "../text.ts";

/** Between two questions for more. Milliseconds. */
const PAUSE_MS = 500;

export function logsCommand(): Command {
  return clientCommand("logs", "print what an agent has written, the last 64 KB of it")
    .argument("<agent>", "its id, or its name where that is unique")
    .option("--pool <pool>", "the agent's pool")
    .option("-f, --follow", "go on with what it writes, until interrupted")
    .action(async (name: string, { pool, follow = false }: { pool?: string; follow?: boolean }, command: Command) => {
      const { client, output } = connect(command);
      const path = `${agentPath(await agentCalled(client, name, pool))}/logs`;
      // Followed, a line is printed once it is whole.
      const read = (after?: number): Promise<LogPage> => client.get(path, { query: { after } });
      if (!follow) {
        const page = await read();
        output.data(page, () => text(page));
        return;
      }
      for (let page = await read(0); ; page = await read(page.next)) {
        if (output.json) for (const line of page.lines) output.data({ line }, () => "");
        else output.data(page, () => text(page));
        await sleep(systemClock, PAUSE_MS);
      }
    });
}

function text({ lines }: LogPage): string {
  return lines.map((line) => printable(line)).join("\n");
}
