/** Everything that may be asked of the core. Facts about settled tasks come along, looked up by the engine. */
import type { AgentId, PoolId, TaskId } from "../base/ids.ts";
import type { Json } from "../base/json.ts";
import type { AgentIdentity, Health, Isolation } from "./agent.ts";
import type { GateProbe } from "./gate.ts";
import type { Failure, Outcome } from "./outcome.ts";
import type { AgentTemplate, PoolMode, PoolOptions } from "./pool.ts";
import type { FingerprintOf } from "./quarantined.ts";
import type { RateOptions } from "./rate.ts";
import type { SettledFacts } from "./record.ts";
import type { KeyRecord, OldTask } from "./retired.ts";
import type { Schedule } from "./schedule.ts";
import type { FinalStatus, TaskBody, TaskSpec } from "./task.ts";

/** Settled tasks that a command names, as they were when it was looked up. */
export interface Known {
  readonly tasks: ReadonlyMap<TaskId, SettledFacts>;
  readonly keys: ReadonlyMap<string, SettledFacts>;
  /** Keys whose tasks are gone. */
  readonly oldKeys?: ReadonlyMap<string, KeyRecord> | undefined;
}

/** What may be changed of an agent. */
export interface AgentChange
  extends Partial<Pick<AgentIdentity, "capabilities" | "concurrency" | "weight" | "priority" | "metadata">> {
  readonly rate?: RateOptions | null | undefined;
  readonly isolation?: Partial<Isolation> | undefined;
}

export type Command =
  | { readonly type: "create_pool"; readonly options: PoolOptions }
  | { readonly type: "change_pool"; readonly options: PoolOptions }
  | { readonly type: "drain_pool"; readonly pool: PoolId }
  | { readonly type: "set_mode"; readonly pool: PoolId; readonly mode: PoolMode }
  /** An operator's word; a probe of null takes the known one away. */
  | {
      readonly type: "set_gate";
      readonly name: string;
      readonly available: boolean;
      readonly holds?: readonly string[] | undefined;
      readonly probe?: GateProbe | null | undefined;
    }
  | { readonly type: "gate_probed"; readonly name: string; readonly available: boolean; readonly reason: string }
  | {
      readonly type: "create_schedule";
      readonly schedule: Omit<Schedule, "createdAtMs" | "nextAtMs" | "fired" | "missed">;
    }
  | { readonly type: "pause_schedule"; readonly id: string; readonly paused: boolean }
  | { readonly type: "delete_schedule"; readonly id: string }
  /** The task of an instant was submitted, or was refused. */
  | {
      readonly type: "schedule_served";
      readonly id: string;
      readonly atMs: number;
      /** `epoch`: the term in which it was refused. */
      readonly result: { readonly taskId: TaskId } | { readonly error: Failure; readonly epoch: number };
    }
  /** Cancels what is open and removes pool and agents. */
  | { readonly type: "delete_pool"; readonly pool: PoolId }
  | {
      readonly type: "add_agent";
      readonly agent: Omit<AgentIdentity, "ordinal">;
      /** That nobody has; the next one when absent. */
      readonly ordinal?: number | undefined;
      /** Added by itself, not with its pool: the entry that it brings, and `size.max` bounds it. */
      readonly template?: AgentTemplate | undefined;
    }
  /** To `target` agents, or by `add` more. */
  | {
      readonly type: "scale";
      readonly pool: PoolId;
      readonly target?: number | undefined;
      readonly add?: number | undefined;
      /** As many of `add` as there is room for. */
      readonly capped?: boolean | undefined;
      /** An operator's word is checked; options have been. */
      readonly by?: "options" | undefined;
    }
  /** The options of its pool have changed: it stands under this entry now. */
  | { readonly type: "place_agent"; readonly agentId: AgentId; readonly entry: number | undefined }
  | { readonly type: "fail_agent"; readonly agentId: AgentId; readonly reason: string }
  | { readonly type: "recover_agent"; readonly agentId: AgentId }
  /** What is not named stays; a rate of null takes the known one away. */
  | { readonly type: "change_agent"; readonly agentId: AgentId; readonly change: AgentChange }
  | { readonly type: "verify_capability"; readonly agentId: AgentId; readonly capability: string }
  /** It takes no more work; with `keep` until it is recovered, over restarts. */
  | { readonly type: "drain_agent"; readonly agentId: AgentId; readonly keep: boolean }
  /** It is started anew once it is empty; what still runs at `untilMs` is given back. */
  | { readonly type: "restart_agent"; readonly agentId: AgentId; readonly untilMs: number }
  /** Its driver has stopped it, as it was asked to. */
  | { readonly type: "agent_stopped"; readonly agentId: AgentId }
  /** Its breaker may try at once, and what its work has said of it is forgotten. */
  | { readonly type: "reset_agent"; readonly agentId: AgentId }
  /** What still runs on it is given back. */
  | { readonly type: "remove_agent"; readonly agentId: AgentId }
  | {
      readonly type: "submit";
      /** All of one pool. */
      readonly specs: readonly TaskSpec[];
      /** What only their agents read, in the order of the specs; it is the store's with their admission. */
      readonly bodies?: readonly TaskBody[] | undefined;
      readonly partial: boolean;
      readonly known: Known;
      /** The caller would wait for room; under this number it is told of it. */
      readonly hold?: number | undefined;
      /** Asked only where something is in quarantine. */
      readonly fingerprintOf?: FingerprintOf | undefined;
    }
  /** Whoever was held has gone. */
  | { readonly type: "let_go"; readonly pool: PoolId; readonly holdId: number }
  | { readonly type: "cancel"; readonly taskId: TaskId; readonly reason: string; readonly known: Known }
  | {
      readonly type: "replay";
      readonly taskId: TaskId;
      readonly known: Known;
      /** Its spec with what the caller has changed. */
      readonly edited?: TaskSpec | undefined;
      /** Of its payload as it was. */
      readonly fingerprint?: string | undefined;
      /** What its agent reads now. */
      readonly body?: TaskBody | undefined;
      readonly fingerprintOf?: FingerprintOf | undefined;
    }
  /** A dead letter loses its mark. */
  | { readonly type: "discard"; readonly taskId: TaskId; readonly known: Known }
  /** A payload leaves the quarantine. */
  | { readonly type: "release_payload"; readonly pool: PoolId; readonly fingerprint: string }
  | {
      readonly type: "report";
      readonly agentId: AgentId | undefined;
      readonly taskId: TaskId;
      readonly fence: number;
      readonly outcome: Outcome;
      readonly known: Known;
      /** When the run began, if it was one of this process. */
      readonly startedAtMs?: number | undefined;
    }
  | { readonly type: "started"; readonly taskId: TaskId; readonly fence: number }
  | { readonly type: "progress"; readonly taskId: TaskId; readonly fence: number; readonly progress: Json }
  | { readonly type: "agent_ready"; readonly agentId: AgentId }
  | {
      readonly type: "agent_exited";
      readonly agentId: AgentId;
      readonly exit: {
        /** We had ended it. */
        readonly asked?: true | undefined;
        readonly code: number | null;
        readonly signal: string | null;
        readonly reason: string;
        readonly logTail: readonly string[];
      };
    }
  /** Its driver vouches for the runs on it. */
  | { readonly type: "agent_alive"; readonly agentId: AgentId }
  | { readonly type: "agent_probed"; readonly agentId: AgentId; readonly good: boolean }
  | {
      readonly type: "join";
      readonly agent: Omit<AgentIdentity, "ordinal">;
      readonly replace: boolean;
    }
  | {
      readonly type: "claim";
      readonly agentId: AgentId;
      readonly claimId: number;
      readonly max: number;
      readonly untilMs: number;
      readonly types: readonly string[] | undefined;
    }
  | { readonly type: "close_claim"; readonly agentId: AgentId; readonly claimId: number }
  | {
      readonly type: "heartbeat";
      readonly agentId: AgentId;
      readonly attempts: readonly { readonly taskId: TaskId; readonly fence: number }[];
      /** What it says of itself; nothing leaves its earlier word. */
      readonly health?: Health | undefined;
    }
  /** Lets open breakers try at once; of one pool, or of all. */
  | { readonly type: "reset_breakers"; readonly pool: PoolId | undefined }
  /**
   * After a start: what ran in the engine that died is lost, what runs elsewhere gets a full lease. In a new term of the
   * same process: what still runs `here` goes on.
   */
  | { readonly type: "recover"; readonly here?: readonly RunHere[] | undefined }
  /** The engine itself was late: nobody's lease may end because of that. */
  | { readonly type: "extend_leases" }
  /** The oldest settled tasks of a pool, as the store has them, and all that it has of the pool. */
  | {
      readonly type: "retire";
      readonly pool: PoolId;
      readonly oldest: readonly OldTask[];
      readonly kept: { readonly count: number; readonly bytes: number };
    }
  | { readonly type: "forget"; readonly taskIds: readonly TaskId[] }
  | { readonly type: "drain"; readonly matching: boolean }
  /** Ends what runs here as `released`; with `cancel` everything open is cancelled instead. */
  | { readonly type: "halt"; readonly cancel: boolean }
  /** Nothing is asked; something is due. */
  | { readonly type: "tick" };

