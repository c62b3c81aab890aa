/** A file of tasks for `troupe run`: JSON Lines, each a task with its pool. */
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { isPoolError, messageOf, PoolError } from "../../base/errors.ts";
import { ID_PATTERN } from "../../base/ids.ts";
import { parseWith } from "../../engine/options/parse.ts";
import { type TaskInput, taskSchema } from "../../engine/options/task.ts";

/** 256 MB. */
const FILE_LIMIT_BYTES = 268_435_456;

/** One line of the file. */
export interface FileTask {
  /** From 1. */
  readonly line: number;
  readonly pool: string;
  /** With an idempotency key, so that sending it again is safe. */
  readonly task: TaskInput;
  /** Length of the line, UTF-16 units. */
  readonly size: number;
  /** Those of its dependencies that are in the file. */
  readonly after: readonly FileTask[];
}

export interface TaskFileOptions {
  /** Pool of the lines that name none. */
  readonly pool?: string | undefined;
  /** Makes the tasks different from those of an earlier run of the same file. */
  readonly salt?: string | undefined;
}

/**
 * Reads a whole file and checks it, before anything is sent.
 *
 * @returns the tasks, each after those that it depends on, else in the order of the lines
 * @throws PoolError `invalid`, `conflict` for an id that comes twice, `dependency_cycle`; the message names file and line
 */
export function readTaskFile(path: string, options: TaskFileOptions = {}): FileTask[] {
  const seed = `${resolve(path)}\n${options.salt ?? ""}`;
  const tasks: Draft[] = [];
  readText(path)
    .split("\n")
    .forEach((text, index) => {
      if (text.trim() !== "") tasks.push(parseLine(text, { path, line: index + 1, seed, pool: options.pool }));
    });
  link(tasks, path);
  return inOrder(tasks, path);
}

/** While the file is linked together. */
type Draft = FileTask & { readonly after: FileTask[] };

function readText(path: string): string {
  try {
    const { size } = statSync(path);
    if (size <= FILE_LIMIT_BYTES) return readFileSync(path, "utf8").replace(/^\uFEFF/, "");
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    throw new PoolError("invalid", `${path}: ${missing ? "there is no such file" : messageOf(cause)}`, { cause });
  }
  throw new PoolError("too_large", `${path}: at most ${FILE_LIMIT_BYTES} bytes are read`);
}

interface Place {
  readonly path: string;
  readonly line: number;
}

function problem({ path, line }: Place, message: string, cause?: unknown): PoolError {
  return new PoolError("invalid", `${path}:${line}: ${message}`, { details: { file: path, line }, cause });
}

function parseLine(
  text: string,
  { seed, pool: fallback, ...place }: Place & { seed: string; pool: string | undefined },
): Draft {
  const { pool = fallback, ...rest } = parseObject(text, place);
  if (pool === undefined) throw problem(place, "pool: expected the pool of the task, here or by --pool");
  if (typeof pool !== "string" || !ID_PATTERN.test(pool)) throw problem(place, "pool: expected the id of a pool");
  const idempotencyKey = createHash("sha256").update(`${seed}\n${place.line}\n${pool}\n${text.trim()}`).digest("hex");
  try {
    const task = { idempotencyKey, ...parseWith(taskSchema, rest) } as TaskInput;
    return { line: place.line, pool, task, size: text.length, after: [] };
  } catch (error) {
    if (!isPoolError(error)) throw error;
    throw problem(place, error.message, error);
  }
}

function parseObject(text: string, place: Place): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw problem(place, `expected a JSON object: ${messageOf(cause)}`, cause);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw problem(place, "expected a JSON object");
}

function link(tasks: readonly Draft[], path: string): void {
  const byId = new Map<string, Draft>();
  for (const draft of tasks) {
    const { id } = draft.task;
    if (id === undefined) continue;
    const earlier = byId.get(id);
    if (earlier !== undefined) {
      throw new PoolError("conflict", `${path}:${draft.line}: the id ${id} is that of line ${earlier.line}`, {
        details: { file: path, line: draft.line, id },
      });
    }
    byId.set(id, draft);
  }
  for (const draft of tasks) {
    for (const id of new Set(draft.task.dependencies)) {
      const dependency = byId.get(id);
      if (dependency !== undefined) draft.after.push(dependency);
    }
  }
}

/** @see "Topological sorting of large networks", A. B. Kahn, 1962 */
function inOrder(tasks: readonly FileTask[], path: string): FileTask[] {
  const missing = new Map(tasks.map((task) => [task, task.after.length]));
  const dependents = new Map<FileTask, FileTask[]>();
  for (const task of tasks) {
    for (const dependency of task.after) {
      const list = dependents.get(dependency);
      if (list === undefined) dependents.set(dependency, [task]);
      else list.push(task);
    }
  }
  const ordered = tasks.filter((task) => task.after.length === 0);
  // The list grows while it is walked.
  for (const done of ordered) {
    for (const dependent of dependents.get(done) ?? []) {
      const left = (missing.get(dependent) ?? 0) - 1;
      missing.set(dependent, left);
      if (left === 0) ordered.push(dependent);
    }
  }
  if (ordered.length < tasks.length) throw cycleProblem(tasks, new Set(ordered), path);
  return ordered;
}

/** Every task that is left waits for another that is left, so following them leads round. */
function cycleProblem(tasks: readonly FileTask[], ordered: ReadonlySet<FileTask>, path: string): PoolError {
  const trail: FileTask[] = [];
  let task = tasks.find((candidate) => !ordered.has(candidate));
  while (task !== undefined && !trail.includes(task)) {
    trail.push(task);
    task = task.after.find((dependency) => !ordered.has(dependency));
  }
  const cycle = task === undefined ? trail : trail.slice(trail.indexOf(task));
  const lines = cycle.map(({ line }) => line);
  return new PoolError(
    "dependency_cycle",
    `${path}:${Math.min(...lines)}: the tasks of these lines wait for each other: ${lines.join(", ")}`,
    {
      details: { file: path, lines },
    },
  );
}
