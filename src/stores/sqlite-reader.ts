/** Everything that is asked of a data file. It only reads; its statements are prepared once. */
import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";
import { assert } from "../base/assert.ts";
import type { PoolId, TaskId } from "../base/ids.ts";
import type { AgentIdentity } from "../core/agent.ts";
import type { DurableEvent } from "../core/event.ts";
import type { Gate } from "../core/gate.ts";
import type { Quarantined } from "../core/quarantined.ts";
import type { SettledFacts } from "../core/record.ts";
import { type KeyRecord, type OldTask, retainedBytes } from "../core/retired.ts";
import type { Schedule } from "../core/schedule.ts";
import type { FinalStatus, TaskBody } from "../core/task.ts";
import { prepareAll } from "./sqlite-schema.ts";
import { openFactsOf, packText, settledFactsOf, unpackText } from "./sqlite-text.ts";
import type { Facts, HistoryEntry, HistoryFilter, Loaded, PoolRecord, SpendingRow, StoredEvents } from "./store.ts";
import { Tallies } from "./tally.ts";

/** Settled tasks with their spec; every reader of the history begins with one of these. */
const SETTLED = "SELECT h.num, t.spec, h.facts FROM history h JOIN tasks t ON t.num = h.num";
const ENTRIES =
  "SELECT h.num, t.spec, h.facts, h.result, t.prompt, t.rest FROM history h JOIN tasks t ON t.num = h.num";

/** Dead letters are few; left to itself, SQLite would rather walk over the whole history. */
const DEAD_ONLY = "INDEXED BY history_dead";

const READS = {
  used: `SELECT (page_count - freelist_count) * page_size AS bytes
    FROM pragma_page_count, pragma_freelist_count, pragma_page_size`,
  lastSeq: "SELECT last_seq AS n FROM commits ORDER BY first_seq DESC LIMIT 1",
  lastNum: "SELECT max((SELECT coalesce(max(num), 0) FROM tasks), value) AS n FROM meta WHERE key = 'last_num'",
  pools: "SELECT record FROM pools ORDER BY rowid",
  agents: "SELECT record FROM agents ORDER BY rowid",
  quarantine: "SELECT record FROM quarantine ORDER BY rowid",
  deadOnes: `SELECT h.num, h.pool, t.id FROM history h ${DEAD_ONLY} JOIN tasks t ON t.num = h.num WHERE h.dead = 1
    ORDER BY json_extract(h.facts, '$.settlement.settledAtMs'), h.num`,
  settledEpoch: "SELECT value AS n FROM meta WHERE key = 'settled_epoch'",
  gates: "SELECT record FROM gates ORDER BY rowid",
  spending: "SELECT record FROM spending ORDER BY rowid",
  schedules: "SELECT record FROM schedules ORDER BY rowid",
  open: "SELECT o.num, t.spec, o.facts FROM open o LEFT JOIN tasks t ON t.num = o.num ORDER BY o.num",
  statuses: "SELECT pool, status, count(*) AS n FROM history GROUP BY pool, status",
  sizes: "SELECT pool, sum(bytes) AS n FROM history GROUP BY pool",
  oldest: `${SETTLED} WHERE h.pool = ? ORDER BY h.settled_at_ms, h.num LIMIT ? OFFSET ?`,
  oldKey: "SELECT record FROM keys WHERE key = ?",
  deadLetters: `SELECT pool, count(*) AS n FROM history ${DEAD_ONLY} WHERE dead = 1 GROUP BY pool`,
  settledById: `${SETTLED} WHERE t.id = ?`,
  // Of the newest task under the key; nothing while that one is open.
  settledByKey: `${SETTLED} WHERE h.num = (SELECT max(num) FROM tasks WHERE key = ?)`,
  entry: `${ENTRIES} WHERE t.id = ?`,
  body: "SELECT prompt, rest FROM tasks WHERE num = ?",
  result: "SELECT h.result FROM history h JOIN tasks t ON t.num = h.num WHERE t.id = ?",
  events: `SELECT first_seq, at_ms, events FROM commits
    WHERE first_seq >= (SELECT coalesce(max(first_seq), 0) FROM commits WHERE first_seq <= ?) ORDER BY first_seq`,
} as const;

type Row = Record<string, SQLOutputValue>;
type Value = number | string | Uint8Array | null;

