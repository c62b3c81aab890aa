/** `troupe pools`: all pools with their counts. */
import type { Command } from "commander";
import type { Page, PoolView } from "../../../engine/view.ts";
import { clientCommand, connect } from "../connect.ts";
import { table } from "../text.ts";

export function poolsCommand(): Command {
  return clientCommand("pools", "list pools with their counts").action(async (_options: object, command: Command) => {
    const { client, output } = connect(command);
    const items: PoolView[] = [];
    let cursor: string | undefined;
    do {
      const page: Page<PoolView> = await client.get("/v1/pools", { query: { limit: 1_000, cursor } });
      items.push(...page.items);
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    output.data({ items }, () => poolTable(items));
  });
}

function poolTable(pools: readonly PoolView[]): string {
  return table(
    ["POOL", "HEALTH", "AGENTS", "QUEUED", "BLOCKED", "DELAYED", "RUNNING", "DEAD LETTERS"],
    pools.map(({ id, health, draining, agents, counts }) => [
      id,
      draining ? `${health}, draining` : health,
      ...[agents, counts.queued, counts.blocked, counts.delayed, counts.running, counts.deadLetters].map(String),
    ]),
  );
}
