/** `troupe replay`: gives a dead letter a new life. */
import type { Command } from "commander";
import type { TaskView } from "../../../engine/view.ts";
import { clientCommand, connect, jsonObject } from "../connect.ts";
import { describeTask } from "../task-text.ts";

export function replayCommand(): Command {
  return clientCommand("replay", "run a dead-lettered task again, under its id")
    .argument("<id>", "the task")
    .option("--edit <json>", 'what to change of it first: {"prompt": "…", "maxAttempts": 5}', jsonObject)
    .action(async (id: string, { edit }: { edit?: Record<string, unknown> }, command: Command) => {
      const { client, output } = connect(command);
      const task = await client.post<TaskView>(`/v1/tasks/${encodeURIComponent(id)}/replay`, { body: { edit } });
      output.data(task, () => describeTask(task));
    });
}