/** A run of this process that outlives the engine's term. */
export interface RunHere {
  readonly agentId: AgentId;
  readonly taskId: TaskId;
  readonly fence: number;
  /** Absent when it never began. */
  readonly startedAtMs: number | undefined;
  /** It has ended, and its report is about to come. */
  readonly isOver: boolean;
}

/** What the core answers, beside the state that it leaves. */
export type Reply =
  | { readonly type: "done" }
  /** The queue is full; the answer comes as `answer_held`. */
  | { readonly type: "held" }
  /** In the order of the specs: the task, and whether it is new. With `partial` also refusals. */
  | {
      readonly type: "submitted";
      readonly items: readonly (
        | { readonly taskId: TaskId; readonly created: boolean; readonly expired?: FinalStatus | undefined }
        | { readonly error: unknown }
      )[];
    }
  | { readonly type: "agent"; readonly agentId: AgentId }
  /** Attempts that an operator's word ended. */
  | { readonly type: "agent_failed"; readonly ended: readonly { readonly taskId: TaskId; readonly number: number }[] }
  /** How many attempts it gave back. */
  | { readonly type: "removed"; readonly released: number }
  /** How many agents `size` drives now, and which of them are new. */
  | { readonly type: "scaled"; readonly size: number; readonly agentIds: readonly AgentId[] }
  /** How many went, and how many were passed over because they are still needed; the others are within the bounds. */
  | { readonly type: "retired"; readonly count: number; readonly passed: number }
  | { readonly type: "cancelled"; readonly count: number }
  | { readonly type: "count"; readonly count: number }
  | {
      readonly type: "heartbeat";
      readonly stop: readonly TaskId[];
      readonly quiet: boolean;
      readonly leaseExpiresAtMs: number;
    };

export const DONE: Reply = { type: "done" };
