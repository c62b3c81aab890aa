/** `troupe schedules`: all schedules, and when they are due. */
import type { Command } from "commander";
import type { Page, ScheduleView } from "../../../engine/view.ts";
import { clientCommand, connect } from "../connect.ts";
import { table } from "../text.ts";

export function schedulesCommand(): Command {
  return clientCommand("schedules", "list schedules and when they are due").action(
    async (_options: object, command: Command) => {
      const { client, output } = connect(command);
      const items: ScheduleView[] = [];
      let cursor: string | undefined;
      do {
        const page: Page<ScheduleView> = await client.get("/v1/schedules", { query: { limit: 1_000, cursor } });
        items.push(...page.items);
        cursor = page.nextCursor;
      } while (cursor !== undefined);
      output.data({ items }, () => scheduleTable(items));
    },
  );
}

function scheduleTable(schedules: readonly ScheduleView[]): string {
  return table(
    ["SCHEDULE", "CRON", "ZONE", "TO", "NEXT", "FIRED", "LAST ERROR"],
    schedules.map(({ id, cron, timezone, pool, selector, paused, nextAt, fired, lastError }) => [
      id,
      cron,
      timezone,
      selector ?? pool ?? "",
      paused ? "paused" : (nextAt ?? "never"),
      String(fired),
      lastError?.message ?? "",
    ]),
  );
}
