/** From an entry of a pool's `agents` to agents, and back. */
import type { RestartOptions } from "../policies/restart.ts";
import type { AgentIdentity } from "./agent.ts";
import type { AgentTemplate, Pool, PoolOptions } from "./pool.ts";

/** The entry that an agent was made from; undefined for those who joined by themselves. */
export function templateOf(
  { options }: Pick<Pool, "options">,
  { name, kind, entry }: Pick<AgentIdentity, "name" | "kind" | "entry">,
): AgentTemplate | undefined {
  if (kind === "remote") return undefined;
  return options.agents.find((template) => template.name === name) ?? options.agents[entry ?? -1];
}

export function restartOptions(pool: Pick<Pool, "options">, identity: AgentIdentity): RestartOptions {
  return templateOf(pool, identity)?.restart ?? pool.options.restart;
}

/** What an agent has of its entry. */
export function identityOf(
  options: Pick<PoolOptions, "id" | "preset" | "agents">,
  entry: number,
  ordinal: number,
): Omit<AgentIdentity, "id" | "ordinal" | "isolation"> {
  const template = options.agents[entry] as AgentTemplate;
  const { kind, capabilities, concurrency, weight, priority, metadata, rate } = template;
  const name = template.name ?? nameOf(options, template, ordinal);
  return { pool: options.id, name, kind, entry, capabilities, concurrency, weight, priority, metadata, rate };
}

function nameOf({ id, preset }: Pick<PoolOptions, "id" | "preset">, { kind }: AgentTemplate, ordinal: number): string {
  if (preset === "trio") return `${id}-worker-${ordinal}`;
  return kind === "daemon" ? `daemon_${ordinal}` : `${id}-${kind}-${ordinal}`;
}
