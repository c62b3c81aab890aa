/** A task as callers hand it in. */
import { z } from "zod";
import { DEFAULT_PRIORITY, type Priority } from "../../core/task.ts";
import { parseWith } from "./parse.ts";
import { budgetSchema } from "./spend.ts";
import { count, duration, id, instant, jsonObject, LABEL_PATTERN, LONGEST_LIST, label, name, share } from "./words.ts";

export const prioritySchema = z.union([
  z.enum(["critical", "high", "medium", "normal", "low"]),
  z.literal([1, 2, 3, 4]),
]);

const PRIORITY_NUMBERS: ReadonlyMap<unknown, Priority> = new Map<unknown, Priority>([
  ["critical", 1],
  ["high", 2],
  ["medium", 3],
  ["normal", 3],
  ["low", 4],
  [1, 1],
  [2, 2],
  [3, 3],
  [4, 4],
]);

/** What a caller may set of a task. */
export const taskSchema = z
  .strictObject({
    id: id.optional(),
    type: label.optional(),
    /** Text for the agent; this or `input` is required. */
    prompt: z.string().optional(),
    /** Any JSON for the agent. */
    input: z.json().optional(),
    context: jsonObject.optional(),
    metadata: jsonObject.optional(),
    requires: z.array(label).max(64).optional(),
    priority: prioritySchema.optional(),
    dependencies: z.array(id).max(LONGEST_LIST).optional(),
    onDependencyFailure: z.enum(["cancel", "fail", "run"]).optional(),
    preferredAgent: name.optional(),
    /** Whose task it is: the keys of one pool take turns. */
    fairnessKey: z.string().min(1).max(256).optional(),
    /** Tasks of one key go to the same agent where the strategy is `affinity`. */
    affinityKey: z.string().min(1).max(256).optional(),
    /** Whose money it spends: each tenant of a pool has a limit of its own (`tenantSpend`). */
    tenant: z.string().min(1).max(256).optional(),
    /** What all its attempts together may cost; then it fails, `budget_exceeded`. */
    budget: budgetSchema.optional(),
    idempotencyKey: z.string().min(1).max(256).optional(),
    maxAttempts: count(1, 1_000).optional(),
    retryable: z.boolean().optional(),
    timeoutMs: duration(1).optional(),
    deadlineAt: instant.optional(),
    /** Raises the priority once that share of the time between admission and `deadlineAt` is gone. */
    escalate: z.strictObject({ atShare: share, priority: prioritySchema }).optional(),
    runAt: instant.optional(),
    delayMs: duration(0).optional(),
    parentId: id.optional(),
  })
  .refine((task) => task.prompt !== undefined || task.input !== undefined, {
    path: ["prompt"],
    error: "expected a prompt or an input",
  })
  .refine((task) => task.runAt === undefined || task.delayMs === undefined, {
    path: ["delayMs"],
    error: "runAt and delayMs exclude each other",
  })
  .refine((task) => task.escalate === undefined || task.deadlineAt !== undefined, {
    path: ["escalate"],
    error: "expected a deadlineAt to escalate before",
  });

export type TaskInput = z.input<typeof taskSchema>;

const { shape } = taskSchema;

/** Fields that are judged together with others. */
const RELATED: readonly string[] = ["prompt", "input", "runAt", "delayMs", "deadlineAt", "escalate"];

/** All others. */
const BY_THEMSELVES: ReadonlyMap<string, z.ZodType> = new Map(
  Object.entries(shape).filter(([field]) => !RELATED.includes(field)),
);

/** What may be changed of a dead letter that is replayed: not who it is, nor what depends on whom. */
export const editSchema = z.strictObject({
  type: shape.type,
  prompt: shape.prompt,
  input: shape.input,
  context: shape.context,
  metadata: shape.metadata,
  requires: shape.requires,
  priority: shape.priority,
  preferredAgent: shape.preferredAgent,
  fairnessKey: shape.fairnessKey,
  tenant: shape.tenant,
  budget: shape.budget,
  maxAttempts: shape.maxAttempts,
  retryable: shape.retryable,
  timeoutMs: shape.timeoutMs,
  deadlineAt: shape.deadlineAt,
});

export type EditInput = z.input<typeof editSchema>;

/** The number of a priority, by name or number; medium when absent. */
export function priorityOf(given: z.output<typeof prioritySchema> | undefined): Priority {
  return PRIORITY_NUMBERS.get(given) ?? DEFAULT_PRIORITY;
}

/** A task as a caller handed it in, checked. */
export type CheckedTask = z.output<typeof taskSchema>;

/** It says more than what, of which type and how urgent. Most tasks do not. */
export function hasWishes(task: object): boolean {
  for (const field in task) if (field !== "prompt" && field !== "type" && field !== "priority") return true;
  return false;
}

/** A look at its fields is enough, and each stays what it is. */
function isPlain(input: object): boolean {
  const { prompt, type, priority } = input as { readonly [field: string]: unknown };
  return (
    typeof prompt === "string" &&
    (type === undefined || (typeof type === "string" && LABEL_PATTERN.test(type))) &&
    (priority === undefined || PRIORITY_NUMBERS.has(priority)) &&
    !hasWishes(input)
  );
}

/**
 * The task, itself where it is plain, else with its fields checked one by one: a fifth of what the whole schema costs.
 * Undefined when only the whole can tell: for what is wrong, and for fields that are judged together.
 */
export function quicklyChecked(input: unknown): CheckedTask | undefined {
  if (typeof input !== "object" || input === null || Object.getPrototypeOf(input) !== Object.prototype)
    return undefined;
  if (isPlain(input)) return input as CheckedTask;
  const { prompt, ...others } = input as { readonly [field: string]: unknown };
  // With a prompt no input is required; the other related fields are not taken here.
  if (typeof prompt !== "string") return undefined;
  const checked: { [field: string]: unknown } = { prompt };
  for (const field in others) {
    const schema = BY_THEMSELVES.get(field);
    const parsed = schema?.safeParse(others[field]);
    if (parsed?.success !== true) return undefined;
    checked[field] = parsed.data;
  }
  return checked as CheckedTask;
}

/** @throws PoolError `invalid` with the path of the first problem */
export function checkedTask(input: unknown, path = ""): CheckedTask {
  return quicklyChecked(input) ?? parseWith(taskSchema, input, path);
}
