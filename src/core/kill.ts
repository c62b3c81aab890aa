/** An agent's death with a task running on it. */
import type { AgentId } from "../base/ids.ts";

export interface Kill {
  /** False when others ran there as well, and the task has not survived any other kill. */
  readonly counted: boolean;
}

/** Each agent counts once. */
export function withKiller(killers: readonly AgentId[] | undefined, agentId: AgentId): readonly AgentId[] {
  if (killers === undefined) return [agentId];
  return killers.includes(agentId) ? killers : [...killers, agentId];
}
