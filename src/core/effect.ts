/** Everything the core may ask of the outside. Performed after the commit of the turn that asked. */
import type { PoolError } from "../base/errors.ts";
import type { AgentId, PoolId, TaskId } from "../base/ids.ts";
import type { Reply } from "./command.ts";

export interface LeasedAttempt {
  readonly taskId: TaskId;
  readonly agentId: AgentId;
  readonly number: number;
  readonly fence: number;
  readonly expiresAtMs: number;
}

export type Effect =
  /** Start an attempt on an agent of this host. */
  | { readonly type: "run"; readonly attempt: LeasedAttempt }
  /** Tell a run to stop; the task is no longer its own. */
  | { readonly type: "stop"; readonly agentId: AgentId; readonly taskId: TaskId; readonly fence: number }
  /** Answer a remote agent's waiting claim. */
  | { readonly type: "answer_claim"; readonly claimId: number; readonly attempts: readonly LeasedAttempt[] }
  /** Tell whoever waits for room what came of it. */
  | ({ readonly type: "answer_held"; readonly holdId: number } & (
      | { readonly reply: Reply }
      | { readonly error: PoolError }
    ))
  /** A gate has changed: say so, and probe it as it wants to be. */
  | { readonly type: "watch_gate"; readonly name: string }
  /** Submit the task of a schedule for this instant, and tell what came of it. */
  | { readonly type: "submit_scheduled"; readonly scheduleId: string; readonly atMs: number }
  | { readonly type: "start_agent"; readonly agentId: AgentId }
  /** End its process; its death is told as `agent_exited`. */
  | { readonly type: "kill_agent"; readonly agentId: AgentId; readonly reason: string }
  /** Stop it, to be started anew; told as `agent_stopped`, or as its exit before that. */
  | { readonly type: "stop_agent"; readonly agentId: AgentId }
  /** It was removed: stop it and let go of it. */
  | { readonly type: "close_agent"; readonly agentId: AgentId }
  /** Say that the user's own strategy threw or picked nobody; once per strategy. */
  | { readonly type: "strategy_failed"; readonly pool: PoolId; readonly message: string };
