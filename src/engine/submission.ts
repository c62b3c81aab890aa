/** A task as handed in becomes what the core decides on (spec) and what only its agent reads (body). */
import { createHash } from "node:crypto";
import type { z } from "zod";
import { asTaskId } from "../base/ids.ts";
import type { Entropy } from "../base/random.ts";
import type { PoolOptions } from "../core/pool.ts";
import type { TaskBody, TaskSpec } from "../core/task.ts";
import { type editSchema, priorityOf, type ResolvedTask } from "./options/task.ts";
import { bodyOf, restOf } from "./task-body.ts";

export interface Submission {
  readonly spec: TaskSpec;
  readonly body: TaskBody;
  /** The caller chose the id, so it may be somebody's already. */
  readonly idGiven: boolean;
}

export function submissionOf(
  task: ResolvedTask,
  options: PoolOptions,
  { nowMs, entropy }: { readonly nowMs: number; readonly entropy: Entropy },
): Submission {
  const { input } = task;
  const body = bodyOf(input);
  const always = {
    id: task.id ?? asTaskId(entropy.timedUuid(nowMs)),
    pool: task.pool,
    type: input.type ?? "general",
    requires: task.requires,
    priority: task.priority,
    dependencies: task.dependencies,
    onDependencyFailure: input.onDependencyFailure ?? "cancel",
    maxAttempts: input.maxAttempts ?? options.retry.maxAttempts,
    retryable: input.retryable ?? true,
    createdAtMs: nowMs,
    bodySize: (body.prompt?.length ?? 0) + (body.rest?.length ?? 0),
  };
  // A waiting task is mostly its spec: what nobody has asked for takes no room in it.
  const spec: TaskSpec = task.isPlain ? always : { ...always, ...wishesOf(task) };
  return { spec, body, idGiven: task.id !== undefined };
}

function wishesOf(task: ResolvedTask): Partial<TaskSpec> {
  const { input } = task;
  return {
    preferredAgent: input.preferredAgent,
    fairnessKey: input.fairnessKey,
    affinityKey: input.affinityKey,
    tenant: input.tenant,
    budget: input.budget,
    idempotencyKey: input.idempotencyKey,
    bodyHash: input.idempotencyKey === undefined ? undefined : fingerprint({ pool: task.pool, ...input }),
    timeoutMs: input.timeoutMs,
    deadlineAtMs: task.deadlineAtMs,
    escalate:
      input.escalate === undefined
        ? undefined
        : { atShare: input.escalate.atShare, priority: priorityOf(input.escalate.priority) },
    runAtMs: task.runAtMs,
    parentId: input.parentId === undefined ? undefined : asTaskId(input.parentId),
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
