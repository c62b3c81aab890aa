/** The commands together: parses the command line, runs one, turns whatever went wrong into a line and an exit code. */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { CliError } from "./cli-error.ts";
import { agentsCommand } from "./commands/agents.ts";
import { cancelCommand } from "./commands/cancel.ts";
import { configCommand } from "./commands/config.ts";
import { deadCommand } from "./commands/dead.ts";
import { explainCommand } from "./commands/explain.ts";
import { gatesCommand } from "./commands/gates.ts";
import { keyCommand } from "./commands/key.ts";
import { logsCommand } from "./commands/logs.ts";
import { poolsCommand } from "./commands/pools.ts";
import { replayCommand } from "./commands/replay.ts";
import { runCommand } from "./commands/run.ts";
import { schedulesCommand } from "./commands/schedules.ts";
import { submitCommand } from "./commands/submit.ts";
import { taskCommand } from "./commands/task.ts";
import { tasksCommand } from "./commands/tasks.ts";
import { upCommand } from "./commands/up.ts";
import { JSON_OPTION } from "./connect.ts";
import { describeExitCodes, EXIT } from "./exit-codes.ts";
import { Output } from "./output.ts";

/** @param args - the command line without node and the script */
export async function main(args: readonly string[]): Promise<void> {
  const output = new Output({ json: asksForJson(args) });
  quietWarnings();
  // Whoever reads our output may stop reading: `troupe tasks | head`.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
  process.on("uncaughtException", (error) => {
    if (!output.json) process.stderr.write(`${error.stack ?? ""}\n`);
    process.exit(output.error(error));
  });
  try {
    await createProgram(output).parseAsync(args, { from: "user" });
  } catch (thrown) {
    process.exit(ending(thrown, output));
  }
}

function createProgram(output: Output): Command {
  const program = new Command("troupe")
    .description("Keeps pools of agents working: hands each task to an agent that can do it, and settles it once.")
    .version(version(), "-V, --version", "print the version")
    .option(...JSON_OPTION)
    .showSuggestionAfterError()
    .addHelpText("after", `\n${describeExitCodes()}`);
  const commands = [
    upCommand(),
    submitCommand(),
    runCommand(),
    tasksCommand(),
    taskCommand(),
    explainCommand(),
    cancelCommand(),
    replayCommand(),
    deadCommand(),
    poolsCommand(),
    agentsCommand(),
    logsCommand(),
    gatesCommand(),
    schedulesCommand(),
    keyCommand(),
    configCommand(),
  ];
  for (const command of commands) program.addCommand(command.copyInheritedSettings(program));
  const nested = commands.flatMap((command) => command.commands);
  for (const command of nested) command.copyInheritedSettings(program);
  for (const command of [program, ...commands, ...nested]) {
    // What commander would write of an error is said by `ending`, once.
    command.exitOverride().configureOutput({ outputError: () => {}, ...(output.json ? { writeErr: () => {} } : {}) });
  }
  return program;
}

/** Help and version are no errors, though commander ends with a throw there. */
function ending(thrown: unknown, output: Output): number {
  if (!(thrown instanceof CommanderError)) return output.error(thrown);
  if (thrown.exitCode === 0) return EXIT.ok;
  if (thrown.code === "commander.help" && !output.json) return EXIT.badInput;
  const message =
    thrown.code === "commander.help" ? "expected a command; `troupe --help` lists them" : usageText(thrown);
  return output.error(new CliError("usage", message));
}

function usageText({ message }: CommanderError): string {
  return message
    .replace(/^error: /, "")
    .replaceAll(/\s*\n\s*/g, " ")
    .trim();
}

/** Before the command line is parsed, because errors of parsing are told in JSON as well. */
function asksForJson(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return args.slice(0, end === -1 ? args.length : end).includes("--json");
}

function version(): string {
  // Source and build lie at the same depth below the package.
  const file = new URL("../../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}

/** Some versions of Node call the built-in SQLite experimental on stderr, where our users expect our words only. */
function quietWarnings(): void {
  process.removeAllListeners("warning");
  process.on("warning", (warning) => {
    if (warning.name !== "ExperimentalWarning") process.stderr.write(`${warning.name}: ${warning.message}\n`);
  });
}
