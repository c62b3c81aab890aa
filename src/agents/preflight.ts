/** What can be known to fail before anything is started. */
import { invalid } from "../base/errors.ts";
import { type AgentTemplate, LAST_PORT } from "../core/pool.ts";
import { isPortFree } from "./port.ts";
import { findProgram } from "./program.ts";

/**
 * Checks that the programs of the agents are there and that their fixed ports are free.
 *
 * @param firstOrdinal - number in the pool of the first agent of the first template
 * @throws PoolError `invalid`, with a path such as `agents[0].daemon.program`, or `daemon.basePort`
 */
export async function checkAgents(templates: readonly AgentTemplate[], firstOrdinal: number): Promise<void> {
  for (const [index, { kind, env, daemon, command }] of templates.entries()) {
    if (kind === "daemon" && daemon) await checkProgram(daemon.program, env, `agents[${index}].daemon.program`);
    if (kind === "command" && command) await checkProgram(command.program, env, `agents[${index}].command.program`);
  }
  await checkPorts(fixedPorts(templates, firstOrdinal));
}

/**
 * The same for agents that join a pool that is there.
 *
 * @param ordinals - the numbers that they will have in the pool
 */
export async function checkNewcomers(
  { kind, env, daemon, command }: AgentTemplate,
  { path, ordinals }: { readonly path: string; readonly ordinals: readonly number[] },
): Promise<void> {
  const program = kind === "daemon" ? daemon?.program : command?.program;
  if (program !== undefined) await checkProgram(program, env, `${path}.${kind}.program`);
  const { basePort = 0 } = daemon ?? {};
  if (basePort > 0) await checkPorts(ordinals.map((ordinal) => basePort + ordinal));
}

async function checkProgram(program: string, env: AgentTemplate["env"], path: string): Promise<void> {
  const found = await findProgram(program, env.PATH ?? process.env.PATH ?? "");
  if (found === undefined) throw invalid(path, `expected an executable program, "${program}" is none`);
}

/** Daemon i of the pool, whatever the agents before it are, listens on its base port + i. */
function fixedPorts(templates: readonly AgentTemplate[], firstOrdinal: number): readonly number[] {
  const ports: number[] = [];
  let ordinal = firstOrdinal;
  for (const { kind, daemon, count } of templates) {
    for (let i = 0; i < count; i++, ordinal++) {
      if (kind === "daemon" && daemon && daemon.basePort > 0) ports.push(daemon.basePort + ordinal);
    }
  }
  return ports;
}

async function checkPorts(ports: readonly number[]): Promise<void> {
  const seen = new Set<number>();
  for (const port of ports) {
    if (port > LAST_PORT) throw invalid(PORT_PATH, `port ${port} would be needed, ${LAST_PORT} is the last`);
    if (seen.has(port)) throw invalid(PORT_PATH, `port ${port} would be needed twice`);
    seen.add(port);
  }
  const free = await Promise.all(ports.map(isPortFree));
  const taken = ports.find((_, index) => !free[index]);
  if (taken !== undefined) throw invalid(PORT_PATH, `port ${taken} is in use`);
}

const PORT_PATH = "daemon.basePort";