export class SqliteReader {
  readonly #db: DatabaseSync;
  readonly #read: Record<keyof typeof READS, StatementSync>;
  /** By their text: one for each of the sixteen sets of conditions, at most. */
  readonly #histories = new Map<string, StatementSync>();

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#read = prepareAll(db, READS);
  }

  /** Of the file, without pages that are free again. */
  usedBytes(): number {
    return Number(this.#read.used.get()?.bytes ?? 0);
  }

  loaded(epoch: number): Loaded {
    return {
      epoch,
      lastSeq: Number(this.#read.lastSeq.get()?.n ?? 0),
      lastNum: Number(this.#read.lastNum.get()?.n ?? 0),
      pools: recordsOf<PoolRecord>(this.#read.pools),
      agents: recordsOf<AgentIdentity>(this.#read.agents),
      gates: recordsOf<Gate>(this.#read.gates),
      spending: recordsOf<SpendingRow>(this.#read.spending),
      schedules: recordsOf<Schedule>(this.#read.schedules),
      open: this.#read.open.all().map(({ num, spec, facts }) => {
        assert(spec !== null, "every open task was admitted");
        return openFactsOf(Number(num), String(spec), String(facts));
      }),
      quarantine: recordsOf<Quarantined>(this.#read.quarantine),
      deadLetters: this.#read.deadOnes.all().map(({ num, pool, id }) => {
        return { pool: pool as PoolId, id: id as TaskId, num: Number(num) };
      }),
      settledEpoch: Number(this.#read.settledEpoch.get()?.n ?? 0),
    };
  }

  tallies(): Tallies {
    const tallies = new Tallies();
    for (const { pool, status, n } of this.#read.statuses.iterate()) {
      tallies.restore(pool as PoolId, status as FinalStatus, Number(n));
    }
    for (const { pool, n } of this.#read.deadLetters.iterate()) {
      tallies.restore(pool as PoolId, "deadLetters", Number(n));
    }
    for (const { pool, n } of this.#read.sizes.iterate()) tallies.restore(pool as PoolId, "bytes", Number(n));
    return tallies;
  }

  facts(ids: readonly TaskId[], keys: readonly string[]): Facts {
    const tasks = new Map<TaskId, SettledFacts>();
    for (const id of ids) {
      const row = this.#read.settledById.get(id);
      if (row !== undefined) tasks.set(id, factsOf(row));
    }
    const byKey = new Map<string, SettledFacts>();
    const oldKeys = new Map<string, KeyRecord>();
    for (const key of keys) {
      const old = this.#read.oldKey.get(packText(key));
      if (old !== undefined) oldKeys.set(key, JSON.parse(String(old.record)) as KeyRecord);
      const row = this.#read.settledByKey.get(packText(key));
      if (row !== undefined) byKey.set(key, factsOf(row));
    }
    return oldKeys.size === 0 ? { tasks, keys: byKey } : { tasks, keys: byKey, oldKeys };
  }

  oldest(pool: PoolId, { skip, limit }: { readonly skip: number; readonly limit: number }): OldTask[] {
    return this.#read.oldest.all(pool, limit, skip).map((row) => oldTaskOf(factsOf(row)));
  }

  entry(id: TaskId): HistoryEntry | undefined {
    const row = this.#read.entry.get(id);
    return row === undefined ? undefined : entryOf(row);
  }

  history({ pool, status, type, deadLettered, afterNum, limit }: HistoryFilter): HistoryEntry[] {
    const conditions = ["h.num > ?"];
    const values: Value[] = [afterNum];
    const want = (condition: string, value: Value): void => {
      conditions.push(condition);
      values.push(value);
    };
    if (pool !== undefined) want("h.pool = ?", pool);
    if (status !== undefined) want("h.status = ?", status);
    if (type !== undefined) want("h.type = ?", packText(type));
    // A number in the text, not a parameter: that is how the index of dead letters may be used.
    if (deadLettered !== undefined) conditions.push(`h.dead = ${deadLettered ? 1 : 0}`);
    const entries = deadLettered === true ? ENTRIES.replace("history h", `history h ${DEAD_ONLY}`) : ENTRIES;
    return this.#historyOf(`${entries} WHERE ${conditions.join(" AND ")} ORDER BY h.num LIMIT ?`)
      .all(...values, limit)
      .map(entryOf);
  }

  bodies(nums: readonly number[]): Map<number, TaskBody> {
    const found = new Map<number, TaskBody>();
    for (const num of nums) {
      const row = this.#read.body.get(num);
      if (row !== undefined) found.set(num, bodyOf(row));
    }
    return found;
  }

  results(ids: readonly TaskId[]): Map<TaskId, string> {
    const found = new Map<TaskId, string>();
    for (const id of ids) {
      const result = unpackText(this.#read.result.get(id)?.result);
      if (result !== undefined) found.set(id, result);
    }
    return found;
  }

  events(afterSeq: number, limit: number): StoredEvents[] {
    const found: StoredEvents[] = [];
    if (limit < 1) return found;
    for (const row of this.#read.events.iterate(afterSeq + 1)) {
      const firstSeq = Number(row.first_seq);
      const atMs = Number(row.at_ms);
      const events = JSON.parse(String(row.events)) as DurableEvent[];
      for (let i = Math.max(0, afterSeq + 1 - firstSeq); i < events.length; i++) {
        found.push({ seq: firstSeq + i, atMs, event: events[i] as DurableEvent });
        if (found.length === limit) return found;
      }
    }
    return found;
  }

  #historyOf(text: string): StatementSync {
    let statement = this.#histories.get(text);
    if (statement === undefined) {
      statement = this.#db.prepare(text);
      this.#histories.set(text, statement);
    }
    return statement;
  }
}

function recordsOf<T>(statement: StatementSync): T[] {
  return statement.all().map(({ record }) => JSON.parse(String(record)) as T);
}

function factsOf({ num, spec, facts }: Row): SettledFacts {
  return settledFactsOf(Number(num), String(spec), String(facts));
}

function bodyOf(row: Row): TaskBody {
  return { prompt: unpackText(row.prompt), rest: unpackText(row.rest) };
}

function entryOf(row: Row): HistoryEntry {
  return { facts: factsOf(row), body: bodyOf(row), result: unpackText(row.result) };
}

function oldTaskOf(facts: SettledFacts): OldTask {
  const { num, spec, settlement } = facts;
  return {
    num,
    id: spec.id,
    status: settlement.status,
    settledAtMs: settlement.settledAtMs,
    bytes: retainedBytes(facts),
    idempotencyKey: spec.idempotencyKey,
    bodyHash: spec.bodyHash,
  };
}
