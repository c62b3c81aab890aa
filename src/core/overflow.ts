/**
 * What becomes of a submission that finds the queue full: refused at once, or held for a while. Held ones are stored
 * nowhere; the oldest of the most urgent is admitted first, and nobody newer passes those that only wait for room.
 */
import { isPoolError, PoolError } from "../base/errors.ts";
import type { PoolId } from "../base/ids.ts";
import { admit } from "./admission.ts";
import { type Command, DONE, type Reply } from "./command.ts";
import { HELD_LIMIT } from "./held-line.ts";
import { classKey } from "./service-class.ts";
import { type NamespaceState, queueOf } from "./state.ts";
import type { Priority, TaskSpec } from "./task.ts";
import type { Turn } from "./turn.ts";

type Submit = Extract<Command, { type: "submit" }>;

export function submit(state: NamespaceState, command: Submit, turn: Turn): Reply {
  const pool = command.specs[0]?.pool;
  if (pool === undefined || !state.overflow.has(pool)) return admitOrHold(state, command, turn);
  admitHeld(state, pool, turn);
  return admitOrHold(state, command, turn);
}

function admitOrHold(state: NamespaceState, command: Submit, turn: Turn): Reply {
  const { specs, hold } = command;
  const priority = urgencyOf(specs);
  const pool = specs[0]?.pool;
  const line = pool === undefined ? undefined : state.overflow.get(pool);
  const behind = line?.hasAhead(priority) ?? false;
  const maxWaitMs = pool === undefined || hold === undefined ? 0 : waitOf(state, pool);
  if (pool === undefined || hold === undefined || maxWaitMs === 0 || (line?.size ?? 0) + specs.length > HELD_LIMIT) {
    return admit(state, command, turn, { behind, waits: false });
  }
  try {
    return admit(state, command, turn, { behind, waits: true });
  } catch (error) {
    if (!isQueueFull(error)) throw error;
    const held = { holdId: hold, command, priority };
    turn.record({ type: "submission.held", pool, held, untilMs: turn.nowMs + maxWaitMs });
    return { type: "held" };
  }
}

/** How long a pool lets submissions wait for room; 0 when it refuses them. Milliseconds. */
function waitOf(state: NamespaceState, pool: PoolId): number {
  const queue = state.pools.get(pool)?.options.queue;
  return queue?.overflow === "wait" ? queue.maxWaitMs : 0;
}

function isQueueFull(error: unknown): boolean {
  return isPoolError(error, "queue_full") && error.details.limit === "queue";
}

function urgencyOf(specs: readonly TaskSpec[]): Priority {
  let urgency: Priority = 4;
  for (const { priority } of specs) if (priority < urgency) urgency = priority;
  return urgency;
}

/**
 * Admits those for whom there is room by now. Behind one that finds none, only what somebody free can start at once is
 * taken, and that is looked at once for each kind of work.
 *
 * @returns whether anything was admitted
 */
export function admitHeld(state: NamespaceState, pool: PoolId, turn: Turn): boolean {
  const line = state.overflow.get(pool);
  if (line === undefined) return false;
  const queue = queueOf(state, pool);
  const hopeless = new Set<string>();
  let behind = false;
  let admitted = false;
  for (const { holdId, command } of line) {
    if (behind && !queue.seats.hasFree()) break;
    const kind = kindOf(command);
    if (behind && (kind === undefined || hopeless.has(kind))) continue;
    try {
      const reply = admit(state, command, turn, { behind, waits: true });
      answer(state, { pool, holdId, reply }, turn);
      admitted = true;
    } catch (error) {
      if (!(error instanceof PoolError)) throw error;
      if (isQueueFull(error)) {
        behind = true;
        if (kind !== undefined) hopeless.add(kind);
      } else answer(state, { pool, holdId, error }, turn);
    }
  }
  return admitted;
}

/** Undefined for a batch, which is not looked at out of its turn. */
function kindOf({ specs }: Submit): string | undefined {
  const [spec] = specs;
  if (spec === undefined || specs.length > 1) return undefined;
  return `${classKey(spec.type, spec.requires)}\t${spec.fairnessKey ?? ""}`;
}

type Answer = { readonly reply: Reply } | { readonly error: PoolError };

function answer(
  state: NamespaceState,
  { pool, holdId, ...told }: { readonly pool: PoolId; readonly holdId: number } & Answer,
  turn: Turn,
): void {
  if (state.overflow.get(pool)?.find(holdId) === undefined) return;
  turn.record({ type: "submission.let_go", pool, holdId });
  turn.request({ type: "answer_held", holdId, ...told });
}

/** It has waited for as long as it may: taken if there is room, else refused. */
export function giveUpHeld(state: NamespaceState, pool: PoolId, holdId: number, turn: Turn): void {
  const held = state.overflow.get(pool)?.find(holdId);
  if (held === undefined) return;
  try {
    const reply = admit(state, held.command, turn, { behind: false, waits: false });
    answer(state, { pool, holdId, reply }, turn);
  } catch (error) {
    if (!(error instanceof PoolError)) throw error;
    answer(state, { pool, holdId, error }, turn);
  }
}

/** Whoever asked has gone. */
export function letGo(state: NamespaceState, pool: PoolId, holdId: number, turn: Turn): Reply {
  if (state.overflow.get(pool)?.find(holdId) !== undefined) turn.record({ type: "submission.let_go", pool, holdId });
  return DONE;
}

/** Nothing more is taken, here or anywhere. */
export function refuseHeld(state: NamespaceState, pool: PoolId | undefined, error: PoolError, turn: Turn): void {
  for (const [id, line] of [...state.overflow]) {
    if (pool !== undefined && id !== pool) continue;
    for (const { holdId } of [...line]) answer(state, { pool: id, holdId, error }, turn);
  }
}
