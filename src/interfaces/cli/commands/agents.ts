/** `troupe agents`: who works in which pool, and how they are. */
import type { Command } from "commander";
import type { AgentView, Page, PoolView } from "../../../engine/view.ts";
import type { Client } from "../client.ts";
import { clientCommand, connect } from "../connect.ts";
import { table } from "../text.ts";

export function agentsCommand(): Command {
  return clientCommand("agents", "list agents with their state")
    .option("--pool <pool>", "only of this pool")
    .action(async ({ pool }: { pool?: string }, command: Command) => {
      const { client, output } = connect(command);
      const pools = pool === undefined ? (await all<PoolView>(client, "/v1/pools")).map(({ id }) => id) : [pool];
      const items: AgentView[] = [];
      for (const id of pools)
        items.push(...(await all<AgentView>(client, `/v1/pools/${encodeURIComponent(id)}/agents`)));
      output.data({ items }, () => agentTable(items));
    });
}

async function all<T>(client: Client, path: string): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const page: Page<T> = await client.get(path, { query: { limit: 1_000, cursor } });
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return items;
}

function agentTable(agents: readonly AgentView[]): string {
  return table(
    ["AGENT", "POOL", "KIND", "LIFECYCLE", "HEALTH", "ACTIVITY", "RUNNING", "RESTARTS", "ID"],
    agents.map(({ name, pool, kind, lifecycle, health, activity, stats, concurrency, restarts, id }) => [
      name,
      pool,
      kind,
      lifecycle,
      health,
      activity,
      `${stats.inFlight}/${concurrency}`,
      String(restarts),
      id,
    ]),
  );
}
