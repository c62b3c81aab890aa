/** Everything that may have happened. Durable events are stored; volatile ones change memory only. */
import type { AgentId, PoolId, TaskId } from "../base/ids.ts";
import type { Json } from "../base/json.ts";
import type { Breaker, Permit, Transition } from "../policies/breaker/breaker.ts";
import type { Outcomes } from "../policies/outcomes.ts";
import type {
  AgentIdentity,
  Health,
  HealthSource,
  Isolation,
  LastExit,
  Leaving,
  Lifecycle,
  OpenClaim,
} from "./agent.ts";
import type { Gate } from "./gate.ts";
import type { Held } from "./held-line.ts";
import type { Kill } from "./kill.ts";
import type { Failure } from "./outcome.ts";
import type { PoolMode, PoolOptions, SizeWatch } from "./pool.ts";
import type { Quarantined } from "./quarantined.ts";
import type { SettledFacts } from "./record.ts";
import type { RetiredEvent } from "./retired.ts";
import type { Schedule } from "./schedule.ts";
import type { Attempt, Awaited, EngineDeaths, Priority, Settlement, TaskSpec } from "./task.ts";

/** What a task waits for once it waits again. */
export type Resting =
  | { readonly reason: "agent" }
  | { readonly reason: "dependencies" }
  | { readonly reason: "delay"; readonly untilMs: number }
  | { readonly reason: "retry"; readonly untilMs: number; readonly held?: true | undefined };

/** An instant of a schedule is over. */
interface Served {
  readonly scheduleId: string;
  readonly dueAtMs: number;
  readonly nextAtMs: number | undefined;
}
/** Who has changed a pool's size. */
export type ScaledBy = "operator" | "autoscale" | "replacement" | "options";

export type DurableEvent =
  | { readonly type: "pool.created"; readonly pool: PoolId; readonly options: PoolOptions; readonly atMs: number }
  | { readonly type: "pool.changed"; readonly pool: PoolId; readonly options: PoolOptions }
  | { readonly type: "pool.deleted"; readonly pool: PoolId }
  /** An operator has paused, drained or resumed it. */
  | { readonly type: "pool.mode"; readonly pool: PoolId; readonly mode: PoolMode }
  /** Its size has changed; who comes and goes is told besides. */
  | {
      readonly type: "pool.scaled";
      readonly pool: PoolId;
      readonly from: number;
      readonly to: number;
      readonly by: ScaledBy;
      readonly reason: string;
      readonly atMs: number;
    }
  | { readonly type: "gate.changed"; readonly gate: Gate }
  /** A window of spending is over, of the pool if the tenant has no name. */
  | { readonly type: "spend.freed"; readonly pool: PoolId; readonly tenant: string }
  | { readonly type: "schedule.created"; readonly schedule: Schedule }
  | { readonly type: "schedule.deleted"; readonly scheduleId: string }
  | {
      readonly type: "schedule.paused";
      readonly scheduleId: string;
      readonly paused: boolean;
      readonly nextAtMs: number | undefined;
    }
  /** Its task of this instant was submitted. */
  | ({ readonly type: "schedule.fired"; readonly submitted: TaskId } & Served)
  /** Its task of this instant was not taken. */
  | ({ readonly type: "schedule.refused"; readonly error: Failure } & Served)
  /** The task before is still open. */
  | ({ readonly type: "schedule.skipped" } & Served)
  /** So many instants after this one passed unserved. */
  | {
      readonly type: "schedule.missed";
      readonly scheduleId: string;
      readonly dueAtMs: number;
      readonly missed: number;
    }
  | { readonly type: "agent.added"; readonly agent: AgentIdentity }
  /** An operator has said something of it. */
  | { readonly type: "agent.changed"; readonly agent: AgentIdentity }
  | { readonly type: "agent.removed"; readonly agentId: AgentId; readonly pool: PoolId }
  | {
      readonly type: "task.submitted";
      readonly num: number;
      readonly spec: TaskSpec;
      readonly queuedAtMs: number;
      /** When its deadline is near, if that matters. */
      readonly nearAtMs?: number | undefined;
      readonly resting: Resting;
      /** Dependencies that have not ended yet. */
      readonly waitsFor: readonly TaskId[];
      /** Those of them that nobody has submitted yet, and until when they are waited for. */
      readonly awaited?: Awaited | undefined;
      readonly failedDependencies: readonly TaskId[];
    }
  /** It waits for something else now: its last dependency ended, its delay or backoff is over, or begins. */
  | {
      readonly type: "task.waiting";
      readonly taskId: TaskId;
      readonly resting: Resting;
      /** A backoff is over: those that failed may serve again if nobody else could. */
      readonly again: boolean;
    }
  /** Its deadline is near, and its priority is this from now on. */
  | { readonly type: "task.deadline_near"; readonly taskId: TaskId; readonly priority: Priority; readonly atMs: number }
  /** One dependency more is out of the way. */
  | {
      readonly type: "task.dependency_met";
      readonly taskId: TaskId;
      readonly dependency: TaskId;
      readonly failed: boolean;
    }
  | {
      readonly type: "task.leased";
      readonly taskId: TaskId;
      readonly agentId: AgentId;
      readonly number: number;
      readonly fence: number;
      readonly atMs: number;
      readonly expiresAtMs: number;
    }
  /** Durable for remote agents, whose attempts outlive the engine. */
  | { readonly type: "task.started"; readonly taskId: TaskId; readonly fence: number; readonly atMs: number }
  /** An attempt ended and the task waits again. */
  | {
      readonly type: "attempt.ended";
      readonly taskId: TaskId;
      readonly attempt: Attempt;
      /** Counted against `maxAttempts`. */
      readonly charged: boolean;
      /** The agent joins the task's failed list. */
      readonly exclude: boolean;
      /** The run may still be going on: its slot stays taken. */
      readonly held: boolean;
      readonly resting: Resting;
      /** Its agent died with it. */
      readonly kill?: Kill | undefined;
      /** The engine died with it. */
      readonly deaths?: EngineDeaths | undefined;
    }
  /** The task is final; with the attempt that ended with it, if one was running. */
  | {
      readonly type: "task.settled";
      readonly taskId: TaskId;
      readonly settlement: Settlement;
      readonly attempt?: Attempt | undefined;
      readonly charged: boolean;
      readonly exclude: boolean;
      readonly held: boolean;
    }
  /** The engine died while other tasks ran, so the deaths of this one are not in a row. */
  | { readonly type: "task.spared"; readonly taskId: TaskId }
  /** What killed its agents is not taken again. */
  | ({ readonly type: "payload.quarantined" } & Quarantined)
  | { readonly type: "payload.released"; readonly pool: PoolId; readonly fingerprint: string }
  /** Settled tasks that the store lets go. */
  | RetiredEvent
  /** A dead letter begins a new life. Carries what the core had let go. */
  | {
      readonly type: "task.replayed";
      readonly facts: SettledFacts;
      /** Its spec is another than before. */
      readonly respecified: boolean;
      readonly atMs: number;
      readonly resting: Resting;
      /** Dependencies that have not ended yet. */
      readonly waitsFor: readonly TaskId[];
    }
  /** It can't be replayed any more: discarded, or one too many. */
  | { readonly type: "dead_letter.dropped"; readonly pool: PoolId; readonly id: TaskId; readonly num: number };

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

