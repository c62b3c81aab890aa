/** `troupe run`: hands in a file of tasks and stays until each is settled. */
import type { Command } from "commander";
import { systemClock } from "../../../base/clock.ts";
import { systemEntropy } from "../../../base/random.ts";
import { CliError } from "../cli-error.ts";
import { clientCommand, connect } from "../connect.ts";
import { EXIT } from "../exit-codes.ts";
import { ProgressDisplay, summaryText } from "../run-display.ts";
import { summarise } from "../run-record.ts";
import { readTaskFile } from "../task-file.ts";
import { TaskRun } from "../task-run.ts";

/** Ids that a report of an interruption names. */
const OPEN_SHOWN = 20;

interface RunOptions {
  readonly pool?: string;
  readonly fresh?: true;
}

export function runCommand(): Command {
  return clientCommand("run", "hand in a file of tasks, wait for all, sum up")
    .argument("<file>", "JSON Lines: on each line a task with its pool")
    .option("--pool <pool>", "pool of the lines that name none")
    .option("--fresh", "tasks of an earlier run of the same file are run again instead of found again")
    .action(async (file: string, options: RunOptions, command: Command) => {
      const { client, output } = connect(command);
      const salt = options.fresh ? systemEntropy.uuid() : undefined;
      const tasks = readTaskFile(file, { pool: options.pool, salt });
      const display = new ProgressDisplay(process.stderr, systemClock);
      const interruption = new AbortController();
      const run = new TaskRun({
        client,
        clock: systemClock,
        tasks,
        onProgress: (progress) => {
          if (!output.json) display.show(progress);
        },
        signal: interruption.signal,
      });
      const interrupt = (signal: NodeJS.Signals): void => interruption.abort(interrupted(signal, run, client.url));
      process.once("SIGINT", interrupt);
      process.once("SIGTERM", interrupt);
      try {
        const summary = summarise(await run.finish());
        output.data({ file, ...summary }, () => summaryText(summary));
        process.exitCode = summary.problems.length === 0 ? EXIT.ok : EXIT.endedBadly;
      } finally {
        display.end();
        process.off("SIGINT", interrupt);
        process.off("SIGTERM", interrupt);
      }
    });
}

/** What is still going on, and how to look at it. */
function interrupted(signal: NodeJS.Signals, run: TaskRun, url: string): CliError {
  const { total, submitted } = run.progress;
  const open = run.openIds;
  const [first] = open;
  const going =
    first === undefined
      ? "none is still open"
      : `${open.length} still open on ${url} (\`troupe task ${first}\`, \`troupe tasks\`)`;
  const message = `interrupted: of ${total} tasks ${going}, ${total - submitted} not submitted; the same command again goes on from here`;
  return new CliError(signal === "SIGINT" ? "interrupted" : "terminated", message, {
    details: { url, total, open: open.length, openIds: open.slice(0, OPEN_SHOWN), notSubmitted: total - submitted },
  });
}
