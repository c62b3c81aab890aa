/** What every client command needs: the options that find server and key, and the connection they make. */
import { Command, InvalidArgumentError } from "commander";
import { systemClock } from "../../base/clock.ts";
import { dataDirectory, given } from "../config.ts";
import { Client } from "./client.ts";
import { keyFileOf, readKey } from "./key-file.ts";
import { type Output, outputOf } from "./output.ts";

const DEFAULT_URL = "http://127.0.0.1:8000";

interface ConnectOptions {
  readonly url?: string;
  readonly key?: string;
  readonly data?: string;
}

export const JSON_OPTION = ["--json", "print JSON: data on stdout, errors on stderr"] as const;

export function clientCommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .option("--url <url>", `the server (TROUPE_URL; ${DEFAULT_URL})`)
    .option("--key <key>", "the key (TROUPE_KEY; else the key file of the data directory)")
    .option("--data <dir>", "the data directory of a server on this machine (TROUPE_DATA; ./.troupe)")
    .option(...JSON_OPTION);
}

export function connect(command: Command): { client: Client; output: Output } {
  const options = command.optsWithGlobals<ConnectOptions>();
  const key =
    options.key ?? given(process.env, "TROUPE_KEY") ?? readKey(keyFileOf(dataDirectory(options.data, process.env)));
  const url = options.url ?? given(process.env, "TROUPE_URL") ?? DEFAULT_URL;
  return { client: new Client({ url, key, clock: systemClock }), output: outputOf(command) };
}

/** Parser of an option that is a whole number. */
export function wholeNumber({ min, max }: { min: number; max: number }): (text: string) => number {
  return (text) => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
  };
}

/** Parser of an option that is a JSON object. */
export function jsonObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new InvalidArgumentError("Expected a JSON object.");
}

/** Parser of `a,b,c`. */
export function commaList(text: string): string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

/** 30 days: what an option in milliseconds may say. */
export const LONGEST_MS = 2_592_000_000;
