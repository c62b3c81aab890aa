/** The gate: decides for each task of a submission whether it is taken, before anything is recorded. */
import { isPoolError, PoolError } from "../base/errors.ts";
import type { TaskId } from "../base/ids.ts";
import { Planned, refuseBeyondBounds, wouldNeverFit } from "./bounds.ts";
import type { Command, Known, Reply } from "./command.ts";
import { afterDependencies, dependencyFailure } from "./dependencies.ts";
import type { Resting } from "./event.ts";
import { deadlineExceeded, stopAndFinish } from "./finish.ts";
import { refuseCycle } from "./graph.ts";
import { type Resolved, resolveDependencies, unknownDependencies } from "./links.ts";
import type { Pool } from "./pool.ts";
import { refuseQuarantined } from "./quarantine.ts";
import type { FingerprintOf } from "./quarantined.ts";
import { isKeyKept } from "./retired.ts";
import type { NamespaceState } from "./state.ts";
import { type FinalStatus, NO_BODY, nearAtMs, type TaskBody, type TaskSpec } from "./task.ts";
import type { Turn } from "./turn.ts";

/** What was decided for one task. */
type Decision =
  | { readonly name: "known"; readonly taskId: TaskId; readonly expired?: FinalStatus | undefined }
  | { readonly name: "refused"; readonly error: PoolError }
  | {
      readonly name: "take";
      readonly spec: TaskSpec;
      readonly body: TaskBody;
      readonly resting: Resting;
      readonly graph: Resolved;
    };

const NO_CYCLES: ReadonlyMap<TaskId, PoolError> = new Map();
const NO_BATCH: ReadonlySet<TaskId> = new Set();
const NOTHING_PLANNED = new Planned(1);
const FOR_DEPENDENCIES: Resting = { reason: "dependencies" };

/**
 * `behind`: others wait for room, so only what can start at once is taken. `waits`: who finds none waits for it with all
 * of the submission.
 */
export function admit(
  state: NamespaceState,
  command: Extract<Command, { type: "submit" }>,
  turn: Turn,
  { behind, waits }: { readonly behind: boolean; readonly waits: boolean },
): Reply {
  const { specs, bodies, partial, known, fingerprintOf } = command;
  if (state.draining !== undefined) throw new PoolError("shutting_down", "the engine takes no more tasks");
  const facts: Facts = { known, behind, nowMs: turn.nowMs, fingerprintOf, planned: NOTHING_PLANNED, batch: NO_BATCH };
  const [alone] = specs;
  if (alone !== undefined && specs.length === 1 && !partial && alone.dependencies.length === 0) {
    return admitOne(state, { spec: alone, body: bodies?.[0] ?? NO_BODY }, facts, turn);
  }
  // Most tasks depend on nothing.
  const linked = specs.some((spec) => spec.dependencies.length > 0);
  const isAwaited = linked && specs.some(({ id }) => state.dependents.has(id));
  const openSpec = (id: TaskId): TaskSpec | undefined => (isAwaited ? state.tasks.get(id)?.spec : undefined);
  const cyclic = partial ? cyclesOf(specs, openSpec) : NO_CYCLES;
  if (!partial && linked) refuseCycle(specs, openSpec);
  const batch = new Set(linked ? specs.map((spec) => spec.id) : []);
  const planned = new Planned(specs.length);
  const decisions = specs.map((spec, index) => {
    try {
      const cycle = cyclic.get(spec.id);
      if (cycle !== undefined) throw cycle;
      return decide(state, { spec, body: bodies?.[index] ?? NO_BODY }, { ...facts, planned, batch });
    } catch (error) {
      if (!(error instanceof PoolError)) throw error;
      const waitsForIt = waits && error.details.limit === "queue";
      if (!partial && specs.length > 1) wouldNeverFit(state, command, { error, nowMs: turn.nowMs });
      if (!partial || waitsForIt) throw specs.length === 1 ? error : inBatch(error, index);
      // Of two with one id the first may have been taken.
      if (!planned.has(spec.id)) batch.delete(spec.id);
      return { name: "refused", error } as const;
    }
  });
  if (partial || linked) refuseOrphans(decisions, specs, (id) => state.tasks.has(id) || known.tasks.has(id));
  if (!partial) refuseAll(decisions);
  const items = decisions.map((decision) => carryOut(state, decision, turn));
  // Only now, so that those who depend on them within the batch are there to be told.
  for (const decision of decisions) if (decision.name === "take") endEarly(state, decision, turn);
  return { type: "submitted", items };
}

