/** Payloads that killed their agents: the pool does not take them again until they are replayed or let go. */
import { PoolError } from "../base/errors.ts";
import { type Command, DONE, type Reply } from "./command.ts";
import type { Pool } from "./pool.ts";
import type { FingerprintOf } from "./quarantined.ts";
import type { NamespaceState } from "./state.ts";
import type { Task, TaskBody, TaskSpec } from "./task.ts";
import type { Turn } from "./turn.ts";

/** Payloads per pool; beyond, the oldest is let go. */
export const QUARANTINE_LIMIT = 10_000;

/** The turn has found this task to be poison: what it consists of is not taken again. */
export function quarantine(state: NamespaceState, { spec }: Pick<Task, "spec">, fingerprint: string, turn: Turn): void {
  const pool = state.pools.get(spec.pool);
  if (pool === undefined) return;
  turn.record({ type: "payload.quarantined", pool: pool.id, fingerprint, by: spec.id, atMs: turn.nowMs });
  const [oldest] = pool.quarantine.keys();
  if (pool.quarantine.size > QUARANTINE_LIMIT && oldest !== undefined) release(pool, oldest, turn);
}

export function refuseQuarantined(
  pool: Pool,
  { spec, body }: { readonly spec: TaskSpec; readonly body: TaskBody },
  fingerprintOf: FingerprintOf | undefined,
): void {
  if (pool.quarantine.size === 0 || fingerprintOf === undefined) return;
  const fingerprint = fingerprintOf(spec, body);
  const quarantined = pool.quarantine.get(fingerprint);
  if (quarantined === undefined) return;
  throw new PoolError("quarantined", `pool ${pool.id} does not take this: task ${quarantined.by} killed its agents`, {
    details: { fingerprint, taskId: quarantined.by, pool: pool.id },
  });
}

export function release(pool: Pool, fingerprint: string, turn: Turn): void {
  if (!pool.quarantine.has(fingerprint)) return;
  turn.record({ type: "payload.released", pool: pool.id, fingerprint });
}

export function releasePayload(
  state: NamespaceState,
  command: Extract<Command, { type: "release_payload" }>,
  turn: Turn,
): Reply {
  const { pool: id, fingerprint } = command;
  const pool = state.pools.get(id);
  if (pool === undefined) throw new PoolError("not_found", `no pool ${id}`, { details: { pool: id } });
  if (!pool.quarantine.has(fingerprint)) {
    throw new PoolError("not_found", `pool ${id} has no ${fingerprint} in quarantine`, { details: { fingerprint } });
  }
  release(pool, fingerprint, turn);
  return DONE;
}
