/**
 * The port between the engine and whatever keeps its facts.
 *
 * A store keeps what it is given and gives it back; it knows no rule. One engine owns it at a time: a commit whose
 * epoch is not the newest is refused whole.
 */
import type { PoolId, TaskId } from "../base/ids.ts";
import type { AgentIdentity } from "../core/agent.ts";
import type { DurableEvent } from "../core/event.ts";
import type { Gate } from "../core/gate.ts";
import type { PoolMode, PoolOptions } from "../core/pool.ts";
import type { Quarantined } from "../core/quarantined.ts";
import type { Admitted, OpenFacts, SettledFacts } from "../core/record.ts";
import type { KeyRecord, OldTask } from "../core/retired.ts";
import type { Schedule } from "../core/schedule.ts";
import type { SpendWindow } from "../core/spend.ts";
import type { FinalStatus, TaskBody } from "../core/task.ts";

/**
 * One turn's facts, kept all or none, in the order `reopened`, `admitted`, `open`, `settled`, `dropped`. An `admitted` task with a
 * known `num` replaces its spec and body. The values are the store's from then on: nobody changes them.
 */
export interface Commit {
  /** Sequence number of the first event; the others follow without a gap. At least one event. */
  readonly firstSeq: number;
  readonly atMs: number;
  /** Kept packed, one row per commit. */
  readonly events: readonly DurableEvent[];
  /** Tasks admitted in this commit: written once. */
  readonly admitted: readonly Admitted[];
  /** Narrow rows of open tasks that changed; replaces the earlier row of the same `num`. */
  readonly open: readonly OpenFacts[];
  /** Tasks that became final: their open row goes, their history row comes. */
  readonly settled: readonly SettledRow[];
  /** Tasks that a replay opened again: their history row goes (an `open` row comes with the same commit). */
  readonly reopened: readonly { readonly num: number; readonly id: TaskId }[];
  /** Settled tasks that are dead letters no longer. */
  readonly dropped: readonly { readonly num: number; readonly id: TaskId }[];
  /** Pools that were created or changed; null when deleted. */
  readonly pools: readonly { readonly id: PoolId; readonly record: PoolRecord | null }[];
  /** Agents that were added; null when removed. */
  readonly agents: readonly { readonly id: string; readonly record: AgentIdentity | null }[];
  /** Settled tasks that go for good, with their bodies and results. */
  readonly retired?: readonly { readonly num: number; readonly id: TaskId }[] | undefined;
  /** Idempotency keys that outlive their tasks. */
  readonly keys?: readonly KeyRecord[] | undefined;
  /** Of these keys, those whose tasks were settled before go. */
  readonly keysBeforeMs?: number | undefined;
  /** Payloads that were quarantined; null when let go. */
  readonly quarantine: readonly {
    readonly pool: PoolId;
    readonly fingerprint: string;
    readonly record: Quarantined | null;
  }[];
  /** Gates that were made or changed. */
  readonly gates?: readonly Gate[] | undefined;
  /** What pools (`tenant` is empty) and tenants have spent; null when it counts no more. A pool that goes takes its rows along. */
  readonly spending?:
    | readonly { readonly pool: PoolId; readonly tenant: string; readonly window: SpendWindow | null }[]
    | undefined;
  /** Schedules that were made or changed; null when deleted. */
  readonly schedules?: readonly { readonly id: string; readonly record: Schedule | null }[] | undefined;
}

export type { Admitted } from "../core/record.ts";

export interface SettledRow {
  readonly facts: SettledFacts;
  /** JSON text of the result of a completed task. */
  readonly result?: string | undefined;
}

export interface PoolRecord {
  readonly options: PoolOptions;
  readonly createdAtMs: number;
  /** Absent while it is running. */
  readonly mode?: Exclude<PoolMode, "running"> | undefined;
}

/** A window of spending. */
export interface SpendingRow {
  readonly pool: PoolId;
  /** Empty for the whole pool. */
  readonly tenant: string;
  readonly window: SpendWindow;
}

