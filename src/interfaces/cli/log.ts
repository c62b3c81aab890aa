/** Where a server's log events go: stderr, as JSON for programs or as lines for people. */
import { pino } from "pino";
import type { Clock } from "../../base/clock.ts";
import type { LogEvent } from "../../engine/open.ts";
import { printable } from "./text.ts";

export type Log = (event: LogEvent) => void;

/** Written at once, so that the last words before an exit are not lost. Debug events are dropped. */
export function createLog({ json, clock }: { json: boolean; clock: Clock }): Log {
  // Who reads the log may go away; the server stays.
  process.stderr.on("error", () => {});
  return json ? jsonLog() : lineLog(clock);
}

function jsonLog(): Log {
  const destination = pino.destination({ dest: 2, sync: true });
  destination.on("error", () => {});
  const logger = pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (level) => ({ level }) } },
    destination,
  );
  return ({ level, ...fields }) => logger[level](fields);
}

function lineLog(clock: Clock): Log {
  return ({ level, event, ...fields }) => {
    if (level === "debug") return;
    const time = new Date(clock.now()).toISOString().slice(11, 19);
    const said = Object.entries(fields)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name}=${valueText(value)}`);
    process.stderr.write(`${[time, level.padEnd(5), printable(event), ...said].join(" ")}\n`);
  };
}

function valueText(value: unknown): string {
  const text = typeof value === "string" && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
  return printable(text ?? "");
}