/** Volatile events that are worth telling: hints, told once and never again. */
const NOTICES = ["task.started_here", "task.progressed", "agent.lifecycle", "agent.health"] as const;
export type Notice = Extract<VolatileEvent, { readonly type: (typeof NOTICES)[number] }>;

export function isNotice(event: Event): event is Notice {
  return (NOTICES as readonly string[]).includes(event.type);
}

export type Event = DurableEvent | VolatileEvent;

const DURABLE: Readonly<Record<Event["type"], boolean>> = {
  "pool.created": true,
  "pool.changed": true,
  "pool.deleted": true,
  "pool.mode": true,
  "pool.scaled": true,
  "gate.changed": true,
  "spend.freed": true,
  "schedule.created": true,
  "schedule.deleted": true,
  "schedule.paused": true,
  "schedule.fired": true,
  "schedule.refused": true,
  "schedule.skipped": true,
  "schedule.missed": true,
  "agent.added": true,
  "agent.removed": true,
  "agent.changed": true,
  "task.submitted": true,
  "task.waiting": true,
  "task.deadline_near": true,
  "task.dependency_met": true,
  "task.leased": true,
  "task.started": true,
  "attempt.ended": true,
  "task.settled": true,
  "task.replayed": true,
  "dead_letter.dropped": true,
  "tasks.retired": true,
  "task.spared": true,
  "payload.quarantined": true,
  "payload.released": true,
  "task.started_here": false,
  "lease.renewed": false,
  "task.progressed": false,
  "tasks.forgotten": false,
  "run.ended": false,
  "run.adopted": false,
  "agent.leaving": false,
  "agent.reset": false,
  "agent.spawned": false,
  "agent.lifecycle": false,
  "agent.health": false,
  "agent.replacing": false,
  "agent.rests": false,
  "agent.refreshed": false,
  "agent.breaker": false,
  "agent.outcomes": false,
  "agent.trial": false,
  "agent.seen": false,
  "agent.probed": false,
  "claim.opened": false,
  "claim.closed": false,
  "run.stuck": false,
  "agent.names": false,
  "run.named": false,
  "submission.held": false,
  "submission.let_go": false,
  "runs.shared": false,
  "agent.reserved": false,
  "pool.quieted": false,
  "pool.draining": false,
  "pool.held_back": false,
  "pool.watched": false,
  "pool.reviewed": false,
  "namespace.draining": false,
};

export function isDurable(event: Event): event is DurableEvent {
  return DURABLE[event.type];
}
