/** Agents as the commands find them: of one pool or of all, by id or by name. */
import type { AgentView, Page, PoolView } from "../../engine/view.ts";
import { CliError } from "./cli-error.ts";
import type { Client } from "./client.ts";

/** Of a pool; of all pools when none is named. */
export async function agentsOf(client: Client, pool: string | undefined): Promise<AgentView[]> {
  const pools = pool === undefined ? (await all<PoolView>(client, "/v1/pools")).map(({ id }) => id) : [pool];
  const items: AgentView[] = [];
  for (const id of pools) items.push(...(await all<AgentView>(client, `/v1/pools/${encodeURIComponent(id)}/agents`)));
  return items;
}

/**
 * @param idOrName - an id goes before a name
 * @throws CliError `usage` when no agent is called so, or several are
 */
export async function agentCalled(client: Client, idOrName: string, pool: string | undefined): Promise<AgentView> {
  const agents = await agentsOf(client, pool);
  const byId = agents.find(({ id }) => id === idOrName);
  if (byId !== undefined) return byId;
  const [first, ...others] = agents.filter(({ name }) => name === idOrName);
  if (first !== undefined && others.length === 0) return first;
  const where = [first, ...others].map((agent) => agent?.pool).join(", ");
  const why = first === undefined ? "there is none" : `there is one in each of the pools ${where}; say which by --pool`;
  throw new CliError("usage", `expected the id or name of an agent, "${idOrName}": ${why}`);
}

export const agentPath = ({ id }: Pick<AgentView, "id">): string => `/v1/agents/${encodeURIComponent(id)}`;

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
