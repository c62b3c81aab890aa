import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isPoolError, type PoolError } from "../../base/errors.ts";
import { readTaskFile } from "./task-file.ts";

let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "troupe-tasks-"));
  file = join(directory, "tasks.jsonl");
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

function write(...lines: readonly (object | string)[]): void {
  writeFileSync(file, lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n"));
}

function problemOf(read: () => unknown): PoolError {
  try {
    read();
  } catch (error) {
    if (isPoolError(error)) return error;
    throw error;
  }
  throw new Error("the file was taken");
}

const task = (id: string, ...dependencies: string[]): object => ({ pool: "p", id, prompt: id, dependencies });
const keysOf = (options = {}): unknown[] => readTaskFile(file, options).map((line) => line.task.idempotencyKey);

test("blank lines, line ends of Windows and a byte order mark are no tasks", () => {
  writeFileSync(file, `\uFEFF${JSON.stringify(task("a"))}\r\n\r\n  \n${JSON.stringify(task("b"))}\r\n`);
  expect(readTaskFile(file).map(({ line, task: { id } }) => [line, id])).toEqual([
    [1, "a"],
    [4, "b"],
  ]);
});

test("a file without tasks is an empty run", () => {
  write("");
  expect(readTaskFile(file)).toEqual([]);
});

test("a task comes after its dependencies, else lines keep their order", () => {
  write(task("d", "c", "b"), task("x"), task("c", "a"), task("b", "a", "elsewhere"), task("a"), task("y"));
  expect(readTaskFile(file).map((line) => line.task.id)).toEqual(["x", "a", "y", "c", "b", "d"]);
});

test("dependencies named twice or outside of the file do not hold a task back", () => {
  write(task("b", "a", "a", "elsewhere"), task("a"));
  const [a, b] = readTaskFile(file);
  expect([a?.task.id, b?.task.id]).toEqual(["a", "b"]);
  expect(b?.after).toEqual([a]);
});

test("a cycle is refused and its lines are named", () => {
  write(task("x", "a"), task("a", "b"), task("b", "c"), task("c", "a"), task("ok"));
  const problem = problemOf(() => readTaskFile(file));
  expect(problem.code).toBe("dependency_cycle");
  expect(problem.details.lines).toEqual([2, 3, 4]);
  expect(problem.message).toContain("tasks.jsonl:2: ");
});

test("a task that waits for itself is a cycle", () => {
  write(task("a", "a"));
  expect(problemOf(() => readTaskFile(file)).details.lines).toEqual([1]);
});

test("the pool is that of the line, else that of the option, else it is missing", () => {
  write({ prompt: "x", pool: "own" }, { prompt: "y" });
  expect(readTaskFile(file, { pool: "other" }).map(({ pool }) => pool)).toEqual(["own", "other"]);
  expect(problemOf(() => readTaskFile(file)).message).toContain("tasks.jsonl:2: pool: expected");
});

test.each([
  ["{", "tasks.jsonl:1: expected a JSON object"],
  ["[]", "tasks.jsonl:1: expected a JSON object"],
  ["null", "tasks.jsonl:1: expected a JSON object"],
  ['{"pool":"p"}', "tasks.jsonl:1: prompt: expected a prompt or an input"],
  ['{"pool":"p","prompt":"x","colour":"red"}', "tasks.jsonl:1: colour: this field is not known"],
  ['{"pool":"a b","prompt":"x"}', "tasks.jsonl:1: pool: expected the id of a pool"],
  ['{"pool":7,"prompt":"x"}', "tasks.jsonl:1: pool: expected the id of a pool"],
])("the line %s is refused before anything is sent", (line, message) => {
  write(line);
  expect(problemOf(() => readTaskFile(file)).message).toContain(message);
});

test("an id that comes twice is refused", () => {
  write(task("a"), task("b"), task("a"));
  const problem = problemOf(() => readTaskFile(file));
  expect(problem.code).toBe("conflict");
  expect(problem.message).toContain("tasks.jsonl:3: the id a is that of line 1");
});

test("a file that is not there is named", () => {
  expect(problemOf(() => readTaskFile(file)).message).toContain("tasks.jsonl: there is no such file");
});

test("the same file gives the same idempotency keys, each line its own", () => {
  write({ pool: "p", prompt: "x" }, { pool: "p", prompt: "x" });
  const keys = keysOf();
  expect(new Set(keys).size).toBe(2);
  expect(keysOf()).toEqual(keys);
});

test("another line, another pool, another file or a salt gives other keys", () => {
  write({ prompt: "x" });
  const [key] = keysOf({ pool: "p" });
  expect(keysOf({ pool: "q" })).not.toContain(key);
  expect(keysOf({ pool: "p", salt: "1" })).not.toContain(key);
  write({ prompt: "y" });
  expect(keysOf({ pool: "p" })).not.toContain(key);
  file = join(directory, "copy.jsonl");
  write({ prompt: "x" });
  expect(keysOf({ pool: "p" })).not.toContain(key);
});

test("a key of the line's own is kept", () => {
  write({ pool: "p", prompt: "x", idempotencyKey: "mine" });
  expect(keysOf()).toEqual(["mine"]);
});
