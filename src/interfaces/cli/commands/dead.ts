/** `troupe dead`: the dead letters, listed or discarded. */
import type { Command } from "commander";
import type { Page, TaskView } from "../../../engine/view.ts";
import { clientCommand, connect, wholeNumber } from "../connect.ts";
import { describeTask, taskTable } from "../task-text.ts";

const PAGE_LIMIT = 1_000;

interface DeadOptions {
  readonly pool?: string;
  readonly limit?: number;
  readonly all?: true;
  readonly discard?: string;
}

export function deadCommand(): Command {
  return clientCommand("dead", "list the dead letters: failed tasks that can be replayed")
    .option("--pool <pool>", "only of this pool")
    .option("--limit <count>", "at most so many (100)", wholeNumber({ min: 1, max: PAGE_LIMIT }))
    .option("--all", "every page of the list")
    .option("--discard <id>", "let go of one instead: it stays failed")
    .action(async (options: DeadOptions, command: Command) => {
      const { client, output } = connect(command);
      const { pool, all, discard } = options;
      if (discard !== undefined) {
        const task = await client.delete<TaskView>(`/v1/dead-letters/${encodeURIComponent(discard)}`);
        output.data(task, () => describeTask(task));
        return;
      }
      const limit = options.limit ?? (all ? PAGE_LIMIT : undefined);
      const items: TaskView[] = [];
      let cursor: string | undefined;
      do {
        const page: Page<TaskView> = await client.get("/v1/dead-letters", { query: { pool, limit, cursor } });
        items.push(...page.items);
        cursor = page.nextCursor;
      } while (all && cursor !== undefined);
      output.data({ items, ...(cursor === undefined ? {} : { nextCursor: cursor }) }, () => taskTable(items));
      if (cursor !== undefined) output.note("There are more: --all lists every one.");
    });
}
