/** The dependencies of a task that comes: which are open, which have ended and how, which nobody knows. */
import { PoolError } from "../base/errors.ts";
import type { TaskId } from "../base/ids.ts";
import type { Known } from "./command.ts";
import { fateOf } from "./dependencies.ts";
import type { NamespaceState } from "./state.ts";
import type { Awaited, FinalStatus, TaskSpec } from "./task.ts";

/** What the dependencies of a task are when it comes. */
export interface Resolved {
  readonly waitsFor: readonly TaskId[];
  readonly awaited: Awaited | undefined;
  readonly failedDependencies: readonly TaskId[];
  /** It can't run: this dependency has ended, and not well. */
  readonly broken: TaskId | undefined;
}

const DEPENDS_ON_NOTHING: Resolved = { waitsFor: [], awaited: undefined, failedDependencies: [], broken: undefined };

export function resolveDependencies(
  state: NamespaceState,
  spec: TaskSpec,
  {
    known,
    batch,
    awaitUntilMs,
  }: {
    known: Known;
    batch: ReadonlySet<TaskId>;
    /** Undefined: all must be there. */
    awaitUntilMs: number | undefined;
  },
): Resolved {
  if (spec.dependencies.length === 0) return DEPENDS_ON_NOTHING;
  const waitsFor: TaskId[] = [];
  const failedDependencies: TaskId[] = [];
  const unknown: TaskId[] = [];
  let broken: TaskId | undefined;
  for (const id of spec.dependencies) {
    const status = endOf(state, id, known);
    if (status === "open") waitsFor.push(id);
    else if (status === undefined) {
      if (batch.has(id)) waitsFor.push(id);
      else unknown.push(id);
    } else if (fateOf({ spec }, status) !== "met") broken ??= id;
    else if (status !== "completed") failedDependencies.push(id);
  }
  if (unknown.length === 0) return { waitsFor, awaited: undefined, failedDependencies, broken };
  if (awaitUntilMs === undefined) throw unknownDependencies(unknown);
  return {
    waitsFor: [...waitsFor, ...unknown],
    awaited: { ids: unknown, untilMs: awaitUntilMs },
    failedDependencies,
    broken,
  };
}

function endOf(state: NamespaceState, id: TaskId, known: Known): FinalStatus | "open" | undefined {
  const task = state.tasks.get(id);
  if (task !== undefined && task.state.name !== "settled") return "open";
  const facts = known.tasks.get(id);
  const num = task?.num ?? facts?.num;
  if (num === undefined || state.retired.has(num)) return undefined;
  return task?.state.name === "settled" ? task.state.settlement.status : facts?.settlement.status;
}

export function unknownDependencies(ids: readonly TaskId[]): PoolError {
  return new PoolError("unknown_dependency", `dependencies: no task ${ids.join(", ")}`, {
    details: { path: "dependencies", unknown: ids },
  });
}
