/** Whether a lease may be granted at all: what operators, gates, keys and suspicion say, read from the log alone. */
import type { AgentIdentity } from "../../core/agent.ts";
import type { AuditedTask, AuditTools } from "./audited.ts";
import { type Books, isHeldByGate } from "./books.ts";
import { isCapable } from "./order.ts";

/** Called for a task that is being leased to the agent, while it still counts as waiting. */
export function checkPermission(
  books: Books,
  { task, agent }: { readonly task: AuditedTask; readonly agent: AgentIdentity },
  { violate, reach }: AuditTools,
): void {
  const holds = (condition: boolean, shouldHold: string): void => {
    if (!condition) violate(shouldHold);
  };
  const { id, pool: poolId, type, fairnessKey } = task.spec;
  const pool = books.pools.get(poolId);
  if (pool === undefined) return;
  holds(pool.mode !== "paused", `pool ${poolId} starts nothing while it is paused`);
  holds(!isHeldByGate(books, type), `task ${id} of type ${type} waits behind its gate`);
  holds(agent.drained === undefined, `agent ${agent.name} gets nothing while an operator lets it finish`);
  holds(agent.failed === undefined, `agent ${agent.name} gets nothing while an operator has failed it`);
  holds(isCapable(agent, task), `agent ${agent.name} can do what task ${id} asks for`);
  for (const dependency of task.spec.dependencies) {
    const other = books.tasks.get(dependency);
    // Whoever replays a dead letter wants it run, whatever became of what it depended on.
    const isMet = other?.status === "completed" || (other?.replays ?? 0) > 0 || task.replays > 0;
    holds(isMet || task.spec.onDependencyFailure === "run", `dependency ${dependency} of task ${id} has completed`);
  }
  const beside = [...books.tasks.values()].filter(({ state, agentId }) => state === "leased" && agentId === agent.id);
  const loner = beside.find(({ killers }) => killers !== undefined);
  holds(loner === undefined, `agent ${agent.name} runs nothing beside ${loner?.spec.id}, which has survived a kill`);
  holds(task.killers === undefined || beside.length === 0, `task ${id}, which has survived a kill, runs alone`);
  if (task.killers !== undefined) reach("a suspect ran alone");
  if (task.replays > 0 && task.number > 0) reach("a replay went on with its numbers");
  const { keyConcurrency } = pool.options;
  if (keyConcurrency !== undefined) {
    let running = 0;
    for (const { state, spec } of books.tasks.values()) {
      if (state === "leased" && spec.pool === poolId && spec.fairnessKey === fairnessKey) running += 1;
    }
    holds(running < keyConcurrency, `key ${fairnessKey} has at most ${keyConcurrency} running tasks`);
    if (running + 1 === keyConcurrency) reach("a fairness key reached its bound");
  }
}
