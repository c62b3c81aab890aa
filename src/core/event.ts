/** Everything that may have happened. Durable events are stored; volatile ones change memory only. */
import type { AgentId, PoolId, TaskId } from "../base/ids.ts";
import type { AgentIdentity } from "./agent.ts";
import type { Gate } from "./gate.ts";
import type { Kill } from "./kill.ts";
import type { Failure } from "./outcome.ts";
import type { PoolMode, PoolOptions } from "./pool.ts";
import type { Quarantined } from "./quarantined.ts";
import type { SettledFacts } from "./record.ts";
import type { RetiredEvent } from "./retired.ts";
import type { Schedule } from "./schedule.ts";
import type { Attempt, Awaited, EngineDeaths, Priority, Settlement, TaskSpec } from "./task.ts";
import type { VolatileEvent } from "./volatile-event.ts";

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
