/** What the log tells of deaths: of agents with tasks on them, and of engines. */
import type { AgentIdentity } from "../../core/agent.ts";
import type { Kill } from "../../core/kill.ts";
import type { Attempt } from "../../core/task.ts";
import type { AuditedPool, AuditedTask, AuditTools } from "./audited.ts";

/** Deaths of the engine that one task may be running at in a row: three in company, one alone. */
const MOST_ENGINE_DEATHS = 4;

/** Deaths that one commit tells of, to be looked at together. */
export class Deaths {
  readonly #byAgent = new Map<
    string,
    { readonly task: string; readonly isNew: boolean; readonly counted: boolean }[]
  >();

  /** An attempt ended by the death of its agent. `isNew`: the first that the task has survived. */
  add({ agentId }: Attempt, task: { readonly id: string; readonly isNew: boolean; readonly counted: boolean }): void {
    const known = this.#byAgent.get(agentId) ?? [];
    known.push({ task: task.id, isNew: task.isNew, counted: task.counted });
    this.#byAgent.set(agentId, known);
  }

  /** A death in company is held against nobody who was not suspected before. */
  check(agents: ReadonlyMap<string, AgentIdentity>, { violate, reach }: AuditTools): void {
    for (const [agentId, victims] of this.#byAgent) {
      // Each run of a command is a process of its own.
      if (victims.length < 2 || agents.get(agentId)?.kind === "command") continue;
      reach("an agent died with several tasks on it");
      for (const { task, isNew, counted } of victims) {
        if (isNew && counted) violate(`task ${task} was in company when ${agentId} died: that tells nothing about it`);
      }
    }
  }
}

export function attemptEnded(task: AuditedTask, attempt: Attempt, kill: Kill | undefined, deaths: Deaths): void {
  if (attempt.error?.code === "engine_died") {
    task.engineDeaths += 1;
    task.engineDeathsInARow += 1;
  } else if (attempt.outcome !== "released") task.engineDeathsInARow = 0;
  if (kill === undefined) return;
  const { counted } = kill;
  deaths.add(attempt, { id: task.spec.id, isNew: task.killers === undefined, counted });
  task.killers ??= new Set();
  if (counted) task.killers.add(attempt.agentId);
}

/** Something was settled: those that have not been at three deaths yet begin to count anew. */
export function spare(tasks: Iterable<AuditedTask>): void {
  for (const task of tasks) if (task.engineDeathsInARow < MOST_ENGINE_DEATHS - 1) task.engineDeathsInARow = 0;
}

/** After an attempt that did not end its task: it has not killed too many. */
export function checkGoesOn(
  { spec, killers, engineDeathsInARow }: AuditedTask,
  { options }: AuditedPool,
  { violate, reach }: AuditTools,
): void {
  const { poisonLimit } = options;
  const isPoison = poisonLimit > 0 && (killers?.size ?? 0) >= poisonLimit;
  if (isPoison) violate(`task ${spec.id} is poison after the death of ${poisonLimit} agents`);
  if (engineDeathsInARow >= MOST_ENGINE_DEATHS)
    violate(`task ${spec.id} runs at ${MOST_ENGINE_DEATHS} engine deaths at most`);
  if (killers !== undefined && killers.size > 0) reach("a task survived the death of its agent");
}

/** At its end as poison: as many agents died with it as it takes, and not less. */
export function checkPoisoned(
  { spec, killers, engineDeaths }: AuditedTask,
  { options }: AuditedPool,
  { attempt, byEngine }: { readonly attempt: Attempt | undefined; readonly byEngine: boolean },
  { violate, reach }: AuditTools,
): void {
  if (byEngine) {
    reach("a task that kills the engine was dead-lettered");
    if (engineDeaths < MOST_ENGINE_DEATHS) violate(`task ${spec.id} is no poison after ${engineDeaths} engine deaths`);
    return;
  }
  reach("a task that kills its agents was dead-lettered");
  const agents = new Set(killers);
  if (attempt !== undefined) agents.add(attempt.agentId);
  const isPoison = options.poisonLimit > 0 && agents.size >= options.poisonLimit;
  if (!isPoison) violate(`task ${spec.id} is no poison after the death of ${agents.size} agents`);
}
