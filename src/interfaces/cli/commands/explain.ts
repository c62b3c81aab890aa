/** `troupe explain`: why a task is where it is. */
import type { Command } from "commander";
import type { ExplainView } from "../../../engine/view.ts";
import { clientCommand, connect } from "../connect.ts";
import { fields, printable, table } from "../text.ts";

export function explainCommand(): Command {
  return clientCommand("explain", "tell why a task is where it is")
    .argument("<id>", "the task")
    .action(async (id: string, _options: object, command: Command) => {
      const { client, output } = connect(command);
      const explained = await client.get<ExplainView>(`/v1/tasks/${encodeURIComponent(id)}/explain`);
      output.data(explained, () => describe(explained));
    });
}

function describe({ id, pool, status, summary, agents, agentCount, change, story }: ExplainView): string {
  const parts = [
    fields([
      ["id", id],
      ["pool", pool],
      ["status", status],
      ["why", summary],
    ]),
  ];
  if (agents.length > 0) {
    const rows = agents.map(({ name, reason, detail }) => [name, reason ?? "may take it", detail ?? ""]);
    parts.push(table(["AGENT", "REASON", "DETAIL"], rows));
    if (agentCount > agents.length) parts.push(`and ${agentCount - agents.length} more agents`);
  }
  if (change.length > 0) parts.push(list("what would have to change", change));
  parts.push(list("story", story));
  return parts.join("\n\n");
}

function list(heading: string, sentences: readonly string[]): string {
  return [heading, ...sentences.map((sentence) => `- ${printable(sentence)}`)].join("\n");
}