/** Most submissions are one task that depends on nothing: then there is nothing else to be weighed. */
function admitOne(state: NamespaceState, asked: Asked, facts: Facts, turn: Turn): Reply {
  const decision = decide(state, asked, facts);
  const item = carryOut(state, decision, turn);
  if (decision.name === "take") endEarly(state, decision, turn);
  return { type: "submitted", items: [item] };
}

/** With `partial`, only the tasks of a cycle are refused. */
function cyclesOf(specs: readonly TaskSpec[], openSpec: (id: TaskId) => TaskSpec | undefined): Map<TaskId, PoolError> {
  const found = new Map<TaskId, PoolError>();
  for (;;) {
    try {
      refuseCycle(
        specs.filter((spec) => !found.has(spec.id)),
        openSpec,
      );
      return found;
    } catch (error) {
      if (!isPoolError(error, "dependency_cycle")) throw error;
      for (const id of error.details.cycle as readonly TaskId[]) found.set(id, error);
    }
  }
}

/** Names the element that spoils the batch. */
function inBatch(error: PoolError, index: number): PoolError {
  const path = typeof error.details.path === "string" ? `tasks[${index}].${error.details.path}` : `tasks[${index}]`;
  return new PoolError(error.code, `tasks[${index}]: ${error.message}`, {
    retryable: error.retryable,
    details: { ...error.details, path, index },
  });
}

/** Without `partial` one refusal is the refusal of all. */
function refuseAll(decisions: readonly Decision[]): void {
  for (const [index, decision] of decisions.entries()) {
    if (decision.name === "refused") throw inBatch(decision.error, index);
  }
}

/**
 * Tasks that depend on one of the same batch that won't be there are refused as well, however deep, and so are
 * repetitions of such a task. It won't be there when it is refused, or is a repetition of another itself.
 */
function refuseOrphans(decisions: Decision[], specs: readonly TaskSpec[], isThere: (id: TaskId) => boolean): void {
  const taken = new Set<TaskId>();
  const needing = new Map<TaskId, number[]>();
  for (const [index, decision] of decisions.entries()) {
    if (decision.name === "take") taken.add(decision.spec.id);
    for (const id of needsOf(decision)) {
      const indexes = needing.get(id);
      if (indexes === undefined) needing.set(id, [index]);
      else indexes.push(index);
    }
  }
  const gone = specs.map(({ id }) => id).filter((id) => !taken.has(id) && !isThere(id));
  // The list grows while it is walked.
  for (const id of gone) {
    for (const index of needing.get(id) ?? []) {
      const decision = decisions[index];
      if (decision === undefined || decision.name === "refused") continue;
      decisions[index] = { name: "refused", error: unknownDependencies([id]) };
      if (decision.name === "take") gone.push(decision.spec.id);
    }
  }
}

/** What must come into being for this decision to hold. */
function needsOf(decision: Decision): readonly TaskId[] {
  if (decision.name === "take") return decision.graph.waitsFor;
  return decision.name === "known" ? [decision.taskId] : [];
}

/** What a task is decided by, besides the state. */
interface Facts {
  readonly known: Known;
  readonly planned: Planned;
  readonly batch: ReadonlySet<TaskId>;
  readonly behind: boolean;
  readonly nowMs: number;
  readonly fingerprintOf: FingerprintOf | undefined;
}

/** A task that somebody asks to be taken. */
interface Asked {
  readonly spec: TaskSpec;
  readonly body: TaskBody;
}

