/** What the parts of a running engine share. */
import type { Classify } from "../agents/agent-error.ts";
import type { AgentFunction } from "../agents/function.ts";
import type { Clock } from "../base/clock.ts";
import { PoolError } from "../base/errors.ts";
import { asPoolId, type PoolId } from "../base/ids.ts";
import type { Entropy } from "../base/random.ts";
import type { Agent } from "../core/agent.ts";
import type { LeasedAttempt } from "../core/effect.ts";
import type { Pool } from "../core/pool.ts";
import type { NamespaceState } from "../core/state.ts";
import type { Store } from "../stores/store.ts";
import type { Crew } from "./crew.ts";
import type { LogEvent } from "./engine-options.ts";
import type { Handover } from "./handover.ts";
import type { HeldCalls } from "./held-calls.ts";
import type { Loop } from "./loop.ts";
import type { Limits } from "./options/agent.ts";
import type { Payloads } from "./payloads.ts";
import type { Reader } from "./reader.ts";
import type { Reserve } from "./reserve.ts";
import { NOTHING_KNOWN } from "./stubs.ts";
import type { TurnClock } from "./turn-clock.ts";
import type { Waiters } from "./waiters.ts";

export interface Frame {
  readonly state: NamespaceState;
  readonly store: Store;
  readonly clock: Clock;
  readonly turnClock: TurnClock;
  readonly entropy: Entropy;
  readonly limits: Limits;
  readonly loop: Loop;
  readonly crew: Crew;
  readonly reader: Reader;
  readonly handover: Handover;
  readonly payloads: Payloads;
  readonly waiters: Waiters;
  readonly heldCalls: HeldCalls;
  readonly reserve: Reserve;
  /** What function agents run, by `functionKey`. */
  readonly functions: Map<string, AgentFunction>;
  /** What pools say of errors, by pool. */
  readonly classifiers: Map<string, Classify>;
  /** How often a full queue has refused somebody, since the start. */
  readonly refusals: Map<PoolId, number>;
  readonly log: (event: LogEvent) => void;
}

/** @throws PoolError `not_found` */
export function existingPool(state: NamespaceState, id: string): Pool {
  const pool = state.pools.get(asPoolId(id));
  if (pool === undefined) throw new PoolError("not_found", `no pool ${id}`, { details: { pool: id } });
  return pool;
}

/** Port and pid of an agent that has a process. */
export function processOf({ crew }: Frame, agent: Agent): { port?: number | undefined; pid?: number | undefined } {
  const driver = crew.driver(agent.identity.id);
  if (driver === undefined || !("port" in driver)) return {};
  return { port: driver.port as number | undefined, pid: (driver as { pid?: number | undefined }).pid };
}

/** An attempt that never began goes back. */
export function giveBack(
  { loop }: Pick<Frame, "loop">,
  { agentId, taskId, fence }: LeasedAttempt,
  message: string,
): void {
  const outcome = { name: "released", error: { code: "released", message } } as const;
  loop.tell({ type: "report", agentId, taskId, fence, outcome, known: NOTHING_KNOWN });
}
