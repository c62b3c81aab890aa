/** How facts become columns: JSON without what other columns hold, and text that UTF-8 can't hold as bytes. */
import type { SQLOutputValue } from "node:sqlite";
import type { OpenFacts, SettledFacts } from "../core/record.ts";
import type { TaskSpec } from "../core/task.ts";

type OpenText = Omit<OpenFacts, "num" | "spec">;
type SettledText = Omit<SettledFacts, "num" | "spec">;

/** What most tasks have is left out: it is a third of the text. */
const PLAIN = { failedAgentIds: [], failedDependencies: [], refunds: 0, replays: 0 } as const;
const PLAIN_OPEN = { ...PLAIN, first: false, again: false, unmet: 0, attempts: [] } as const;

const some = <T>(list: readonly T[]): readonly T[] | undefined => (list.length === 0 ? undefined : list);

/** JSON of an open task without its spec and number. Field by field: a copy without the two would cost as much again. */
export function openText(facts: OpenFacts): string {
  return JSON.stringify({
    state: facts.state,
    priority: facts.priority,
    queuedAtMs: facts.queuedAtMs,
    nearAtMs: facts.nearAtMs,
    first: facts.first || undefined,
    attemptCount: facts.attemptCount,
    lastNumber: facts.lastNumber,
    lastFence: facts.lastFence,
    failedAgentIds: some(facts.failedAgentIds),
    again: facts.again || undefined,
    refunds: facts.refunds || undefined,
    spent: facts.spent,
    killers: facts.killers,
    deaths: facts.deaths,
    replays: facts.replays || undefined,
    unmet: facts.unmet || undefined,
    waitsFor: facts.waitsFor,
    awaited: facts.awaited,
    failedDependencies: some(facts.failedDependencies),
    attempts: some(facts.attempts),
  } satisfies { [K in keyof Required<OpenText>]: OpenText[K] | undefined });
}

export function openFactsOf(num: number, spec: string, text: string): OpenFacts {
  return { num, spec: JSON.parse(spec) as TaskSpec, ...PLAIN_OPEN, ...(JSON.parse(text) as OpenText) };
}

/** JSON of a settled task without its spec and number. */
export function settledText(facts: SettledFacts): string {
  return JSON.stringify({
    settlement: facts.settlement,
    priority: facts.priority,
    queuedAtMs: facts.queuedAtMs,
    attemptCount: facts.attemptCount,
    lastNumber: facts.lastNumber,
    lastFence: facts.lastFence,
    failedAgentIds: some(facts.failedAgentIds),
    failedDependencies: some(facts.failedDependencies),
    refunds: facts.refunds || undefined,
    spent: facts.spent,
    replays: facts.replays || undefined,
    attempts: facts.attempts,
  } satisfies { [K in keyof Required<SettledText>]: SettledText[K] | undefined });
}

export function settledFactsOf(num: number, spec: string, text: string): SettledFacts {
  return { num, spec: JSON.parse(spec) as TaskSpec, ...PLAIN, ...(JSON.parse(text) as SettledText) };
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
