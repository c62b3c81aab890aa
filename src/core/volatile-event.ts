/** What changes memory only, and is not there after a restart. */
import type { AgentId, PoolId, TaskId } from "../base/ids.ts";
import type { Json } from "../base/json.ts";
import type { Breaker, Permit, Transition } from "../policies/breaker/breaker.ts";
import type { Outcomes } from "../policies/outcomes.ts";
import type { Health, HealthSource, Isolation, LastExit, Leaving, Lifecycle, OpenClaim } from "./agent.ts";
import type { Held } from "./held-line.ts";
import type { SizeWatch } from "./pool.ts";

export type VolatileEvent =
  | { readonly type: "task.started_here"; readonly taskId: TaskId; readonly fence: number; readonly atMs: number }
  | { readonly type: "lease.renewed"; readonly taskId: TaskId; readonly fence: number; readonly expiresAtMs: number }
  | { readonly type: "task.progressed"; readonly taskId: TaskId; readonly fence: number; readonly progress: Json }
  | { readonly type: "tasks.forgotten"; readonly taskIds: readonly TaskId[] }
  /** The run is known to have ended: its slot is free. */
  | { readonly type: "run.ended"; readonly agentId: AgentId; readonly fence: number; readonly abandoned: boolean }
  /** It goes on although its task has gone on without it, and outlives the engine's term: its slot stays taken. */
  | {
      readonly type: "run.adopted";
      readonly agentId: AgentId;
      readonly taskId: TaskId;
      readonly fence: number;
      readonly sinceMs: number;
    }
  | {
      readonly type: "agent.lifecycle";
      readonly agentId: AgentId;
      readonly lifecycle: Lifecycle;
      readonly atMs: number;
      readonly lastExit?: LastExit | undefined;
      /** Restarts that still count, this one included. */
      readonly restartsAtMs?: readonly number[] | undefined;
      /** When it will be tried again. */
      readonly retryAtMs?: number | undefined;
      /** New with every spawn. */
      readonly isolation?: Isolation | undefined;
    }
  /** A restart is planned, or has begun. Any lifecycle but `draining` ends the plan. */
  | { readonly type: "agent.leaving"; readonly agentId: AgentId; readonly leaving: Leaving }
  /** An operator has cleared what its work has said of it. */
  | { readonly type: "agent.reset"; readonly agentId: AgentId }
  /** Its process begins with this engine: nothing is left of the ids that it had. */
  | { readonly type: "agent.spawned"; readonly agentId: AgentId; readonly isolation: Isolation }
  /** One source's word on the agent's health; `healthy` takes its earlier word back. */
  | {
      readonly type: "agent.health";
      readonly agentId: AgentId;
      readonly source: HealthSource;
      readonly health: Health;
      readonly reason: string;
    }
  | {
      readonly type: "agent.rests";
      readonly agentId: AgentId;
      readonly untilMs: number;
      readonly cooldownMs: number;
    }
  /** It works badly and is begun anew at that instant, which counts as a restart; undefined = it is well again. */
  | {
      readonly type: "agent.replacing";
      readonly agentId: AgentId;
      readonly atMs: number | undefined;
      readonly restartsAtMs: readonly number[];
    }
  /** Time has passed for it: a rest, an open breaker or a trial may be over. */
  | { readonly type: "agent.refreshed"; readonly agentId: AgentId }
  | {
      readonly type: "agent.breaker";
      readonly agentId: AgentId;
      readonly breaker: Breaker;
      /** The change of its state, if there was one. */
      readonly transition: Transition | undefined;
      /** The run that took a permit. */
      readonly run?: { readonly fence: number; readonly permit: Permit } | undefined;
    }
  | { readonly type: "agent.outcomes"; readonly agentId: AgentId; readonly outcomes: Outcomes }
  /** An agent that is unhealthy by its outcomes alone is being tried; not again before `untilMs`. */
  | { readonly type: "agent.trial"; readonly agentId: AgentId; readonly untilMs: number }
  | { readonly type: "agent.seen"; readonly agentId: AgentId; readonly atMs: number }
  | { readonly type: "agent.probed"; readonly agentId: AgentId; readonly good: number; readonly bad: number }
  | {
      readonly type: "claim.opened";
      readonly agentId: AgentId;
      readonly claim: OpenClaim;
      readonly types: readonly string[] | undefined;
    }
  | { readonly type: "claim.closed"; readonly agentId: AgentId }
  /** Its death found several tasks on it. */
  | { readonly type: "runs.shared"; readonly agentId: AgentId }
  /** It takes nothing more until it is empty, and then runs this task alone. */
  | { readonly type: "agent.reserved"; readonly agentId: AgentId; readonly taskId: TaskId }
  /** No agent of this host takes anything but this task; undefined = that is over. */
  | { readonly type: "pool.quieted"; readonly pool: PoolId; readonly taskId: TaskId | undefined }
  /** It goes on for longer than `stuckMs`. */
  | { readonly type: "run.stuck"; readonly agentId: AgentId; readonly fence: number }
  /** Its heartbeat names attempts that are over, of these tasks. */
  | { readonly type: "agent.names"; readonly agentId: AgentId; readonly taskIds: readonly TaskId[] }
  | { readonly type: "run.named"; readonly agentId: AgentId; readonly fence: number }
  /** It waits for room in the queue, and for how long at most. */
  | { readonly type: "submission.held"; readonly pool: PoolId; readonly held: Held; readonly untilMs: number }
  | { readonly type: "submission.let_go"; readonly pool: PoolId; readonly holdId: number }
  | { readonly type: "pool.draining"; readonly pool: PoolId }
  /** A task waits for a faster agent; until then at the longest. */
  | { readonly type: "pool.held_back"; readonly pool: PoolId; readonly untilMs: number }
  /** Its load has been looked at, because its size follows it. */
  | { readonly type: "pool.watched"; readonly pool: PoolId; readonly watch: SizeWatch }
  /** What was held back is looked at again. */
  | { readonly type: "pool.reviewed"; readonly pool: PoolId }
  | { readonly type: "namespace.draining"; readonly matching: boolean };
