/** `troupe agents`: who works in which pool, and how they are; its subcommands are the operator's words on one of them. */
import type { Command } from "commander";
import type { AgentView } from "../../../engine/view.ts";
import { agentCalled, agentPath, agentsOf } from "../agents-of.ts";
import { CliError } from "../cli-error.ts";
import { clientCommand, connect, LONGEST_MS, wholeNumber } from "../connect.ts";
import { table } from "../text.ts";

export function agentsCommand(): Command {
  const agents = clientCommand("agents", "list agents with their state; drain, restart, fail them")
    .option("--pool <pool>", "only of this pool")
    .action(async ({ pool }: { pool?: string }, command: Command) => {
      const { client, output } = connect(command);
      const items = await agentsOf(client, pool);
      output.data({ items }, () => agentTable(items));
    });
  for (const command of [...WORDS.map(wordCommand), failCommand(), restartCommand(), removeCommand()]) {
    agents.addCommand(command);
  }
  return agents;
}

const WORDS = [
  ["drain", "let an agent finish what it runs and give it no more"],
  ["recover", "take back that an agent has failed or is drained"],
  ["reset", "let an agent's open breaker try, and forget its figures"],
] as const;

/** The options of the list stand before the subcommand's name as well, so they are looked for there too. */
const poolOf = (command: Command): string | undefined => command.optsWithGlobals<{ pool?: string }>().pool;

function oneAgent(name: string, description: string): Command {
  return clientCommand(name, description)
    .argument("<agent>", "its id, or its name where that is unique")
    .option("--pool <pool>", "the agent's pool");
}

function wordCommand([word, description]: readonly [string, string]): Command {
  return oneAgent(word, description).action(async (name: string, _options: object, command: Command) => {
    const { client, output } = connect(command);
    const path = agentPath(await agentCalled(client, name, poolOf(command)));
    const agent = await client.post<AgentView>(`${path}/${word}`);
    output.data(agent, () => agentTable([agent]));
  });
}

interface Failed {
  readonly agent: AgentView;
  readonly task: null | { readonly id: string; readonly status: string; readonly reassigned: boolean };
}

function failCommand(): Command {
  return oneAgent("fail", "take an agent out of work; what it runs is lost and tried elsewhere")
    .option("--reason <text>", "why, shown with its health")
    .action(async (name: string, { reason }: { reason?: string }, command: Command) => {
      const { client, output } = connect(command);
      const path = agentPath(await agentCalled(client, name, poolOf(command)));
      const failed = await client.post<Failed>(`${path}/fail`, { body: { reason } });
      output.data(failed, () => agentTable([failed.agent]));
      const { task } = failed;
      if (task === null) return;
      output.note(`task ${task.id} is ${task.status}${task.reassigned ? ", and was given to another agent" : ""}`);
    });
}

const TIMEOUT = [
  "--timeout <ms>",
  "how long what runs may go on (30000)",
  wholeNumber({ min: 0, max: LONGEST_MS }),
] as const;

/** What the server takes when nothing is said. Milliseconds. */
const DRAIN_MS = 30_000;

interface Stopping {
  readonly timeout?: number;
}

function restartCommand(): Command {
  return clientCommand("restart", "start an agent anew once it is empty, or those of a pool one after the other")
    .argument("[agent]", "its id, or its name where that is unique; absent: all of --pool")
    .option("--pool <pool>", "the agent's pool")
    .option(...TIMEOUT)
    .action(async (name: string | undefined, { timeout: timeoutMs }: Stopping, command: Command) => {
      const { client, output } = connect(command);
      const pool = poolOf(command);
      if (name !== undefined) {
        const path = agentPath(await agentCalled(client, name, pool));
        const agent = await client.post<AgentView>(`${path}/restart`, { query: { timeoutMs } });
        output.data(agent, () => agentTable([agent]));
        return;
      }
      if (pool === undefined) throw new CliError("usage", "expected an agent, or --pool for all of a pool");
      const path = `/v1/pools/${encodeURIComponent(pool)}/restart`;
      // It takes as long as its agents do, one after the other.
      const restarted = await client.post<{ restarted: number }>(path, {
        query: { timeoutMs },
        patienceMs: LONGEST_MS,
      });
      output.data(restarted, () => `restarted ${restarted.restarted}`);
    });
}

function removeCommand(): Command {
  return oneAgent("remove", "let an agent finish what it runs, and remove it")
    .option(...TIMEOUT)
    .action(async (name: string, { timeout: timeoutMs }: Stopping, command: Command) => {
      const { client, output } = connect(command);
      const path = agentPath(await agentCalled(client, name, poolOf(command)));
      const removed = await client.delete<{ released: number }>(path, {
        query: { timeoutMs },
        patienceMs: timeoutMs ?? DRAIN_MS,
      });
      output.data(removed, () => `removed; attempts given back: ${removed.released}`);
    });
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
