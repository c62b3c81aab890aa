/** A task as handed in becomes what the core decides on (spec) and what only its agent reads (body). */
import { createHash } from "node:crypto";
import type { z } from "zod";
import { asTaskId, type PoolId } from "../base/ids.ts";
import type { Entropy } from "../base/random.ts";
import type { PoolOptions } from "../core/pool.ts";
import type { TaskBody, TaskSpec } from "../core/task.ts";
import { type CheckedTask, type editSchema, hasWishes, priorityOf } from "./options/task.ts";
import { bodyOf, restOf } from "./task-body.ts";

export interface Submission {
  readonly spec: TaskSpec;
  readonly body: TaskBody;
  /** The caller chose the id, so it may be somebody's already. */
  readonly idGiven: boolean;
}

/** Where its instants and its id come from. */
export interface Sources {
  readonly turnClock: { now(): number };
  readonly entropy: Pick<Entropy, "timedUuid">;
}

/** Most tasks need nobody and nothing: they share this. */
const NOTHING: readonly [] = [];

export function submissionOf(task: CheckedTask, options: PoolOptions, sources: Sources): Submission {
  const body = bodyOf(task);
  return { spec: specOf(task, body, options, sources), body, idGiven: task.id !== undefined };
}

export function specOf(
  task: CheckedTask,
  body: TaskBody,
  options: PoolOptions,
  { turnClock, entropy }: Sources,
): TaskSpec {
  const nowMs = turnClock.now();
  const always: TaskSpec = {
    id: asTaskId(task.id ?? entropy.timedUuid(nowMs)),
    pool: options.id,
    type: task.type ?? "general",
    requires: task.requires === undefined ? NOTHING : [...new Set(task.requires)].sort(),
    priority: priorityOf(task.priority),
    dependencies: task.dependencies === undefined ? NOTHING : [...new Set(task.dependencies)].map(asTaskId),
    onDependencyFailure: task.onDependencyFailure ?? "cancel",
    maxAttempts: task.maxAttempts ?? options.retry.maxAttempts,
    retryable: task.retryable ?? true,
    createdAtMs: nowMs,
    bodySize: (body.prompt?.length ?? 0) + (body.rest?.length ?? 0),
  };
  // A waiting task is mostly its spec: what nobody has asked for takes no room in it.
  return hasWishes(task) ? { ...always, ...wishesOf(task, options.id, nowMs) } : always;
}

function wishesOf(task: CheckedTask, pool: PoolId, nowMs: number): Partial<TaskSpec> {
  const { runAt, delayMs, deadlineAt, escalate, parentId, idempotencyKey } = task;
  return {
    preferredAgent: task.preferredAgent,
    fairnessKey: task.fairnessKey,
    affinityKey: task.affinityKey,
    tenant: task.tenant,
    budget: task.budget,
    idempotencyKey,
    bodyHash: idempotencyKey === undefined ? undefined : fingerprint({ pool, ...task }),
    timeoutMs: task.timeoutMs,
    deadlineAtMs: deadlineAt === undefined ? undefined : Date.parse(deadlineAt),
    escalate: escalate && { atShare: escalate.atShare, priority: priorityOf(escalate.priority) },
    runAtMs: runAt !== undefined ? Date.parse(runAt) : delayMs ? nowMs + delayMs : undefined,
    parentId: parentId === undefined ? undefined : asTaskId(parentId),
  };
}

/** A dead letter with what its caller has changed; what is not named stays as it was. */
export function editedTask(
  { spec, body }: { readonly spec: TaskSpec; readonly body: TaskBody },
  edit: z.output<typeof editSchema>,
): Pick<Submission, "spec" | "body"> {
  const { prompt, input, context, metadata, priority, requires, deadlineAt, ...plain } = edit;
  const rest = restOf(body);
  const changed = bodyOf({
    prompt: prompt ?? body.prompt,
    input: input === undefined ? rest.input : input,
    context: context ?? rest.context,
    metadata: metadata ?? rest.metadata,
  });
  const given = Object.fromEntries(Object.entries(plain).filter(([, value]) => value !== undefined));
  return {
    body: changed,
    spec: {
      ...spec,
      ...given,
      priority: priority === undefined ? spec.priority : priorityOf(priority),
      requires: requires === undefined ? spec.requires : [...new Set(requires)].sort(),
      deadlineAtMs: deadlineAt === undefined ? spec.deadlineAtMs : Date.parse(deadlineAt),
      bodySize: (changed.prompt?.length ?? 0) + (changed.rest?.length ?? 0),
    },
  };
}

/** What a payload consists of, whoever hands it in: SHA-256 of `{ type, prompt, input, context, dependencies }`. */
export function payloadFingerprint({ type, dependencies }: TaskSpec, body: TaskBody): string {
  const { input, context } = restOf(body);
  return fingerprint({ type, prompt: body.prompt, input, context, dependencies: [...dependencies].sort() });
}

/** SHA-256 of the request, whatever the order of its keys. */
function fingerprint(request: unknown): string {
  return createHash("sha256").update(canonical(request)).digest("hex");
}

function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_key, field: unknown) => {
      if (typeof field !== "object" || field === null || Array.isArray(field)) return field;
      return Object.fromEntries(Object.entries(field).sort(([a], [b]) => (a < b ? -1 : 1)));
    }) ?? ""
  );
}
