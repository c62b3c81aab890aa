/**
 * Specs that say the same but for what is each task's own. Those of a pool mostly do, so whoever keeps many tasks keeps
 * one spec for all that are alike, and what differs beside it.
 */
import type { TaskSpec } from "../core/task.ts";

/** What no two tasks need have in common. The rest of a spec is shared by those that are alike. */
export type OwnOfSpec = Pick<TaskSpec, "id" | "priority" | "createdAtMs" | "bodySize">;
export type SharedSpec = Omit<TaskSpec, keyof OwnOfSpec>;

/** Kinds of task that are told apart at a time. Where more come by turns, some specs are kept although they are alike. */
export const KINDS_KNOWN = 8;

export class LikeSpecs {
  readonly #known: TaskSpec[] = [];
  #last: TaskSpec | undefined;
  /** Where the next kind is written. */
  #next = 0;

  /** A spec that says the same as this one but for what is its own; itself if none such came lately. */
  likeOf(spec: TaskSpec): TaskSpec {
    if (isSingular(spec)) return spec;
    if (this.#last !== undefined && isLike(this.#last, spec)) return this.#last;
    this.#last = this.#known.find((known) => isLike(known, spec)) ?? this.#learn(spec);
    return this.#last;
  }

  #learn(spec: TaskSpec): TaskSpec {
    this.#known[this.#next] = spec;
    this.#next = (this.#next + 1) % KINDS_KNOWN;
    return spec;
  }
}

/** The spec of the task that has this of its own, and shares the rest with the other. */
export function specLike(like: TaskSpec, { id, priority, createdAtMs, bodySize }: OwnOfSpec): TaskSpec {
  return { ...like, id, priority, createdAtMs, bodySize };
}

/** It names what hardly two tasks name, so that nobody need look for another. */
function isSingular(spec: TaskSpec): boolean {
  return (
    spec.dependencies.length > 0 ||
    spec.idempotencyKey !== undefined ||
    spec.bodyHash !== undefined ||
    spec.deadlineAtMs !== undefined ||
    spec.runAtMs !== undefined ||
    spec.budget !== undefined ||
    spec.escalate !== undefined
  );
}

/** Neither is singular. */
function isLike(a: TaskSpec, b: TaskSpec): boolean {
  return (
    a.pool === b.pool &&
    a.type === b.type &&
    a.onDependencyFailure === b.onDependencyFailure &&
    a.maxAttempts === b.maxAttempts &&
    a.retryable === b.retryable &&
    a.timeoutMs === b.timeoutMs &&
    a.preferredAgent === b.preferredAgent &&
    a.fairnessKey === b.fairnessKey &&
    a.affinityKey === b.affinityKey &&
    a.tenant === b.tenant &&
    a.parentId === b.parentId &&
    isSameList(a.requires, b.requires)
  );
}

function isSameList(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((text, n) => text === b[n]));
}
