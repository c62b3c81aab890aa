/** `troupe gates`: all gates, and what they hold. */
import type { Command } from "commander";
import type { GateView, Page } from "../../../engine/view.ts";
import { clientCommand, connect } from "../connect.ts";
import { table } from "../text.ts";

export function gatesCommand(): Command {
  return clientCommand("gates", "list gates and the types that they hold").action(
    async (_options: object, command: Command) => {
      const { client, output } = connect(command);
      const items: GateView[] = [];
      let cursor: string | undefined;
      do {
        const page: Page<GateView> = await client.get("/v1/gates", { query: { limit: 1_000, cursor } });
        items.push(...page.items);
        cursor = page.nextCursor;
      } while (cursor !== undefined);
      output.data({ items }, () => gateTable(items));
    },
  );
}

function gateTable(gates: readonly GateView[]): string {
  return table(
    ["GATE", "STATE", "HOLDS", "SINCE", "REASON"],
    gates.map(({ name, available, holds, changedAt, reason }) => [
      name,
      available ? "open" : "closed",
      holds.join(", "),
      changedAt,
      reason ?? "",
    ]),
  );
}
