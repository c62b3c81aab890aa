/** `troupe cancel`: ends a task that is not settled yet. */
import type { Command } from "commander";
import type { TaskView } from "../../../engine/view.ts";
import { clientCommand, connect } from "../connect.ts";
import { describeTask } from "../task-text.ts";

export function cancelCommand(): Command {
  return clientCommand("cancel", "cancel a task")
    .argument("<id>", "the task")
    .option("--reason <text>", "why, kept with the task")
    .action(async (id: string, { reason }: { reason?: string }, command: Command) => {
      const { client, output } = connect(command);
      const task = await client.post<TaskView>(`/v1/tasks/${encodeURIComponent(id)}/cancel`, { body: { reason } });
      output.data(task, () => describeTask(task));
    });
}
