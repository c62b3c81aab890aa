/** How a bad value of the configuration is named: the place first, then what was expected. */
import type { z } from "zod";
import { PoolError } from "../base/errors.ts";

export type Step = string | number;

/** Where a value comes from: a file with a line for each path, a variable, or a flag. */
export interface Origin {
  /** `troupe.yaml:12`, `TROUPE_PORT`, `--port`. */
  place(steps: readonly Step[]): { readonly text: string; readonly details: Readonly<Record<string, unknown>> };
}

/** `pools[0].queue.limit` */
export function joinPath(steps: readonly Step[]): string {
  return steps.reduce<string>((joined, step) => {
    if (typeof step === "number") return `${joined}[${step}]`;
    return joined === "" ? step : `${joined}.${step}`;
  }, "");
}

/** The steps of a path that `joinPath` joined; keys must not hold `.` or `[`. */
export function splitPath(path: string): Step[] {
  return [...path.matchAll(/\[(\d+)\]|([^.[\]]+)/g)].map(([, index, key]) =>
    index === undefined ? (key ?? "") : Number(index),
  );
}

/** `config_invalid` whose message names place, path and expectation. */
export function configProblem(origin: Origin, steps: readonly Step[], expectation: string, cause?: unknown): PoolError {
  const { text, details } = origin.place(steps);
  const path = joinPath(steps);
  const message = [text, path, expectation].filter((part) => part !== "").join(": ");
  return new PoolError("config_invalid", message, { details: { ...details, path }, cause });
}

/** Parses a value that came from `origin`; the first problem becomes `config_invalid`. */
export function parseConfig<T>(schema: z.ZodType<T>, value: unknown, origin: Origin, root: readonly Step[] = []): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  if (issue === undefined) throw configProblem(origin, root, "the value is not valid", parsed.error);
  const { steps, expectation } = firstProblem(issue);
  throw configProblem(origin, [...root, ...steps], expectation);
}

type Issue = z.core.$ZodIssue;

function firstProblem(issue: Issue): { steps: Step[]; expectation: string } {
  const steps = issue.path.map((step) => (typeof step === "number" ? step : String(step)));
  if (issue.code === "unrecognized_keys") {
    return { steps: [...steps, issue.keys[0] ?? ""], expectation: "this field is not known" };
  }
  if (issue.code === "invalid_union") {
    // The branch that got furthest is the one that was meant.
    const inside = issue.errors
      .flatMap(([first]) => (first === undefined ? [] : [first]))
      .map(firstProblem)
      .toSorted((a, b) => b.steps.length - a.steps.length);
    const [deepest] = inside;
    if (deepest !== undefined && deepest.steps.length > 0) {
      return { steps: [...steps, ...deepest.steps], expectation: deepest.expectation };
    }
    if (inside.length > 0) return { steps, expectation: inside.map((branch) => branch.expectation).join(", or ") };
  }
  return { steps, expectation: plain(issue.message) };
}

/** The message without the library's heading, `Invalid input: expected number …`. */
function plain(message: string): string {
  const said = message
    .replace(/^[A-Z][a-z]+(?: [a-z]+)*: /, "")
    .replace(/, received undefined$/, ", but it is missing");
  return said.replace(/, received /, ", got ");
}
