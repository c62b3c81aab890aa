/** `troupe replay`: gives a dead letter a new life. */
import type { Command } from "commander";
import type { TaskView } from "../../../engine/view.ts";
import { clientCommand, connect } from "../connect.ts";
import { describeTask } from "../task-text.ts";

export function replayCommand(): Command {
  return clientCommand("replay", "run a dead-lettered task again, under its id")
    .argument("<id>", "the task")
    .action(async (id: string, _options: object, command: Command) => {
      const { client, output } = connect(command);
      const task = await client.post<TaskView>(`/v1/tasks/${encodeURIComponent(id)}/replay`, { body: {} });
      output.data(task, () => describeTask(task));
    });
}
