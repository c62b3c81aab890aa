/**
 * The work of one run as tasks: three per document, a digest per package that joins them, one index that joins the
 * digests, and one task that is refused on purpose.
 */
import type { TaskInput } from "../../src/engine/options/task.ts";
import type { ReadDocument } from "./documents.ts";

export const STAGES = ["summarise", "keywords", "measure", "digest", "index"] as const;
export type Stage = (typeof STAGES)[number];
export type PoolName = "readers" | "counters";

export interface PlannedTask {
  readonly pool: PoolName;
  readonly stage: Stage;
  readonly task: TaskInput & { readonly id: string };
}

export interface Plan {
  /** In an order in which every dependency comes before what depends on it. */
  readonly tasks: readonly PlannedTask[];
  /** Ends in the dead letters. */
  readonly refused: PlannedTask;
  readonly indexId: string;
  readonly packages: number;
}

/** @param run - begins every id, so that one data directory can hold many runs */
export function planRun(run: string, documents: readonly ReadDocument[]): Plan {
  const byPackage = Map.groupBy(documents, (document) => document.package);
  const readings: PlannedTask[] = [];
  const digests: PlannedTask[] = [];
  let number = 0;
  for (const [name, itsDocuments] of byPackage) {
    const parts = itsDocuments.map((document) => {
      number += 1;
      const tasks = readingsOf(document, `${run}-${String(number).padStart(4, "0")}`);
      readings.push(...tasks);
      const [summary, keywords, measure] = tasks.map(({ task }) => task.id);
      return { path: document.path, summary, keywords, measure };
    });
    digests.push(digestOf(name, parts, `${run}-digest-${String(digests.length + 1).padStart(4, "0")}`));
  }
  const index = indexOf(digests, `${run}-index`);
  return {
    tasks: [...readings, ...digests, index],
    refused: refusedTask(`${run}-refused`),
    indexId: index.task.id,
    packages: digests.length,
  };
}

function readingsOf({ path, text }: ReadDocument, prefix: string): PlannedTask[] {
  const reading = (pool: PoolName, stage: Stage): PlannedTask => ({
    pool,
    stage,
    task: { ...named(`${prefix}-${stage}`), type: stage, prompt: text, context: { document: path } },
  });
  return [reading("readers", "summarise"), reading("readers", "keywords"), reading("counters", "measure")];
}

function digestOf(name: string, parts: readonly Record<string, string | undefined>[], id: string): PlannedTask {
  const dependencies = parts.flatMap(({ summary, keywords, measure }) => [summary!, keywords!, measure!]);
  const input = { package: name, documents: parts.map((part) => ({ ...part }) as Record<string, string>) };
  return {
    pool: "readers",
    stage: "digest",
    task: { ...named(id), type: "digest", priority: "high", input, dependencies },
  };
}

function indexOf(digests: readonly PlannedTask[], id: string): PlannedTask {
  const dependencies = digests.map(({ task }) => task.id);
  const input = { digests: dependencies };
  return {
    pool: "readers",
    stage: "index",
    task: { ...named(id), type: "index", priority: "high", input, dependencies },
  };
}

/** No reader could summarise a number, so none of the others is asked after the first has refused. */
function refusedTask(id: string): PlannedTask {
  return { pool: "readers", stage: "summarise", task: { ...named(id), type: "summarise", input: { text: 42 } } };
}

/** The key makes it safe to submit the same again when an answer was lost. */
function named(id: string): { id: string; idempotencyKey: string } {
  return { id, idempotencyKey: id };
}
