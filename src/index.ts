/** Troupe: pools of agents that keep going. The library's door. */
export { AgentError, type Classification, type Classify } from "./agents/agent-error.ts";
export type { AgentCall, AgentFunction } from "./agents/function.ts";
export { type ErrorCode, isPoolError, PoolError } from "./base/errors.ts";
export type { ChooseAgent as PoolStrategy, StrategyCandidate, StrategyTask } from "./core/chooser.ts";
export {
  type FunctionAgent,
  type FunctionAgentOptions,
  type FunctionAgents,
  functionAgent,
} from "./engine/library/agents.ts";
export type { LibraryPoolOptions, TroupeOptions } from "./engine/library/open.ts";
export type { ExecuteOptions, Pool, SubmittedTask } from "./engine/library/pool.ts";
export type { PoolAgent } from "./engine/library/pool-agent.ts";
export type { Schedules } from "./engine/library/schedules.ts";
export {
  createPool,
  createTroupe,
  type Routed,
  sharedTroupe,
  type Troupe,
  type TroupeRouteOptions,
} from "./engine/library/troupe.ts";
export type { ScheduleInput } from "./engine/options/schedule.ts";
export type { TaskInput } from "./engine/options/task.ts";
export type {
  AgentView,
  AnalyticsView,
  AttemptView,
  ExplainView,
  IsolationView,
  Page,
  PoolMetricsView,
  PoolView,
  ScheduleView,
  TaskStatus,
  TaskView,
} from "./engine/view.ts";
export { type AgentPool, type AgentPoolOptions, type CallOptions, createAgentPool } from "./patterns/agent-pool.ts";
export type { CallContext, CallLimits } from "./patterns/call.ts";
export { type CircuitBreaker, type CircuitBreakerOptions, createCircuitBreaker } from "./patterns/circuit-breaker.ts";
export {
  type ChainCallOptions,
  type ChainResult,
  createFallbackChain,
  type FallbackChain,
  type FallbackChainOptions,
} from "./patterns/fallback-chain.ts";
export type { CallBlame } from "./patterns/fault.ts";
export type { Permit } from "./patterns/live-breaker.ts";
export type { AddAgentOptions } from "./patterns/roster.ts";
export type { ChooseAgent } from "./patterns/strategy.ts";
export type { CallStats } from "./patterns/tally.ts";
