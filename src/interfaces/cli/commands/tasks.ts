/** `troupe tasks`: a list of tasks. */
import type { Command } from "commander";
import type { Page, TaskView } from "../../../engine/view.ts";
import { clientCommand, connect, wholeNumber } from "../connect.ts";
import { taskTable } from "../task-text.ts";

const PAGE_LIMIT = 1_000;

interface TasksOptions {
  readonly pool?: string;
  readonly status?: string;
  readonly type?: string;
  readonly limit?: number;
  readonly all?: true;
}

export function tasksCommand(): Command {
  return clientCommand("tasks", "list tasks in the order of their admission")
    .option("--pool <pool>", "only of this pool")
    .option("--status <status>", "only pending, assigned, in_progress, completed, failed or cancelled ones")
    .option("--type <type>", "only of this type")
    .option("--limit <count>", "at most so many (100)", wholeNumber({ min: 1, max: PAGE_LIMIT }))
    .option("--all", "every page of the list")
    .action(async (options: TasksOptions, command: Command) => {
      const { client, output } = connect(command);
      const { pool, status, type, all } = options;
      const limit = options.limit ?? (all ? PAGE_LIMIT : undefined);
      const items: TaskView[] = [];
      let cursor: string | undefined;
      do {
        const page: Page<TaskView> = await client.get("/v1/tasks", { query: { pool, status, type, limit, cursor } });
        items.push(...page.items);
        cursor = page.nextCursor;
      } while (all && cursor !== undefined);
      output.data({ items, ...(cursor === undefined ? {} : { nextCursor: cursor }) }, () => taskTable(items));
      if (cursor !== undefined) output.note("There are more: --all lists every one.");
    });
}