function decide(state: NamespaceState, { spec, body }: Asked, facts: Facts): Decision {
  const { known, planned, batch, behind, nowMs, fingerprintOf } = facts;
  const pool = state.pools.get(spec.pool);
  if (pool === undefined) throw new PoolError("not_found", `no pool ${spec.pool}`, { details: { pool: spec.pool } });
  // A repeated request is answered whatever has become of the pool: its caller may not know that it was carried out.
  const twin = sameRequest(state, spec, facts);
  if (twin !== undefined) return { name: "known", ...twin };
  refuseDraining(pool);
  refuseUnknownType(pool, spec);
  if (state.tasks.has(spec.id) || known.tasks.has(spec.id) || planned.has(spec.id)) {
    throw new PoolError("conflict", `a task ${spec.id} is already there`, { details: { path: "id", id: spec.id } });
  }
  refuseQuarantined(pool, { spec, body }, fingerprintOf);
  const awaitMs = pool.options.forwardReferencesMs;
  const awaitUntilMs = awaitMs > 0 ? nowMs + awaitMs : undefined;
  const graph = resolveDependencies(state, spec, { known, batch, awaitUntilMs });
  const isBroken = graph.broken !== undefined;
  const resting = isBroken || graph.waitsFor.length > 0 ? FOR_DEPENDENCIES : afterDependencies({ spec }, nowMs);
  if (!isBroken) refuseBeyondBounds(state, pool, { spec, resting, planned, behind, nowMs });
  planned.add(spec);
  return { name: "take", spec, body, resting, graph };
}

/** @throws PoolError `not_running` while the pool takes no more */
export function refuseDraining({ id, draining, mode }: Pool): void {
  if (draining || mode === "draining") throw new PoolError("not_running", `pool ${id} takes no more tasks`);
}

export function refuseUnknownType({ options }: Pool, { type }: TaskSpec): void {
  const { types } = options;
  if (types === undefined || types.includes(type)) return;
  const message = `type: pool ${options.id} takes ${types.join(", ")}; got ${type}`;
  throw new PoolError("invalid", message, { details: { path: "type", types } });
}

/**
 * The task that was admitted under the same idempotency key, or what the key remembers of it, until a day after its
 * settlement. The same key with another body is a conflict.
 */
function sameRequest(
  state: NamespaceState,
  spec: TaskSpec,
  { known, planned, nowMs }: { known: Known; planned: Planned; nowMs: number },
): { taskId: TaskId; expired?: FinalStatus } | undefined {
  const key = spec.idempotencyKey;
  if (key === undefined) return undefined;
  const openId = state.keys.get(key);
  const settled = known.keys.get(key);
  const old = known.oldKeys?.get(key);
  const earlier =
    (openId === undefined ? undefined : state.tasks.get(openId)?.spec) ??
    planned.underKey(key) ??
    (settled !== undefined && isKeyKept(settled.settlement.settledAtMs, nowMs) ? settled.spec : undefined) ??
    (old !== undefined && isKeyKept(old.settledAtMs, nowMs) ? old : undefined);
  if (earlier === undefined) return undefined;
  if (earlier.bodyHash === spec.bodyHash) {
    return "status" in earlier ? { taskId: earlier.id, expired: earlier.status } : { taskId: earlier.id };
  }
  throw new PoolError("conflict", "the idempotency key was used for another task", {
    details: { path: "idempotencyKey", taskId: earlier.id },
  });
}

function carryOut(
  state: NamespaceState,
  decision: Decision,
  turn: Turn,
): Extract<Reply, { type: "submitted" }>["items"][number] {
  if (decision.name === "known") return { taskId: decision.taskId, created: false, expired: decision.expired };
  if (decision.name === "refused") return { error: decision.error };
  const { spec, body, resting } = decision;
  const { waitsFor, awaited, failedDependencies } = decision.graph;
  const queuedAtMs = Math.max(turn.nowMs, spec.runAtMs ?? 0);
  const num = state.lastNum + 1;
  turn.record({
    type: "task.submitted",
    num,
    spec,
    queuedAtMs,
    nearAtMs: nearAtMs(spec, turn.nowMs),
    resting,
    waitsFor,
    awaited,
    failedDependencies,
  });
  turn.admitted.push({ num, spec, body });
  return { taskId: spec.id, created: true };
}

/** A dependency had ended badly, or the deadline had passed, before the task came. */
function endEarly(state: NamespaceState, { spec, graph }: Extract<Decision, { name: "take" }>, turn: Turn): void {
  const { broken } = graph;
  if (broken === undefined && spec.deadlineAtMs === undefined) return;
  const task = state.tasks.get(spec.id);
  if (task === undefined || task.state.name === "settled") return;
  if (broken !== undefined) {
    const fate = spec.onDependencyFailure === "fail" ? "failed" : "cancelled";
    stopAndFinish(state, task, dependencyFailure(broken, fate, turn.nowMs), turn);
  } else if (spec.deadlineAtMs !== undefined && spec.deadlineAtMs <= turn.nowMs) {
    stopAndFinish(state, task, deadlineExceeded(turn.nowMs), turn);
  }
}
