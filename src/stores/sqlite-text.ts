/** How facts become columns: JSON without what other columns hold, and text that UTF-8 can't hold as bytes. */
import type { SQLOutputValue } from "node:sqlite";
import type { OpenFacts, SettledFacts } from "../core/record.ts";
import type { TaskSpec } from "../core/task.ts";

/** JSON of an open task without its spec and number. */
export function openText({ num: _num, spec: _spec, ...facts }: OpenFacts): string {
  return JSON.stringify(facts);
}

export function openFactsOf(num: number, spec: string, text: string): OpenFacts {
  return { num, spec: JSON.parse(spec) as TaskSpec, ...(JSON.parse(text) as Omit<OpenFacts, "num" | "spec">) };
}

/** JSON of a settled task without its spec and number. */
export function settledText({ num: _num, spec: _spec, ...facts }: SettledFacts): string {
  return JSON.stringify(facts);
}

export function settledFactsOf(num: number, spec: string, text: string): SettledFacts {
  return { num, spec: JSON.parse(spec) as TaskSpec, ...(JSON.parse(text) as Omit<SettledFacts, "num" | "spec">) };
}

/** Half a surrogate pair would not survive UTF-8; such text goes in as UTF-16 bytes. */
export function packText(text: string | undefined): string | Uint8Array | null {
  if (text === undefined) return null;
  return text.isWellFormed() ? text : Buffer.from(text, "utf16le");
}

export function unpackText(value: SQLOutputValue | undefined): string | undefined {
  if (value === null || value === undefined) return undefined;
  return value instanceof Uint8Array ? Buffer.from(value).toString("utf16le") : String(value);
}
