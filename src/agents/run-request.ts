/** An attempt as daemons and commands read it. */
import type { AttemptTask } from "./agent.ts";

/** JSON text of `{ taskId, attempt, type, prompt, input, context }`; what the task does not have is left out. */
export function encodeRequest({ id, attempt, type, prompt, input, context }: AttemptTask): string {
  return JSON.stringify({ taskId: id, attempt, type, prompt, input, context });
}

/** What a task asks as text: its prompt, else the JSON text of its input. */
export function promptOf({ prompt, input }: AttemptTask): string {
  if (prompt !== undefined) return prompt;
  return input === undefined ? "" : JSON.stringify(input);
}

/** Fills `{name}` in once: what a value brings with it is not filled in again. Other braces stay. */
export function fill(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => (Object.hasOwn(values, name) ? values[name]! : whole));
}