/** All that is open, as it was after the last commit. */
export interface Loaded {
  /** The owner's number: larger than that of every earlier load of this store. Lives outside the task tables. */
  readonly epoch: number;
  /** Of the last event; 0 when there is none. */
  readonly lastSeq: number;
  /** Highest admission number ever given; 0 when there is none. */
  readonly lastNum: number;
  readonly pools: readonly PoolRecord[];
  readonly agents: readonly AgentIdentity[];
  readonly gates: readonly Gate[];
  readonly schedules: readonly Schedule[];
  readonly spending: readonly SpendingRow[];
  /** In the order of `num`. */
  readonly open: readonly OpenFacts[];
  /** Oldest first. */
  readonly quarantine: readonly Quarantined[];
  /** In the order in which they were settled. */
  readonly deadLetters: readonly { readonly pool: PoolId; readonly id: TaskId; readonly num: number }[];
  /** Epoch of the last commit that settled a task; 0 when there is none. */
  readonly settledEpoch: number;
}

/** A settled task with what only readers need. */
export interface HistoryEntry {
  readonly facts: SettledFacts;
  readonly body: TaskBody;
  readonly result?: string | undefined;
}

export interface HistoryFilter {
  readonly pool?: PoolId | undefined;
  readonly status?: FinalStatus | undefined;
  readonly type?: string | undefined;
  readonly deadLettered?: boolean | undefined;
  /** Only tasks with a larger admission number. */
  readonly afterNum: number;
  /** At least 1. */
  readonly limit: number;
}

/** Facts about settled tasks, by id and by idempotency key. What is not there is absent from the maps. */
export interface Facts {
  readonly tasks: ReadonlyMap<TaskId, SettledFacts>;
  /** Idempotency key → the settled task that was admitted under it. */
  readonly keys: ReadonlyMap<string, SettledFacts>;
  /** Keys that have outlived their tasks; absent when there are none among those asked for. */
  readonly oldKeys?: ReadonlyMap<string, KeyRecord> | undefined;
}

/** The settled tasks of a pool. */
export interface Settled {
  readonly count: number;
  /** Of bodies and results. */
  readonly bytes: number;
  /** Settled first, first. */
  readonly oldest: readonly OldTask[];
}

export interface StoredEvents {
  readonly seq: number;
  readonly atMs: number;
  readonly event: DurableEvent;
}

export interface Store {
  /** True when what it keeps outlives the process. */
  readonly durable: boolean;
  /** Takes ownership under a new epoch and gives what is open. Called before everything else, and for every new term. */
  load(): Promise<Loaded>;
  /**
   * Keeps a turn's facts; resolves when they are safe. Undefined when they are already, so that nobody need wait.
   * Never called while another commit is under way.
   *
   * Rejects with `store_full` (507) or `store_failed`; after a rejection nothing of the commit may be there,
   * unless the error's `details.unknown` is true. With `details.broken` the store takes nothing more.
   */
  commit(commit: Commit): Promise<void> | undefined;
  /**
   * Bytes that new tasks may take. 0 or less: what is left is the reserve, for ending the tasks that are there.
   * Undefined, as the whole method: there is no limit that anybody knows of.
   */
  room?(): number | undefined;
  /** Settled tasks among these ids and keys. */
  facts(ids: readonly TaskId[], keys: readonly string[]): Promise<Facts>;
  /** One settled task. */
  entry(id: TaskId): Promise<HistoryEntry | undefined>;
  /** Settled tasks in the order of admission. */
  history(filter: HistoryFilter): Promise<readonly HistoryEntry[]>;
  /** How many settled tasks a pool has by status, and how many of them are dead letters. */
  tally(pool: PoolId): Promise<Readonly<Record<FinalStatus, number>> & { readonly deadLetters: number }>;
  /** Pools that have settled tasks, those that were deleted too, in no order. */
  settledPools(): Promise<readonly PoolId[]>;
  /** How much is kept of a pool, and its oldest settled tasks: `limit` of them at most, after the first `skip`. */
  oldest(pool: PoolId, page: { readonly skip: number; readonly limit: number }): Promise<Settled>;
  /** Bodies of tasks, open or settled, by admission number. Missing ones are absent. */
  bodies(nums: readonly number[]): Promise<ReadonlyMap<number, TaskBody>>;
  /** Results of completed tasks, JSON text by id. Missing ones are absent. */
  results(ids: readonly TaskId[]): Promise<ReadonlyMap<TaskId, string>>;
  /** Durable events with a larger sequence number, in order, at most `limit`. */
  events(afterSeq: number, limit: number): Promise<readonly StoredEvents[]>;
  /** Gives up ownership. Safe to call twice. */
  close(): Promise<void>;
}
