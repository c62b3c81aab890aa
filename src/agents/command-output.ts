/** What a command writes, read as it comes and bounded. */
import type { Json } from "../base/json.ts";
import type { CommandOptions } from "../core/pool.ts";
import type { RunEnd } from "./agent.ts";
import { failed, RESULT_LIMIT_BYTES, succeeded } from "./run-end.ts";

export interface CommandOutput {
  /** False when that is more than a result may be. */
  take(chunk: Buffer): boolean;
  /** How a run ends that has written this and exited with 0. */
  end(): RunEnd;
}

/** @param progress - takes the lines of `jsonl` that are no result */
export function commandOutput(format: CommandOptions["output"], progress: (value: Json) => void): CommandOutput {
  return format === "jsonl" ? new LineOutput(progress) : new WholeOutput(format);
}

/** All of it is the result: as text, exactly as it was written, or as one JSON value. */
class WholeOutput implements CommandOutput {
  readonly #format: "text" | "json";
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(format: "text" | "json") {
    this.#format = format;
  }

  take(chunk: Buffer): boolean {
    this.#bytes += chunk.length;
    if (this.#bytes > RESULT_LIMIT_BYTES) return false;
    this.#chunks.push(chunk);
    return true;
  }

  end(): RunEnd {
    const text = Buffer.concat(this.#chunks).toString("utf8");
    if (this.#format === "text") return succeeded(text);
    try {
      return succeeded(JSON.parse(text));
    } catch (error) {
      return badOutput(`expected JSON: ${(error as Error).message}`);
    }
  }
}

/** Lines of JSON: the last object with a `result` (or of type `result`) is the result, the others are progress. */
class LineOutput implements CommandOutput {
  readonly #progress: (value: Json) => void;
  #parts: Buffer[] = [];
  #bytes = 0;
  #result: { readonly value: Json } | undefined;

  constructor(progress: (value: Json) => void) {
    this.#progress = progress;
  }

  take(chunk: Buffer): boolean {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, from)) {
      if (!this.#keep(chunk.subarray(from, at))) return false;
      this.#endLine();
      from = at + 1;
    }
    return this.#keep(chunk.subarray(from));
  }

  end(): RunEnd {
    this.#endLine();
    return this.#result === undefined ? badOutput("expected a line with a result") : succeeded(this.#result.value);
  }

  #keep(part: Buffer): boolean {
    this.#bytes += part.length;
    if (part.length > 0) this.#parts.push(part);
    return this.#bytes <= RESULT_LIMIT_BYTES;
  }

  #endLine(): void {
    const line = Buffer.concat(this.#parts).toString("utf8").trim();
    this.#parts = [];
    this.#bytes = 0;
    if (line === "") return;
    const value = parse(line);
    // What is no JSON is a word to people, such as a warning of a library.
    if (value === undefined) return;
    const result = resultOf(value);
    if (result === undefined) this.#progress(value);
    else this.#result = { value: result };
  }
}

const NEWLINE = 10;

function parse(line: string): Json | undefined {
  try {
    return JSON.parse(line) as Json;
  } catch {
    return undefined;
  }
}

/** The result a line carries; the whole line when it is of type `result` and has no field of that name. */
function resultOf(value: Json): Json | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const line = value as { readonly [key: string]: Json };
  if (Object.hasOwn(line, "result")) return line.result;
  return line.type === "result" ? line : undefined;
}

function badOutput(message: string): RunEnd {
  return failed("agent", { code: "bad_output", message });
}
