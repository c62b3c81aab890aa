/** Troupe: pools of agents that keep going. The library's door. */
export { AgentError } from "./agents/agent-error.ts";
export type { AgentCall, AgentFunction } from "./agents/function.ts";
export { type ErrorCode, isPoolError, PoolError } from "./base/errors.ts";
export {
  createPool,
  createTroupe,
  type ExecuteOptions,
  type FunctionAgent,
  type FunctionAgentOptions,
  functionAgent,
  type LibraryPoolOptions,
  type Pool,
  type SubmittedTask,
  type Troupe,
  type TroupeOptions,
} from "./engine/library.ts";
export type { TaskInput } from "./engine/options.ts";
export type {
  AgentView,
  AnalyticsView,
  AttemptView,
  ExplainView,
  Page,
  PoolMetricsView,
  PoolView,
  TaskStatus,
  TaskView,
} from "./engine/view.ts";
