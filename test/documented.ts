/** Looks whether an answer is one that the document of the API tells of. */
import { expect } from "vitest";
import { ANSWERS, type AnswerName } from "../src/interfaces/http/answers.ts";
import { OPERATIONS } from "../src/interfaces/http/operations.ts";

const PATTERNS = Object.entries(OPERATIONS).map(([route, operation]) => {
  const [method, path = ""] = route.split(" ");
  return { method, pattern: new RegExp(`^${path.replaceAll(".", "\\.").replaceAll(/\{\w+\}/g, "[^/]+")}$`), operation };
});

/** Of a route that the document does not have, only refusals are expected. */
export function expectDocumented(
  request: { readonly method: string; readonly path: string },
  answer: { readonly status: number; readonly body: unknown },
): void {
  const { method, path } = request;
  const { status, body } = answer;
  const pathname = path.split("?")[0] ?? "";
  const found = PATTERNS.find((each) => each.method === method && each.pattern.test(pathname));
  const answers: Readonly<Record<number, AnswerName | `text/${string}`>> = found?.operation.answers ?? {};
  const name = answers[status] ?? "Problem";
  if (name.startsWith("text/")) return;
  const { success, error } = ANSWERS[name as AnswerName].safeParse(body);
  expect(success ? "documented" : `${method} ${pathname} ${status} as ${name}: ${error?.message}`).toBe("documented");
}
