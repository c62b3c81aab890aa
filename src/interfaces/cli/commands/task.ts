/** `troupe task`: one task with its attempts. */
import type { Command } from "commander";
import type { TaskView } from "../../../engine/view.ts";
import { clientCommand, connect, LONGEST_MS, wholeNumber } from "../connect.ts";
import { EXIT } from "../exit-codes.ts";
import { describeTask, exitCodeOf } from "../task-text.ts";

interface TaskOptions {
  /** True = until it is settled. */
  readonly wait?: number | true;
}

export function taskCommand(): Command {
  return clientCommand("task", "show a task with its attempts")
    .argument("<id>", "the task")
    .option("--wait [ms]", "wait for its settlement, at most so long", wholeNumber({ min: 0, max: LONGEST_MS }))
    .action(async (id: string, options: TaskOptions, command: Command) => {
      const { client, output } = connect(command);
      const { wait } = options;
      const task =
        wait === undefined
          ? await client.get<TaskView>(`/v1/tasks/${encodeURIComponent(id)}`)
          : await client.settled(id, { waitMs: wait === true ? undefined : wait });
      output.data(task, () => describeTask(task));
      process.exitCode = wait === undefined ? EXIT.ok : exitCodeOf(task);
    });
}
