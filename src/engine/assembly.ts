/** A turn as the store keeps it: its events, and the narrow rows of what they changed. */
import type { PoolId } from "../base/ids.ts";
import type { Gate } from "../core/gate.ts";
import type { Pool } from "../core/pool.ts";
import { type OpenFacts, openFacts, settledFacts } from "../core/record.ts";
import type { KeyRecord } from "../core/retired.ts";
import { WHOLE_POOL } from "../core/spend.ts";
import type { NamespaceState } from "../core/state.ts";
import type { Turn } from "../core/turn.ts";
import type { Commit, PoolRecord, SettledRow } from "../stores/store.ts";
import type { Payloads } from "./payloads.ts";

/** What a turn is built from. */
interface Parts {
  readonly state: NamespaceState;
  readonly payloads: Payloads;
  /** Number of its first event. */
  readonly firstSeq: number;
}

/** All or nothing of this is stored. Bodies of what was admitted are at hand from now on; results are taken out of `payloads`. */
export function assemble(turn: Turn, { state, payloads, firstSeq }: Parts): Commit {
  const reopened: Commit["reopened"][number][] = [];
  const pools: Commit["pools"][number][] = [];
  const agents: Commit["agents"][number][] = [];
  const dropped: Commit["dropped"][number][] = [];
  const retired: NonNullable<Commit["retired"]>[number][] = [];
  const keys: KeyRecord[] = [];
  let keysBeforeMs: number | undefined;
  const quarantined: Commit["quarantine"][number][] = [];
  const gates: Gate[] = [];
  const schedules = new Set<string>();
  const spenders = new Map<string, { pool: PoolId; tenant: string }>();
  const spends = (pool: PoolId | undefined, tenant: string): void => {
    if (pool !== undefined) spenders.set(`${pool}\n${tenant}`, { pool, tenant });
  };
  for (const event of turn.durable) {
    switch (event.type) {
      case "task.replayed":
        reopened.push({ num: event.facts.num, id: event.facts.spec.id });
        break;
      case "dead_letter.dropped":
        dropped.push({ num: event.num, id: event.id });
        break;
      case "pool.created":
      case "pool.changed":
      case "pool.mode": {
        const pool = state.pools.get(event.pool);
        if (pool !== undefined) pools.push({ id: event.pool, record: poolRecord(pool) });
        break;
      }
      case "gate.changed":
        gates.push(event.gate);
        break;
      case "spend.freed":
        spends(event.pool, event.tenant);
        break;
      case "attempt.ended":
      case "task.settled": {
        const spec = event.attempt === undefined ? undefined : state.tasks.get(event.taskId)?.spec;
        const options = spec === undefined ? undefined : state.pools.get(spec.pool)?.options;
        if (options?.spend !== undefined) spends(spec?.pool, WHOLE_POOL);
        if (options?.tenantSpend !== undefined && spec?.tenant !== undefined) spends(spec.pool, spec.tenant);
        break;
      }
      case "schedule.created":
        schedules.add(event.schedule.id);
        break;
      case "schedule.deleted":
      case "schedule.paused":
      case "schedule.fired":
      case "schedule.refused":
      case "schedule.skipped":
      case "schedule.missed":
        schedules.add(event.scheduleId);
        break;
      case "pool.deleted":
        pools.push({ id: event.pool, record: null });
        break;
      case "agent.added":
      case "agent.changed":
        agents.push({ id: event.agent.id, record: event.agent });
        break;
      case "agent.removed":
        agents.push({ id: event.agentId, record: null });
        break;
      case "tasks.retired":
        retired.push(...event.tasks);
        keys.push(...event.keys);
        keysBeforeMs = event.keysBeforeMs;
        break;
      case "payload.quarantined": {
        const { type: _, ...record } = event;
        quarantined.push({ pool: event.pool, fingerprint: event.fingerprint, record });
        break;
      }
      case "payload.released":
        quarantined.push({ pool: event.pool, fingerprint: event.fingerprint, record: null });
        break;
      default:
    }
  }
  const { admitted } = turn;
  for (const { num, body } of admitted) payloads.keep(num, body);
  const { open, settled } = touched(turn, payloads);
  const facts = {
    admitted,
    open,
    settled,
    reopened,
    dropped,
    pools,
    agents,
    gates,
    spending: [...spenders.values()].map(({ pool, tenant }) => {
      return { pool, tenant, window: state.pools.get(pool)?.spending.get(tenant) ?? null };
    }),
    schedules: [...schedules].map((id) => ({ id, record: state.schedules.get(id) ?? null })),
    quarantine: quarantined,
    retired,
    keys,
    keysBeforeMs,
  };
  return { firstSeq, atMs: turn.nowMs, events: turn.durable, ...facts };
}

/** The rows of the tasks that the turn touched, as they are at its end. */
function touched(turn: Turn, payloads: Payloads): Pick<Commit, "open" | "settled"> {
  const open: OpenFacts[] = [];
  const settled: SettledRow[] = [];
  for (const task of turn.touched) {
    if (task.state.name !== "settled") open.push(openFacts(task));
    else {
      settled.push({ facts: settledFacts(task), result: payloads.takeResult(task.lastFence) });
      payloads.drop(task.num);
    }
  }
  return { open, settled };
}

function poolRecord({ options, createdAtMs, mode }: Pool): PoolRecord {
  return mode === "running" ? { options, createdAtMs } : { options, createdAtMs, mode };
}
