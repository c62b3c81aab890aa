/** Branded ids, so that a task's id is never taken for an agent's. */

export type TaskId = string & { readonly brand: "TaskId" };
export type PoolId = string & { readonly brand: "PoolId" };
export type AgentId = string & { readonly brand: "AgentId" };

/** 1 to 128 letters, digits, `.`, `_`, `-`: the rule for ids of tasks, pools and agents. */
export const ID_PATTERN = /^[A-Za-z0-9._-]{1,128}$/;

export const asTaskId = (id: string): TaskId => id as TaskId;
export const asPoolId = (id: string): PoolId => id as PoolId;
export const asAgentId = (id: string): AgentId => id as AgentId;
