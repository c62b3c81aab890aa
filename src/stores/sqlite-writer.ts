/**
 * Everything that is written to a data file. Its statements are prepared once; who calls it holds the transaction.
 *
 * They are run with `get`, as `run` makes an object of what each has changed, which nobody reads.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { PoolId } from "../base/ids.ts";
import { retainedBytes } from "../core/retired.ts";
import type { FinalStatus } from "../core/task.ts";
import { prepareAll } from "./sqlite-schema.ts";
import { openText, packText, settledText } from "./sqlite-text.ts";
import type { Admitted, Commit, SettledRow } from "./store.ts";

/** Commits of which the events go by their age with one commit, at most. */
const TRIM_ROWS = 1_000;

const WRITES = {
  epoch: "UPDATE meta SET value = value + 1 WHERE key = 'epoch' RETURNING value AS epoch",
  event: "INSERT INTO commits (first_seq, last_seq, at_ms, events) VALUES (?, ?, ?, ?)",
  // All commits before the one that holds the first event to keep.
  trim: "DELETE FROM commits WHERE first_seq < (SELECT max(first_seq) FROM commits WHERE first_seq <= ?)",
  // `at_ms` grows with `first_seq`, so these are the first rows of the table. The newest commit stays: the numbers go on.
  trimOld: `DELETE FROM commits WHERE first_seq IN (SELECT first_seq FROM commits ORDER BY first_seq LIMIT ${TRIM_ROWS})
    AND at_ms < ? AND first_seq < (SELECT max(first_seq) FROM commits)`,
  // A replay may bring a new spec and body for the number it had.
  admit: `INSERT INTO tasks (num, id, key, spec, prompt, rest) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (num) DO UPDATE SET id = excluded.id, key = excluded.key, spec = excluded.spec,
      prompt = excluded.prompt, rest = excluded.rest`,
  open: "INSERT INTO open (num, facts) VALUES (?, ?) ON CONFLICT (num) DO UPDATE SET facts = excluded.facts",
  close: "DELETE FROM open WHERE num = ?",
  settle: `INSERT INTO history (num, pool, status, type, dead, settled_at_ms, bytes, facts, result)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  forget: "DELETE FROM history WHERE num = ? RETURNING pool, status, dead, bytes",
  erase: "DELETE FROM tasks WHERE num = ?",
  // Numbers are never given twice, also when the newest task has gone.
  lastNum: "UPDATE meta SET value = max(value, (SELECT max(num) FROM tasks)) WHERE key = 'last_num'",
  putKey: `INSERT INTO keys (key, settled_at_ms, record) VALUES (?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET settled_at_ms = excluded.settled_at_ms, record = excluded.record`,
  dropKeys: `DELETE FROM keys WHERE key IN
    (SELECT key FROM keys WHERE settled_at_ms < ? ORDER BY settled_at_ms LIMIT 1000)`,
  drop: `UPDATE history SET dead = 0, facts = json_set(facts, '$.settlement.deadLettered', json('false'))
    WHERE num = ? AND dead = 1 RETURNING pool`,
  putPool: "INSERT INTO pools (id, record) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record",
  dropPool: "DELETE FROM pools WHERE id = ?",
  putAgent: "INSERT INTO agents (id, record) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record",
  dropAgent: "DELETE FROM agents WHERE id = ?",
  putGate: "INSERT INTO gates (name, record) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET record = excluded.record",
  putSpending: `INSERT INTO spending (pool, tenant, record) VALUES (?, ?, ?)
    ON CONFLICT (pool, tenant) DO UPDATE SET record = excluded.record`,
  dropSpending: "DELETE FROM spending WHERE pool = ? AND tenant = ?",
  dropSpendingOf: "DELETE FROM spending WHERE pool = ?",
  putSchedule:
    "INSERT INTO schedules (id, record) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record",
  dropSchedule: "DELETE FROM schedules WHERE id = ?",
  quarantine: `INSERT INTO quarantine (pool, fingerprint, record) VALUES (?, ?, ?)
    ON CONFLICT (pool, fingerprint) DO UPDATE SET record = excluded.record`,
  letGo: "DELETE FROM quarantine WHERE pool = ? AND fingerprint = ?",
  settledEpoch: "UPDATE meta SET value = ? WHERE key = 'settled_epoch'",
  oldestAtMs: "SELECT at_ms FROM commits ORDER BY first_seq LIMIT 1",
} as const;

/** What a row that left the history was counted as. */
export interface Uncounted {
  readonly pool: PoolId;
  readonly status: FinalStatus;
  readonly dead: number;
  readonly bytes: number;
}

/** What a commit takes from the counts once it is kept. */
export interface Gone {
  readonly rows: Uncounted[];
  /** A dead letter less in each. */
  readonly dropped: PoolId[];
}

export class SqliteWriter {
  readonly #write: Record<keyof typeof WRITES, StatementSync>;

  constructor(db: DatabaseSync) {
    this.#write = prepareAll(db, WRITES);
  }

  nextEpoch(): number {
    return Number(this.#write.epoch.get()?.epoch);
  }

  commit(commit: Commit, lastSeq: number): Gone {
    const gone: Gone = { rows: [], dropped: [] };
    this.#tasks(commit, gone);
    this.#records(commit);
    for (const { num } of commit.dropped) {
      const row = this.#write.drop.get(num);
      if (row !== undefined) gone.dropped.push(row.pool as PoolId);
    }
    this.#write.event.get(commit.firstSeq, lastSeq, commit.atMs, JSON.stringify(commit.events));
    return gone;
  }

  settledIn(epoch: number): void {
    this.#write.settledEpoch.get(epoch);
  }

  /** Lets go of the events before this one, as far as no commit is torn. */
  trim(firstSeq: number): void {
    this.#write.trim.get(firstSeq);
  }

  /** Lets go of a bounded number of events that are older. */
  trimOld(beforeMs: number): void {
    this.#write.trimOld.get(beforeMs);
  }

  /** Of the oldest commit that is kept. */
  oldestAtMs(): number | undefined {
    const row = this.#write.oldestAtMs.get();
    return row === undefined ? undefined : Number(row.at_ms);
  }

  /** The order matters where one task stands in several lists: the last word on it is that it is settled. */
  #tasks(commit: Commit, { rows }: Gone): void {
    for (const { num } of commit.reopened) this.#forget(num, rows);
    for (const admitted of commit.admitted) this.#admit(admitted);
    for (const facts of commit.open) this.#write.open.get(facts.num, openText(facts));
    for (const row of commit.settled) this.#settle(row);
    if (commit.retired !== undefined && commit.retired.length > 0) this.#retire(commit.retired, rows);
    for (const record of commit.keys ?? []) {
      this.#write.putKey.get(packText(record.key), record.settledAtMs, JSON.stringify(record));
    }
    if (commit.keysBeforeMs !== undefined) this.#write.dropKeys.get(commit.keysBeforeMs);
  }

  /** What is no task. */
  #records(commit: Commit): void {
    for (const { id, record } of commit.pools) {
      if (record === null) {
        this.#write.dropPool.get(id);
        this.#write.dropSpendingOf.get(id);
      } else this.#write.putPool.get(id, JSON.stringify(record));
    }
    for (const { id, record } of commit.agents) {
      if (record === null) this.#write.dropAgent.get(id);
      else this.#write.putAgent.get(id, JSON.stringify(record));
    }
    for (const { pool, fingerprint, record } of commit.quarantine) {
      if (record === null) this.#write.letGo.get(pool, fingerprint);
      else this.#write.quarantine.get(pool, fingerprint, JSON.stringify(record));
    }
    for (const row of commit.spending ?? []) {
      const tenant = packText(row.tenant);
      if (row.window === null) this.#write.dropSpending.get(row.pool, tenant);
      else this.#write.putSpending.get(row.pool, tenant, JSON.stringify(row));
    }
    for (const { id, record } of commit.schedules ?? []) {
      if (record === null) this.#write.dropSchedule.get(id);
      else this.#write.putSchedule.get(id, JSON.stringify(record));
    }
    for (const gate of commit.gates ?? []) this.#write.putGate.get(gate.name, JSON.stringify(gate));
  }

  #admit({ num, spec, body }: Admitted): void {
    const key = packText(spec.idempotencyKey);
    this.#write.admit.get(num, spec.id, key, JSON.stringify(spec), packText(body.prompt), packText(body.rest));
  }

  #settle({ facts, result }: SettledRow): void {
    const { num, spec, settlement } = facts;
    this.#write.close.get(num);
    this.#write.settle.get(
      num,
      spec.pool,
      settlement.status,
      packText(spec.type),
      settlement.deadLettered ? 1 : 0,
      settlement.settledAtMs,
      retainedBytes(facts),
      settledText(facts),
      packText(result),
    );
  }

  #retire(tasks: NonNullable<Commit["retired"]>, gone: Uncounted[]): void {
    this.#write.lastNum.get();
    for (const { num } of tasks) {
      this.#forget(num, gone);
      this.#write.erase.get(num);
    }
  }

  #forget(num: number, gone: Uncounted[]): void {
    const row = this.#write.forget.get(num);
    if (row !== undefined) gone.push(row as unknown as Uncounted);
  }
}
