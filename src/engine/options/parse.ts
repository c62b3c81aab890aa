/** From a value that anybody may have sent to options, or to the one problem that is told. */
import type { z } from "zod";
import { PoolError } from "../../base/errors.ts";

/** Parses with a schema; the first problem becomes `invalid` with its path. */
export function parseWith<T>(schema: z.ZodType<T>, value: unknown, path = ""): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  if (issue === undefined) throw new PoolError("invalid", "the value is not valid");
  throw problem(issue, path);
}

function problem(issue: z.core.$ZodIssue, root: string): PoolError {
  const steps = issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0] ?? ""] : issue.path;
  const path = steps.reduce<string>(
    (joined, step) =>
      typeof step === "number" ? `${joined}[${step}]` : joined === "" ? String(step) : `${joined}.${String(step)}`,
    root,
  );
  const message = issue.code === "unrecognized_keys" ? "this field is not known" : issue.message;
  return new PoolError("invalid", `${path === "" ? "the value" : path}: ${message}`, { details: { path } });
}

/** Drops what is undefined, so that a default is not overwritten by it. */
export function given<T extends object>(options: T | undefined): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const kept: { [K in keyof T]?: Exclude<T[K], undefined> } = {};
  for (const key in options) {
    const value = options[key];
    if (value !== undefined) kept[key] = value as Exclude<T[typeof key], undefined>;
  }
  return kept;
}

export function check(condition: boolean, path: string, message: string): void {
  if (!condition) throw missing(path, message);
}

export function missing(path: string, message: string): PoolError {
  return new PoolError("invalid", `${path}: ${message}`, { details: { path } });
}
