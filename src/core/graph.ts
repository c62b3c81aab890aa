/** Dependencies between the tasks of one submission: unknown ones and cycles are found before anything is stored. */
import { PoolError } from "../base/errors.ts";
import type { TaskId } from "../base/ids.ts";
import type { TaskSpec } from "./task.ts";

/**
 * Refuses a cycle that the specs of a batch would close, and names it. It lies inside the batch, as a task that is
 * already known depends on older ones only, unless somebody has waited for what is submitted now.
 *
 * @param openSpec - the open task of an id; given when tasks wait for some of the batch
 */
export function refuseCycle(
  specs: readonly Linked[],
  openSpec: (id: TaskId) => Linked | undefined = () => undefined,
): void {
  const batch = new Map(specs.map((spec) => [spec.id, spec]));
  const byId = (id: TaskId): Linked | undefined => batch.get(id) ?? openSpec(id);
  const checked = new Set<TaskId>();
  for (const { id } of specs) {
    const cycle = findCycle(id, byId, checked);
    if (cycle === undefined) continue;
    throw new PoolError("dependency_cycle", `the dependencies form a cycle: ${cycle.join(" → ")}`, {
      details: { cycle, path: "dependencies" },
    });
  }
}

/** A task, as far as others hang together with it. */
type Linked = Pick<TaskSpec, "id" | "dependencies">;

/** Depth first without recursion, so that a chain of any length needs no stack. */
function findCycle(
  start: TaskId,
  specOf: (id: TaskId) => Linked | undefined,
  checked: Set<TaskId>,
): TaskId[] | undefined {
  const path: { id: TaskId; next: number }[] = [];
  const onPath = new Set<TaskId>();
  const enter = (id: TaskId): void => {
    path.push({ id, next: 0 });
    onPath.add(id);
  };
  if (!checked.has(start)) enter(start);
  for (let step = path[path.length - 1]; step !== undefined; step = path[path.length - 1]) {
    const dependency = specOf(step.id)?.dependencies[step.next];
    if (dependency === undefined) {
      path.pop();
      onPath.delete(step.id);
      checked.add(step.id);
      continue;
    }
    step.next += 1;
    if (onPath.has(dependency)) {
      const from = path.findIndex(({ id }) => id === dependency);
      return [...path.slice(from).map(({ id }) => id), dependency];
    }
    if (specOf(dependency) !== undefined && !checked.has(dependency)) enter(dependency);
  }
  return undefined;
}
