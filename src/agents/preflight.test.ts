import { chmod, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join, relative } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { aDirectory, commandOptions, daemonOptions } from "../../test/fixtures/agents/world.ts";
import type { PoolError } from "../base/errors.ts";
import type { AgentTemplate, DaemonOptions } from "../core/pool.ts";
import { checkAgents } from "./preflight.ts";

const base = { capabilities: [], concurrency: 1, weight: 1, priority: 0, env: {}, sized: false };

const aDaemon = (options: Partial<DaemonOptions> = {}, count = 1): AgentTemplate => ({
  ...base,
  kind: "daemon",
  count,
  daemon: daemonOptions([], options),
});

const aCommand = (program: string, env: AgentTemplate["env"] = {}): AgentTemplate => ({
  ...base,
  kind: "command",
  count: 1,
  env,
  command: commandOptions([], { program }),
});

const someFunctions = (count: number): AgentTemplate => ({ ...base, kind: "function", count });

async function refusal(templates: readonly AgentTemplate[], firstOrdinal = 0): Promise<PoolError> {
  try {
    await checkAgents(templates, firstOrdinal);
  } catch (error) {
    return error as PoolError;
  }
  throw new Error("expected a refusal");
}

/** A file with a mode; what it holds does not matter. */
async function aFile(mode: number, name = "program"): Promise<string> {
  const path = join(await aDirectory(), name);
  await writeFile(path, "");
  await chmod(path, mode);
  return path;
}

/** A port that somebody listens on, at an address. */
async function aTakenPort(host: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, host, listening));
  onTestFinished(() => void server.close());
  return (server.address() as { port: number }).port;
}

/** The first of `count` ports in a row that are free. */
async function freePorts(count: number): Promise<number> {
  for (let port = 21_000; port < 60_000; port += count) {
    const free = await checkAgents([aDaemon({ basePort: port }, count)], 0).then(
      () => true,
      () => false,
    );
    if (free) return port;
  }
  throw new Error("no ports");
}

test("agents that can be started are passed", async () => {
  const program = await aFile(0o755);
  await checkAgents([], 0);
  await checkAgents([aDaemon({ basePort: 0 }, 3), aCommand("sh"), aCommand(program), someFunctions(2)], 0);
});

test("a relative path with a slash starts from here", async () => {
  await checkAgents([aCommand(relative(process.cwd(), await aFile(0o755)))], 0);
});

test("a link to a program is one", async () => {
  const link = join(await aDirectory(), "link");
  await symlink(await aFile(0o755), link);
  await checkAgents([aCommand(link)], 0);
});

test("S2-04 a program that is missing, a directory, or not executable is refused with its path", async () => {
  for (const program of ["/nowhere/program", "no-such-program-at-all", "", await aDirectory(), await aFile(0o644)]) {
    const error = await refusal([someFunctions(1), aDaemon({ program })]);
    expect(error).toMatchObject({ code: "invalid", details: { path: "agents[1].daemon.program" } });
    expect(error.message).toContain(`"${program}"`);
  }
  expect((await refusal([aCommand("/nowhere/program")])).details).toEqual({ path: "agents[0].command.program" });
});

test("a program is looked up where the agent's own PATH says", async () => {
  const path = await aFile(0o755, "only-here");
  const env = { PATH: join(path, "..") };
  await checkAgents([aCommand("only-here", env)], 0);
  await refusal([aCommand("only-here")]);
  await refusal([aCommand("sh", env)]);
});

test.each(["127.0.0.1", "0.0.0.0", "::"])("S2-03 a port held on %s is refused by its number", async (host) => {
  const port = await aTakenPort(host);
  const error = await refusal([aDaemon({ basePort: port })]);
  expect(error).toMatchObject({ code: "invalid", details: { path: "daemon.basePort" } });
  expect(error.message).toContain(String(port));
});

test("S2-01 the port of a daemon follows from its number in the pool, others counted", async () => {
  const port = await aTakenPort("127.0.0.1");
  await refusal([aDaemon({ basePort: port - 2 }, 3)]);
  await refusal([someFunctions(2), aDaemon({ basePort: port - 2 })]);
  await refusal([aDaemon({ basePort: port - 7 })], 7);
  const first = await freePorts(3);
  await checkAgents([aDaemon({ basePort: first }, 3)], 0);
});

test("S2-B10 the last port may be 65535 and no more", async () => {
  const error = await refusal([aDaemon({ basePort: 65_533 }, 4)]);
  expect(error.details).toEqual({ path: "daemon.basePort" });
  expect(error.message).toContain("65536");
  await refusal([aDaemon({ basePort: 65_535 })], 1);
  const onlyInUse = await checkAgents([aDaemon({ basePort: 65_533 }, 3)], 0).catch((thrown: Error) => thrown.message);
  expect(onlyInUse ?? "in use").toContain("in use");
});

test("two daemons that would need one port are refused", async () => {
  const first = await freePorts(2);
  const error = await refusal([aDaemon({ basePort: first + 1 }), aDaemon({ basePort: first })]);
  expect(error.message).toContain(`port ${first + 1} would be needed twice`);
});
