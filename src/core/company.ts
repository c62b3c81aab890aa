/** Tasks that may run only by themselves: on an agent that is empty, or in a pool where nothing else runs on this host. */
import type { AgentId, TaskId } from "../base/ids.ts";
import type { Agent } from "./agent.ts";
import type { Task } from "./task.ts";

/** Engine deaths in a row after which a task runs by itself; one more, and it is not run again. */
export const ENGINE_DEATHS = 3;

/** It has survived a kill: the next death must tell whether it is the cause. */
export function needsEmptyAgent({ killers }: Pick<Task, "killers">): boolean {
  return killers !== undefined;
}

/** It ran at too many deaths of the engine: nothing else of its pool runs in this engine meanwhile. */
export function needsQuiet({ deaths }: Pick<Task, "deaths">): boolean {
  return deaths !== undefined && deaths.count >= ENGINE_DEATHS;
}

/** Agents whose work dies with the engine. */
export function isLocal({ identity }: Pick<Agent, "identity">): boolean {
  return identity.kind !== "remote";
}

/** It runs a task that must be by itself. */
export function hasLoner({ identity, runs }: Agent): boolean {
  return runs.size === 1 && identity.concurrency !== 1 && runs.first()?.alone === true;
}

/** Who keeps free for whom, so that a task that needs to be alone does not wait for ever. */
export class Reservations {
  readonly #byAgent = new Map<AgentId, TaskId>();
  readonly #byTask = new Map<TaskId, AgentId>();
  #quietFor: TaskId | undefined;
  /** Grows whenever somebody who was kept for one task is there for others again. */
  ended = 0;

  /** No agent of this host takes anything but this task. */
  get quietFor(): TaskId | undefined {
    return this.#quietFor;
  }

  set quietFor(taskId: TaskId | undefined) {
    if (this.#quietFor !== undefined && this.#quietFor !== taskId) this.ended += 1;
    this.#quietFor = taskId;
  }

  reserve(agentId: AgentId, taskId: TaskId): void {
    this.#byAgent.set(agentId, taskId);
    this.#byTask.set(taskId, agentId);
  }

  /** Gives back the agent that was kept free for it. */
  endOf(taskId: TaskId): AgentId | undefined {
    const agentId = this.#byTask.get(taskId);
    if (agentId === undefined) return undefined;
    this.#byTask.delete(taskId);
    this.#byAgent.delete(agentId);
    this.ended += 1;
    return agentId;
  }

  /** Nobody is kept free for anything. */
  get areNone(): boolean {
    return this.#byAgent.size === 0 && this.quietFor === undefined;
  }

  taskOf(agentId: AgentId): TaskId | undefined {
    return this.#byAgent.get(agentId);
  }

  has(taskId: TaskId): boolean {
    return this.#byTask.has(taskId);
  }

  /** The agent may take the task, as far as others need to be alone. */
  allow(agent: Agent, taskId: TaskId): boolean {
    const reservedFor = this.#byAgent.get(agent.identity.id);
    if (reservedFor !== undefined && reservedFor !== taskId) return false;
    return this.quietFor === undefined || this.quietFor === taskId || !isLocal(agent);
  }
}
