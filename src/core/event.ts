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
export type Notice = Extract<
  VolatileEvent,
  { readonly type: "task.started_here" | "task.progressed" | "agent.lifecycle" | "agent.health" }
>;

export type Event = DurableEvent | VolatileEvent;

/** What becomes of an event besides being applied. */
type Fate = "stored" | "told" | "unseen";

const FATES: {
  readonly [T in Event["type"]]: T extends DurableEvent["type"]
    ? "stored"
    : T extends Notice["type"]
      ? "told"
      : "unseen";
} = {
  "pool.created": "stored",
  "pool.changed": "stored",
  "pool.deleted": "stored",
  "pool.mode": "stored",
  "pool.scaled": "stored",
  "gate.changed": "stored",
  "spend.freed": "stored",
  "schedule.created": "stored",
  "schedule.deleted": "stored",
  "schedule.paused": "stored",
  "schedule.fired": "stored",
  "schedule.refused": "stored",
  "schedule.skipped": "stored",
  "schedule.missed": "stored",
  "agent.added": "stored",
  "agent.removed": "stored",
  "agent.changed": "stored",
  "task.submitted": "stored",
  "task.waiting": "stored",
  "task.deadline_near": "stored",
  "task.dependency_met": "stored",
  "task.leased": "stored",
  "task.started": "stored",
  "attempt.ended": "stored",
  "task.settled": "stored",
  "task.replayed": "stored",
  "dead_letter.dropped": "stored",
  "tasks.retired": "stored",
  "task.spared": "stored",
  "payload.quarantined": "stored",
  "payload.released": "stored",
  "task.started_here": "told",
  "lease.renewed": "unseen",
  "task.progressed": "told",
  "tasks.forgotten": "unseen",
  "run.ended": "unseen",
  "run.adopted": "unseen",
  "agent.leaving": "unseen",
  "agent.reset": "unseen",
  "agent.spawned": "unseen",
  "agent.lifecycle": "told",
  "agent.health": "told",
  "agent.replacing": "unseen",
  "agent.rests": "unseen",
  "agent.refreshed": "unseen",
  "agent.breaker": "unseen",
  "agent.outcomes": "unseen",
  "agent.trial": "unseen",
  "agent.seen": "unseen",
  "agent.probed": "unseen",
  "claim.opened": "unseen",
  "claim.closed": "unseen",
  "run.stuck": "unseen",
  "agent.names": "unseen",
  "run.named": "unseen",
  "submission.held": "unseen",
  "submission.let_go": "unseen",
  "runs.shared": "unseen",
  "agent.reserved": "unseen",
  "pool.quieted": "unseen",
  "pool.draining": "unseen",
  "pool.held_back": "unseen",
  "pool.watched": "unseen",
  "pool.reviewed": "unseen",
  "namespace.draining": "unseen",
};

/** A map, because reading a property by a name that changes costs several times as much. */
const FATE_OF = new Map<string, Fate>(Object.entries(FATES));

export function isDurable(event: Event): event is DurableEvent {
  return FATE_OF.get(event.type) === "stored";
}

export function isNotice(event: Event): event is Notice {
  return FATE_OF.get(event.type) === "told";
}
