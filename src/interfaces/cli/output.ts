/** Where a command's words go: data on stdout, everything else on stderr. */
import type { Command } from "commander";
import { reportOf } from "./cli-error.ts";
import type { ExitCode } from "./exit-codes.ts";
import { printable } from "./text.ts";

export class Output {
  readonly json: boolean;

  constructor(options: { json: boolean }) {
    this.json = options.json;
  }

  /** The command's result. */
  data(value: unknown, human: () => string): void {
    const text = this.json ? JSON.stringify(value) : human();
    if (text !== "") process.stdout.write(`${text}\n`);
  }

  /** Something to know that is not the result; only for people. */
  note(text: string): void {
    if (!this.json) process.stderr.write(`${printable(text, { lines: true })}\n`);
  }

  /** Something odd that does not stop the command. */
  warning(text: string): void {
    process.stderr.write(this.json ? `${JSON.stringify({ warning: text })}\n` : `warning: ${printable(text)}\n`);
  }

  /** Says what went wrong, in one line, and what to exit with. */
  error(thrown: unknown): ExitCode {
    const report = reportOf(thrown);
    const line = this.json ? JSON.stringify({ error: report }) : `troupe: ${printable(report.message)}`;
    process.stderr.write(`${line}\n`);
    return report.exitCode;
  }
}

export function outputOf(command: Command): Output {
  return new Output({ json: command.optsWithGlobals<{ json?: boolean }>().json === true });
}
